import resource

import pytest

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.namespace import walk
from services.emulator.storage.model.records import ContainerSet, PathRemoved, PathRenamed, PathSet
from shared.service.errors import NeedsAttention


@pytest.fixture
def tree(tmp_path):
    return tmp_path / "account" / "lake"


@pytest.fixture
def store(open_store):
    store = open_store()
    store.commit(ContainerSet("lake", store.new_container({})))
    return store


def put(store, path, body, **fields):
    entry = store.new_file(size_bytes=len(body), **fields)
    with store.disk.new_part() as part:
        store.write_part(part, body)
        store.put_file("lake", path, entry, part)
    return entry


def listed(store):
    return {path: node.entry for path, node in walk(store.namespace.container("lake").root)}


def test_everything_outlives_a_restart(store, open_store):
    """After a restart entries are the same: etag, times, metadata."""
    put(store, "a/b", b"abc", metadata={"k": "v"})
    store.put_directory("lake", "d", {"x": "y"})
    before = listed(store)
    assert listed(open_store()) == before


def test_a_file_takes_its_place_in_one_step(store, tree):
    """The staged file itself becomes the file, so no incomplete file is ever visible."""
    put(store, "a", b"old")
    with (tree / "a").open("rb") as reader, store.disk.new_part() as part:
        store.write_part(part, b"newer")
        staged = store.disk.staged_path(part).stat().st_ino
        store.put_file("lake", "a", store.new_file(size_bytes=5), part)
        assert (tree / "a").stat().st_ino == staged
        assert reader.read() == b"old"


def test_killed_before_a_file_took_its_place(store, open_store, tree, tmp_path):
    """A kill after the journal and before the disk: the next start puts the file in place."""
    entry = put(store, "a/b", b"abc", metadata={"k": "v"})
    staged = tmp_path / ".staging" / "parts" / "1"
    (tree / "a/b").rename(staged)
    again = open_store()
    assert (tree / "a/b").read_bytes() == b"abc"
    assert listed(again)["a/b"] == entry
    assert not staged.exists()


def test_killed_before_a_replacement_took_its_place(store, open_store, tree, tmp_path):
    """After the next start a replaced file has the new content and metadata."""
    put(store, "a", b"old")
    entry = put(store, "a", b"newer", metadata={"k": "v"})
    (tree / "a").rename(tmp_path / ".staging/parts/2")
    (tree / "a").write_bytes(b"old")
    assert listed(open_store())["a"] == entry
    assert (tree / "a").read_bytes() == b"newer"


def test_killed_before_a_rename_was_made(store, open_store, tree):
    """The next start completes a rename that the journal holds."""
    entry = put(store, "a", b"abc")
    store.commit(PathRenamed("lake", "a", "lake", "b"))
    (tree / "b").rename(tree / "a")
    assert listed(open_store()) == {"b": entry}
    assert [file.name for file in tree.iterdir()] == ["b"]


def test_killed_before_a_deletion_was_made(store, open_store, tree):
    """The next start completes a deletion that the journal holds."""
    put(store, "a", b"abc")
    store.commit(PathRemoved("lake", "a"))
    (tree / "a").write_bytes(b"abc")
    assert listed(open_store()) == {}
    assert not (tree / "a").exists()


def test_killed_before_a_folder_was_made(store, open_store, tree):
    """The next start creates a folder that the journal holds."""
    store.put_directory("lake", "d", {})
    (tree / "d").rmdir()
    assert list(listed(open_store())) == ["d"]
    assert (tree / "d").is_dir()


def test_only_the_last_change_is_completed(store, open_store, tree, tmp_path):
    """An older record never moves a file that a later run staged under the same name."""
    put(store, "a", b"abc")
    open_store()
    (tmp_path / ".staging/parts/1").write_bytes(b"half an upload of the next life")
    open_store()
    assert (tree / "a").read_bytes() == b"abc"
    assert list((tmp_path / ".staging/parts").iterdir()) == []


def test_files_put_there_by_hand_are_adopted(store, open_store, tree):
    """A folder copied into the tree on disk is served after the next start."""
    (tree / "by/hand").mkdir(parents=True)
    (tree / "by/hand/file").write_bytes(b"abc")
    (tree / "link").symlink_to("/etc/passwd")
    again = listed(open_store())
    assert (list(again), again["by/hand/file"].size_bytes) == (["by", "by/hand", "by/hand/file"], 3)


def test_files_deleted_or_changed_by_hand(store, open_store, tree):
    """The next start forgets files deleted by hand and gives changed ones a new version."""
    put(store, "d/gone", b"abc")
    before = put(store, "changed", b"abc", metadata={"k": "v"})
    (tree / "d/gone").unlink()
    (tree / "d").rmdir()
    (tree / "changed").write_bytes(b"longer")
    again = listed(open_store())
    assert list(again) == ["changed"]
    assert (again["changed"].size_bytes, again["changed"].metadata) == (6, {"k": "v"})
    assert again["changed"].etag > before.etag


def test_without_its_journal_the_tree_is_scanned(store, open_store, tmp_path):
    """Deleting `.meta` loses metadata, but no files."""
    put(store, "a/b", b"abc")
    (tmp_path / ".meta/journal").unlink()
    assert list(listed(open_store())) == ["a", "a/b"]


def test_what_the_disk_refuses_did_not_happen(store, open_store, tree):
    """A write that fails on disk is neither in memory nor in the journal, now or after a restart."""
    put(store, "a", b"abc")
    (tree / "blocked").mkdir()
    (tree / "blocked/by hand").write_bytes(b"")
    with pytest.raises(OSError, match="directory"):
        put(store, "blocked", b"new")
    assert list(listed(store)) == ["a"]
    put(store, "after", b"abc")
    assert list(listed(open_store())) == ["a", "after", "blocked", "blocked/by hand"]


def test_a_full_disk_changes_nothing(store, open_store, tree, tmp_path):
    """If the journal cannot grow, the existing file is not replaced."""
    entry = put(store, "a", b"old")
    for index in range(20):
        put(store, f"filler-{index}", b"")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / ".meta/journal").stat().st_size + 5, hard))
    try:
        with pytest.raises(OSError, match="journal"):
            put(store, "a", b"new")
        assert (tree / "a").read_bytes() == b"old"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    put(store, "b", b"room again")
    assert listed(open_store())["a"] == entry


def test_a_second_server_on_one_folder_is_refused(store, tmp_path):
    """A second server over the same tree would corrupt it, so it does not start."""
    second = type(store)(tmp_path, "account")
    with pytest.raises(NeedsAttention, match="in use"):
        second.open()


def test_a_long_history_is_cut_down(store, open_store, tmp_path):
    """The journal is rewritten to the current entries once its history is long."""
    entry = put(store, "a", b"abc")
    for index in range(25_000):
        store.commit(PathSet("lake", "a", store.new_version(entry, metadata={"n": str(index)})))
    assert (tmp_path / ".meta/journal").stat().st_size < 25_000 * 100
    assert listed(open_store())["a"].metadata == {"n": "24999"}


def test_with_fsync_the_same_is_true(open_store):
    """With fsync the store behaves the same."""
    store = open_store(fsync=True)
    store.commit(ContainerSet("lake", store.new_container({})))
    entry = put(store, "a/b", b"abc")
    store.commit(PathRenamed("lake", "a/b", "lake", "c"))
    assert listed(open_store(fsync=True))["c"] == entry


def test_etags_grow_though_the_clock_stands_still(store, open_store):
    """A later version has a higher etag, also after a restart and with a stopped clock."""
    first = put(store, "a", b"")
    second = put(store, "a", b"")
    again = open_store()
    assert first.etag < second.etag < again.etag_clock.next_etag()


def test_a_file_is_no_folder(store):
    """Nothing can be put below a file, nor in place of a folder."""
    put(store, "a/b", b"")
    for path in ("a", "a/b/c"):
        with pytest.raises(Refused, match="PathConflict"):
            put(store, path, b"")
    with pytest.raises(Refused, match="PathConflict"):
        store.put_directory("lake", "a/b", {})
