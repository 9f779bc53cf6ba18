from pathlib import Path

import msgspec
import pytest

from services.emulator.event_hubs.faults import Fault, Faults, Place
from services.emulator.storage.faults import Fault as StorageFault
from services.emulator.storage.faults import Faults as StorageFaults

DOCS = Path(__file__).parents[3] / "docs" / "emulator-faults.md"
HERE = Place("telemetry", 0)


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def faults(clock):
    return Faults(clock)


def strikes(faults, count, place=HERE, at="send"):
    return [faults.consume(at, place) is not None for _ in range(count)]


def test_a_fault_strikes_once_unless_told_otherwise(faults):
    """Without times or seconds a fault is over after its first strike, and then costs nothing."""
    armed = faults.inject(Fault("reject"))
    assert strikes(faults, 3) == [True, False, False]
    assert armed.struck == 1
    assert not faults.is_armed


def test_times_seconds_after(faults, clock):
    """Number, duration and start of the strikes can be set alone or together."""
    faults.inject(Fault("reject", times=2, after=1))
    assert strikes(faults, 5) == [False, True, True, False, False]
    faults.inject(Fault("reject", seconds=10))
    assert strikes(faults, 3) == [True] * 3
    clock.now_s += 10
    assert strikes(faults, 1) == [False]
    faults.inject(Fault("reject", seconds=10, times=1))
    assert strikes(faults, 2) == [True, False]
    faults.inject(Fault("reject", times="always"))
    assert all(strikes(faults, 500))


def test_chance_can_be_repeated(clock):
    """The same seed strikes the same operations; probability 0.5 strikes about half."""
    runs = []
    for seed in (1, 1, 2):
        faults = Faults(clock)
        faults.inject(Fault("reject", times="always", probability=0.5, seed=seed))
        runs.append(strikes(faults, 400))
    assert runs[0] == runs[1] != runs[2]
    assert 150 < sum(runs[0]) < 250


@pytest.mark.parametrize(
    ("fault", "place", "is_struck"),
    [
        (Fault("reject", hub="TELEMETRY"), HERE, True),
        (Fault("reject", hub="predictions"), HERE, False),
        (Fault("reject", partition="0"), HERE, True),
        (Fault("reject", partition="1"), HERE, False),
    ],
)
def test_only_what_fits_is_struck_and_counted(faults, fault, place, is_struck):
    """Operations that a fault does not match are not struck and not counted."""
    faults.inject(fault)
    assert strikes(faults, 1, place) == [is_struck]
    assert faults.is_armed is not is_struck


def test_places_groups_and_roles(faults):
    """Attaches and deliveries are each struck only by faults for their place, group and role."""
    reader = Place("telemetry", 0, "ingest")
    faults.inject(Fault("reject", at="attach", role="sender"))
    faults.inject(Fault("delay", at="delivery", group="INGEST", delay_ms=5))
    assert strikes(faults, 1, reader, "attach") == [False]
    assert strikes(faults, 1, HERE, "attach") == [True]
    assert strikes(faults, 1, Place("telemetry", 0, "scorer"), "delivery") == [False]
    assert faults.consume("delivery", reader).delay_s == 0.005
    faults.inject(Fault("reject", at="attach", role="receiver"))
    assert strikes(faults, 1, HERE, "attach") == [False]
    assert strikes(faults, 1, reader, "attach") == [True]


def test_faults_are_listed_with_what_they_struck(faults):
    """Faults that are over stay listed, so that a test can check whether they struck."""
    faults.inject(Fault("reject", hub="telemetry"))
    waiting = faults.inject(Fault("lose_answer", times=3))
    strikes(faults, 1)
    strikes(faults, 1, at="answer")
    assert faults.book.describe_all() == [
        {
            "id": "event_hubs-1",
            "service": "event_hubs",
            "struck": 1,
            "kind": "reject",
            "hub": "telemetry",
            "at": "send",
            "state": "over",
        },
        {
            "id": "event_hubs-2",
            "service": "event_hubs",
            "struck": 1,
            "kind": "lose_answer",
            "at": "answer",
            "times": 3,
            "state": "armed",
        },
    ]
    assert faults.book.disarm(waiting.id)
    assert not faults.book.disarm(waiting.id)
    assert strikes(faults, 1, at="answer") == [False]
    faults.clear()
    assert faults.book.describe_all() == []


def test_a_block_takes_its_fault_back(faults):
    """A fault injected by `with faults.inject(…)` strikes only within the block."""
    with faults.inject(Fault("reject", times="always")) as armed:
        assert strikes(faults, 2) == [True, True]
    assert strikes(faults, 1) == [False]
    assert armed.struck == 2


NONSENSE = [
    ({"kind": "explode"}, "explode"),
    ({"kind": "reject", "hubs": "telemetry"}, "hubs"),
    ({"kind": "reject", "partition": 0}, "partition"),
    ({"kind": "reject", "at": "answer"}, "send or attach or management, not at answer"),
    ({"kind": "reject", "times": 0}, "times is 1 or more"),
    ({"kind": "reject", "times": "sometimes"}, "sometimes"),
    ({"kind": "reject", "seconds": 0}, "seconds is more than 0"),
    ({"kind": "reject", "after": -1}, "after is 0 or more"),
    ({"kind": "reject", "probability": 0}, "probability is above 0"),
    ({"kind": "reject", "condition": "no symbol"}, "AMQP symbol"),
    ({"kind": "reject", "description": "x" * 2000}, "at most 1024"),
    ({"kind": "reject", "group": "ingest"}, "no consumer group at send"),
    ({"kind": "reject", "role": "sender"}, "known already"),
    ({"kind": "reject", "delay_ms": 5}, "delay_ms is for delay"),
    ({"kind": "detach", "times": 2}, "the links that are there"),
    ({"kind": "detach", "group": "ingest", "role": "sender"}, "senders have no consumer group"),
    ({"kind": "steal", "role": "sender"}, "only receivers"),
    ({"kind": "steal", "condition": "amqp:link:stolen"}, "condition and description are for"),
    ({"kind": "delay"}, "needs delay_ms"),
    ({"kind": "delay", "delay_ms": 1e9}, "at most 600000"),
    ({"kind": "lose_answer", "description": "x"}, "not for lose_answer"),
    ({"kind": "fill_up", "at": "answer"}, "strikes at send"),
    ({"kind": "fail", "service": "storage", "operation": "rename_file"}, "operation is one of .*append, "),
    ({"kind": "fail", "service": "storage", "status": 200}, "400 to 599"),
    ({"kind": "fail", "service": "storage", "status": 404}, "404 needs its code"),
    ({"kind": "fail", "service": "storage", "code": "Odd"}, "Odd has no status"),
    ({"kind": "fail", "service": "storage", "status": 404, "code": "a b"}, "like ServerBusy"),
    ({"kind": "slow", "service": "storage"}, "needs delay_ms"),
    ({"kind": "fail", "service": "storage", "delay_ms": 5}, "for slow"),
    ({"kind": "drop_answer", "service": "storage", "status": 500}, "not for drop_answer"),
    ({"kind": "drop_answer", "service": "storage", "at": "now"}, "now"),
]


@pytest.mark.parametrize(("asked", "sentence"), NONSENSE, ids=lambda value: str(value)[:60])
def test_nonsense_is_refused_with_a_sentence(asked, sentence):
    """Fields that contradict each other are refused, with the reason."""
    fault = StorageFault if asked.get("service") == "storage" else Fault
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.json.decode(msgspec.json.encode(asked), type=fault)


def test_the_examples_of_the_docs_are_faults():
    """Every fault in docs/emulator-faults.md can be armed."""
    examples = [line for line in DOCS.read_text().splitlines() if line.startswith(('{"kind"', '{"service"'))]
    assert len(examples) > 5
    for line in examples:
        msgspec.json.decode(line, type=StorageFault if '"storage"' in line else Fault)


def test_python_is_checked_like_json():
    """Python code is validated like JSON."""
    with pytest.raises(ValueError, match="needs delay_ms"):
        Fault("delay")
    with pytest.raises(ValueError, match="times is 1 or more"):
        StorageFault("fail", times=0)


def test_storage_faults_by_operation_and_path(clock):
    """A storage fault strikes its operation below its path, before or after the work."""
    faults = StorageFaults(clock)
    faults.inject(StorageFault("drop_answer", "rename", "lake/raw/"))
    faults.inject(StorageFault("fail", path_prefix="lake/", code="InternalError"))
    assert faults.consume("after", "rename", "lake/elsewhere") is None
    assert faults.consume("before", "rename", "checkpoints/a") is None
    assert faults.consume("before", "rename", "lake/raw/a").refusal().status == 500
    assert faults.consume("after", "rename", "lake/raw/a").kind == "drop_answer"
    assert not faults.is_armed
