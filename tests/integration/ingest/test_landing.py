"""What is sent lands, once, with its lineage."""

from tests.integration.ingest.conftest import ingesting, json_event, send, until


async def test_json_lands_once(world, lake):
    """Every reading sent stands in the lake once, with where it came from."""
    await send(world, [json_event(1, number) for number in range(1, 501)])

    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 500)

    assert set(lake.keys().values()) == {1}
    rows = lake.rows()
    assert rows["sequence_number"].to_pylist() == list(range(500))
    assert set(rows["partition"].to_pylist()) == {0}
