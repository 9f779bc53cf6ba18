import pytest

from shared.service.processes.restart_policy import (
    LONGEST_DELAY_S,
    MAX_SHORT_LIVES,
    SHORT_LIFE_S,
    Next,
    RestartPolicy,
)


@pytest.mark.parametrize("code", [-9, 1, 0])
def test_a_service_that_ends_by_itself_is_started_again(code):
    """Killed, crashed or ended without being asked: a service of the stack comes back."""
    assert RestartPolicy(may_finish=False).after(code, lived_s=60) is Next.RESTART


def test_the_fleet_may_come_to_its_end():
    """The fleet that has sent for its time is done, a fleet that crashed is not."""
    assert RestartPolicy(may_finish=True).after(0, lived_s=60) is Next.FINISHED
    assert RestartPolicy(may_finish=True).after(-9, lived_s=60) is Next.RESTART


def test_a_service_that_needs_a_person_is_not_tried_again():
    """Exit code 2 is for a person to act on; starting again would only say so again."""
    assert RestartPolicy(may_finish=False).after(2, lived_s=0.1) is Next.REFUSED


def test_a_service_that_keeps_failing_is_given_up_after_a_while():
    """Restarts come ever more slowly and end: a broken service does not spin for ever."""
    lives = RestartPolicy(may_finish=False)
    delays = []
    for _ in range(MAX_SHORT_LIVES):
        assert lives.after(1, lived_s=0.5) is Next.RESTART
        delays.append(lives.delay_s)
    assert delays == sorted(delays)
    assert delays[0] < 1
    assert delays[-1] == LONGEST_DELAY_S
    assert lives.after(1, lived_s=0.5) is Next.GIVEN_UP


def test_a_long_life_makes_up_for_short_ones():
    """A crash once an hour is never the last one."""
    lives = RestartPolicy(may_finish=False)
    for _ in range(3 * MAX_SHORT_LIVES):
        assert lives.after(1, lived_s=SHORT_LIFE_S + 1) is Next.RESTART
    assert lives.restarts == 3 * MAX_SHORT_LIVES
    assert lives.delay_s < 1
