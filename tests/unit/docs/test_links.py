"""What the pages point to is there: other pages, headings, files, modules."""

import re
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted(page for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
FILE = re.compile(r"`((?:services|shared|docs|deploy|tests|models)/[\w./-]+)`|\b(docs/[\w-]+\.md)\b")
MODULE = re.compile(r"\b(?:python -m |from |import )((?:services|shared|docs|fleetprice)(?:\.\w+)+)")
# A page may speak of any service: `services/X`, `python -m fleetprice.SERVICE`.
PLACEHOLDER = re.compile(r"[\w/.]*[/.](?:X|Y|SERVICE)\b(?:\.lock)?")


def anchors_of(page):
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_there(module):
    """Whether a module can be imported; it is not. In a wheel services and libraries are `fleetprice`."""
    top, _, rest = module.partition(".")
    places = [
        ROOT.joinpath(one, *rest.split("."))
        for one in (("services", "shared") if top == "fleetprice" else (top,))
    ]
    return any(place.is_dir() or PathFinder.find_spec(place.name, [str(place.parent)]) for place in places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_points_to_is_there(page):
    """Each link leads to a page and a heading of it; each file and module that a page names exists."""
    text = PLACEHOLDER.sub("", page.read_text())
    for target, anchor in LINK.findall(FENCE.sub("", text)):
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors_of(linked), f"{target}#{anchor}"
    for names in FILE.findall(text):
        assert (ROOT / "".join(names)).exists(), names
    for module in MODULE.findall(text):
        assert is_there(module), module


def test_every_page_is_in_the_index():
    """The index of the documentation leads to each page."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target, _ in LINK.findall(index.read_text())}
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - {index} <= linked
