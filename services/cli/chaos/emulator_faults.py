"""Requests that make the emulator inject faults by itself (pure)."""

from services.cli.chaos.schedule import Fault, Kind

_LAKE = {"service": "storage", "path_prefix": "lake/"}
_RENAMES = {"service": "storage", "operation": "rename", "path_prefix": "lake/raw/"}
# Long enough for another writer to sweep the staged file before its rename: it sweeps after 1 s.
_HELD_UP_MS = 2_500


def fault_request(fault: Fault) -> dict[str, object]:
    """Return the body of the POST /faults request for a fault.

    For a kind that can strike before or after the work is done, `fault.draw` decides which.
    """
    at = "after" if fault.draw < 1 / 2 else "before"
    probable = {"probability": 0.5, "seed": int(fault.draw * 2**31)}
    bodies: dict[Kind, dict[str, object]] = {
        Kind.RENAME_ANSWER_DROPPED: {**_RENAMES, "kind": "drop_answer", "times": 2},
        Kind.RENAME_HELD_UP: {**_RENAMES, "kind": "slow", "delay_ms": _HELD_UP_MS, "times": 2},
        Kind.STORAGE_FAILED: {**_LAKE, **probable, "kind": "fail", "at": at, "times": 20},
        Kind.STORAGE_SLOWED: {**_LAKE, "kind": "slow", "at": at, "delay_ms": 400, "times": 12},
        Kind.SEND_REJECTED: {"kind": "reject", "times": 3},
        Kind.SEND_ANSWER_LOST: {"kind": "lose_answer", "times": 2},
        Kind.LINKS_DETACHED: {"kind": "detach" if at == "after" else "close"},
        Kind.LINKS_STOLEN: {"kind": "steal"},
    }
    return bodies[fault.kind]


def strikes_at_once(kind: Kind) -> bool:
    """Return whether faults of this kind strike the existing links at once.

    Faults of the other kinds are armed, and strike a later request.
    """
    return kind in {Kind.LINKS_DETACHED, Kind.LINKS_STOLEN}
