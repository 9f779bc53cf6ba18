"""The history of a model's champions: one numbered file for each promotion. No file is ever changed."""

from datetime import datetime

import msgspec

from shared.lake.client import Lake
from shared.registry.layout import history_path


class Promotion(msgspec.Struct, frozen=True):
    """A change of the champion from version `before` to `version`: when, by whom and why.

    `before` is None if there was no usable champion. The promotion took effect unless the next record's
    `before` is another version.
    """

    version: str
    before: str | None
    at: datetime
    by: str
    reason: str


async def append_promotion(lake: Lake, name: str, promotion: Promotion) -> None:
    """Add the record of a promotion under the next free number.

    If two records are added at the same time, the one written later gets the next number after the other.
    """
    number = len(await _paths(lake, name)) + 1
    body = msgspec.json.encode(promotion)
    while not await lake.create_if_absent(f"{history_path(name)}/{number:08d}.json", body):
        number += 1


async def read_history(lake: Lake, name: str) -> list[Promotion]:
    """Return all promotions of a model, the oldest first."""
    bodies = [await lake.read(path) for path in await _paths(lake, name)]
    return [msgspec.json.decode(body, type=Promotion) for body in bodies if body is not None]


async def _paths(lake: Lake, name: str) -> list[str]:
    return sorted([file.path async for file in lake.list(history_path(name))])
