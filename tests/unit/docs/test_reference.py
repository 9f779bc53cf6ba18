"""The pages of docs/reference give what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.reference.__main__ import write_reference
from docs.reference.log_events import log_events_of
from docs.reference.metrics import metrics_of, served_by
from docs.reference.sources import Sources

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "reference"
# In a process of its own: here other tests' services have their metrics too.
LIST = """
import services.{service}.__main__
from prometheus_client import REGISTRY
for family in REGISTRY.collect():
    if family.name.startswith("fleetprice_"):
        print(family.name + ("_total" if family.type == "counter" else ""), family.type, family.documentation)
"""
# Say `stream`, `partition`, `sequence_number` (with first_, last_, next_) and `reason`.
MISSPELT = {
    *("place", "lane", "chain", "partition_id"),
    *("sequence", "next", "next_expected", "first", "last"),
    "error",
}


@pytest.fixture(scope="module")
def sources():
    return Sources(ROOT)


@pytest.mark.parametrize("name", ["metrics.md", "log-events.md"])
def test_the_pages_are_up_to_date(name, tmp_path):
    """The committed pages are what `make reference` writes."""
    write_reference(ROOT, tmp_path)
    assert (PAGES / name).read_text() == (tmp_path / name).read_text()


@pytest.mark.parametrize("service", ["ingest", "scorer", "simulator"])
def test_every_metric_of_a_service_is_documented(service, sources):
    """The page has each metric that the service serves, with its type and meaning, and no other."""
    program = [sys.executable, "-c", LIST.format(service=service)]
    listed = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    documented = [one for one in metrics_of(sources) if service in served_by(sources, one)]
    assert sorted(f"{one.name} {one.kind} {one.about}" for one in documented) == sorted(listed)


def test_metrics_are_named_on_one_scheme(sources):
    """A name begins with the service or library that counts, and only a counter's ends with `_total`."""
    owners = {"/".join(module.path.parts[:2]) for module in sources.modules.values()}
    names = "|".join(owner.rpartition("/")[2] for owner in owners if not owner.endswith(".py"))
    scheme = re.compile(rf"fleetprice_({names})(_[a-z]+)+")
    for metric in metrics_of(sources):
        assert scheme.fullmatch(metric.name), metric.name
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.kind != "histogram" or re.search(r"_(seconds|bytes|rows)$", metric.name), metric.name


def test_one_metric_has_one_declaration(sources):
    """No two declarations share a name."""
    names = [metric.name for metric in metrics_of(sources)]
    assert len(names) == len(set(names))


def test_fields_of_log_events_have_one_spelling(sources):
    """A stream, a partition, a sequence number and a reason are called the same in every event."""
    for event in log_events_of(sources):
        assert not MISSPELT.intersection(event.fields), event.name


def test_log_events_are_named_alike(sources):
    """The name of an event is lower case, its words joined by underscores."""
    assert all(re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", event.name) for event in log_events_of(sources))
