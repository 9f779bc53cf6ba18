"""Errors for optional packages that are not installed; the message names the command to install them."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from shared import OWN_PACKAGES
from shared.service.errors import MissingExtra

_CHECKOUT = Path(__file__).parents[2]


@contextmanager
def needs_extra(user: str, extra: str) -> Iterator[None]:
    """Raise MissingExtra if an import inside this context needs a package that is not installed.

    `user` names what needs the package. For missing modules of this project the ModuleNotFoundError is kept.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = error.name or ""
        if package.partition(".")[0] in OWN_PACKAGES:
            raise
        raise missing_extra(user, extra, package) from error


def lazy_exports(package: str, modules: Mapping[str, str], user: str, extra: str) -> Callable[[str], Any]:
    """Return a `__getattr__` for a package whose names are imported at their first use (PEP 562).

    `modules` maps each name to its module. The function raises MissingExtra if an import needs a package of
    `extra` that is not installed; `user` names what needs the package.
    """

    def import_name(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with needs_extra(user, extra):
            return getattr(import_module(modules[name]), name)

    return import_name


def missing_extra(user: str, extra: str, package: str) -> MissingExtra:
    """Return an error that names the missing package, its extra and the command to install the extra."""
    command = f"{sys.executable} -m pip install {_requirement(extra)}"
    return MissingExtra(f"{user} needs the extra {extra} ({package} is not installed): {command}")


def _requirement(extra: str) -> str:
    if (_CHECKOUT / "pyproject.toml").is_file():
        return f"-e '{_CHECKOUT}[{extra}]'"
    distribution = metadata.distribution("fleetprice")
    origin = distribution.read_text("direct_url.json")
    return requirement_of(extra, distribution.version, json.loads(origin) if origin else None)


def requirement_of(extra: str, version: str, origin: Mapping[str, Any] | None) -> str:
    """Return the pip requirement that installs this project again with the extra, from the same origin.

    `origin` is the distribution's direct_url.json (PEP 610). It is None if pip found the distribution by its
    name, in an index or a folder of wheels; pip does not record which.
    """
    if origin is None:
        return f"'fleetprice[{extra}]=={version}' (with the --index-url or --find-links that it came by)"
    vcs = origin.get("vcs_info")
    address = f"{vcs['vcs']}+{origin['url']}@{vcs['commit_id']}" if vcs else origin["url"]
    return f"'fleetprice[{extra}] @ {address}'"
