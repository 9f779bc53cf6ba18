import asyncio
import os
import signal

import pytest

from shared.service.processes.process import EndedEarly, Process, Program, last_error


@pytest.fixture
def program(tmp_path):
    def make(body, *arguments):
        (tmp_path / "child.py").write_text(body)
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return Program(
            "child", "child", environment, tmp_path / "log", arguments=arguments, pipes_stdout=True
        )

    return make


EVENTS = 'print(\'{"event": "started"}\')\nprint(\'{"event": "done", "count": 3}\', flush=True)\n'
IS_DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""


async def test_a_child_reads_its_arguments_and_its_input(program):
    """Arguments follow the module; bytes written to its stdin are read there."""
    child = await Process.start(
        program("import sys\nprint(*sys.argv[1:], input())\n", "--port", "7"), stdin=asyncio.subprocess.PIPE
    )
    child.write(b"go\n")
    child.end_input()
    assert await child.read_line() == b"--port 7 go\n"
    assert (await child.wait(), child.exit_code) == (0, 0)


async def test_an_event_is_awaited_by_its_name(program):
    """JSON lines of other events are skipped."""
    child = await Process.start(program(EVENTS))
    assert await child.read_event("done") == {"event": "done", "count": 3}
    await child.wait()


async def test_a_child_that_ends_before_its_event_is_named_with_its_log(program):
    """The caller does not wait for ever for an event that cannot come."""
    child = await Process.start(program(EVENTS))
    with pytest.raises(EndedEarly, match=r"child ended before ready: see .*log"):
        await child.read_event("ready")
    await child.wait()


async def test_a_child_deaf_to_sigterm_is_killed(program):
    """`stop` returns whether the child ended by itself."""
    child = await Process.start(program(IS_DEAF))
    await child.read_line()
    assert not await child.stop(grace_s=0.2)
    assert child.exit_code == -signal.SIGKILL
    assert not child.send(signal.SIGTERM)
    assert await child.stop(grace_s=0.2)


async def test_the_last_error_is_the_sentence_alone(program):
    """A refusal's prefix is not repeated in the parent's own line."""
    child = await Process.start(program("import sys\nsys.exit('fleetprice: set X')\n"))
    await child.wait()
    assert last_error(child.program.log) == "set X"
