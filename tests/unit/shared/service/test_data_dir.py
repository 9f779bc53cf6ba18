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
