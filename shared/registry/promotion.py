"""Promotion of a version to champion. A rollback is the promotion of an earlier version."""

from datetime import UTC, datetime

from shared.lake.client import Lake, Snapshot
from shared.registry.champion import decode_champion, encode_champion
from shared.registry.history import Promotion, append_promotion
from shared.registry.layout import champion_path
from shared.registry.store import read_version
from shared.service.errors import ModelUnusable, NeedsAttention


async def promote(lake: Lake, name: str, version: str, *, by: str, reason: str) -> Promotion:
    """Make `version` the champion and return the record of the promotion.

    The record is written before the pointer: a crash in between leaves the record of a promotion that took no
    effect. Raises ModelUnusable if the lake has no such version, NeedsAttention if the champion was changed
    meanwhile.
    """
    await read_version(lake, version, name)
    pointer = await lake.read_if_changed(champion_path(name), None)
    promotion = Promotion(version, _version_of(pointer), datetime.now(UTC), by, reason)
    # A crash after this leaves a record of a promotion that took no effect, which the next record shows.
    await append_promotion(lake, name, promotion)
    if not await _set_pointer(lake, name, pointer, encode_champion(version)):
        raise NeedsAttention(f"the champion of {name} was changed meanwhile: look which one it is now")
    return promotion


async def _set_pointer(lake: Lake, name: str, before: Snapshot | None, body: bytes) -> bool:
    """Replace the pointer in one step and return True.

    Return False, without writing, if the pointer has changed since `before` was read.
    """
    if before is None:
        return await lake.create_if_absent(champion_path(name), body)
    return await lake.replace_if_unchanged(champion_path(name), body, before.etag)


def _version_of(pointer: Snapshot | None) -> str | None:
    """Return the version that the pointer names.

    Return None if there is no pointer or if the pointer is broken; a broken pointer may be replaced.
    """
    try:
        return None if pointer is None else decode_champion(pointer.data).version
    except ModelUnusable:
        return None
