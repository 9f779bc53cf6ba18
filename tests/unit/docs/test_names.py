"""What the pages name exists: settings, commands, metrics, log events."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from docs.reference.log_events import log_events_of
from docs.reference.metrics import metrics_of
from docs.reference.sources import Sources
from services.cli.__main__ import app
from services.cli.verbs import VERBS, import_part
from shared.service.settings import variable_of

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
# Names of the emulator's pytest fixtures look like metrics.
FIXTURES = {"fleetprice_emulator", "fleetprice_emulator_session", "fleetprice_emulator_config"}


@pytest.fixture(scope="module")
def sources():
    return Sources(ROOT)


@pytest.fixture(scope="module")
def variables():
    kinds = [import_part(verb, "settings", verb.settings) for verb in VERBS.values()]
    return {variable_of(kind, name) for kind in kinds for name in kind.model_fields}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page, sources, variables):
    """Each variable, command and metric of a page is one that a person can set, run or look at."""
    text = page.read_text()
    assert set(re.findall(r"FLEETPRICE(?:_[A-Z0-9]+)+\b(?!_)", text)) <= variables
    commands = re.findall(r"(?:^|`|\$ |bin/)fleetprice ([a-z]+(?:-[a-z]+)*)\b", text, re.MULTILINE)
    assert set(commands) <= get_command(app).commands.keys()
    metrics = {metric.name for metric in metrics_of(sources)} | FIXTURES
    assert set(re.findall(r"\bfleetprice_[a-z_]+[a-z]\b", text)) <= metrics


@pytest.mark.parametrize("page", ["ingest.md", "scorer.md"])
def test_the_symptoms_name_events_that_are_logged(page, sources):
    """Each event in a table of symptoms is one that the code writes, with the fields that the table names."""
    table = re.search(
        r"^\| what happened .*?\n\n", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL
    )[0]
    logged = [row.split("|")[3] for row in table.splitlines()[2:] if row]
    named = {name for cell in logged for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", cell)}
    events = log_events_of(sources)
    known = {event.name for event in events} | {field for event in events for field in event.fields}
    metrics = {metric.name for metric in metrics_of(sources)}
    assert len(named) > len(logged) / 3
    assert named <= known | metrics
