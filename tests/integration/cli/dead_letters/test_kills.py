"""kill -9 at each step of a replay: the next replay completes it, and nothing is sent twice."""

import signal

import pytest

from services.emulator.event_hubs.faults import Fault
from tests.support.ingesting import until
from tests.support.letter_desk import GOOD, JSON

NAMED = "named by operator"
# A process to be killed after the send needs the time for one, however busy the machine is.
LEASES_S = {"replay_intended": 1, "replay_taken": 1, "replay_sent": 6}


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(("replay_sent",), id="replay_sent"),
        *(
            pytest.param(steps, id="-then-".join(steps), marks=pytest.mark.long)
            for steps in (("replay_intended", "replay_taken"), ("replay_intended", "replay_sent"))
        ),
    ],
)
async def test_a_killed_replay_is_completed(desk, steps):
    """Killed before the send, after it, or after a takeover: each letter is replayed once."""
    await desk.land((0, 0, GOOD, NAMED), (1, 0, GOOD, NAMED))
    for step in steps:
        code = await desk.process("replay", "--all", failpoint=f"{step}=1*1", lease_s=LEASES_S[step])
        assert code == -signal.SIGKILL, desk.complained
    assert await desk.run("replay", everything=True) == 0
    assert await desk.sent() == [(desk.id(0), JSON, GOOD), (desk.id(1), JSON, GOOD)]


@pytest.mark.long
async def test_a_replay_that_slept_sends_nothing_once_awake(desk):
    """A process that was stopped before its send and overtaken meanwhile finds its lease over."""
    await desk.land((0, 0, GOOD, NAMED))
    desk.world.hub.faults.inject(Fault("reject", hub="telemetry", times="always"))
    sleeper = await desk.start("replay", "--all", lease_s=3)
    replays = desk.world.data_dir / "storage/devstoreaccount1/lake/dead-letters/telemetry/_replays"
    await until((replays / "p00-00000000.ndjson").exists)
    sleeper.send_signal(signal.SIGSTOP)
    desk.world.hub.faults.clear()
    assert await desk.run("replay", everything=True) == 0
    sleeper.send_signal(signal.SIGCONT)
    _, complained = await sleeper.communicate()
    assert (sleeper.returncode, b"replay again to go on" in complained) == (2, True)
    assert await desk.sent() == [(desk.id(0), JSON, GOOD)]


@pytest.mark.long
async def test_the_command_as_people_type_it(desk, tmp_path):
    """Show, edit, replay, list: exit codes and output, in processes of their own."""
    await desk.land((0, 0, GOOD.replace(b"2019", b"9019")))
    assert await desk.process("replay", "0:0") == 1
    assert "would be a dead letter again" in desk.complained
    assert await desk.process("show", "0:0", "--json") == 0
    letters = tmp_path / "letters.ndjson"
    letters.write_text(desk.said.replace("9019", "2019"))
    assert await desk.process("replay", "--from", str(letters)) == 0
    assert desk.said == "1 replayed\n"
    assert await desk.process("list") == 0
    assert desk.said.splitlines()[1].split()[4] == "yes"
    assert await desk.sent() == [(desk.id(0), JSON, GOOD)]
