"""Leases: the right to write, held by the client that knows the lease id. No I/O."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from services.emulator.storage.model.errors import Refused

_MIN_DURATION_S, _MAX_DURATION_S, _MAX_BREAK_S = 15, 60, 60
_INFINITE_S = -1


class Lease(msgspec.Struct, frozen=True, omit_defaults=True):
    """A lease.

    `expires_us` 0 means that the lease never expires. A break sets `broken_from_us`, the time from which the
    lease is broken, which may lie in the future.
    """

    lease_id: str
    duration_s: int
    expires_us: int = 0
    broken_from_us: int = 0


def state(lease: Lease | None, now_us: int) -> str:
    """Return the service's name of the state: available, leased, expired, breaking or broken."""
    if lease is None:
        return "available"
    if lease.broken_from_us:
        return "breaking" if now_us < lease.broken_from_us else "broken"
    return "expired" if lease.expires_us and now_us >= lease.expires_us else "leased"


def is_locked(lease: Lease | None, now_us: int) -> bool:
    return state(lease, now_us) in {"leased", "breaking"}


def lease_headers(lease: Lease | None, now_us: int) -> dict[str, str]:
    headers = {
        "x-ms-lease-status": "locked" if is_locked(lease, now_us) else "unlocked",
        "x-ms-lease-state": state(lease, now_us),
    }
    if lease is not None and state(lease, now_us) == "leased":
        headers["x-ms-lease-duration"] = "infinite" if lease.duration_s == _INFINITE_S else "fixed"
    return headers


def check_holder(lease: Lease | None, lease_id: str | None, now_us: int, *, kind: str) -> None:
    """Check that a write names the lease in force. `kind` is Blob or Container.

    Raises Refused if the lease id is missing or wrong, or if the request gives an id and no lease is in
    force.
    """
    if not is_locked(lease, now_us):
        if lease_id is not None:
            raise Refused("LeaseLost" if lease else f"LeaseNotPresentWith{kind}Operation")
        return
    if lease_id is None:
        raise Refused("LeaseIdMissing")
    if lease is not None and lease_id.lower() != lease.lease_id:
        raise Refused(f"LeaseIdMismatchWith{kind}Operation")


def acquire(lease: Lease | None, headers: Mapping[str, str], new_id: str, now_us: int) -> Lease:
    """Acquire a lease under the id that the request proposes, or under `new_id` if it proposes none.

    A client that proposes the id of the lease in force acquires it again. Raises Refused if another lease is
    in force or is being broken, or if a header is invalid.
    """
    lease_id = (
        _parse_uuid(headers["x-ms-proposed-lease-id"]) if "x-ms-proposed-lease-id" in headers else new_id
    )
    duration_s = _parse_integer(headers, "x-ms-lease-duration", _INFINITE_S)
    if duration_s != _INFINITE_S and not _MIN_DURATION_S <= duration_s <= _MAX_DURATION_S:
        raise Refused("InvalidHeaderValue", detail="x-ms-lease-duration")
    match state(lease, now_us):
        case "leased" if lease is not None and lease.lease_id != lease_id:
            raise Refused("LeaseAlreadyPresent")
        case "breaking":
            raise Refused("LeaseIsBreakingAndCannotBeAcquired")
        case _:
            return _start_lease(lease_id, duration_s, now_us)


def renew(lease: Lease | None, headers: Mapping[str, str], now_us: int) -> Lease:
    mine = require_holder(lease, headers)
    if mine.broken_from_us:
        raise Refused("LeaseIsBrokenAndCannotBeRenewed")
    return _start_lease(mine.lease_id, mine.duration_s, now_us)


def change(lease: Lease | None, headers: Mapping[str, str], now_us: int) -> Lease:
    proposed = _parse_uuid(headers.get("x-ms-proposed-lease-id", ""))
    if lease is None or state(lease, now_us) not in {"leased", "breaking"}:
        raise Refused("LeaseNotPresentWithLeaseOperation")
    if state(lease, now_us) == "breaking":
        raise Refused("LeaseIsBreakingAndCannotBeChanged")
    if lease.lease_id != proposed:  # a repeated request, as after a lost response, succeeds
        require_holder(lease, headers)
    return msgspec.structs.replace(lease, lease_id=proposed)


def break_lease(lease: Lease | None, headers: Mapping[str, str], now_us: int) -> Lease:
    """Break the lease after the requested period, but never later than the lease would end anyway.

    Without a requested period, an infinite lease ends now, any other when it would end anyway. Raises
    Refused if there is no lease or the period is invalid.
    """
    if lease is None:
        raise Refused("LeaseNotPresentWithLeaseOperation")
    period_s = _parse_integer(headers, "x-ms-lease-break-period", -1)
    if not -1 <= period_s <= _MAX_BREAK_S:
        raise Refused("InvalidHeaderValue", detail="x-ms-lease-break-period")
    own_end_us = lease.broken_from_us or lease.expires_us
    requested_end_us = now_us + period_s * 1_000_000 if period_s >= 0 else own_end_us or now_us
    end_us = min(requested_end_us, own_end_us) if own_end_us else requested_end_us
    return msgspec.structs.replace(lease, broken_from_us=max(end_us, 1))


def seconds_left(lease: Lease, now_us: int) -> int:
    return max(0, -(-(lease.broken_from_us - now_us) // 1_000_000))


def _start_lease(lease_id: str, duration_s: int, now_us: int) -> Lease:
    expires_us = 0 if duration_s == _INFINITE_S else now_us + duration_s * 1_000_000
    return Lease(lease_id, duration_s, expires_us)


def require_holder(lease: Lease | None, headers: Mapping[str, str]) -> Lease:
    """Return the lease, of which the request must give the id.

    Raises LeaseIdMismatchWithLeaseOperation if the request gives another id, or if there is no lease.
    """
    if lease is None or lease.lease_id != _parse_uuid(headers.get("x-ms-lease-id", "")):
        raise Refused("LeaseIdMismatchWithLeaseOperation")
    return lease


def _parse_uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as exc:
        raise Refused("InvalidHeaderValue", detail="a lease id is a GUID") from exc


def _parse_integer(headers: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(headers.get(name, str(default)))
    except ValueError as exc:
        raise Refused("InvalidHeaderValue", detail=name) from exc
