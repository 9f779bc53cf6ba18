"""The champion's pointer: which version of a model is in service."""

import msgspec

from shared.registry.layout import CHAMPION_FILE
from shared.service.errors import ModelUnusable


class Champion(msgspec.Struct, frozen=True):
    """The content of the pointer."""

    version: str


def encode_champion(version: str) -> bytes:
    return msgspec.json.encode(Champion(version))


def decode_champion(body: bytes) -> Champion:
    """Raises ModelUnusable if `body` is no pointer."""
    try:
        return msgspec.json.decode(body, type=Champion)
    except msgspec.MsgspecError as exc:
        raise ModelUnusable(f"{CHAMPION_FILE}: {exc}") from exc
