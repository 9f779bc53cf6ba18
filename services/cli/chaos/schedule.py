"""The faults of a run and their times, computed from only the seed and the length of the run (pure)."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

# The first fault comes once the fleet has sent a little.
FIRST_AT_S = 1.0
# On average. Some kinds last for seconds, so several are always under way.
SPACING_S = 0.75


class Kind(StrEnum):
    """The kinds of fault; docs/chaos.md describes each."""

    INGEST_KILLED = "ingest_killed"
    INGEST_STOPPED = "ingest_stopped"
    SCORER_KILLED = "scorer_killed"
    READERS_KILLED = "readers_killed"
    SCORER_STOPPED = "scorer_stopped"
    EMULATOR_KILLED = "emulator_killed"
    RENAME_ANSWER_DROPPED = "rename_answer_dropped"
    RENAME_HELD_UP = "rename_held_up"
    STORAGE_FAILED = "storage_failed"
    STORAGE_SLOWED = "storage_slowed"
    SEND_REJECTED = "send_rejected"
    SEND_ANSWER_LOST = "send_answer_lost"
    LINKS_DETACHED = "links_detached"
    LINKS_STOLEN = "links_stolen"
    CLOCK_JUMPED = "clock_jumped"
    HOUR_CHANGED = "hour_changed"
    REBALANCED = "rebalanced"
    RETENTION_OVERTOOK = "retention_overtook"
    COMPACTED = "compacted"


# How long a stopped process is held: long enough for its partitions to be taken over.
_HELD_S = (3.5, 6.0)
# The time that a kind needs to strike: it starts at least this long before the end.
_TAKES_S = {
    Kind.RETENTION_OVERTOOK: 18.0,
    Kind.COMPACTED: 8.0,
    Kind.REBALANCED: 8.0,
    Kind.INGEST_STOPPED: 6.0,
    Kind.SCORER_STOPPED: 6.0,
}
_USUALLY_TAKES_S = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at `at_s` seconds into the load.

    `draw` in [0, 1) picks the process to strike, or a variant of the fault. A process that the fault stops is
    held for `hold_s` seconds.
    """

    at_s: float
    kind: Kind
    draw: float
    hold_s: float


@dataclass(frozen=True, slots=True)
class Shape:
    """The parameters of a run: how the fleet packs readings, and when the writers close a file."""

    pack: int
    pack_format: str
    roll_max_age_s: float
    roll_max_rows: int
    bad_share: float


def draw_shape(seed: int) -> Shape:
    """Return the shape that belongs to a seed; the same seed always gives the same shape."""
    draws = Random(f"shape {seed}")  # noqa: S311 - repeatable by intent
    return Shape(
        pack=draws.choice((1, 1, 1, 1, 10, 50)),
        pack_format=draws.choice(("ndjson", "arrow")),
        roll_max_age_s=draws.choice((0.3, 0.6, 1.2)),
        roll_max_rows=draws.choice((400, 1_000, 20_000)),
        bad_share=draws.choice((0.0, 0.002, 0.01)),
    )


def plan_faults(seed: int, seconds: float) -> tuple[Fault, ...]:
    """Return the faults in order of time.

    The kinds are dealt in rounds: each full round has every kind once. A plan has at least one full round.
    """
    draws = Random(f"schedule {seed}")  # noqa: S311 - repeatable by intent
    span_s = max(0.0, seconds - FIRST_AT_S)
    count = max(len(Kind), int(span_s / SPACING_S))
    kinds: list[Kind] = []
    while len(kinds) < count:
        kinds += draws.sample(list(Kind), len(Kind))
    faults = [_fault(kind, span_s, draws) for kind in kinds[:count]]
    return tuple(sorted(faults, key=lambda fault: fault.at_s))


def _fault(kind: Kind, span_s: float, draws: Random) -> Fault:
    begins_within_s = max(0.0, span_s - _TAKES_S.get(kind, _USUALLY_TAKES_S))
    at_s = FIRST_AT_S + begins_within_s * draws.random()
    return Fault(at_s, kind, draws.random(), draws.uniform(*_HELD_S))
