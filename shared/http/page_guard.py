"""A guard of listeners on loopback against web pages from elsewhere, which a person's browser may show.

Any page can make the browser send requests to this machine, and a page whose host name is made to resolve to
127.0.0.1 (DNS rebinding) can also read the answers. Programs do not send `Origin` and `Sec-Fetch-Site`;
browsers do, and pages cannot change them [Fetch Standard; W3C Fetch Metadata]. No I/O.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from shared.service.addresses import is_loopback

_FOREIGN = "pages from elsewhere may not ask this machine"
_READING = ("GET", "HEAD")


def find_foreign_page(method: str, headers: Mapping[str, str]) -> str | None:
    """Return why a request to a listener on loopback is refused, or None if it may come from this machine.

    `headers` is looked up with lower-case names, or ignores case. A link from elsewhere may be followed: the
    page that has it cannot read the answer, and reading changes nothing.
    """
    host = headers.get("host")
    if host and not is_loopback(_host_of(f"//{host}")):
        return f"{host} is no name of this machine: ask 127.0.0.1 or localhost"
    origin = headers.get("origin")
    if origin is not None:
        return None if is_loopback(_host_of(origin)) else _FOREIGN
    is_link = headers.get("sec-fetch-dest") == "document" and method in _READING
    return _FOREIGN if headers.get("sec-fetch-site") == "cross-site" and not is_link else None


def _host_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
