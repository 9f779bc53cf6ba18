"""The history of a model's champions: one file for each promotion, in order, never changed."""

from datetime import datetime

import msgspec

from shared.lake.client import Lake
from shared.registry.layout import history_path


class Promotion(msgspec.Struct, frozen=True):
    """A change of the champion from `before` (None if there was none) to `version`: when, by whom and why.

    It took effect unless the next record's `before` is another version.
    """

    version: str
    before: str | None
    at: datetime
    by: str
    reason: str


async def append_promotion(lake: Lake, name: str, promotion: Promotion) -> None:
    """Add a record under the next number; of two written at once the later gets the number after that."""
    number = len(await _paths(lake, name)) + 1
    body = msgspec.json.encode(promotion)
    while not await lake.create_if_absent(f"{history_path(name)}/{number:08d}.json", body):
        number += 1


async def read_history(lake: Lake, name: str) -> list[Promotion]:
    """Return every promotion of a model, the oldest first."""
    bodies = [await lake.read(path) for path in await _paths(lake, name)]
    return [msgspec.json.decode(body, type=Promotion) for body in bodies if body is not None]


async def _paths(lake: Lake, name: str) -> list[str]:
    return sorted([file.path async for file in lake.list(history_path(name))])
