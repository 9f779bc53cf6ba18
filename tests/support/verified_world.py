"""A world made by hand: real servers, files and events that each test spoils in its own way."""

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from azure.eventhub import EventData
from pydantic import SecretStr

from services.cli.verify.settings import VerifySettings
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.storage.server import StorageServer
from shared.codec.body_decoder import JSON, NDJSON
from shared.codec.record_batches import build_batch
from shared.contract import columns
from shared.contract.prediction import Prediction
from shared.contract.reading import Reading
from shared.lake.client import Lake, LakeConnection, open_lake
from shared.streams.event_hubs.clients import producer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.vehicles.telemetry import to_rows
from tests.support.telemetry import make_telemetry

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


FOLDER = "date=2026-03-01/hour=12"


CREATED_AT = "2026-03-01T11:59:00+00:00"


SEED = 7


TELEMETRY = make_telemetry(SEED, 8)


def reading(vehicle: int, reading_no: int, vehicle_id: str | None = None) -> Reading:
    """Reading `reading_no` of a vehicle of the fleet; `vehicle_id` gives it to another sender's vehicle."""
    columns = TELEMETRY.columns(
        np.array([vehicle]), np.array([reading_no]), np.array([AT.replace(tzinfo=None)], "datetime64[us]")
    )
    sent: Reading = msgspec.convert(next(to_rows(columns)), Reading)
    return msgspec.structs.replace(sent, vehicle_id=vehicle_id) if vehicle_id else sent


def prediction(of: Reading, partition: int, sequence_number: int, line: int = 0) -> Prediction:
    return Prediction(
        vehicle_id=of.vehicle_id,
        reading_no=of.reading_no,
        reading_at=of.reading_at,
        predicted_at=of.reading_at,
        price=9_950.0,
        lower=8_400.0,
        upper=11_700.0,
        currency="GBP",
        coverage=0.9,
        model="price",
        version="1",
        extrapolated=(),
        source_partition=partition,
        source_sequence_number=sequence_number,
        source_line=line,
    )


Row = tuple[int, int, msgspec.Struct]  # sequence number, line, record


def extra(partition: int, replays: int | None) -> str | None:
    """What a row says that replays the dead letter of event `replays` of its partition."""
    if replays is None:
        return None
    letter = {"created_at": CREATED_AT, "partition": partition, "sequence_number": replays, "line": 0}
    return msgspec.json.encode({"replay_of": letter}).decode()


def parquet(
    contract,
    partition: int,
    rows: Sequence[Row],
    footer: dict[str, object],
    latency_ms: int = 100,
    replays: int | None = None,
):
    batch = build_batch(contract, [row[2] for row in rows], [extra(partition, replays)] * len(rows))
    lineage = [
        (partition, sequence, str(sequence * 100), line, AT + timedelta(milliseconds=latency_ms))
        for sequence, line, _ in rows
    ]
    arrays = [
        pa.array([row[index] for row in lineage], field.type) for index, field in enumerate(columns.LINEAGE)
    ]
    table = pa.Table.from_arrays([*batch.columns, *arrays], schema=contract.raw_schema)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({k: str(v) for k, v in footer.items()}), sink)
    return sink.getvalue()


class World:
    """Four readings of two vehicles on partition 0, sent, landed in two files, and predicted."""

    def __init__(self, settings: VerifySettings, lake: Lake, hub: EventHubsServer) -> None:
        self.settings = settings
        self.lake = lake
        self.hub = hub
        self.data = settings.data
        self.readings = [reading(0, 1), reading(1, 1), reading(0, 2), reading(1, 2)]

    def record(self, *readings: tuple[int, int], is_acked: bool = True, partition: int = 0) -> None:
        folder = self.data / "simulator"
        folder.mkdir(exist_ok=True)
        with (folder / f"p{partition:02d}.ndjson").open("ab") as file:
            number = file.tell()
            intent = {"intent": number, "position": -1, "seed": SEED, "first_at": AT, "readings": readings}
            intent["after_us"] = [0] * len(readings)
            file.write(msgspec.json.encode(intent) + b"\n")
            if is_acked:
                file.write(msgspec.json.encode({"acked": number}) + b"\n")

    async def root(self, stream: str, first: int = 0, partition: int = 0) -> None:
        root = {"created_at": CREATED_AT, "first": first, "folder": FOLDER}
        await self.lake.write(f"raw/{stream}/_chain/p{partition:02d}.json", msgspec.json.encode(root))

    async def file(
        self,
        stream: str,
        first: int,
        next_first: int,
        rows: Sequence[Row],
        partition: int = 0,
        replays: int | None = None,
        **footer: object,
    ) -> str:
        path = f"raw/{stream}/{FOLDER}/p{partition:02d}-{first:020d}.parquet"
        said = {
            "first_seq": first,
            "last_seq": next_first - 1,
            "next_first": next_first,
            "next_folder": FOLDER,
            "rows": len(rows),
            "bad": 0,
            "dead_letter": "",
            "created_at": CREATED_AT,
        }
        data = parquet(columns.BY_STREAM[stream], partition, rows, {**said, **footer}, replays=replays)
        await self.lake.write(path, data)
        return path

    async def publish(self, *events: Sequence[Prediction], partition: int = 0) -> None:
        """One event of the predictions hub each, as the scorer sends them."""
        async with producer_client(HubConnection.from_settings(self.settings), "predictions") as producer:
            for predictions in events:
                event = EventData(b"\n".join(map(msgspec.json.encode, predictions)))
                event.content_type = NDJSON if len(predictions) > 1 else JSON
                event.properties = {"source_created_at": CREATED_AT}
                await producer.send_batch([event], partition_id=str(partition))

    async def send(self, *readings: Reading, partition: int = 0) -> None:
        async with producer_client(HubConnection.from_settings(self.settings), "telemetry") as producer:
            for one in readings:
                event = EventData(msgspec.json.encode(one))
                event.content_type = JSON
                await producer.send_batch([event], partition_id=str(partition))

    def predictions(self) -> list[Prediction]:
        return [prediction(one, 0, sequence) for sequence, one in enumerate(self.readings)]

    async def make_sound(self, predicted: int = 4) -> None:
        self.record((0, 1), (1, 1))
        self.record((0, 2), (1, 2))
        await self.root("telemetry")
        rows = [(sequence, 0, one) for sequence, one in enumerate(self.readings)]
        await self.file("telemetry", 0, 2, rows[:2])
        await self.file("telemetry", 2, 4, rows[2:])
        predictions = self.predictions()[:predicted]
        await self.land_predictions(predictions)
        await self.publish(*([one] for one in predictions))

    async def land_predictions(
        self, predictions: Sequence[Prediction], events: Sequence[int] | None = None
    ) -> None:
        """One file; `events` are the sequence numbers, where several predictions share one."""
        await self.root("predictions")
        events = events or range(len(predictions))
        rows = [
            (event, index - events.index(event), one)
            for index, (event, one) in enumerate(zip(events, predictions, strict=True))
        ]
        await self.file("predictions", 0, events[-1] + 1, rows)


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[World]:
    async with EventHubsServer(tmp_path) as hub, StorageServer(tmp_path) as storage:
        settings = VerifySettings(
            data=tmp_path,
            event_hubs=SecretStr(hub.connection_string),
            storage=SecretStr(storage.connection_string),
        )
        async with open_lake(LakeConnection.from_settings(settings)) as lake:
            yield World(settings, lake, hub)
