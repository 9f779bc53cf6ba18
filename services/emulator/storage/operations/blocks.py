"""Blocks, in which blob clients upload large blobs. Committing a block list creates the blob."""

import base64
import binascii
from xml.sax.saxutils import escape

from services.emulator.storage.model.entries import Block, Entry
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.operations.appends import check_block_blob
from services.emulator.storage.operations.blob_tags import read_tags_and_tier
from services.emulator.storage.operations.blobs import read_blob_content
from services.emulator.storage.operations.copy_source import receive_or_copy
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.store.staging import MAX_BLOCKS, Slice, assemble
from services.emulator.storage.store.threads import run_in_thread
from services.emulator.storage.wire.conditions import check_create, check_lease
from services.emulator.storage.wire.properties import WRITE_HEADERS, read_metadata, version_headers
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import XML, Response
from services.emulator.storage.wire.upload import read_small_body
from services.emulator.storage.wire.xml import encode_xml, parse_xml

_MAX_ID_BYTES = 64
_MAX_LIST_BYTES = MAX_BLOCKS * 128
_LISTS = {"Committed", "Uncommitted", "Latest"}


async def put_block(request: StorageRequest, store: FileStore) -> Response:
    block_id = request.query.get("blockid", "")
    _check_block_id(block_id)
    store.namespace.container(request.container)
    async with receive_or_copy(request, store) as upload:
        entry = store.namespace.entry(request.container, request.path)
        check_lease(request, entry)
        if entry is not None and not entry.is_directory:
            check_block_blob(entry)
        store.staging.add_block(request.container, request.path, block_id, upload.part, upload.size_bytes)
    return Response(201, WRITE_HEADERS | upload.checksum_headers())


async def put_block_list(request: StorageRequest, store: FileStore) -> Response:
    named = _parse_list(await read_small_body(request, _MAX_LIST_BYTES))
    before = store.namespace.entry(request.container, request.path)
    if before is not None and not before.is_directory:
        check_block_blob(before)
    blocks, slices = _resolve_blocks(request, store, named, before)
    path = store.disk.locate(request.container, request.path)
    with store.disk.new_part() as part:
        try:
            await run_in_thread(assemble, slices, store.disk.staged_path(part))
        except FileNotFoundError as exc:
            raise Refused(
                "ServerBusy", detail="the blob was written while its blocks were put together"
            ) from exc
        await store.sync_part(part)
        now = store.namespace.entry(request.container, request.path)
        if now is not before and any(piece.path == path for piece in slices):
            raise Refused("ServerBusy", detail="the blob was written while its blocks were put together")
        check_create(request, now)
        entry = store.new_file(
            size_bytes=sum(block.size_bytes for block in blocks),
            metadata=read_metadata(request),
            content=read_blob_content(request, ""),
            blocks=tuple(blocks),
            **read_tags_and_tier(request),
        )
        store.put_file(request.container, request.path, entry, part)
    return Response(201, version_headers(entry) | WRITE_HEADERS)


async def get_block_list(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.entry(request.container, request.path)
    uncommitted = store.staging.blocks(request.container, request.path)
    if entry is None and not uncommitted:
        raise Refused("PathNotFound")
    list_type = request.query.get("blocklisttype", "committed").lower()
    if list_type not in {"committed", "uncommitted", "all"}:
        raise Refused("InvalidQueryParameterValue", detail="blocklisttype")
    committed_xml = (
        _blocks_xml("CommittedBlocks", entry.blocks if entry else ()) if list_type != "uncommitted" else ""
    )
    uncommitted_xml = _blocks_xml("UncommittedBlocks", uncommitted) if list_type != "committed" else ""
    body = encode_xml(f"<BlockList>{committed_xml}{uncommitted_xml}</BlockList>")
    headers = {"Content-Type": XML, "x-ms-blob-content-length": str(entry.size_bytes if entry else 0)}
    return Response(200, headers | (version_headers(entry) if entry else {}), body)


def _resolve_blocks(
    request: StorageRequest, store: FileStore, named: list[tuple[str, str]], entry: Entry | None
) -> tuple[list[Block], list[Slice]]:
    """Return the listed blocks, and for each the slice of a file that holds its bytes.

    The slice is in the block's staged file or in the current blob. Raises InvalidBlockList if there is no
    such block.
    """
    staged = {block.block_id: block for block in store.staging.blocks(request.container, request.path)}
    committed: dict[str, Slice] = {}
    position, path = 0, store.disk.locate(request.container, request.path)
    for block in entry.blocks if entry else ():
        committed[block.block_id] = Slice(path, position, block.size_bytes)
        position += block.size_bytes
    blocks, slices = [], []
    for source, block_id in named:
        if source != "Committed" and block_id in staged:
            block_file = store.staging.block_path(request.container, request.path, block_id)
            piece = Slice(block_file, 0, staged[block_id].size_bytes)
        elif source != "Uncommitted" and block_id in committed:
            piece = committed[block_id]
        else:
            raise Refused("InvalidBlockList", detail=block_id)
        blocks.append(Block(block_id, piece.size_bytes))
        slices.append(piece)
    return blocks, slices


def _parse_list(raw: bytes) -> list[tuple[str, str]]:
    """Parse a block list into the source and the id of each block."""
    named = [(child.tag, (child.text or "").strip()) for child in parse_xml(raw, "BlockList")]
    if len(named) > MAX_BLOCKS or any(source not in _LISTS for source, _ in named):
        raise Refused("InvalidXmlDocument")
    return named


def _blocks_xml(name: str, blocks: "list[Block] | tuple[Block, ...]") -> str:
    items = "".join(
        f"<Block><Name>{escape(block.block_id)}</Name><Size>{block.size_bytes}</Size></Block>"
        for block in blocks
    )
    return f"<{name}>{items}</{name}>"


def _check_block_id(block_id: str) -> None:
    try:
        size_bytes = len(base64.b64decode(block_id, validate=True))
    except (binascii.Error, ValueError) as exc:
        raise Refused("InvalidBlockId") from exc
    if not 0 < size_bytes <= _MAX_ID_BYTES:
        raise Refused("InvalidBlockId")
