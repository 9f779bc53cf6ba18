import os
import resource
import subprocess

import pytest

from shared.service.data_dir import lock_data_dir
from shared.service.errors import NeedsAttention


def test_one_stack_at_a_time_has_the_directory(tmp_path):
    """A second `up` on the same directory is refused until the first has ended."""
    with (
        lock_data_dir(tmp_path, "up"),
        pytest.raises(NeedsAttention, match="in use"),
        lock_data_dir(tmp_path, "up"),
    ):
        pass
    with lock_data_dir(tmp_path, "up"):
        pass


def test_a_directory_of_another_version_is_refused(tmp_path):
    """A directory in a format that this program does not know is refused and not changed."""
    (tmp_path / "up.version").write_text("99\n")
    with pytest.raises(NeedsAttention, match="version 99"), lock_data_dir(tmp_path, "up"):
        pass


def test_a_file_is_no_directory(tmp_path):
    """A --data that cannot be a directory raises one line that names the flag."""
    (tmp_path / "file").touch()
    with pytest.raises(NeedsAttention, match="--data"), lock_data_dir(tmp_path / "file", "up"):
        pass


def test_only_the_owner_reads_what_is_in_the_directory(tmp_path):
    """Readings, logs and hub files are as private as keys, also those that a child process writes."""
    before = os.umask(0o022)
    try:
        with lock_data_dir(tmp_path / "data", "up"):
            (tmp_path / "data" / "logs").mkdir()
            (tmp_path / "data" / "logs" / "up.log").touch()
            subprocess.run(["/usr/bin/touch", tmp_path / "data" / "reading"], check=True)
        (tmp_path / "after").touch()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    for path in (tmp_path / "data", *(tmp_path / "data").rglob("*")):
        assert not path.stat().st_mode & 0o077, path
    assert (tmp_path / "after").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("left", [b"", b"\n"])
def test_an_empty_version_is_a_first_start(tmp_path, left):
    """A first start on a full disk used to leave an empty file, which must not refuse the directory."""
    (tmp_path / "up.version").write_bytes(left)
    with lock_data_dir(tmp_path, "up"):
        assert (tmp_path / "up.version").read_text() == "1\n"


def test_a_first_start_on_a_full_disk_says_so_and_leaves_nothing(tmp_path):
    """The next start, when there is room, is a first start again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(NeedsAttention, match="cannot be written"), lock_data_dir(tmp_path, "up"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["up.lock"]
    with lock_data_dir(tmp_path, "up"):
        pass
