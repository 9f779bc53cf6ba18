"""Pages of listings and their continuation tokens. Both dialects use the same tokens."""

import base64
import binascii
from collections.abc import Iterable
from itertools import islice

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.namespace import Node, list_key
from services.emulator.storage.wire.request import StorageRequest

MAX_PAGE_SIZE = 5000


def page_size(request: StorageRequest) -> int:
    """Return the requested page size, limited to 5,000. Raises Refused if the request asks for 0."""
    requested = request.integer_query("maxresults")
    if requested == 0:
        raise Refused("InvalidQueryParameterValue", detail="maxresults")
    return min(requested or MAX_PAGE_SIZE, MAX_PAGE_SIZE)


def first_key(request: StorageRequest, marker: str, start: str) -> tuple[str, bool]:
    """Return the key at which the page begins, and whether a path with exactly this key is on the page.

    `marker` and `start` are names of query parameters. A path with the key is on the page if the client chose
    the key in `start`; it is not if the key comes from a continuation token in `marker`.
    """
    if token_text := request.query.get(marker):
        return decode_token(token_text), False
    return request.query.get(start, ""), True


def cut_page(paths: Iterable[tuple[str, Node]], size: int) -> tuple[list[tuple[str, Node]], str]:
    """Return the first `size` paths and the next page's token, which is empty if there is no next page."""
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
