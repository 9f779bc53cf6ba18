"""A wheel built from this checkout, in environments of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environments import Environment, lend

ROOT = Path(__file__).parents[3]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def image_build_files():
    """The files and folders that services/Dockerfile copies to build the wheel."""
    build = (ROOT / "services" / "Dockerfile").read_text().partition(" wheel ")[0]
    copied = [line.split()[1:-1] for line in build.splitlines() if line.startswith("COPY ")]
    return [name for names in copied for name in names if not name.startswith("deploy/images/locks")]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel as `pip wheel` builds it offline, from just the files that an image's build has."""
    source, dist = tmp_path_factory.mktemp("source") / "fleetprice", tmp_path_factory.mktemp("dist")
    source.mkdir()
    for name in image_build_files():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
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
def install(tmp_path_factory):
    """Makes an environment with what pip installs and these lent packages, and a project beside it."""

    def make(names, *installed):
        folder, project = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("project")
        environment = Environment(folder, project)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        lend(environment, names)
        before = set(environment.packages.iterdir())
        command = [
            *PIP,
            "--python",
            environment.bin / "python",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
        ]
        subprocess.run([*command, *installed], check=True)
        added = {path.name for path in set(environment.packages.iterdir()) - before}
        return environment, added

    return make
