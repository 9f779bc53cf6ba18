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
MODULE = re.compile(r"\b(?:python -m |from |import )((?:services|shared|docs)(?:\.\w+)+)")


def anchors_of(page):
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_there(module):
    """Whether a module of the project can be imported; it is not."""
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or PathFinder.find_spec(module.rpartition(".")[2], [str(path.parent)]) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_points_to_is_there(page):
    """Each link leads to a page and a heading of it; each file and module that a page names exists."""
    text = page.read_text()
    for target, anchor in LINK.findall(FENCE.sub("", text)):
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors_of(linked), f"{target}#{anchor}"
    for names in FILE.findall(text.replace("SERVICE", "ingest")):
        assert (ROOT / "".join(names)).exists(), names
    for module in MODULE.findall(text):
        assert is_there(module), module


def test_every_page_is_in_the_index():
    """The index of the documentation leads to each page."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target, _ in LINK.findall(index.read_text())}
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - {index} <= linked
