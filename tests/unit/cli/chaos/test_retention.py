from services.cli.chaos.retention import settled_through


def test_what_precedes_the_last_intent_is_settled(tmp_path):
    """Retention may remove what no sender will look up again: everything before its newest intent."""
    (tmp_path / "p00.ndjson").write_text(
        '{"intent":0,"position":-1,"readings":[]}\n{"acked":0}\n{"intent":1,"position":41,"readings":[]}\n{"acked":1}\n'
    )
    (tmp_path / "p01.ndjson").write_text('{"intent":0,"position":7,"readings":[]}\n{"intent":1,"posi')
    (tmp_path / "p02.ndjson").write_text("")
    (tmp_path / "bad-p00.ndjson").write_text('{"bad_intent":0,"position":99,"count":1}\n')
    assert settled_through(tmp_path) == {0: 41, 1: 7}
