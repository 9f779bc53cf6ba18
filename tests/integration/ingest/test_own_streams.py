"""A hub with a contract of the user's own lands, and is compacted, like those that came with it."""

import json

from deltalake import DeltaTable

from services.cli.verify.compacted import find_compacted_faults
from services.compaction.__main__ import run_pass
from services.compaction.settings import CompactionSettings
from shared.codec.body_decoder import NDJSON
from shared.lake.client import LakeConnection, open_lake
from tests.support.ingesting import body_event, ingesting, json_event, send, until

VISITS = "workshop-visits"
SCHEMA = {
    "type": "object",
    "properties": {
        "visit": {"type": "integer"},
        "left_at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
    },
    "required": ["visit"],
}


async def test_a_hub_of_the_users_own(world, lake, tmp_path):
    """Its records land by their contract with their lineage; bad ones go to its dead letters."""
    contracts = tmp_path / "contracts"
    contracts.mkdir()
    (contracts / f"{VISITS}.json").write_text(json.dumps(SCHEMA))
    world.hub.create_hub(VISITS)
    lines = b'{"visit":1,"left_at":"2026-03-01T12:00:00Z"}\n{"visit":2,"mood":"good"}\n{"visit":"x"}'
    await send(world, [body_event(lines, NDJSON), body_event(b'{"visit":3}')], hub=VISITS)
    async with ingesting(world, streams=VISITS, contracts=contracts):
        await until(lambda: sum(int(footer["rows"]) for footer in lake.footers(VISITS)) == 3)

    settings = world.settings(CompactionSettings, older_than_s=0)
    async with open_lake(LakeConnection.from_settings(settings)) as opened:
        (outcome,) = await run_pass(settings, opened)
        assert await find_compacted_faults(opened) == []
    rows = DeltaTable(str(lake.root / "compacted" / VISITS)).to_pyarrow_table()
    assert rows.select(["visit", "extra", "sequence_number", "line"]).to_pylist() == [
        {"visit": 1, "extra": None, "sequence_number": 0, "line": 0},
        {"visit": 2, "extra": '{"mood":"good"}', "sequence_number": 0, "line": 1},
        {"visit": 3, "extra": None, "sequence_number": 1, "line": 0},
    ]
    assert outcome.rows == 3
    assert [(letter["stream"], letter["line"]) for letter in lake.letters(VISITS)] == [(VISITS, 2)]


async def test_two_versions_interleaved_make_one_file(world, lake):
    """Senders of two versions of the contract at once land in the files of one."""
    newer = json.dumps(
        {"vehicle_id": "v2", "reading_no": 1, "reading_at": "2026-01-01T00:00:00Z", "schema_version": 2}
        | {"make": "Ford", "model": "Focus", "year": 2019, "seat_heating": True}
    ).encode()
    events = [event for number in range(1, 21) for event in (json_event(1, number), body_event(newer))]
    await send(world, events)
    async with ingesting(world):
        await until(lambda: lake.rows().num_rows == len(events))

    assert len(lake.files()) == 1
    versions = lake.rows()["schema_version"].to_pylist()
    assert versions == [1, 2] * 20
