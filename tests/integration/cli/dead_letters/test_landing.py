"""From a bad body to a landed row and back: the real ingest and `verify`, the command between them."""

import json

from services.cli.verify.settings import VerifySettings
from services.cli.verify.verification import verify
from tests.support.ingesting import Lake, body_event, ingesting, send, until
from tests.support.letter_desk import BAD, GOOD, body


async def test_a_replayed_row_resolves_to_its_dead_letter(desk, tmp_path):
    """Two readings are dead letters; repaired and replayed they land once, each naming its letter."""
    world, lake = desk.world, Lake(desk.world.data_dir)
    packed = b"\n".join([body(2), body(3, year="old"), body(4)])
    await send(world, [body_event(BAD, "application/json"), body_event(packed, "application/x-ndjson")])
    letters = tmp_path / "letters.ndjson"
    lines = ({"id": "0:0:0", "text": GOOD.decode()}, {"id": "0:1:1", "text": body(3).decode()})
    letters.write_text("".join(json.dumps(line) + "\n" for line in lines))
    async with ingesting(world):
        await until(lambda: len(lake.letters()) == 2)
        assert await desk.run("replay", letters=letters) == 0
        await until(lambda: len(lake.keys()) == 4)

    rows = {row["reading_no"]: row for row in lake.rows().to_pylist()}
    named = {number: row["extra"] and json.loads(row["extra"])["replay_of"] for number, row in rows.items()}
    letter = {"created_at": desk.created_at, "partition": 0, "sequence_number": 0, "line": 0}
    assert named == {1: letter, 2: None, 3: letter | {"sequence_number": 1, "line": 1}, 4: None}
    assert set(lake.keys().values()) == {1}
    verdict = await verify(world.settings(VerifySettings, data=world.data_dir))
    counts = verdict.counts
    assert (counts.landed, counts.doubled, counts.dead_lettered, counts.replayed) == (4, 0, 2, 2)
    assert verdict.faults == ()
