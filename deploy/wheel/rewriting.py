"""Rewriting of dotted module names in Python source, token by token: no line moves. Pure."""

import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence

Edit = tuple[int, int]

# Python 3.12 and later give the text of an f-string as tokens of its own; 3.11 gives one STRING.
_TEXT = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
_BLANK = {tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT}


class Rewriter:
    """Renames the packages `roots` to `package` wherever one of their `modules` is named below them.

    `shared.streams` is a module's name; a variable `shared`, `entry.shared` and "shared. Then" are not.
    """

    def __init__(self, package: str, roots: Sequence[str], modules: Iterable[str]) -> None:
        self._package = package
        self._roots = roots
        self._modules = frozenset(modules)
        root, module = "|".join(roots), "|".join(sorted(self._modules))
        # Also `services.{name}` of an f-string and `services.<name>` of a text about any service.
        self._dotted = re.compile(rf"(?<![\w./])(?:{root})(?=\.(?:(?:{module})\b|\{{|<|…|\Z))")

    def rewrite_text(self, text: str) -> str:
        """Rename in text that is no Python source, such as entry_points.txt."""
        return self._dotted.sub(self._package, text)

    def rewrite_code(self, source: str) -> str:
        """Rename in the imports, expressions and strings of Python source."""
        starts = [0]
        for line in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        edits = sorted(self._find_edits(tokens, starts), reverse=True)
        for start, end in edits:
            source = f"{source[:start]}{self._package}{source[end:]}"
        return source

    def _find_edits(self, tokens: list[tokenize.TokenInfo], starts: list[int]) -> Iterator[Edit]:
        significant = [token for token in tokens if token.type not in _BLANK]
        for number, token in enumerate(significant):
            offset = starts[token.start[0] - 1] + token.start[1]
            if token.type in _TEXT:
                for found in self._dotted.finditer(token.string):
                    yield offset + found.start(), offset + found.end()
            elif token.string in self._roots and self._is_package(significant, number):
                yield offset, offset + len(token.string)

    def _is_package(self, tokens: list[tokenize.TokenInfo], number: int) -> bool:
        before = tokens[number - 1].string if number else ""
        after = [token.string for token in tokens[number + 1 : number + 3]]
        if before == "from" and after[:1] == ["import"]:
            return True
        return before != "." and after[:1] == ["."] and after[1] in self._modules
