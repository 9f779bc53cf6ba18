"""A wheel built from this checkout, in environments of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environments import Environment, lend

ROOT = Path(__file__).parents[3]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel as `pip wheel` builds it from a copy of the checkout, offline."""
    source, dist = tmp_path_factory.mktemp("source") / "fleetprice", tmp_path_factory.mktemp("dist")
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("services", "shared", "models", "deploy/wheel"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        *PIP,
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        dist,
        source,
    ]
    subprocess.run(command, check=True)
    (built,) = dist.iterdir()
    return built


@pytest.fixture(scope="session")
def install(wheel, tmp_path_factory):
    """Makes an environment with the wheel and these installed packages, and a project beside it."""

    def make(names):
        folder, project = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("project")
        environment = Environment(folder, project)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        before = set(environment.packages.iterdir())
        target = ("--python", environment.bin / "python")
        subprocess.run([*PIP, *target, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
        added = {path.name for path in set(environment.packages.iterdir()) - before}
        lend(environment, names)
        return environment, added

    return make
