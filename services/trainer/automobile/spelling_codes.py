"""Codes for the words as apps send them ("Alfa Romero", "Peugeot", 4).

These spellings are in the graph itself, so that no other code has to map them to canonical words.
"""

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
    """Return a copy of `codes` in which every spelling of a word has the code of that word."""
    return {spelling: code for word, code in codes.items() for spelling in _spellings(word)}


def _spellings(word: str) -> Iterable[str]:
    for spelling in (word, _CORRECTED.get(word, word)):
        yield spelling
        yield spelling.replace("-", " ")
    if word in _DIGITS:
        yield _DIGITS[word]
