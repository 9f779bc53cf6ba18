"""JavaScript's unmodified SDK: each file of conformance_js against an emulator of its own process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[1] / "conformance_js"
OLDEST_NODE = 20
NODE = shutil.which("node")


def reason_to_skip():
    if NODE is None:
        return "node is not installed: JavaScript's SDK is not tried"
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        return f"JavaScript's SDK needs node {OLDEST_NODE} or newer, this is {version.strip()}"
    if not (SUITE / "node_modules" / "@azure" / "event-hubs").is_dir():
        return "JavaScript's SDK is not installed: `npm ci` in tests/…/conformance_js (make test does it)"
    return None


SKIPPED = reason_to_skip()
pytestmark = pytest.mark.skipif(SKIPPED is not None, reason=str(SKIPPED))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    """Yield the ready line of a running emulator."""
    data = tmp_path_factory.mktemp("data")
    arguments = ["--json", "--port-base", "0", "--data", str(data)]
    with subprocess.Popen(
        [sys.executable, "-m", "services.emulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.mark.parametrize("part", sorted(path.name for path in SUITE.glob("*.test.mjs")))
def test_the_javascript_sdk_gets_what_the_service_gives(emulator, part):
    """Sending, receiving, refusals as typed errors, TLS and websockets: as JavaScript's own SDK sees them."""
    world = {
        "EVENT_HUBS": emulator["event_hubs"],
        "EVENT_HUBS_TLS": emulator["event_hubs_tls"],
        "EVENT_HUBS_WS": emulator["event_hubs_ws"],
        "ADMIN": emulator["admin"],
        "NODE_EXTRA_CA_CERTS": emulator["ca"],
        "NODE_NO_WARNINGS": "1",
    }
    ran = subprocess.run(
        [NODE, "--test", part],
        cwd=SUITE,
        env={**os.environ, **world},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
