"""POSIX access control lists in Data Lake's form: `user::rwx,group::r-x,default:user:id:r--`. No I/O."""

import re
from collections.abc import Iterable
from enum import StrEnum

from services.emulator.storage.model.entries import Access
from services.emulator.storage.model.errors import Refused

_DEFAULT = "default:"
_ENTRY = re.compile(r"((?:default:)?(?:user|group|mask|other):[!-+\--9;-~]*)(?::([r-][w-][xtT-]))?", re.ASCII)


class Mode(StrEnum):
    """The `mode` parameter of a recursive change of access control lists."""

    SET = "set"
    MODIFY = "modify"
    REMOVE = "remove"


def parse_entries(text: str, mode: Mode) -> dict[str, str]:
    """Parse an access control list into a dict from scope and id, such as `user:id`, to rights.

    In mode REMOVE the entries carry no rights. Raises InvalidInput if an entry is not well formed.
    """
    entries: dict[str, str] = {}
    for part in text.split(","):
        entry = _ENTRY.fullmatch(part.strip())
        if entry is None or (entry[2] is None) != (mode is Mode.REMOVE):
            raise Refused("InvalidInput", detail=f"x-ms-acl: {part[:80]!r}")
        entries[entry[1]] = entry[2] or ""
    return entries


def update_access(access: Access, mode: Mode, entries: dict[str, str], *, is_directory: bool) -> Access:
    """Return the access of one path after a recursive change. Default entries apply to directories only."""
    applicable = {
        who: rights for who, rights in entries.items() if is_directory or not who.startswith(_DEFAULT)
    }
    known = _split_stored(access.acl)
    if mode is Mode.SET:
        acl = applicable
    elif mode is Mode.MODIFY:
        acl = known | applicable
    else:
        acl = {who: rights for who, rights in known.items() if who not in applicable}
    return Access(
        access.owner, access.group, _short_permissions(acl, access.permissions), _format_acl(acl.items())
    )


def _split_stored(acl: str) -> dict[str, str]:
    """Split a stored list without validation, because clients may have stored any text."""
    parts = (part.rpartition(":") for part in acl.split(",") if part)
    return {who: rights for who, _, rights in parts}


def _short_permissions(acl: dict[str, str], known: str) -> str:
    """Return the short permissions of user, group and other, with a plus if the list has more entries.

    If the list lacks one of the three, return `known`, the previous permissions.
    """
    group = acl.get("mask:", acl.get("group:"))
    short = (acl.get("user:"), group, acl.get("other:"))
    if any(rights is None for rights in short):
        return known
    more = "+" if acl.keys() - {"user:", "group:", "other:"} else ""
    return "".join(rights or "" for rights in short) + more


def _format_acl(entries: Iterable[tuple[str, str]]) -> str:
    return ",".join(f"{who}:{rights}" for who, rights in entries)
