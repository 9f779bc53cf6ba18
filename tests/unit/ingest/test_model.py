"""Exactly once in any order of steps: random schedules of independent writers."""

from collections import Counter
from dataclasses import replace

import pytest
import structlog

from services.ingest.commit import Committer
from services.ingest.open_file import FileContents
from tests.support.ingest_model import World

SCHEDULES = 150


@pytest.fixture(autouse=True)
def silence():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


def test_no_schedule_loses_or_doubles():
    """Crashes, zombies, lost and late answers, hour changes, retention: none lost, none doubled."""
    happened = Counter()
    for seed in range(SCHEDULES):
        world = World(seed)
        world.run()
        found = world.outcome()
        assert (found.lost, found.doubled) == ([], []), f"seed {seed}"
        happened.update(files=found.files, gaps=found.gaps, folders=found.folders)
    assert min(happened.values()) > SCHEDULES


class Forgetful(Committer):
    """A committer that drops its whole buffer after losing a slot, and continues with the next events."""

    async def land(self, cut):
        if self.head is not None and cut.first > self.head.next_first:
            cut = replace(cut, first=self.head.next_first)
        await super().land(cut)


def test_dropping_the_buffer_loses(monkeypatch):
    """If the loser of a slot dropped its whole buffer, the model would show it."""
    monkeypatch.setattr(
        FileContents, "after", lambda cut, sequence_number: cut if sequence_number < cut.first else None
    )
    lost = 0
    for seed in range(50):
        world = World(seed, Forgetful)
        world.run()
        lost += bool(world.outcome().lost)
    assert lost > 10
