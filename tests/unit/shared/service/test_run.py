import os
import signal
import subprocess
import sys

import pytest

SERVICE = """
import asyncio, os, sys
from shared.service.errors import SettingsError, SinkUnavailable
from shared.service.run import run_service
from shared.service.settings import ConnectionSettings

class OwnSettings(ConnectionSettings):
    service = "TEST"

async def serve(settings, stop):
    if sys.argv[1] == "refuse":
        raise SettingsError("FLEETPRICE_STORAGE is not set")
    if sys.argv[1] == "blame":
        raise SettingsError("FLEETPRICE_STORAGE: the lake refused our credentials")
    if sys.argv[1] == "lose":
        raise SinkUnavailable("no connection")
    if sys.argv[1] == "break":
        raise RuntimeError("a bug")
    if sys.argv[1] == "find":
        return 1
    print("up", flush=True)
    await stop.wait()
    print("drained", flush=True)

sys.exit(run_service(OwnSettings, None, serve))
"""


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", SERVICE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(number):
    """SIGTERM and Ctrl-C let the service finish the work it has begun, then it ends with 0."""
    with start("wait") as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.communicate()[0] == "drained\n"
    assert process.returncode == 0


def test_a_refusal_is_one_line():
    """A setting that a person must change gives exit code 2 and one line on stderr, no traceback."""
    with start("refuse") as process:
        out, err = process.communicate()
    assert (process.returncode, out, err) == (2, "", "fleetprice: FLEETPRICE_STORAGE is not set\n")


@pytest.mark.parametrize(("behaviour", "logged"), [("break", "a bug"), ("find", "")])
def test_anything_else_ends_with_one(behaviour, logged):
    """A bug ends the process with 1 and is logged; a verdict of losses ends it with 1, too."""
    with start(behaviour) as process:
        _, err = process.communicate()
    assert process.returncode == 1
    assert logged in err


@pytest.mark.parametrize("behaviour", ["blame", "lose"])
def test_a_host_that_does_not_exist_is_the_reason(behaviour):
    """Neither credentials are blamed nor a traceback shown for a name that no machine has."""
    with start(behaviour, FLEETPRICE_STORAGE="https://nowhere.invalid") as process:
        _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith("fleetprice: FLEETPRICE_STORAGE: there is no host nowhere.invalid")
    assert err.count("\n") == 1


def test_a_child_ends_with_its_parent():
    """A kill -9 of the parent leaves no service behind."""
    program = (
        "import os, subprocess, sys\n"
        "os.environ['FLEETPRICE_PARENT_PID'] = str(os.getpid())\n"
        f"subprocess.Popen([sys.executable, '-c', {SERVICE!r}, 'wait']).wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout.readline() == "up\n"
        parent.kill()
        assert parent.stdout.read() == ""  # the child held the pipe until it ended


def test_failpoints_are_refused_beyond_loopback():
    """Failpoints with an address beyond loopback refuse to start."""
    program = SERVICE.replace(
        "None, serve", "{'event_hubs': 'hub.localhost.example', 'failpoints': 'a=1*1'}, serve"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "wait"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "loopback" in done.stderr
