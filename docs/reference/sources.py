"""The project's modules, read but not run: their syntax trees, and which import which."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TOPS = ("services", "shared")
TOO_CLEVER = "{place}: cannot be read from the source, write it out ({text})"


@dataclass(frozen=True)
class Module:
    """One module: its dotted name, and where it stands below the root."""

    name: str
    path: Path
    tree: ast.Module

    def place(self, node: ast.expr) -> str:
        return f"{self.path}:{node.lineno}"


class Sources:
    """All modules of `services/` and `shared/` below `root`."""

    def __init__(self, root: Path) -> None:
        modules = (_read(root, path) for top in TOPS for path in sorted((root / top).rglob("*.py")))
        self.modules = {module.name: module for module in modules}

    @cached_property
    def services(self) -> tuple[str, ...]:
        """The folders of `services/` that are programs, the command line not among them."""
        mains = (re.fullmatch(r"services\.(?!cli\.)(\w+)\.__main__", name) for name in self.modules)
        return tuple(sorted(found[1] for found in mains if found))

    @cached_property
    def services_by_module(self) -> dict[str, list[str]]:
        """Module → the services whose process loads it, sooner or later."""
        found: dict[str, list[str]] = {}
        for service in self.services:
            for name in self._closure(f"services.{service}.__main__"):
                found.setdefault(name, []).append(service)
        return found

    def _closure(self, name: str) -> set[str]:
        reached, waiting = {name}, [name]
        while waiting:
            new = set(self._imports(self.modules[waiting.pop()])) - reached
            reached |= new
            waiting += new
        return reached

    def _imports(self, module: Module) -> Iterator[str]:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
            else:
                continue
            yield from (name for name in names if name in self.modules)


def _read(root: Path, path: Path) -> Module:
    relative = path.relative_to(root)
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name, relative, ast.parse(path.read_text(), str(relative)))


def text_of(node: ast.expr) -> str | None:
    """The text that an expression always has; None for any other expression."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
