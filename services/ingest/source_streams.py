"""The streams named in the settings, each with its hub, its contract and the operator's requests."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.ingest.settings import IngestSettings
from shared.contract.columns import BY_STREAM, Contract
from shared.contract.json_schema import contract_from_schema
from shared.service.errors import SettingsError
from shared.streams.event_ids import parse_event_ids

# A stream's name is also that of a folder in the lake.
_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class SourceStream:
    """One stream to land.

    `named_events` maps a partition to the sequence numbers of events to dead-letter undecoded. If
    `accepts_recreated`, events of a re-created hub are landed beside the old rows.
    """

    name: str
    hub: str
    contract: Contract
    named_events: dict[int, frozenset[int]]
    accepts_recreated: bool


def source_streams(settings: IngestSettings) -> list[SourceStream]:
    """Return the streams to land.

    Raises SettingsError if a stream is unknown or an event id is malformed.
    """
    accepted = [
        _require_stream(settings, name, "ACCEPT_RECREATED")
        for name in _split_words(settings.accept_recreated)
    ]
    return [
        SourceStream(name, hub, load_contract(settings, name), named_events(settings, name), name in accepted)
        for name, hub in hubs_by_stream(settings).items()
    ]


def hubs_by_stream(settings: IngestSettings) -> dict[str, str]:
    """Return the hub of each stream.

    Raises SettingsError if no stream is named, a stream has no contract, or the manifest's hub is a stream's
    hub.
    """
    names = _split_words(settings.streams)
    if not names:
        raise SettingsError("FLEETPRICE_INGEST_STREAMS names no stream")
    own = {"telemetry": settings.telemetry_hub, "predictions": settings.predictions_hub}
    hubs = {
        name: own.get(name, name) for name in (_require_stream(settings, name, "STREAMS") for name in names)
    }
    if settings.manifest_hub in hubs.values():
        raise SettingsError(
            f"FLEETPRICE_INGEST_MANIFEST_HUB: {settings.manifest_hub} is a stream's own hub; name another"
        )
    return hubs


def named_events(settings: IngestSettings, stream: str) -> dict[int, frozenset[int]]:
    """Return, by partition, the sequence numbers of the stream's events to dead-letter undecoded.

    Raises SettingsError if an event id is malformed or names an unknown stream.
    """
    named: dict[int, frozenset[int]] = {}
    for whose, partition, sequence in parse_event_ids(settings.dead_letter, "FLEETPRICE_INGEST_DEAD_LETTER"):
        if _require_stream(settings, whose or next(iter(hubs_by_stream(settings))), "DEAD_LETTER") == stream:
            named[partition] = named.get(partition, frozenset()) | {sequence}
    return named


def load_contract(settings: IngestSettings, stream: str) -> Contract:
    """Return the stream's built-in contract, or load the user's contract if there is no built-in one.

    Raises SettingsError if the user's file cannot be read.
    """
    if stream in BY_STREAM:
        return BY_STREAM[stream]
    path = _contract_file(settings, stream)
    try:
        return contract_from_schema(stream, path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error


def _require_stream(settings: IngestSettings, stream: str, setting: str) -> str:
    if stream not in BY_STREAM and not _contract_file(settings, stream).is_file():
        folder = settings.contracts
        found: Sequence[str] = sorted(path.stem for path in folder.glob("*.json")) if folder else []
        raise SettingsError(
            f"FLEETPRICE_INGEST_{setting}: {stream!r} is no stream; there are "
            f"{', '.join([*BY_STREAM, *found])} (FLEETPRICE_INGEST_CONTRACTS names a folder with others)"
        )
    return stream


def _contract_file(settings: IngestSettings, stream: str) -> Path:
    if settings.contracts is None or not _STREAM.fullmatch(stream):
        return Path(os.devnull)
    return settings.contracts / f"{stream}.json"


def _split_words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
