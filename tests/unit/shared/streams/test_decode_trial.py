"""Trials in real child processes, of events whose decoding ends a process by a failpoint."""

import os
import signal
from functools import partial

import pytest

from shared.codec.batch_decoder import BatchDecoder
from shared.codec.body_decoder import BodyDecoder
from shared.contract.columns import READING
from shared.service import failpoints
from shared.streams.decode_trial import DecodeTrial
from shared.streams.event import Event
from shared.streams.poison import MAX_POISONED, GuardedDecoder


class KilledDecoder(BodyDecoder):
    """A decoder whose process is killed from outside, as by an operator or by the kernel."""

    def decode(self, *_arguments):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def armed(tmp_path):
    failpoints.arm("decode=abort:POISON", tmp_path / "kills")
    yield
    failpoints.disarm()


def trial(make_decoder=BodyDecoder, **options):
    decoder = GuardedDecoder(partial(make_decoder, READING), "telemetry", 0)
    return DecodeTrial(decoder, partial(BatchDecoder, READING), **{"is_needed": True, **options})


def events(*bodies):
    return [Event(number, str(number), 0, None, body) for number, body in enumerate(bodies)]


async def test_each_event_that_ends_a_child_is_found():
    """Among many events, exactly those that end a child by themselves are poisoned."""
    found = trial()
    await found.try_out(events(*(b"POISON" if number in (3, 17) else b"{}" for number in range(40))))
    assert found.decoder.poisoned == dict.fromkeys(
        (3, 17), "poison: its decoding ended the process by SIGABRT"
    )


async def test_a_child_that_is_killed_from_outside_poisons_nothing():
    """SIGKILL says nothing of an event: a person sends it, or the kernel for the memory of others."""
    killed = trial(KilledDecoder)
    await killed.try_out(events(b"{}"))
    assert not killed.decoder.poisoned


async def test_after_a_good_end_nothing_is_tried():
    """A partition that was given back, or whose trial has ended, is decoded without a child."""
    ended = []
    after_trial = trial(on_end=lambda: ended.append(True))
    after_trial.end()
    for one in (after_trial, trial(is_needed=False)):
        await one.try_out(events(b"POISON"))
        assert not one.decoder.poisoned
    assert ended == [True]


def test_a_decoder_that_fails_on_everything_ends_the_process():
    """More poisoned events than a sender can explain are a fault of the decoder: the process ends."""
    decoder = trial().decoder
    for number in range(MAX_POISONED):
        decoder.poison(number, "fault")
    with pytest.raises(RuntimeError, match="event 100 ends its decoder"):
        decoder.poison(MAX_POISONED, "fault")
