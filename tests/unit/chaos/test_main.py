import pytest

from services.chaos.__main__ import main


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"schedules": 2}, "--data is for one run"),
        ({}, "holds another run's data"),
    ],
)
def test_a_directory_is_for_one_run(tmp_path, capsys, overrides, said):
    """Nothing is started where a run would be judged by what another one left."""
    (tmp_path / "simulator").mkdir()
    assert main({"data": tmp_path, **overrides}) == 2
    assert said in capsys.readouterr().err
