"""What is known of a path or a container beside its bytes: frozen values, as the journal keeps them."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from services.emulator.storage.model.lease_terms import Lease

# Etags look like the service's: 100 ns ticks since the year 1, in hexadecimal, growing with time.
_ETAG_EPOCH = 621_355_968_000_000_000
_TICKS_PER_S = 10_000_000
DEFAULT_TIER = "Hot"
_FILETIME_EPOCH_S = 11_644_473_600  # 1601-01-01 to 1970-01-01


class ContentHeaders(msgspec.Struct, frozen=True, omit_defaults=True):
    """The HTTP headers a file is served with, as its writer set them."""

    content_type: str = "application/octet-stream"
    content_encoding: str = ""
    content_language: str = ""
    content_disposition: str = ""
    cache_control: str = ""
    content_md5: str = ""


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """Owner and rights: kept and returned, never enforced (every caller holds the account's key or a SAS)."""

    owner: str = "$superuser"
    group: str = "$superuser"
    permissions: str = "rw-r-----"
    acl: str = "user::rw-,group::r--,other::---"


DIRECTORY_ACCESS = Access(permissions="rwxr-x---", acl="user::rwx,group::r-x,other::---")


class Block(msgspec.Struct, frozen=True, array_like=True):
    """A block of a committed block list; blocks lie in the file in the order of the list."""

    block_id: str
    size_bytes: int


class CopyOrigin(msgspec.Struct, frozen=True, array_like=True):
    """Where a copy came from; clients ask until they find it done."""

    copy_id: str
    source: str


class BlobKind(StrEnum):
    BLOCK = "BlockBlob"
    APPEND = "AppendBlob"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file or a directory. `file_id` names its uncommitted appends, which a rename keeps; an empty `tier`
    is the account's own, an `expires_us` of 0 means never.
    """

    etag: int
    created_us: int
    modified_us: int
    is_directory: bool = False
    size_bytes: int = 0
    file_id: str = ""
    metadata: dict[str, str] = {}
    content: ContentHeaders = ContentHeaders()
    access: Access = Access()
    blocks: tuple[Block, ...] = ()
    lease: Lease | None = None
    copied: CopyOrigin | None = None
    kind: BlobKind = BlobKind.BLOCK
    appended_blocks: int = 0
    tags: dict[str, str] = {}
    tier: str = ""
    tier_changed_us: int = 0
    expires_us: int = 0


class StoredPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a shared access signature may leave to its container, to be taken back there; texts as sent."""

    policy_id: str
    start: str = ""
    expiry: str = ""
    permissions: str = ""


class ContainerEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    etag: int
    created_us: int
    modified_us: int
    metadata: dict[str, str] = {}
    lease: Lease | None = None
    policies: tuple[StoredPolicy, ...] = ()


class EtagClock:
    """Hands out etags, each higher than every one before it, in earlier lives of the process too."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = _ETAG_EPOCH

    def now_us(self) -> int:
        return int(self._clock() * 1_000_000)

    def next_etag(self) -> int:
        self._last = max(self._last + 1, _ETAG_EPOCH + int(self._clock() * _TICKS_PER_S))
        return self._last

    def observe(self, etag: int) -> None:
        self._last = max(self._last, etag)


def format_etag(etag: int) -> str:
    return f"0x{etag:X}"


def format_http_date(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def format_filetime(time_us: int) -> str:
    """The same instant as the service's listings give creation: 100 ns ticks since 1601."""
    return str(time_us * 10 + _FILETIME_EPOCH_S * _TICKS_PER_S)
