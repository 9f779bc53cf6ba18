"""Entries: all that is stored about a path or container except its content. Frozen values in the journal."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from services.emulator.storage.model.lease_terms import Lease

# Etags have the service's form: 100 ns ticks since the year 1, in hexadecimal, ascending.
_ETAG_EPOCH = 621_355_968_000_000_000
_TICKS_PER_S = 10_000_000
DEFAULT_TIER = "Hot"
_FILETIME_EPOCH_S = 11_644_473_600  # 1601-01-01 to 1970-01-01


class ContentHeaders(msgspec.Struct, frozen=True, omit_defaults=True):
    """HTTP headers of a file's content, set by the client that wrote the file."""

    content_type: str = "application/octet-stream"
    content_encoding: str = ""
    content_language: str = ""
    content_disposition: str = ""
    cache_control: str = ""
    content_md5: str = ""


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """Owner and rights of a path.

    They are stored and returned, never enforced: clients hold the account's key or a SAS.
    """

    owner: str = "$superuser"
    group: str = "$superuser"
    permissions: str = "rw-r-----"
    acl: str = "user::rw-,group::r--,other::---"


DIRECTORY_ACCESS = Access(permissions="rwxr-x---", acl="user::rwx,group::r-x,other::---")


class Block(msgspec.Struct, frozen=True, array_like=True):
    """A block of a committed block list. The file's content is the blocks in the order of the list."""

    block_id: str
    size_bytes: int


class CopyOrigin(msgspec.Struct, frozen=True, array_like=True):
    """The source of a copy, for clients that poll its status."""

    copy_id: str
    source: str


class BlobKind(StrEnum):
    BLOCK = "BlockBlob"
    APPEND = "AppendBlob"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file or a directory.

    `file_id` identifies the file's uncommitted appends and survives a rename. An empty `tier` means the
    account's default, and `expires_us` 0 means never.
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
    """Terms that a shared access signature references by id, so that they can be revoked."""

    policy_id: str
    start: str = ""
    expiry: str = ""
    permissions: str = ""


class ContainerEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A container, which Data Lake calls a file system."""

    etag: int
    created_us: int
    modified_us: int
    metadata: dict[str, str] = {}
    lease: Lease | None = None
    policies: tuple[StoredPolicy, ...] = ()


class EtagClock:
    """Source of times and etags.

    Each etag is higher than every earlier one, including those of earlier runs.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = _ETAG_EPOCH

    def now_us(self) -> int:
        return int(self._clock() * 1_000_000)

    def next_etag(self) -> int:
        self._last = max(self._last + 1, _ETAG_EPOCH + int(self._clock() * _TICKS_PER_S))
        return self._last

    def observe(self, etag: int) -> None:
        """Make all later etags higher than `etag`, an etag that was read from the journal."""
        self._last = max(self._last, etag)


def format_etag(etag: int) -> str:
    return f"0x{etag:X}"


def format_http_date(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def format_filetime(time_us: int) -> str:
    """Format a time as Data Lake listings format creation times: the number of 100 ns ticks since 1601."""
    return str(time_us * 10 + _FILETIME_EPOCH_S * _TICKS_PER_S)
