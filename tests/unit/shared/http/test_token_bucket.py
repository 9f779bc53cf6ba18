from shared.http.token_bucket import TokenBucket


def test_a_burst_is_granted_and_then_the_rate():
    """A caller may spend its burst at once; after that it gets its rate a second, and no more."""
    bucket = TokenBucket.full(per_s=10, burst=100, now_s=0.0)
    assert bucket.try_acquire(60, 0.0) == 0
    assert bucket.try_acquire(40, 0.0) == 0
    assert bucket.try_acquire(1, 0.0) == 0.1
    assert bucket.try_acquire(10, 1.0) == 0
    assert bucket.try_acquire(1, 1.0) == 0.1


def test_a_refusal_takes_no_tokens():
    """A refused request costs nothing: after the time that was returned, it is granted."""
    bucket = TokenBucket.full(per_s=10, burst=100, now_s=0.0)
    bucket.try_acquire(90, 0.0)
    for now_s in (0.0, 1.0, 2.0):
        assert bucket.try_acquire(50, now_s) == 4.0 - now_s
    assert bucket.try_acquire(50, 4.0) == 0


def test_silence_earns_no_more_than_the_burst():
    """A caller that was silent for an hour may ask for one burst, not for an hour's tokens."""
    bucket = TokenBucket.full(per_s=10, burst=100, now_s=0.0)
    assert bucket.try_acquire(101, 3_600.0) == 0.1
    assert bucket.try_acquire(100, 3_600.0) == 0
