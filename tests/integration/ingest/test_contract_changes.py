"""A stream's contract may change as far as its files can still be read together."""

import json

import pytest

from shared.service.errors import ContractChanged
from tests.support.ingesting import body_event, ingesting, send, until

VISITS = "workshop-visits"
FIRST = {
    "visit": {"type": "integer"},
    "works": {"type": "array", "items": {"type": "string"}, "default": []},
    "left_at": {"type": ["string", "null"], "format": "date-time"},
}


def write_contract(world, properties):
    folder = world.data_dir / "contracts"
    folder.mkdir(exist_ok=True)
    schema = {"type": "object", "properties": properties, "required": ["visit"]}
    (folder / f"{VISITS}.json").write_text(json.dumps(schema))
    return {"streams": VISITS, "contracts": folder}


async def land(world, lake, properties, rows):
    """Land one more visit by a contract with these properties."""
    async with ingesting(world, **write_contract(world, properties)):
        await until(lambda: sum(int(footer["rows"]) for footer in lake.footers(VISITS)) == rows)


@pytest.fixture
async def landed(world, lake):
    """A lake with a visit by the first contract."""
    world.hub.create_hub(VISITS)
    await send(world, [body_event(b'{"visit": 1}')], hub=VISITS)
    await land(world, lake, FIRST, 1)


@pytest.mark.parametrize(
    "properties",
    [{**FIRST, "cost": {"type": "number"}}, {"visit": FIRST["visit"]}, FIRST],
    ids=["gains", "loses", "keeps"],
)
async def test_a_contract_may_gain_and_lose_columns(world, lake, landed, properties):
    """Columns that come and go are no reason to stop."""
    await send(world, [body_event(b'{"visit": 2}')], hub=VISITS)
    await land(world, lake, properties, 2)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (
            {"visit": {"type": "number"}},
            "column visit of workshop-visits is double in the contract, int64 in",
        ),
        ({"visit": {"type": "integer", "minimum": 0, "maximum": 9}}, "is int32 in the contract, int64 in"),
        ({**FIRST, "left_at": {"type": "string"}}, "column left_at .* is string in the contract, timestamp"),
        ({**FIRST, "works": {"type": "array", "items": {"type": "number"}}}, "column works .* is list"),
        (
            {"visit": FIRST["visit"], "Works": FIRST["works"]},
            "names a column Works, the files in the lake works",
        ),
    ],
    ids=["number", "bounds", "text", "items", "case"],
)
async def test_a_contract_that_readers_cannot_join_is_refused(world, lake, landed, properties, message):
    """Ingest ends at its start, before it lands a file, and names the column, both types and what to do."""
    files = lake.files(VISITS)
    await send(world, [body_event(b'{"visit": 2}')], hub=VISITS)
    with pytest.raises(ContractChanged, match=message):
        async with ingesting(world, **write_contract(world, properties)) as running:
            await running.ended()
    assert lake.files(VISITS) == files


async def test_a_recreated_hub_is_held_to_the_files_of_the_hub_before(world, lake, landed):
    """The new hub's files are read together with the old ones, so the contract must fit those too."""
    world.hub.delete_hub(VISITS)
    world.hub.create_hub(VISITS)
    retyped = write_contract(world, {"visit": {"type": "number"}})
    with pytest.raises(ContractChanged, match="column visit"):
        async with ingesting(world, accept_recreated=VISITS, **retyped) as running:
            await running.ended()
