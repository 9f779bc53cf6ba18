"""The consumers in docs/predictions.md, run unchanged, against a hub with doubles in it."""

import asyncio
import os
import re
import shutil
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from azure.eventhub import EventData

from services.scorer.stream.lineage import Lineage, Place
from shared.codec.body_decoder import JSON, NDJSON
from shared.contract.prediction import Prediction
from tests.support.embedded_stack import PATIENCE_S

ROOT = Path(__file__).parents[3]
JAVASCRIPT = ROOT / "tests" / "integration" / "emulator" / "conformance_js"
LAST = b'"sequence_number":1,"line":1'
AT = datetime(2026, 5, 1, tzinfo=UTC)
PAGE = (ROOT / "docs" / "predictions.md").read_text()
# A checkout, and `fleetprice` as another name of its modules.
SOURCES = os.pathsep.join([str(ROOT), str(ROOT / "deploy" / "wheel" / "checkout")])
BLOCKS = re.findall(r"```(python|javascript)\n(.*?)```", PAGE, re.DOTALL)


def output_event(created_at, *numbers, version="1", partition=1):
    """Make the event that a scorer publishes for readings of these sequence numbers, two lines each."""
    predictions = [
        Prediction(
            vehicle_id="v", reading_no=2 * number + line + 1, reading_at=AT, predicted_at=AT, price=9_950.0,
            lower=8_400.0, upper=11_700.0, currency="GBP", coverage=0.9, model="price", version=version,
            extrapolated=(), source_partition=partition, source_sequence_number=number, source_line=line,
        )
        for number in numbers
        for line in (0, 1)
    ]  # fmt: skip
    event = EventData(msgspec.json.Encoder().encode_lines(predictions))
    event.content_type = NDJSON if len(predictions) > 1 else JSON
    places = Place(numbers[0], 0), Place(numbers[-1], 1)
    event.properties = Lineage(created_at, partition, *places).properties()
    return event


def command(language):
    if language == "python":
        return [sys.executable, "-"], None
    if shutil.which("node") is None or not (JAVASCRIPT / "node_modules").is_dir():
        pytest.skip(
            "JavaScript's SDK is not installed: `npm ci` in tests/…/conformance_js (make test does it)"
        )
    return ["node", "--input-type=module", "-"], JAVASCRIPT


@asynccontextmanager
async def running(hub, language, code, folder):
    """Run a consumer; yield a function that waits for its lines."""
    arguments, where = command(language)
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=where or folder,
        env=os.environ | {"FLEETPRICE_EVENT_HUBS": hub.connection_string, "PYTHONPATH": SOURCES},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    process.stdin.write(code.encode())
    process.stdin.close()

    async def numbers(count):
        async with asyncio.timeout(PATIENCE_S):
            lines = [await process.stdout.readline() for _ in range(count)]
        return [int(line.split()[1]) for line in lines]

    try:
        yield numbers
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", range(len(BLOCKS)))
async def test_a_documented_consumer_reads_every_prediction_once(world, fleet, tmp_path, number):
    """Resends, a zombie's doubles of another version and a re-created source hub: each reading comes once."""
    language, code = BLOCKS[number]
    earlier, later = AT, AT.replace(microsecond=5)
    await fleet.send(
        [
            output_event(earlier, 0), output_event(earlier, 0, 1), output_event(earlier, 2),
            output_event(earlier, 0, 1, version="0"), output_event(earlier, 1, 2, 3),
        ],
        "1", hub="predictions",
    )  # fmt: skip
    async with running(world.hub, language, code, tmp_path) as numbers:
        assert await numbers(8) == list(range(1, 9))
        await fleet.send(
            [output_event(later, 0), output_event(earlier, 3), output_event(later, 1)], "1", hub="predictions"
        )
        assert await numbers(4) == [1, 2, 3, 4]


async def test_the_shipped_readers_example_goes_on_where_it_was(world, fleet, tmp_path):
    """Started again, the example with a token reads only new predictions, and still drops doubles."""
    language, code = BLOCKS[0]
    await fleet.send([output_event(AT, 0), output_event(AT, 1)], "1", hub="predictions")
    kept = tmp_path / "predictions.token"
    async with running(world.hub, language, code, tmp_path) as numbers:
        assert await numbers(4) == [1, 2, 3, 4]
        while not kept.exists() or LAST not in kept.read_bytes():  # noqa: ASYNC110 - a process sends no signal
            await asyncio.sleep(0.05)
    await fleet.send([output_event(AT, 0, 1), output_event(AT, 2)], "1", hub="predictions")
    async with running(world.hub, language, code, tmp_path) as numbers:
        assert await numbers(2) == [5, 6]


def test_all_of_them_are_found():
    """The page has the three consumers that run here."""
    assert [language for language, _ in BLOCKS] == ["python", "python", "javascript"]
