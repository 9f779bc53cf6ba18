"""The build backend: hatchling's wheel, relocated into the one package `fleetprice`.

docs/decisions/006-one-installed-name.md explains why. The editable install and the source distribution are
hatchling's own.
"""

import tempfile
from pathlib import Path
from typing import Any

from hatchling import build
from hatchling.build import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)
from relocation import relocate_wheel

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel into `wheel_directory` and return its file name (PEP 517)."""
    with tempfile.TemporaryDirectory() as folder:
        name: str = build.build_wheel(folder, config_settings, metadata_directory)
        relocate_wheel(Path(folder, name), Path(wheel_directory, name))
    return name
