import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy" / "images" / "audit.py"
SOUND = {"name": "sound", "version": "1", "vulns": []}
SKIPPED = {"name": "unknown", "skip_reason": "Dependency not found on PyPI"}
VULNERABLE = {"name": "weak", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}


@pytest.fixture(scope="module")
def audit():
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize(
    ("dependencies", "code"),
    [([SOUND], 0), ([SOUND, SKIPPED], 2), ([SKIPPED], 2), ([], 2), ([VULNERABLE, SKIPPED], 1)],
)
def test_gate(audit, dependencies, code):
    """The gate passes only if every package was looked up and none is vulnerable."""
    assert audit["judge"](dependencies)[0] == code


def test_vulnerable(audit):
    """A vulnerable package is named with the release that fixes it."""
    assert audit["judge"]([VULNERABLE])[1][0] == "weak 2: PYSEC-1, fixed in 3"


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        (
            "echo 'no route to the advisories' >&2; exit 1",
            2,
            "NOT AUDITED: pip-audit could not reach its data",
        ),
        (f"echo '{json.dumps({'dependencies': [SKIPPED]})}'", 2, "NOT AUDITED: 1 of 1 packages"),
        (f"echo '{json.dumps({'dependencies': [SOUND]})}'", 0, "1 packages looked up"),
    ],
)
def test_unreachable(audit, tmp_path, capsys, script, code, message):
    """If the advisories cannot be reached, the audit fails and says so, whatever pip-audit's exit code."""
    stand_in = tmp_path / "pip-audit"
    stand_in.write_text(f"#!/bin/sh\n{script}\n")
    stand_in.chmod(0o755)
    assert audit["main"](str(stand_in), ["some.lock"]) == code
    printed = capsys.readouterr()
    assert message in printed.out + printed.err
