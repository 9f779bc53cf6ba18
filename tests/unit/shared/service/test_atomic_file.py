import os
import resource

import pytest

from shared.service.atomic_file import replace_file


@pytest.mark.parametrize("is_durable", [False, True])
def test_a_file_is_replaced_as_a_whole(tmp_path, is_durable):
    """The file has the new content, and nothing else is left in its folder."""
    path = tmp_path / "keys.json"
    replace_file(path, b"one", mode=0o600, is_durable=is_durable)
    replace_file(path, b"two", mode=0o600, is_durable=is_durable)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    """What cannot be written changes nothing."""
    path = tmp_path / "token"
    replace_file(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            replace_file(path, b"newer")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_rest_of_a_killed_process_does_not_hold_up(tmp_path):
    """Process ids are used again; what an earlier process left under that name is replaced."""
    left = tmp_path / f"token.{os.getpid()}-new"
    left.write_bytes(b"half")
    replace_file(tmp_path / "token", b"whole")
    assert (tmp_path / "token").read_bytes() == b"whole"
    assert not left.exists()
