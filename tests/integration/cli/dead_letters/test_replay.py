"""A letter is replayed once, whatever is refused, lost, raced or silent in between."""

import asyncio
import gzip
import json

import pytest

from services.cli.dead_letters.replay_log import ReplayLog
from services.emulator.event_hubs.faults import Fault
from services.emulator.storage.faults import Fault as StorageFault
from shared.lake.slots.slot import ChainKey
from shared.service.errors import NeedsAttention
from tests.support.letter_desk import BAD, GOOD, JSON, body


@pytest.fixture
async def landed(desk):
    """Three dead letters of partition 0; the last of them was named by an operator and is good as it is."""
    await desk.land((0, 0, BAD), (1, 2, BAD), (4, 0, GOOD, "named by operator"))
    return desk


@pytest.fixture
def repaired(tmp_path):
    """Write a file of repaired letters."""

    def write(*letters):
        path = tmp_path / "letters.ndjson"
        lines = ({"id": one, "content_type": JSON, "text": text.decode()} for one, text in letters)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


def outcome(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


async def test_repaired_letters_are_replayed_once(landed, repaired, capsys):
    """They go to their own partition, each naming its dead letter; the second time nothing is sent."""
    path = repaired(("0:0:0", GOOD), ("0:1:2", body(2)))
    assert await landed.run("replay", letters=path) == 0
    assert await landed.run("replay", letters=path) == 0
    assert capsys.readouterr().out == "2 replayed\n0 replayed, 2 had been before\n"
    assert await landed.sent() == [(landed.id(0), JSON, GOOD), (landed.id(1, 2), JSON, body(2))]


async def test_show_writes_what_replay_reads(landed, tmp_path, capsys):
    """`show --json` into a file, an edit, `replay --from` it."""
    await landed.run("show", reason="invalid", as_json=True)
    path = tmp_path / "letters.ndjson"
    path.write_text(capsys.readouterr().out.replace('\\"fast\\"', "50.0"))
    assert await landed.run("replay", letters=path, as_json=True) == 0
    assert outcome(capsys)["replayed"] == 2
    assert [sent for _, _, sent in await landed.sent()] == [GOOD, GOOD]


PACKED = gzip.compress(GOOD)
KEPT = {
    "content_encoding": "gzip",
    "properties": {"firmware": "7.1", "slot": 2**40, "raw": {"base64": "/w=="}},
}


async def test_a_replay_sends_what_the_letter_keeps(desk):
    """Content encoding and application properties go along, beside those that name the letter."""
    await desk.land((0, 0, PACKED, KEPT))
    assert await desk.run("replay", everything=True) == 0
    (event,) = await desk.events()
    assert (event.body, event.content_encoding, event.replay_of) == (PACKED, "gzip", desk.id(0))
    sent = event.properties
    assert (sent[b"firmware"], sent[b"slot"], sent[b"raw"]) == (b"7.1", 2**40, b"\xff")


@pytest.mark.parametrize(
    ("edit", "sent"),
    [
        ({}, (PACKED, "gzip", {b"firmware": b"7.1", b"slot": 2**40, b"raw": b"\xff"})),
        (
            {"body": None, "text": GOOD.decode(), "content_encoding": None, "properties": None},
            (GOOD, None, {}),
        ),
        ({"properties": {"slot": 5}}, (PACKED, "gzip", {b"slot": 5})),
    ],
)
async def test_encoding_and_properties_can_be_edited(desk, tmp_path, capsys, edit, sent):
    """`show --json` writes them, `replay --from` reads them."""
    await desk.land((0, 0, PACKED, KEPT))
    await desk.run("show", as_json=True)
    path = tmp_path / "letters.ndjson"
    path.write_text(json.dumps(json.loads(capsys.readouterr().out) | edit))
    assert await desk.run("replay", letters=path) == 0
    (event,) = await desk.events()
    own = {name: value for name, value in event.properties.items() if not name.startswith(b"replay_")}
    assert (event.body, event.content_encoding, own) == sent


async def test_a_file_from_before_the_fields_keeps_the_letters_own(desk, repaired):
    """A line without them changes neither."""
    await desk.land((0, 0, BAD, {"content_encoding": "utf-8", "properties": {"firmware": "7.1"}}))
    assert await desk.run("replay", letters=repaired(("0:0:0", GOOD))) == 0
    (event,) = await desk.events()
    assert (event.content_encoding, event.properties[b"firmware"]) == ("utf-8", b"7.1")


@pytest.mark.parametrize(("content", "encoding"), [(GOOD, None), (PACKED, "gzip")])
async def test_a_body_of_ones_own_may_be_gzip_or_not(desk, tmp_path, content, encoding):
    """`--body` in place of a gzip body is labelled as what it is."""
    await desk.land((0, 0, PACKED[:-5], KEPT))
    (tmp_path / "body").write_bytes(content)
    assert await desk.run("replay", ids="0:0:0", body=tmp_path / "body") == 0
    (event,) = await desk.events()
    assert (event.body, event.content_encoding) == (content, encoding)


async def test_properties_that_cannot_be_sent_are_refused(desk, tmp_path, capsys):
    """The property is named, and nothing is sent."""
    await desk.land((0, 0, GOOD, "named by operator"))
    path = tmp_path / "letters.ndjson"
    path.write_text(json.dumps({"id": "0:0:0", "text": GOOD.decode(), "properties": {"colours": ["red"]}}))
    assert await desk.run("replay", letters=path) == 1
    assert "the property colours has no value" in capsys.readouterr().err
    assert await desk.events() == []


async def test_a_letter_that_would_be_one_again_is_refused(landed, capsys):
    """The contract's own decoder refuses it with the reason; --force sends it nevertheless."""
    assert await landed.run("replay", everything=True, as_json=True) == 1
    assert await landed.sent() == [(landed.id(4), JSON, GOOD)]
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "dry_run": False,
        "replayed": 1,
        "replayed_before": 0,
        "refused": 2,
        "unknown": 0,
    }
    assert "0:1:2: line 0 would be a dead letter again: invalid" in said.err
    assert await landed.run("replay", ids="0:1", force=True) == 0
    assert (await landed.sent())[1:] == [(landed.id(1, 2), JSON, BAD)]


async def test_one_letter_gets_another_body(landed, tmp_path, capsys):
    """--body FILE needs exactly one id; more are refused."""
    path = tmp_path / "body.json"
    path.write_bytes(GOOD)
    assert await landed.run("replay", ids="0:1", body=path) == 0
    assert await landed.sent() == [(landed.id(1, 2), JSON, GOOD)]
    with pytest.raises(NeedsAttention, match="--body is for one"):
        await landed.run("replay", ids="0:0,0:1", body=path)
    with pytest.raises(NeedsAttention, match="names 0"):
        await landed.run("replay", ids="0:9", body=path)


async def test_a_dry_run_sends_nothing(landed, capsys):
    """It reports what would be sent, and leaves no trace."""
    assert await landed.run("replay", ids="0:4", dry_run=True) == 0
    assert capsys.readouterr().out == "1 would be replayed\n"
    assert await landed.sent() == []
    assert await landed.run("replay", ids="0:4") == 0
    await landed.run("replay", ids="0:4", dry_run=True)
    assert capsys.readouterr().out.endswith("0 would be replayed, 1 had been before\n")


async def test_a_letter_that_does_not_exist_is_named(landed, capsys):
    """The letters that exist are replayed, the other ids are named."""
    assert await landed.run("replay", ids="0:4,0:7:1") == 1
    assert "0:7:1: there is no such dead letter" in capsys.readouterr().err
    assert len(await landed.sent()) == 1


async def test_without_a_selection_nothing_is_replayed(landed):
    """Replaying everything needs --all."""
    with pytest.raises(NeedsAttention, match="--all"):
        await landed.run("replay")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({"id": "0:0:0"}, "either text or body"),
        ({"id": "0:0:0", "body": "?"}, "no base64"),
        ({"id": "0:0", "text": ""}, "which line"),
        ({"id": "0:0:0", "text": "", "stream": "predictions"}, "--stream predictions"),
        ({"text": ""}, "line 1"),
    ],
)
async def test_an_invalid_file_is_refused(landed, tmp_path, line, named):
    """Nothing is sent, and the line is named."""
    path = tmp_path / "letters.ndjson"
    path.write_text(json.dumps(line))
    with pytest.raises(NeedsAttention, match=named):
        await landed.run("replay", letters=path)


async def test_list_shows_what_was_replayed(landed, capsys):
    """The state of each letter is listed."""
    await landed.run("replay", ids="0:4")
    capsys.readouterr()
    await landed.run("list", as_json=True)
    states = {one["id"]: one["replayed"] for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert states == {"0:0:0": "no", "0:1:2": "no", "0:4:0": "yes"}


async def test_two_operators_at_once_send_once(landed, repaired, capsys):
    """They select the same letters: the lake accepts one, the others count them as replayed before."""
    path = repaired(("0:0:0", GOOD), ("0:1:2", body(2)))
    await asyncio.gather(*(landed.run("replay", letters=path, as_json=True) for _ in range(3)))
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(one["replayed"] for one in said) == [0, 0, 2]
    assert len(await landed.sent()) == 2


async def test_lost_answers_cause_no_doubles(landed, repaired):
    """The hub's answers are lost, and the lake's to each rename: every letter is still there once."""
    landed.world.hub.faults.inject(Fault("lose_answer", hub="telemetry", times=2))
    landed.world.storage.faults.inject(StorageFault("drop_answer", "rename", times=2))
    path = repaired(("0:0:0", GOOD), ("0:1:2", body(2)))
    assert await landed.run("replay", letters=path) == 0
    assert [one[0] for one in await landed.sent()] == [landed.id(0), landed.id(1, 2)]


async def test_a_replay_that_gave_up_is_completed(landed, repaired, capsys):
    """If the hub refuses, a replay gives up in time; the next waits for the end of its lease, then sends."""
    landed.world.hub.faults.inject(Fault("reject", hub="telemetry", times="always"))
    path = repaired(("0:0:0", GOOD))
    with pytest.raises(NeedsAttention, match="replay again to go on"):
        await landed.run("replay", letters=path, lease_s=1.5)
    capsys.readouterr()
    await landed.run("list", ids="0:0", as_json=True)
    assert json.loads(capsys.readouterr().out)["replayed"] == "begun"
    landed.world.hub.faults.clear()
    assert await landed.run("replay", letters=path) == 0
    assert await landed.sent() == [(landed.id(0), JSON, GOOD)]


async def test_letters_of_a_re_created_hub_are_replayed_separately(landed):
    """The same place in the re-created hub is another letter, and goes to the same partition."""
    await landed.land((4, 0, GOOD), lane=ChainKey("telemetry", 0, 2), created_at="2026-03-02T00:00:00Z")
    assert await landed.run("replay", ids="0:4,0-g2:4") == 0
    assert [one[0].created_at for one in await landed.sent()] == [landed.created_at, "2026-03-02T00:00:00Z"]


async def test_letters_of_a_stream_of_ones_own_are_replayed(desk, tmp_path):
    """Its contract is applied, its hub has its name; a stream without a contract is refused."""
    desk.world.hub.create_hub("visits")
    await desk.land((0, 0, b'{"visit": 1}', "invalid: too new"), lane=ChainKey("visits", 0))
    contract = {"type": "object", "properties": {"visit": {"type": "integer"}}, "required": ["visit"]}
    (tmp_path / "visits.json").write_text(json.dumps(contract))
    with pytest.raises(NeedsAttention, match="FLEETPRICE_INGEST_CONTRACTS"):
        await desk.run("replay", stream="visits", everything=True)
    assert await desk.run("replay", stream="visits", everything=True, contracts=tmp_path) == 0
    assert [one[2] for one in await desk.sent(hub="visits")] == [b'{"visit": 1}']


async def test_many_letters_are_sent_in_batches(desk):
    """Two thousand letters of several files arrive once each, in order."""
    count = 2_000
    for first in range(0, count, 1_000):
        await desk.land(*((at, 0, body(at + 1)) for at in range(first, first + 1_000)), first=first)
    assert await desk.run("replay", everything=True) == 0
    assert [one[0].sequence_number for one in await desk.sent()] == list(range(count))
    log = ReplayLog(desk.lake, ChainKey("telemetry", 0))
    await log.read()
    assert (len(log.entries), log.open_entries) == (4, [])


async def test_a_damaged_file_holds_up_no_other_letter(desk, capsys):
    """The letters of the other files are replayed; then the command names the damaged one."""
    damaged = await desk.land((0, 0, GOOD))
    await desk.land((1, 0, GOOD), first=1)
    await desk.lake.write(damaged, b"{not json\n")
    with pytest.raises(NeedsAttention, match=damaged):
        await desk.run("replay", everything=True)
    assert capsys.readouterr().out == "1 replayed\n"
    assert await desk.sent() == [(desk.id(1), JSON, GOOD)]
