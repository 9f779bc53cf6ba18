"""docs/ingest.md says what there is."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# In a process of its own: here other tests' services have their metrics too.
LIST = """
import services.ingest.__main__
from prometheus_client import REGISTRY
for family in REGISTRY.collect():
    if family.name.startswith("fleetprice_"):
        print(family.name + ("_total" if family.type == "counter" else ""), family.type)
"""
ROW = re.compile(r"^\| `(fleetprice_\w+)` \| (\w+) \|", re.MULTILINE)


def test_every_metric_is_documented():
    """The table of metrics names each that an ingest process serves, with its type, and no other."""
    listed = subprocess.run(
        [sys.executable, "-c", LIST], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()

    documented = ROW.findall((ROOT / "docs" / "ingest.md").read_text())

    assert sorted(f"{name} {kind}" for name, kind in documented) == sorted(listed)
