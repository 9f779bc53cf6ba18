"""POSIX access control lists as Data Lake writes them: `user::rwx,group::r-x,default:user:id:r--`. Pure."""

import re
from collections.abc import Iterable
from enum import StrEnum

from services.emulator.storage.model.entries import Access
from services.emulator.storage.model.errors import Refused

_DEFAULT = "default:"
_ENTRY = re.compile(r"((?:default:)?(?:user|group|mask|other):[!-+\--9;-~]*)(?::([r-][w-][xtT-]))?", re.ASCII)


class Mode(StrEnum):
    SET = "set"
    MODIFY = "modify"
    REMOVE = "remove"


def parse_entries(text: str, mode: Mode) -> dict[str, str]:
    """Rights by whom they are for, as `user:id`; entries to remove have none."""
    found: dict[str, str] = {}
    for part in text.split(","):
        entry = _ENTRY.fullmatch(part.strip())
        if entry is None or (entry[2] is None) != (mode is Mode.REMOVE):
            raise Refused("InvalidInput", detail=f"x-ms-acl: {part[:80]!r}")
        found[entry[1]] = entry[2] or ""
    return found


def update_access(access: Access, mode: Mode, entries: dict[str, str], *, is_directory: bool) -> Access:
    """The rights after a recursive change; only directories have defaults for what is made in them."""
    fitting = {who: rights for who, rights in entries.items() if is_directory or not who.startswith(_DEFAULT)}
    known = _split_stored(access.acl)
    if mode is Mode.SET:
        acl = fitting
    elif mode is Mode.MODIFY:
        acl = known | fitting
    else:
        acl = {who: rights for who, rights in known.items() if who not in fitting}
    return Access(
        access.owner, access.group, _short_permissions(acl, access.permissions), _format_acl(acl.items())
    )


def _split_stored(acl: str) -> dict[str, str]:
    """What is kept may have been written by anyone: it is taken apart as far as it goes."""
    parts = (part.rpartition(":") for part in acl.split(",") if part)
    return {who: rights for who, _, rights in parts}


def _short_permissions(acl: dict[str, str], known: str) -> str:
    """The short form of the three entries that every path has, with a plus where there are more."""
    group = acl.get("mask:", acl.get("group:"))
    short = (acl.get("user:"), group, acl.get("other:"))
    if any(rights is None for rights in short):
        return known
    more = "+" if acl.keys() - {"user:", "group:", "other:"} else ""
    return "".join(rights or "" for rights in short) + more


def _format_acl(entries: Iterable[tuple[str, str]]) -> str:
    return ",".join(f"{who}:{rights}" for who, rights in entries)
