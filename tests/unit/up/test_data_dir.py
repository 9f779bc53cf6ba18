import pytest

from services.up.data_dir import log_path, occupied, start_logs
from shared.errors import NeedsAttention


def test_one_stack_at_a_time_has_the_directory(tmp_path):
    """A second `up` on the same directory is told so, and may have it once the first has ended."""
    with occupied(tmp_path), pytest.raises(NeedsAttention, match="in use"), occupied(tmp_path):
        pass
    with occupied(tmp_path):
        pass


def test_a_directory_of_another_version_is_refused(tmp_path):
    """Files of a format that this program does not know are left alone."""
    (tmp_path / "version").write_text("99\n")
    with pytest.raises(NeedsAttention, match="version 99"), occupied(tmp_path):
        pass


def test_a_file_is_no_directory(tmp_path):
    """A --data that cannot be used is said in one line."""
    (tmp_path / "file").touch()
    with pytest.raises(NeedsAttention, match="--data"), occupied(tmp_path / "file"):
        pass


def test_logs_begin_anew_and_the_last_runs_are_kept(tmp_path):
    """After a crash and a restart of `up` the log of the crash is still there."""
    start_logs(tmp_path, ["ingest"])
    log_path(tmp_path, "ingest").write_text("crashed")
    start_logs(tmp_path, ["ingest"])
    assert log_path(tmp_path, "ingest").read_text() == ""
    assert (tmp_path / "logs" / "ingest.log.1").read_text() == "crashed"
