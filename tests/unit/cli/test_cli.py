import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from services.cli import __main__ as cli
from services.cli import verbs
from shared import __version__
from shared.service.settings import ConnectionSettings, variable_of

ROOT = Path(__file__).parents[3]
UNITS = {"_s": "second", "_hz": "hertz", "_bytes": "byte"}


def run(capsys, *arguments):
    code = cli.main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No .env and no data of the developer's own; logs go back to where they went."""
    monkeypatch.chdir(tmp_path)
    yield
    structlog.reset_defaults()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def test_version(capsys):
    """--version is one line."""
    assert run(capsys, "--version") == (0, f"fleetprice {__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_without_a_command_the_commands_are_shown(capsys, arguments):
    """A person who types `fleetprice` alone learns what there is."""
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert all(f"  {verb} " in out for verb in verbs.VERBS)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("bogus",), "bogus"),
        (("--bogus",), "--bogus"),
        (("up", "--vehicels", "3"), "--vehicels"),
        (("up", "--vehicles", "many"), "--vehicles"),
        (("up", "--vehicles", "0"), "--vehicles: "),
        (("up", "--rate", "0"), "--rate: "),
        (("emulator", "--storage-port", "99999"), "--storage-port: "),
        (("dead-letters", "list", "--partition", "-1"), "--partition: "),
        (("tail", "bogus"), "telemetry|predictions: "),
        (("up", "--vehicles"), "--vehicles"),
        (("up", "extra"), "extra"),
        (("tail",), "telemetry|predictions"),
        (("ingest",), "FLEETPRICE_EVENT_HUBS"),
        (("train",), "FLEETPRICE_TRAINER_DATA"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(capsys, arguments, named):
    """Whatever a person got wrong is named in one line, without a traceback."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert named in err
    assert err.startswith("fleetprice: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "verb", ["up", "emulator", "simulate", "ingest", "compact", "score", "train", "verify"]
)
def test_a_misspelt_setting_is_refused(capsys, monkeypatch, verb):
    """A variable that nobody reads would be a setting that silently does nothing."""
    monkeypatch.setenv("FLEETPRICE_EVENT_HUB", "Endpoint=sb://127.0.0.1:1")
    code, _, err = run(capsys, verb)
    assert code == 2
    assert "FLEETPRICE_EVENT_HUB is not a setting; did you mean FLEETPRICE_EVENT_HUBS?" in err
    assert err.count("\n") == 1


def test_a_variable_out_of_bounds_is_named(capsys, monkeypatch):
    """A value that came from the environment is blamed on its variable, not on a flag."""
    monkeypatch.setenv("FLEETPRICE_UP_RATE_HZ", "0")
    code, _, err = run(capsys, "up", "--vehicles", "3")
    assert code == 2
    assert err.startswith("fleetprice: FLEETPRICE_UP_RATE_HZ: ")


def is_shown(kind, name, out):
    """Whether help shows a setting's variable, default and description."""
    described = " ".join(kind.model_fields[name].description.split())
    return f"  {variable_of(kind, name)} [" in out and described in " ".join(out.split())


@pytest.mark.parametrize(("verb", "entry"), verbs.VERBS.items())
def test_help_shows_a_verbs_own_settings(capsys, verb, entry):
    """Variable, default and unit are in --help; a line says where those of every verb are."""
    kind = verbs.import_part(entry, "settings", entry.settings)
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0
    for name in kind.model_fields:
        assert is_shown(kind, name, out) == (name not in ConnectionSettings.model_fields), name
        unit = next((word for suffix, word in UNITS.items() if name.endswith(suffix)), "")
        assert unit in kind.model_fields[name].description.lower(), name
    assert out.count("`fleetprice settings` shows them") == 1


def test_settings_of_every_verb_are_shown_once(capsys):
    """`fleetprice settings` shows connections, balancing and logs, which every --help leaves out."""
    code, out, _ = run(capsys, "settings")
    assert code == 0
    assert all(is_shown(ConnectionSettings, name, out) for name in ConnectionSettings.model_fields)


@pytest.mark.parametrize(
    ("verb", "package", "extra"),
    [
        ("up", "onnxruntime", "local"),
        ("up", "rich", "local"),
        ("ingest", "pyarrow", "ingest"),
        ("score", "onnxruntime", "scorer"),
        ("train", "lightgbm", "trainer"),
        ("simulate", "azure.eventhub", "simulator"),
    ],
)
def test_a_missing_extra_is_named_with_its_remedy(verb, package, extra):
    """A package that is not installed is not a traceback but the command that installs it."""
    code = (
        f"import sys; sys.modules[{package!r}] = None; "
        f"from services.cli.__main__ import main; sys.exit(main([{verb!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"fleetprice: {verb} needs the extra {extra} ({package}")
    remedy = f" is not installed): {sys.executable} -m pip install -e '{ROOT}[{extra}]'\n"
    assert ended.stderr.endswith(remedy)
    assert ended.stderr.count("\n") == 1


def test_help_needs_no_service():
    """`fleetprice --help` answers at once: no service and no heavy package is imported for it."""
    code = (
        "import sys; from services.cli.__main__ import main; main(['--help']); "
        "heavy = {'azure', 'pyarrow', 'numpy', 'aiohttp', 'pydantic'}; "
        "heavy &= {m.split('.')[0] for m in sys.modules}; "
        "own = {'services.cli', 'services.cli.__main__', 'services.cli.verbs', 'services.cli.verb_groups'}; "
        "print([*heavy, *(m for m in sys.modules if m.startswith('services.') and m not in own)], "
        "file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stderr == "[]\n"
