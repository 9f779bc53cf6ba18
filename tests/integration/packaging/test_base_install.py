"""The wheel with its base dependencies alone: what works, and what names the extra that it needs."""

import shlex

import pytest

from services.cli.verbs import VERBS
from tests.support.environments import required_packages

PLUGIN_TEST = """
import pytest
from fleetprice.emulator import Emulator


@pytest.fixture
def with_tls(tmp_path):
    with Emulator(tmp_path, tls=True) as emulator:
        yield emulator


def test_plain(event_hubs):
    assert event_hubs.create_hub("orders").events() == []


def test_tls(with_tls):
    pass
"""


@pytest.fixture(scope="module")
def installed(install, wheel):
    environment, _ = install(required_packages("fleetprice", "pytest"), wheel)
    (environment.project / "test_theirs.py").write_text(PLUGIN_TEST)
    return environment


def test_the_commands_are_listed(installed):
    """A plain install answers `--help`, `--version` and `settings`."""
    for arguments in (("--help",), ("--version",), ("settings",)):
        ended = installed.run("fleetprice", *arguments)
        assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_names_its_extra(installed, verb, wheel):
    """One line says which extra a verb lacks, and the command installs it from the wheel at hand."""
    arguments = {"tail": ("predictions",), "dead-letters": ("list",)}.get(verb, ())
    ended = installed.run("fleetprice", verb, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    extra = VERBS[verb].extra
    assert ended.stderr.startswith(f"fleetprice: {verb} needs the extra {extra} (")
    assert ended.stderr.count("\n") == 1
    command = shlex.split(ended.stderr.partition("): ")[2])
    python = str(installed.bin / "python")
    assert command == [python, "-m", "pip", "install", f"fleetprice[{extra}] @ {wheel.as_uri()}"]


def test_the_fixtures_need_no_extra(installed):
    """A plain install beside pytest runs an emulator without TLS; with TLS it names the extra."""
    ended = installed.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_theirs.py")
    assert ended.returncode == 1, ended.stderr
    assert "1 passed, 1 error" in ended.stdout
    assert "MissingExtra: TLS of the emulator needs the extra emulator (cryptography" in ended.stdout
