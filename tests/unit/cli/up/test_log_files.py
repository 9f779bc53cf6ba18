from services.cli.up.log_files import log_path, start_logs


def test_logs_start_empty_and_the_last_runs_are_kept(tmp_path):
    """After a crash and a restart of `up` the log of the crash is still there."""
    start_logs(tmp_path, ["ingest"])
    log_path(tmp_path, "ingest").write_text("crashed")
    start_logs(tmp_path, ["ingest"])
    assert log_path(tmp_path, "ingest").read_text() == ""
    assert (tmp_path / "logs" / "ingest.log.1").read_text() == "crashed"
