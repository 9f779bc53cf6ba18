import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = sorted((ROOT / "deploy" / "images" / "locks").glob("*.lock"))
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def pins(path):
    return dict(PIN.findall(path.read_text()))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_same_releases(lock):
    """An image has the same releases that the tests ran with, each with its digests."""
    tested = pins(ROOT / "requirements.lock")
    found = pins(lock)
    assert found.items() <= tested.items()
    text = lock.read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=[a-z])", text.strip()):
        assert "--hash=sha256:" in block


def test_own_extra_only():
    """A service's image has the packages of its own extra, and none of another extra alone."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    by_service = {lock.stem: set(pins(lock)) for lock in LOCKS}
    assert set(by_service) == {"build", "emulator", "ingest", "scorer", "simulator", "trainer"}
    for service, names in by_service.items():
        required = {re.split(r"[=<>\[]", one)[0] for one in extras[service]} - {"fleetprice"}
        assert required - {"editables"} <= names, service
    assert "lightgbm" in by_service["trainer"]
    assert not {"lightgbm", "onnx", "onnxruntime"} & by_service["ingest"]
    assert not {"pyarrow", "azure-eventhub"} & by_service["emulator"]
    assert not {"azure-eventhub", "uv", "pytest"} & by_service["trainer"]
