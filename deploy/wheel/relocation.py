"""Relocation of a wheel's packages into one: files, imports, names in strings, entry points, RECORD."""

import base64
import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from rewriting import Rewriter

PACKAGE = "fleetprice"
ROOTS = ("services", "shared")
# Folders without code, and their folders in the wheel.
DATA = {"models": f"{PACKAGE}/registry/models"}
_INIT = "__init__.py"

Files = dict[str, tuple[zipfile.ZipInfo, bytes]]


class RelocationError(Exception):
    """Two files of the wheel would have the same name."""


def relocate_wheel(source: Path, target: Path) -> None:
    """Write to `target` the wheel `source` with `services`, `shared` and `models` inside `fleetprice`.

    Raises RelocationError if two files would have the same name.
    """
    files = _read_files(source)
    rewriter = Rewriter(PACKAGE, ROOTS, _list_modules(files))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        record: list[str] = []
        for name, (info, content) in _relocate_files(files).items():
            if name.endswith("/RECORD"):
                archive.writestr(info, "\n".join([*record, f"{name},,", ""]))
                continue
            if name.endswith((".py", "/entry_points.txt")):
                rewrite = rewriter.rewrite_code if name.endswith(".py") else rewriter.rewrite_text
                content = rewrite(content.decode()).encode()  # noqa: PLW2901 - the file's new content
            archive.writestr(info, content)
            record.append(f"{name},{_digest(content)},{len(content)}")


def _read_files(wheel: Path) -> Files:
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: (info, archive.read(info)) for info in archive.infolist()}


def _list_modules(files: Iterable[str]) -> frozenset[str]:
    """Return the names of the packages and modules directly in a root."""
    paths = [PurePosixPath(name) for name in files]
    found = [path.parts[1].removesuffix(".py") for path in paths if path.parts[0] in ROOTS]
    return frozenset(found) - {"__init__"}


def _relocate_files(files: Files) -> Files:
    """Return the files by their new names, in the wheel's order (RECORD stays last)."""
    relocated: Files = {}
    owners: dict[str, str] = {}
    for name, (info, content) in files.items():
        root, _, rest = name.partition("/")
        if root in ROOTS and rest == _INIT and not content:
            continue
        new = _new_name(root, rest) or name
        if root in ROOTS:
            child = rest.partition("/")[0].removesuffix(".py")
            if owners.setdefault(child, root) != root:
                raise RelocationError(f"both {owners[child]}/{child} and {name} would be {PACKAGE}/{child}")
        if new in relocated:
            raise RelocationError(f"{name} would be {new}, which another file is already")
        relocated[new] = (_renamed(info, new), content)
    return relocated


def _new_name(root: str, rest: str) -> str | None:
    folder = PACKAGE if root in ROOTS else DATA.get(root)
    return folder and f"{folder}/{rest}"


def _renamed(info: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    renamed = zipfile.ZipInfo(name, info.date_time)
    renamed.external_attr, renamed.compress_type = info.external_attr, info.compress_type
    return renamed


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
