"""Virtual environments that lend the packages of this one, and projects whose programs run in them."""

import os
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Where the packages lie that this environment has; ours is not among those that are lent.
INSTALLED = Path(pytest.__file__).parents[1]


@dataclass(frozen=True)
class Environment:
    """A virtual environment and a project's folder, in which its programs run."""

    folder: Path
    project: Path

    @property
    def bin(self):
        return self.folder / "bin"

    @property
    def packages(self):
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def run(self, *command, **variables):
        """Run a program of the environment in the project's folder, without this checkout on its path."""
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FLEETPRICE_", "PYTHONPATH", "PYTEST_", "VIRTUAL_ENV"))
        }
        return subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=self.project,
            env={**clean, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )


def lend(environment, names):
    """Make installed packages importable in the environment, without installing them."""
    lent = environment.folder / "lent"
    lent.mkdir()
    for name in names:
        (lent / name).symlink_to(INSTALLED / name)
    (environment.packages / "lent.pth").write_text(f"{lent}\n")


def required_packages(*names):
    """The names below site-packages of these distributions and what they need without an extra; not ours."""
    found, pending = {}, [Requirement(name) for name in names]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[name] = metadata.distribution(name)
        pending += [Requirement(one) for one in found[name].requires or ()]
    del found["fleetprice"]
    files = (file for distribution in found.values() for file in distribution.files)
    return {file.parts[0] for file in files} - {".."}
