"""The champion pointer: the file that names the version of a model that is in service."""

import msgspec

from shared.registry.layout import CHAMPION_FILE
from shared.service.errors import ModelUnusable


class Champion(msgspec.Struct, frozen=True):
    """The content of the champion pointer."""

    version: str


def encode_champion(version: str) -> bytes:
    return msgspec.json.encode(Champion(version))


def decode_champion(body: bytes) -> Champion:
    """Decode the champion pointer. Raises ModelUnusable if `body` is not a valid pointer."""
    try:
        return msgspec.json.decode(body, type=Champion)
    except msgspec.MsgspecError as exc:
        raise ModelUnusable(f"{CHAMPION_FILE}: {exc}") from exc
