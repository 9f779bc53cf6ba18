import asyncio
import fcntl
import json

from shared.service.local_stack import write_addresses
from tests.support.processes import environment_with_only, start_python


async def run(*, stdin=None, **variables):
    """Run `python -m services.cli.verify` with these settings; return exit code, stdout, stderr."""
    environment, pipe = environment_with_only(**variables), asyncio.subprocess.PIPE
    process = await start_python(
        "-m", "services.cli.verify", environment=environment, stdin=pipe, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate(stdin)
    return process.returncode, out.decode(), err.decode()


def named(world):
    return {
        "EVENT_HUBS": world.settings.event_hubs.get_secret_value(),
        "STORAGE": world.settings.storage.get_secret_value(),
        "VERIFY_DATA": world.data,
    }


async def test_a_sound_stack_exits_0_with_one_object(sound):
    """Machines get one JSON object on stdout and exit code 0; the end of the input begins the verdict."""
    code, out, err = await run(**named(sound), VERIFY_AS_JSON=1, VERIFY_AWAIT_INPUT_END=1, stdin=b"\n")
    assert (code, err) == (0, "")
    assert json.loads(out)["sent"] == 4


async def test_a_loss_exits_1(sound):
    """People get the table, the faults on stderr, and exit code 1."""
    await sound.lake.delete("raw/telemetry/date=2026-03-01/hour=12/p00-00000000000000000000.parquet")
    code, out, err = await run(**named(sound))
    assert code == 1
    assert "missing 2" in out
    assert "events 0 to 1 are in no file" in err


async def test_the_running_stack_on_a_directory_is_found(sound):
    """Without connection strings, verify reads the stack that runs on the directory."""
    with (sound.data / "emulator.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = await run(VERIFY_DATA=sound.data)
        assert (code, err.count("\n")) == (2, 1)
        assert "FLEETPRICE_EVENT_HUBS" in err
        ready = {"event_hubs": named(sound)["EVENT_HUBS"], "storage": named(sound)["STORAGE"]}
        write_addresses(sound.data, {"event": "ready", **ready})
        code, _, _ = await run(VERIFY_DATA=sound.data)
        assert code == 0


async def test_a_directory_without_data_exits_2(tmp_path):
    """If nothing was ever run there, one line says so."""
    code, out, err = await run(VERIFY_DATA=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("fleetprice: there is nothing to verify")
    assert err.count("\n") == 1


async def test_a_directory_at_rest_is_served_and_read(at_rest):
    """With nothing running, verify serves the directory's own files, reads them, and leaves nothing."""
    code, out, err = await run(VERIFY_DATA=at_rest, VERIFY_AS_JSON=1)
    assert code == 0, err
    assert json.loads(out)["landed"] == 4
