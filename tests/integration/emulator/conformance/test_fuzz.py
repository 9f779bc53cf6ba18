import asyncio
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


async def test_nonsense_does_no_harm():
    """After seconds of seeded nonsense from eight clients, the hub still serves and its log is sound."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "services.emulator.fuzz.amqp", "--seconds", "3", "--seed", "7"],
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    seed, counts = out.decode().splitlines()
    assert seed == "seed 7"
    assert json.loads(counts)["conversations"] > 0
