"""The words as apps send them ("Alfa Romero", "Peugeot", 4), as codes in the graph, so no code maps them."""

from collections.abc import Iterable

_DIGITS = {
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "eight": "8",
    "twelve": "12",
}
# The data set misspells two makes, and so do the apps that were built on it.
_CORRECTED = {"alfa-romero": "alfa-romeo", "peugot": "peugeot"}


def add_spellings(codes: dict[str, float]) -> dict[str, float]:
    """Return the codes under every canonical spelling of each word."""
    return {spelling: code for word, code in codes.items() for spelling in _spellings(word)}


def _spellings(word: str) -> Iterable[str]:
    for spelling in (word, _CORRECTED.get(word, word)):
        yield spelling
        yield spelling.replace("-", " ")
    if word in _DIGITS:
        yield _DIGITS[word]
