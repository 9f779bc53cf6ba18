import pytest

from services.emulator.storage.model import lease_terms
from services.emulator.storage.model.errors import Refused

MINE, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
S = 1_000_000


def acquire(lease=None, lease_id=MINE, seconds=15, now_us=0):
    asked = {"x-ms-proposed-lease-id": lease_id, "x-ms-lease-duration": str(seconds)}
    return lease_terms.acquire(lease, asked, OTHER, now_us)


def code_of(call, *args, **kwargs):
    with pytest.raises(Refused) as refused:
        call(*args, **kwargs)
    return refused.value.code


def test_a_lease_ends_by_itself():
    """After a lease expires, anyone may acquire another, and the old id is refused."""
    lease = acquire(seconds=15)
    assert [lease_terms.state(lease, second * S) for second in (0, 14, 15)] == ["leased", "leased", "expired"]
    assert code_of(lease_terms.check_holder, lease, MINE, 15 * S, kind="Blob") == "LeaseLost"
    lease_terms.check_holder(lease, None, 15 * S, kind="Blob")
    assert acquire(lease, OTHER, now_us=15 * S).lease_id == OTHER


def test_only_the_holder_takes_it_again():
    """Acquiring again under the same id renews the lease; under another id it is refused."""
    lease = acquire()
    assert acquire(lease, MINE, now_us=10 * S).expires_us == 25 * S
    assert code_of(acquire, lease, OTHER) == "LeaseAlreadyPresent"


def test_only_the_holder_writes():
    """While the lease is in force, a write without its id, or with another, is refused."""
    lease = acquire(seconds=-1)
    lease_terms.check_holder(lease, MINE.upper(), 10**15, kind="Blob")
    assert code_of(lease_terms.check_holder, lease, None, 0, kind="Blob") == "LeaseIdMissing"
    mismatch = "LeaseIdMismatchWithContainerOperation"
    assert code_of(lease_terms.check_holder, lease, OTHER, 0, kind="Container") == mismatch
    assert code_of(lease_terms.check_holder, None, MINE, 0, kind="Blob") == "LeaseNotPresentWithBlobOperation"


def test_breaking_takes_the_shorter_of_what_is_asked_and_what_is_left():
    """A broken lease keeps others out for its break period and cannot be renewed."""
    lease = acquire(seconds=60)
    broken = lease_terms.break_lease(lease, {"x-ms-lease-break-period": "10"}, 20 * S)
    assert lease_terms.seconds_left(broken, 20 * S) == 10
    assert [lease_terms.state(broken, second * S) for second in (20, 29, 30)] == ["breaking"] * 2 + ["broken"]
    assert lease_terms.seconds_left(lease_terms.break_lease(lease, {}, 20 * S), 20 * S) == 40
    assert lease_terms.state(lease_terms.break_lease(acquire(seconds=-1), {}, 5 * S), 5 * S) == "broken"
    assert code_of(lease_terms.renew, broken, {"x-ms-lease-id": MINE}, 0) == "LeaseIsBrokenAndCannotBeRenewed"
    assert code_of(acquire, broken, MINE, now_us=25 * S) == "LeaseIsBreakingAndCannotBeAcquired"
    assert acquire(broken, OTHER, now_us=31 * S).lease_id == OTHER


def test_an_id_changes_hands():
    """The holder changes the id of the lease; repeating the change is no error."""
    asked = {"x-ms-lease-id": MINE, "x-ms-proposed-lease-id": OTHER}
    changed = lease_terms.change(acquire(), asked, 0)
    assert changed.lease_id == OTHER
    assert lease_terms.change(changed, asked, 0) == changed
    stranger = {"x-ms-lease-id": OTHER, "x-ms-proposed-lease-id": OTHER.replace("2", "3")}
    assert code_of(lease_terms.change, acquire(), stranger, 0) == "LeaseIdMismatchWithLeaseOperation"
