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
AT = datetime(2026, 5, 1, tzinfo=UTC)
# The most that the examples handle before they save: 100 events, of two lines here.
BATCH_LINES = 200
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


def command(language, folder):
    """Return the command that runs a program of this language from stdin in `folder`."""
    if language == "python":
        return [sys.executable, "-"]
    modules = JAVASCRIPT / "node_modules"
    if shutil.which("node") is None or not modules.is_dir():
        pytest.skip(
            "JavaScript's SDK is not installed: `npm ci` in tests/…/conformance_js (make test does it)"
        )
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(modules)
    return ["node", "--input-type=module", "-"]


class Consumer:
    """A running consumer, which prints the number of each reading."""

    def __init__(self, process):
        self.process = process

    async def numbers(self, count):
        """Return the numbers in the next lines."""
        async with asyncio.timeout(PATIENCE_S):
            return [int((await self.process.stdout.readline()).split()[1]) for _ in range(count)]

    async def stop(self):
        """Send SIGTERM; return the numbers in the rest of its lines."""
        self.process.terminate()
        rest, _ = await self.process.communicate()
        return [int(line.split()[1]) for line in rest.splitlines()]


@asynccontextmanager
async def running(hub, language, code, folder):
    """Run a consumer in `folder`."""
    process = await asyncio.create_subprocess_exec(
        *command(language, folder),
        cwd=folder,
        env=os.environ | {"FLEETPRICE_EVENT_HUBS": hub.connection_string, "PYTHONPATH": SOURCES},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    process.stdin.write(code.encode())
    process.stdin.close()
    try:
        yield Consumer(process)
    finally:
        if process.returncode is None:
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
    async with running(world.hub, language, code, tmp_path) as consumer:
        assert await consumer.numbers(8) == list(range(1, 9))
        await fleet.send(
            [output_event(later, 0), output_event(earlier, 3), output_event(later, 1)], "1", hub="predictions"
        )
        assert await consumer.numbers(4) == [1, 2, 3, 4]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
async def test_a_documented_consumer_goes_on_where_it_was_stopped(world, fleet, tmp_path, number):
    """SIGTERM in the middle costs no prediction: after it the consumer repeats one batch at most."""
    language, code = BLOCKS[number]
    await fleet.send([output_event(AT, source) for source in range(1_000)], "1", hub="predictions")
    last, stops = 0, 0
    while last < 2_000:
        async with running(world.hub, language, code, tmp_path) as consumer:
            shown = await consumer.numbers(1)
            assert last - BATCH_LINES < shown[0] <= last + 1
            while shown[-1] < 2_000 and (stops == 3 or len(shown) < 2 * BATCH_LINES):
                shown += await consumer.numbers(1)
            shown += await consumer.stop()
        assert shown == list(range(shown[0], shown[0] + len(shown)))
        last, stops = shown[-1], stops + 1
    assert stops > 1


def test_all_of_them_are_found():
    """The page has the three consumers that run here."""
    assert [language for language, _ in BLOCKS] == ["python", "python", "javascript"]
