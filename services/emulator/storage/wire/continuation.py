"""Pages of listings and their continuation tokens, the same for both dialects."""

import base64
import binascii
from collections.abc import Iterable
from itertools import islice

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.namespace import Node, list_key
from services.emulator.storage.wire.request import StorageRequest

MAX_PAGE_SIZE = 5000


def page_size(request: StorageRequest) -> int:
    """Return the requested page size, at most 5,000."""
    requested = request.integer_query("maxresults")
    if requested == 0:
        raise Refused("InvalidQueryParameterValue", detail="maxresults")
    return min(requested or MAX_PAGE_SIZE, MAX_PAGE_SIZE)


def first_key(request: StorageRequest, marker: str, start: str) -> tuple[str, bool]:
    """Return the key at which the page begins, and whether the path with that key belongs to the page.

    It does for a start given by the client (`start`), not for a continuation (`marker`).
    """
    if token_text := request.query.get(marker):
        return decode_token(token_text), False
    return request.query.get(start, ""), True


def cut_page(paths: Iterable[tuple[str, Node]], size: int) -> tuple[list[tuple[str, Node]], str]:
    """Return up to `size` paths, and the token of the next page (empty if this is the last)."""
    candidates = list(islice(paths, size + 1))
    page = candidates[:size]
    return page, encode_token(list_key(*page[-1])) if len(candidates) > size else ""


def encode_token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode() if key else ""


def decode_token(text: str) -> str:
    try:
        return base64.b64decode(text.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as exc:
        raise Refused("InvalidQueryParameterValue", detail="marker") from exc
