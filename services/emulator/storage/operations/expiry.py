"""Expiry times of files. The store removes a file after its expiry time has passed."""

from datetime import timedelta

import msgspec

from services.emulator.storage.model.entries import Entry
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.records import PathSet
from services.emulator.storage.operations.appends import require_file
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.conditions import check_lease
from services.emulator.storage.wire.properties import version_headers
from services.emulator.storage.wire.request import StorageRequest, parse_http_date
from services.emulator.storage.wire.response import Response


async def set_expiry(request: StorageRequest, store: FileStore) -> Response:
    entry = require_file(request, store)
    check_lease(request, entry)
    expires_us = _parse_expiry_us(request, entry)
    if expires_us and expires_us <= request.now_us:
        raise Refused("InvalidHeaderValue", detail="x-ms-expiry-time lies in the past")
    changed = msgspec.structs.replace(entry, expires_us=expires_us)
    store.commit(PathSet(request.container, request.path, changed))
    return Response(200, version_headers(changed))


def _parse_expiry_us(request: StorageRequest, entry: Entry) -> int:
    time = request.headers.get("x-ms-expiry-time", "")
    option = request.headers.get("x-ms-expiry-option", "").lower()
    if option == "neverexpire" and not time:
        return 0
    if option == "absolute":
        return int(parse_http_date(time, "x-ms-expiry-time").timestamp() * 1_000_000)
    if option in {"relativetonow", "relativetocreation"} and time.isascii() and time.isdigit():
        begin_us = request.now_us if option == "relativetonow" else entry.created_us
        return begin_us + min(int(time[:18]), _MAX_MS) * 1000
    raise Refused("InvalidHeaderValue", detail="x-ms-expiry-option")


_MAX_MS = timedelta(days=365_000) // timedelta(milliseconds=1)
