"""Children of the fork server, as the supervisor sees them."""

import asyncio
import os
import signal

import psutil
import pytest

from services.cli.chaos.fork_client import ForkedProcesses, ForkServerEnded
from shared.service.processes.process import Program


@pytest.fixture
def emulator(tmp_path):
    own = {"DATA": tmp_path / "data", "PORT_BASE": 0, "AS_JSON": "true", "TLS": "false"}
    variables = {f"FLEETPRICE_EMULATOR_{name}": str(value) for name, value in own.items()}
    environment = {**os.environ, **variables}
    return Program("emulator", "services.emulator", environment, tmp_path / "log", pipes_stdout=True)


def refused(tmp_path):
    """A service without connection strings in its environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLEETPRICE_")}
    return Program("ingest", "services.ingest", environment, tmp_path / "refused")


@pytest.mark.timeout(60)
async def test_a_forked_process_is_like_any_other(emulator, tmp_path):
    """Its stdout and log are read, it ends on a signal, and its exit code arrives."""
    async with ForkedProcesses() as processes:
        first, second = await processes.start(emulator), await processes.start(refused(tmp_path))
        assert b'"event":"ready"' in await first.read_line()
        assert first.send(signal.SIGTERM)
        assert await first.wait() == 0
        assert not first.send(signal.SIGTERM)
        assert await second.wait() == 2
    assert "FLEETPRICE_EVENT_HUBS is not set" in (tmp_path / "refused").read_text()


@pytest.mark.timeout(60)
async def test_a_killed_process_is_started_again(emulator):
    """The exit code names SIGKILL; the next start needs no imports."""
    async with ForkedProcesses() as processes:
        for _ in range(2):
            process = await processes.start(emulator)
            assert b'"event":"ready"' in await process.read_line()
            process.kill()
            assert await process.wait() == -signal.SIGKILL


@pytest.mark.timeout(60)
async def test_nothing_outlives_the_fork_server(emulator):
    """Its children end with it, a stopped one too; a waiter is woken, and no other can be started."""
    async with ForkedProcesses() as processes:
        process = await processes.start(emulator)
        await process.read_line()
        server = next(child for child in psutil.Process().children() if child.children())
        (child,) = server.children()
        assert process.send(signal.SIGSTOP)
        server.kill()
        assert await process.wait() == -signal.SIGKILL
        with pytest.raises(ForkServerEnded):
            await processes.start(emulator)
        gone, _ = await asyncio.to_thread(psutil.wait_procs, [child], 20)
        assert gone == [child]
