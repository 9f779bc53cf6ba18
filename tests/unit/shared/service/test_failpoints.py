import subprocess
import sys

import pytest

from shared.service import failpoints
from shared.service.errors import SettingsError

LIFE = """
import sys
from pathlib import Path
from shared.service import failpoints
failpoints.arm(sys.argv[1], Path(sys.argv[2]))
for _ in range(10):
    failpoints.reach("committed")
print("lived")
"""


def live(spec, log):
    return subprocess.run(
        [sys.executable, "-c", LIFE, spec, str(log)], capture_output=True, text=True, check=False
    )


def test_an_armed_point_kills_as_often_as_asked(tmp_path):
    """SIGKILL comes at the named pass, as many times over all restarts as asked, and then no more."""
    log = tmp_path / "kills"
    lives = [live("committed=4*2,other=1*9", log) for _ in range(3)]
    assert [life.returncode for life in lives] == [-9, -9, 0]
    assert log.read_text().split() == ["committed", "committed"]
    assert lives[-1].stdout == "lived\n"


def test_an_unarmed_point_does_nothing(tmp_path):
    """Without the setting a point costs nothing."""
    assert live("", tmp_path / "kills").returncode == 0


@pytest.mark.parametrize("spec", ["committed", "committed=x*1", "committed=0*1", "=1*1"])
def test_a_misspelt_point_is_refused(spec, tmp_path):
    """A spec that cannot be parsed raises SettingsError, so no test runs unarmed by mistake."""
    with pytest.raises(SettingsError, match="NAME=EVERY"):
        failpoints.arm(spec, tmp_path / "kills")
