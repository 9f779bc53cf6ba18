from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from services.emulator.storage.model.entries import ContainerEntry, Entry
from services.emulator.storage.model.namespace import Namespace, list_key, walk
from services.emulator.storage.model.records import ContainerSet, PathRemoved, PathRenamed, PathSet

NAMES = st.text("ab-./!", min_size=1, max_size=2).filter(lambda name: "/" not in name)
PATHS = st.sets(st.lists(NAMES, min_size=1, max_size=3).map("/".join), max_size=25)


def build(files):
    """Build a tree of these files, without files whose parent is one of them."""
    namespace = Namespace()
    namespace.apply(ContainerSet("lake", ContainerEntry(1, 1, 1)))
    kept = {
        path for path in files if not any(other != path and path.startswith(f"{other}/") for other in files)
    }
    for path in kept:
        segments = path.split("/")
        for depth in range(1, len(segments)):
            parent = "/".join(segments[:depth])
            if namespace.entry("lake", parent) is None:
                namespace.apply(PathSet("lake", parent, Entry(1, 1, 1, is_directory=True)))
        namespace.apply(PathSet("lake", path, Entry(1, 1, 1)))
    return namespace, kept


def pages(namespace, size, *, forget=False):
    """Return every path, page by page; with `forget`, delete the last path of each page before the next."""
    after, found = "", []
    while page := list(islice(walk(namespace.container("lake").root, after=after), size)):
        found += [path for path, _ in page]
        after = list_key(*page[-1])
        if forget and not page[-1][1].children:
            namespace.apply(PathRemoved("lake", page[-1][0]))
    return found


@given(PATHS)
def test_files_are_listed_as_their_full_paths_sort(files):
    """The flat listing is in the service's order, whatever the folder names."""
    namespace, kept = build(files)
    listed = [path for path, node in walk(namespace.container("lake").root) if not node.entry.is_directory]
    assert listed == sorted(kept)


@given(PATHS, st.integers(1, 7))
def test_pages_join_without_gap_or_double(files, size):
    """The pages of a listing together are the whole listing."""
    namespace, _ = build(files)
    assert pages(namespace, size) == [path for path, _ in walk(namespace.container("lake").root)]


@given(PATHS, st.integers(1, 7))
def test_a_page_goes_on_where_the_last_path_was_deleted(files, size):
    """A clean-up that deletes what it lists, page by page, misses nothing."""
    namespace, kept = build(files)
    assert set(pages(namespace, size, forget=True)) >= kept


@given(PATHS)
def test_the_records_of_a_tree_build_it_again(files):
    """The records of a rewritten journal build the same tree."""
    namespace, _ = build(files)
    again = Namespace()
    for record in namespace.records():
        again.apply(record)
    assert list(again.records()) == list(namespace.records())
    assert again.path_count == namespace.path_count == len(list(walk(again.container("lake").root)))


def test_a_renamed_folder_takes_its_files_along():
    """One record moves any number of paths, and the path count stays right."""
    namespace, _ = build({"a/b/c", "a/d", "x/y"})
    namespace.apply(PathRenamed("lake", "a", "lake", "x/a"))
    listed = [path for path, _ in walk(namespace.container("lake").root)]
    assert listed == ["x", "x/a", "x/a/b", "x/a/b/c", "x/a/d", "x/y"]
    assert namespace.path_count == 6
    namespace.apply(PathRemoved("lake", "x"))
    assert namespace.path_count == 0


@given(PATHS, st.lists(NAMES, min_size=1, max_size=3).map("/".join))
def test_a_listing_begins_at_any_path(files, start):
    """A listing can begin at a path that does not exist, as log readers request it."""
    namespace, kept = build(files)
    found = walk(namespace.container("lake").root, after=start, inclusive=True)
    listed = [path for path, node in found if not node.entry.is_directory]
    assert listed == sorted(path for path in kept if path >= start)
