"""The dead letters that `list` and `show` write."""

import json

import pytest

from shared.lake.slots.slot import ChainKey
from shared.service.errors import NeedsAttention
from tests.support.letter_desk import BAD, HOUR


async def listed(desk, capsys, **values):
    """Return the ids that `list` writes."""
    capsys.readouterr()
    assert await desk.run("list", as_json=True, **values) == 0
    return [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]


async def test_only_letters_that_a_committed_file_names_count(desk, capsys):
    """Files left by an interrupted commit, beside its slot or without one, hold no dead letters."""
    letters = await desk.lake.read(await desk.land((0, 0, BAD), (1, 2, BAD), attempt="a"))
    for first, attempt in ((0, "b"), (9, "c")):
        await desk.lake.write(ChainKey("telemetry", 0).dead_letters(first, attempt), letters)
    await desk.lake.write("dead-letters/telemetry/notes.txt", b"mine")
    assert await listed(desk, capsys) == ["0:0:0", "0:1:2"]


async def test_letters_are_found_after_the_hubs_clock_went_back(desk, capsys):
    """Their file is then in a later folder than the hour in which they came."""
    await desk.land((0, 0, BAD), hour=HOUR + 30)
    assert await listed(desk, capsys) == ["0:0:0"]


async def test_letters_are_selected(desk, capsys):
    """By partition, reason, time and id, alone or together, in order of partition and sequence."""
    await desk.land((3, 0, BAD, "malformed: x"), (4, 0, BAD), first=3, lane=ChainKey("telemetry", 1))
    await desk.land((0, 0, BAD), (1, 0, BAD, "no record in the body"))
    await desk.land((2, 0, BAD), (2, 5, BAD), first=2)
    every = ["0:0:0", "0:1:0", "0:2:0", "0:2:5", "1:3:0", "1:4:0"]
    assert await listed(desk, capsys) == every
    assert await listed(desk, capsys, partition=1) == every[4:]
    assert await listed(desk, capsys, reason="invalid") == ["0:0:0", "0:2:0", "0:2:5", "1:4:0"]
    assert await listed(desk, capsys, reason="empty") == ["0:1:0"]
    assert await listed(desk, capsys, since="2026-03-01T12:00:00.000002Z") == every[2:]
    assert await listed(desk, capsys, ids="0:2") == ["0:2:0", "0:2:5"]
    assert await listed(desk, capsys, ids="1:4:0,0:2:5") == ["0:2:5", "1:4:0"]
    assert await listed(desk, capsys, ids="0:9,2:0") == []


async def test_letters_of_a_re_created_hub_are_distinct(desk, capsys):
    """The same partition and sequence of the re-created hub is another letter."""
    await desk.land((0, 0, BAD))
    await desk.land((0, 0, BAD), lane=ChainKey("telemetry", 0, 2))
    assert await listed(desk, capsys) == ["0:0:0", "0-g2:0:0"]
    assert await listed(desk, capsys, ids="0-g2:0") == ["0-g2:0:0"]


async def test_people_read_a_table(desk, capsys):
    """One line a letter, with its reason last; a sender's text cannot control the terminal."""
    await desk.land((0, 0, BAD, "malformed: \x1b[31mred"))
    await desk.run("list")
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["ID", "ENQUEUED", "SIZE", "REPLAYED"]
    assert row.startswith("0:0:0 ")
    assert row.endswith("malformed: \ufffd[31mred")


async def test_a_letter_is_shown(desk, capsysbinary):
    """As text if it is text, else in hexadecimal, or byte for byte."""
    await desk.land((0, 0, BAD), (1, 0, b"\xff\xfe\x00x"))
    await desk.run("show", ids="0:0")
    assert BAD in capsysbinary.readouterr().out
    await desk.run("show", ids="0:1")
    assert b"ff fe 00 78" in capsysbinary.readouterr().out
    await desk.run("show", ids="0:1:0", raw=True)
    assert capsysbinary.readouterr().out == b"\xff\xfe\x00x"
    await desk.run("show", as_json=True)
    text, binary = map(json.loads, capsysbinary.readouterr().out.splitlines())
    assert (text["text"], binary["body"]) == (BAD.decode(), "//4AeA==")


async def test_encoding_and_properties_are_shown(desk, capsys):
    """Letters that have them show them; a sender's text cannot control the terminal."""
    await desk.land((0, 0, BAD), (1, 0, BAD, {"content_encoding": "gzip", "properties": {"a": "\x1b[2J"}}))
    await desk.run("show", ids="0:1")
    shown = capsys.readouterr().out
    assert "  encoding      gzip" in shown
    assert '  properties    {"a":"\\u001b[2J"}' in shown
    await desk.run("show", ids="0:0")
    assert "properties" not in capsys.readouterr().out


async def test_a_letter_that_does_not_exist(desk, capsys):
    """The message and the exit code report it."""
    assert await desk.run("show", ids="0:7") == 1
    assert "there is no such dead letter" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"ids": "7"}, "PARTITION:SEQUENCE"),
        ({"reason": "bad"}, "named-by-operator"),
        ({"since": "noon"}, "RFC 3339"),
        ({"stream": "nowhere"}, "telemetry, predictions"),
    ],
)
async def test_invalid_filters_are_refused(desk, values, named):
    """The message names the valid values."""
    with pytest.raises(NeedsAttention, match=named):
        await desk.run("list", **values)


async def test_a_file_that_cannot_be_read_hides_no_other(desk, capsys):
    """The letters of all other files are listed first; then the command names each damaged file."""
    damaged = await desk.land((0, 0, BAD))
    await desk.land((1, 0, BAD), first=1)
    await desk.land((2, 0, BAD), first=2)
    await desk.lake.write(damaged, b"{not json\n")
    slot = ChainKey("telemetry", 0).slot(HOUR, 2)
    await desk.lake.write(slot, b"no Parquet")
    with pytest.raises(NeedsAttention, match=f"(?s){damaged}.*{slot}"):
        await desk.run("list", as_json=True)
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["0:1:0"]
