"""The wheel in a project that has folders `services` and `shared` of its own."""

import json
import re
import shlex
import zipfile
from pathlib import Path

import pytest

from tests.support.environments import INSTALLED

ROOT = Path(__file__).parents[3]
EXAMPLE = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "emulator.md").read_text(), re.DOTALL).group(1)
API_PAGE = (ROOT / "docs" / "python-api.md").read_text()
API_EXAMPLES = re.findall(r"```python\n(.*?)```", API_PAGE, re.DOTALL)
THEIRS = """
import services.orders
import shared


def test_their_own_packages():
    assert (services.orders.OURS, shared.OURS) == ("orders", "shared")
"""


def is_ours(name):
    return re.search("fleetprice|^services$|^shared$", name) is not None


@pytest.fixture(scope="module")
def installed(install, wheel):
    """The wheel with every dependency, in a project with packages of the names that a checkout uses."""
    environment, added = install([path.name for path in INSTALLED.iterdir() if not is_ours(path.name)], wheel)
    for name, text in {
        "services/__init__.py": "",
        "services/orders.py": 'OURS = "orders"\n',
        "shared/__init__.py": 'OURS = "shared"\n',
        "tests/test_theirs.py": THEIRS,
        "tests/test_ours.py": EXAMPLE,
    }.items():
        path = environment.project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return environment, added


def test_one_name_is_added(wheel, installed):
    """Site-packages gets `fleetprice` and its metadata: nothing called services, shared or models."""
    _, added = installed
    version = re.search('"(.*)"', (ROOT / "shared" / "__init__.py").read_text().partition("=")[2]).group(1)
    assert added == {"fleetprice", f"fleetprice-{version}.dist-info"}
    names = zipfile.ZipFile(wheel).namelist()
    assert "fleetprice/py.typed" in names
    assert not [name for name in names if Path(name).name == "Dockerfile"]


def test_every_import_of_ours_is_found(installed):
    """Each module of the wheel compiles, and each name of ours that it imports is in the wheel."""
    environment, _ = installed
    code = """
import ast, importlib.util, pathlib, sys
root = pathlib.Path(sys.argv[1])
for path in root.rglob("*.py"):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            named = [node.module]
        elif isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        else:
            continue
        for name in named:
            head, *rest = name.split(".")
            assert head not in ("services", "shared"), (path, name)
            found = root.joinpath(*rest)
            assert head != "fleetprice" or found.is_dir() or found.with_suffix(".py").is_file(), (path, name)
"""
    ended = environment.run("python", "-c", code, environment.packages / "fleetprice")
    assert ended.returncode == 0, ended.stderr


def test_the_emulator_in_a_project_with_its_own_services(installed):
    """The plugin is found by its entry point, the ten lines run, and the project's packages are its own."""
    environment, _ = installed
    ended = environment.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout


@pytest.mark.parametrize("example", API_EXAMPLES)
def test_the_examples_of_the_api(installed, tmp_path, example):
    """What docs/python-api.md shows runs as it stands there, and is short."""
    environment, _ = installed
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    ended = environment.run("python", "-c", f"import os; os.chdir({str(tmp_path)!r})\n{example}")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_whole_stack(installed, tmp_path):
    """`fleetprice up` from the wheel starts its services, prices every reading and ends clean."""
    environment, _ = installed
    ended = environment.run(
        *("fleetprice", "up", "--seconds", "5", "--port-base", "0", "--json", "--vehicles", "20"),
        *("--data", tmp_path / "data"),
        FLEETPRICE_OWNERSHIP_EXPIRY_S="3",
    )
    assert ended.returncode == 0, ended.stderr
    verdict = json.loads(ended.stdout.splitlines()[-1])
    assert verdict["event"] == "verify"
    assert verdict["sent"] == verdict["landed"] == verdict["predicted"] > 0
    assert not any(verdict[name] for name in ("missing", "doubled", "out_of_order", "predictions_missing"))


def test_a_service_starts_by_its_module(installed):
    """`python -m fleetprice.<service>` is what an image runs; it names the setting that it lacks."""
    environment, _ = installed
    ended = environment.run("python", "-m", "fleetprice.ingest")
    assert ended.returncode == 2
    assert ended.stderr.startswith("fleetprice: FLEETPRICE_EVENT_HUBS is not set")
    shown = environment.run("python", "-m", "fleetprice.emulator", "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith("usage: python -m fleetprice.emulator")


def test_a_traceback_is_inside_the_package(installed):
    """An error's path and line are those of the file in site-packages."""
    environment, _ = installed
    code = "from fleetprice.service.settings import read_settings; read_settings(None)"
    ended = environment.run("python", "-c", code)
    file = environment.packages / "fleetprice" / "service" / "settings.py"
    line = int(re.search(rf'File "{file}", line (\d+)', ended.stderr).group(1))
    assert file.read_text().splitlines()[line - 1].strip() in ended.stderr


def test_the_remedy_for_a_missing_extra_works(installed, wheel):
    """The command that a hint names installs the extra (here its packages are there already)."""
    environment, _ = installed
    code = "from fleetprice.service.extras import missing_extra as m; print(m('ingest', 'ingest', 'pyarrow'))"
    hint = environment.run("python", "-c", code).stdout
    command = shlex.split(hint.partition("): ")[2])
    assert command[-1] == f"fleetprice[ingest] @ {wheel.as_uri()}"
    ended = environment.run(
        command[0], *command[1:], "--no-index", "--quiet", PIP_DISABLE_PIP_VERSION_CHECK="1"
    )
    assert (ended.returncode, ended.stderr) == (0, "")
