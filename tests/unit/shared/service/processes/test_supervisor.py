import asyncio
import os
import signal
from dataclasses import replace

import pytest

from shared.service.errors import NeedsAttention
from shared.service.processes.process import Program
from shared.service.processes.supervisor import Supervisor
from tests.support.embedded_stack import PATIENCE_S


@pytest.fixture
def program(tmp_path):
    def make(body, *, may_finish=False, pipes_stdout=False):
        (tmp_path / "service.py").write_text(body)
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HERE": str(tmp_path)}
        log = tmp_path / "service.log"
        return Program(
            "service", "service", environment, log, may_finish=may_finish, pipes_stdout=pipes_stdout
        )

    return make


SERVES = "import os, signal\nprint(os.getpid(), flush=True)\nsignal.pause()\n"
DRAINS = (
    "import os, pathlib, signal, sys\n"
    "def drain(*_):\n    pathlib.Path(os.environ['HERE'], 'drained').touch()\n    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, drain)\n" + SERVES
)
IS_DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVES


async def wait_for_pids(log, count):
    """Return the process ids in the log, once there are `count` of them."""
    async with asyncio.timeout(PATIENCE_S):
        while len(pids := log.read_text().split() if log.exists() else []) < count:  # noqa: ASYNC110 - a child
            await asyncio.sleep(0.02)
    return [int(pid) for pid in pids]


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_killed_service_comes_back(program):
    """A service killed by kill -9 is restarted, and the restart is counted."""
    service = program(SERVES)
    async with Supervisor() as supervisor:
        supervisor.start(service)
        os.kill((await wait_for_pids(service.log, 1))[0], signal.SIGKILL)
        pids = await wait_for_pids(service.log, 2)
        assert supervisor.restarts == {"service": 1}
    assert not any(map(is_alive, pids))


async def test_a_stopped_service_drains_and_stays_ended(program, tmp_path):
    """SIGTERM lets it finish its work; it is not restarted."""
    service = program(DRAINS)
    async with Supervisor() as supervisor:
        supervised = supervisor.start(service)
        await wait_for_pids(service.log, 1)
        await supervisor.stop(("service",), grace_s=10)
        assert supervised.finished.is_set()
    assert (tmp_path / "drained").exists()
    assert len(service.log.read_text().split()) == 1


async def test_a_service_deaf_to_sigterm_is_killed(program):
    """After the grace period nothing is left running."""
    service = program(IS_DEAF)
    async with Supervisor() as supervisor:
        supervisor.start(service)
        (pid,) = await wait_for_pids(service.log, 1)
        await supervisor.stop(("service",), grace_s=0.2)
    assert not is_alive(pid)


async def test_a_service_that_needs_a_person_ends_the_stack(program):
    """After exit code 2 the person reads the service's own line."""
    service = program("import sys\nsys.exit(print('fleetprice: set X', file=sys.stderr) or 2)\n")
    async with Supervisor() as supervisor:
        supervisor.start(service)
        with pytest.raises(NeedsAttention, match=r"^service: set X$"):
            await supervisor.failure()


async def test_the_first_line_of_a_service_can_be_waited_for(program):
    """The emulator's first line holds its addresses."""
    async with Supervisor() as supervisor:
        supervised = supervisor.start(program(SERVES, pipes_stdout=True))
        assert is_alive(int(await supervised.first_line))


async def test_a_worker_that_needs_a_person_has_said_why_above(program):
    """A program without a log writes to the parent's stderr: the message refers to the line there."""
    worker = replace(program("import sys\nsys.exit(2)\n"), name="worker 0", log=None)
    async with Supervisor() as supervisor:
        supervisor.start(worker)
        with pytest.raises(NeedsAttention, match=r"^worker 0 cannot go on: the line above says what to"):
            await supervisor.failure()


async def test_an_end_that_was_not_requested_is_reported(program):
    """The owner of the supervisor logs it, with the exit code and how often it was restarted."""
    ends = []

    def log_end(supervised, exit_code, _lived_s):
        ends.append((supervised.program.name, exit_code, supervised.policy.restarts))

    service = program(SERVES)
    async with Supervisor(log_end=log_end) as supervisor:
        supervisor.start(service)
        os.kill((await wait_for_pids(service.log, 1))[0], signal.SIGKILL)
        await wait_for_pids(service.log, 2)
    assert ends == [("service", -signal.SIGKILL, 1)]
