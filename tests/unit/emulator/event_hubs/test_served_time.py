"""How retention counts age: only while the hubs are served, whatever the clock shows."""

import pytest

from services.emulator.event_hubs.served_time import ServedTime

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_800_000_000_000


class World:
    """A machine whose clock and running time the test moves; `served` is the running server's, if any."""

    def __init__(self, path):
        self.path = path
        self.clock_ms = START_MS
        self.running_s = 0.0
        self.start()

    def start(self):
        self.served = ServedTime(self.path, lambda: self.clock_ms, lambda: self.running_s)

    def serve(self, hours):
        """Let the time pass in steps of half an hour."""
        for _ in range(round(hours * 2)):
            self.clock_ms += HOUR_MS // 2
            self.running_s += 1_800
            self.served.advance()

    def set_clock(self, hours):
        self.clock_ms += round(hours * HOUR_MS)
        self.served.advance()

    def stop(self, hours, *, is_killed=False):
        if not is_killed:
            self.served.save()
        self.clock_ms += round(hours * HOUR_MS)
        self.start()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "served.json")


def test_served_without_a_break_age_is_the_clocks(world):
    """Events expire a day after they were enqueued, if the hub is served all the time."""
    world.serve(23)
    assert world.served.before(DAY_MS) is None
    world.serve(7)
    assert world.served.before(DAY_MS) == world.clock_ms - DAY_MS == START_MS + 6 * HOUR_MS


@pytest.mark.parametrize("is_killed", [False, True])
def test_the_time_of_a_stop_does_not_count(world, is_killed):
    """What was accepted before a stop of days is served for the rest of its day afterwards."""
    world.serve(10)
    accepted_ms = world.clock_ms
    world.stop(100, is_killed=is_killed)
    world.serve(23.5)
    assert world.served.before(DAY_MS) <= accepted_ms
    world.serve(0.5)
    assert world.served.before(DAY_MS) >= accepted_ms


def test_a_laptop_that_slept_served_nothing(world):
    """While the machine sleeps its clock runs on, but no reader could connect."""
    world.serve(10)
    accepted_ms = world.clock_ms
    world.set_clock(72)
    world.serve(23)
    assert world.served.before(DAY_MS) <= accepted_ms
    world.serve(2)
    assert accepted_ms < world.served.before(DAY_MS) < world.clock_ms - DAY_MS + HOUR_MS


@pytest.mark.parametrize("ahead_hours", [1, 10_000, -1, -10_000])
def test_no_jump_of_the_clock_expires_an_event_early(world, ahead_hours):
    """Whatever an event is stamped, before and after a clock is set and set right, it is served for a day."""
    stamped = []

    def serve_a_while(hours):
        for _ in range(hours):
            stamped.append((world.running_s, world.clock_ms))
            world.serve(1)
            before_ms = world.served.before(DAY_MS)
            for at_s, stamp_ms in stamped:
                if before_ms is not None and stamp_ms < before_ms:
                    assert (world.running_s - at_s) * 1_000 >= DAY_MS

    serve_a_while(30)
    world.set_clock(ahead_hours)
    serve_a_while(30)
    world.set_clock(-ahead_hours)
    serve_a_while(60)
    assert sum(stamp_ms < world.served.before(DAY_MS) for _, stamp_ms in stamped) >= 30


def test_a_clock_that_is_adjusted_is_not_set(world):
    """A time server's corrections of seconds are no jumps."""
    world.serve(1)
    for _ in range(100):
        world.clock_ms += 50
        world.served.advance()
    world.serve(24)
    assert abs(world.served.before(DAY_MS) - (world.clock_ms - DAY_MS)) <= 60_000


def test_thousands_of_starts_are_remembered_in_few_bytes(world):
    """A file that a kill loop rewrites stays small."""
    for _ in range(2_500):
        world.running_s += 1
        world.stop(1)
    for _ in range(100):
        world.stop(1)
    assert world.path.stat().st_size < 200_000


@pytest.mark.parametrize("content", [b"", b"{", b'{"served_ms":1}'])
def test_without_its_file_nothing_expires_early(tmp_path, content):
    """A damaged file counts as nothing served: events are kept longer, never shorter."""
    path = tmp_path / "served.json"
    path.write_bytes(content)
    world = World(path)
    world.serve(23)
    assert world.served.before(DAY_MS) is None
