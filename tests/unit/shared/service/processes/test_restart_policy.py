import pytest

from shared.service.processes.restart_policy import (
    LONGEST_DELAY_S,
    MAX_SHORT_LIVES,
    SHORT_LIFE_S,
    Next,
    RestartPolicy,
)


@pytest.mark.parametrize("code", [-9, 1, 0])
def test_a_service_that_ends_by_itself_is_restarted(code):
    """A service that was killed, crashed or ended unrequested comes back."""
    assert RestartPolicy(may_finish=False).after(code, lived_s=60) is Next.RESTART


def test_the_fleet_may_finish():
    """A fleet that has sent for its time is done, a fleet that crashed is not."""
    assert RestartPolicy(may_finish=True).after(0, lived_s=60) is Next.FINISHED
    assert RestartPolicy(may_finish=True).after(-9, lived_s=60) is Next.RESTART


def test_a_service_that_needs_a_person_is_not_restarted():
    """Exit code 2 needs a person; a restart would only fail again."""
    assert RestartPolicy(may_finish=False).after(2, lived_s=0.1) is Next.REFUSED


def test_a_service_that_keeps_failing_is_given_up():
    """Delays between restarts grow, and the restarts end."""
    policy = RestartPolicy(may_finish=False)
    delays = []
    for _ in range(MAX_SHORT_LIVES):
        assert policy.after(1, lived_s=0.5) is Next.RESTART
        delays.append(policy.delay_s)
    assert delays == sorted(delays)
    assert delays[0] < 1
    assert delays[-1] == LONGEST_DELAY_S
    assert policy.after(1, lived_s=0.5) is Next.GIVEN_UP


def test_a_long_life_resets_the_count():
    """A service that crashes once an hour is always restarted."""
    policy = RestartPolicy(may_finish=False)
    for _ in range(3 * MAX_SHORT_LIVES):
        assert policy.after(1, lived_s=SHORT_LIFE_S + 1) is Next.RESTART
    assert policy.restarts == 3 * MAX_SHORT_LIVES
    assert policy.delay_s < 1
