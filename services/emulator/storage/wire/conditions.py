"""Conditional headers of a request (If-Match and the like), checked against a path's entry. No I/O."""

from datetime import UTC, datetime

from services.emulator.storage.model.entries import ContainerEntry, Entry, format_etag
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.lease_terms import check_holder
from services.emulator.storage.wire.request import StorageRequest


def check_write(request: StorageRequest, entry: Entry | None, *, prefix: str = "") -> None:
    """Check the lease and the conditions of a write.

    `prefix` is x-ms-source- for the source of a rename or copy. Raises ConditionNotMet (412) if a condition
    does not hold, and Refused with one of the lease errors if the request does not hold the lease.
    """
    check_lease(request, entry, prefix=prefix or "x-ms-")
    check_conditions(request, entry, prefix=prefix)


def check_conditions(
    request: StorageRequest, entry: Entry | ContainerEntry | None, *, prefix: str = ""
) -> None:
    """Check the conditional headers. Raises ConditionNotMet (412) if one of them does not hold."""
    if (match := request.headers.get(f"{prefix}If-Match")) is not None and not _matches(match, entry):
        raise Refused("ConditionNotMet")
    if (none_match := request.headers.get(f"{prefix}If-None-Match")) is not None and _matches(
        none_match, entry
    ):
        raise Refused("ConditionNotMet")
    since = request.date_header(f"{prefix}If-Modified-Since")
    if since is not None and entry is not None and _modified_at(entry) <= since:
        raise Refused("ConditionNotMet")
    _check_unmodified(request, entry, prefix)


def check_lease(request: StorageRequest, entry: Entry | None, *, prefix: str = "x-ms-") -> None:
    """Check that the request gives the id of the path's lease, if the path has a lease in force.

    Raises Refused if the id is missing or wrong, or if the request gives an id without such a lease.
    """
    lease_id = request.headers.get(f"{prefix}lease-id") or None  # the SDK's rename sends it empty
    if entry is not None:
        check_holder(entry.lease, lease_id, request.now_us, kind="Blob")
    elif lease_id is not None:
        raise Refused("LeaseNotPresentWithBlobOperation")


def check_create(request: StorageRequest, entry: Entry | None) -> None:
    """Check lease and conditions of a create, as `check_write` does for a write.

    Raises PathAlreadyExists (409) if the path exists and the request has `If-None-Match: *`.
    """
    if entry is not None and request.headers.get("If-None-Match") == "*":
        raise Refused("PathAlreadyExists")
    check_write(request, entry)


def check_read(request: StorageRequest, entry: Entry) -> None:
    """Check the conditions of a read, and the lease if the request gives a lease id.

    Raises ConditionNotMet with status 304 if the reader already has the current version, and with 412 if
    another condition does not hold.
    """
    if request.headers.get("x-ms-lease-id"):
        check_lease(request, entry)
    none_match, since = request.headers.get("If-None-Match"), request.date_header("If-Modified-Since")
    if (match := request.headers.get("If-Match")) is not None and not _matches(match, entry):
        raise Refused("ConditionNotMet")
    _check_unmodified(request, entry, "")
    if none_match is not None:
        if _matches(none_match, entry):
            raise Refused("ConditionNotMet", status=304)
    elif since is not None and _modified_at(entry) <= since:
        raise Refused("ConditionNotMet", status=304)


def _check_unmodified(request: StorageRequest, entry: Entry | ContainerEntry | None, prefix: str) -> None:
    since = request.date_header(f"{prefix}If-Unmodified-Since")
    if since is not None and entry is not None and _modified_at(entry) > since:
        raise Refused("ConditionNotMet")


def _matches(header: str, entry: Entry | ContainerEntry | None) -> bool:
    """Return whether the header matches the entry's etag, with or without quotes.

    Listings give etags without quotes, and clients send them back that way.
    """
    if entry is None:
        return False
    if header.strip() == "*":
        return True
    etags = (part.strip().removeprefix("W/").strip('"') for part in header.split(","))
    return format_etag(entry.etag) in etags


def _modified_at(entry: Entry | ContainerEntry) -> datetime:
    return datetime.fromtimestamp(entry.modified_us // 1_000_000, UTC)
