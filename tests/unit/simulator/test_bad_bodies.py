import pytest

from services.simulator.bad_bodies import KINDS, bad_bodies, count_bad
from shared.codec.body_decoder import BodyDecoder
from shared.contract.columns import READING

MANY = bad_bodies(7, 3, 12, 200)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_is_one_dead_letter(kind):
    """A bad body of any kind becomes exactly one dead letter and no reading."""
    content_type, body = kind("bad-s7-p0-0-0")
    decoded = BodyDecoder(READING).decode(body, content_type)
    assert len(decoded.bad) == 1
    assert not decoded.records
    assert decoded.batch is None


def test_bad_bodies_can_be_made_again():
    """The same intent gives the same bodies, each with an id of its own."""
    assert bad_bodies(7, 3, 12, 200) == MANY
    assert len({bad.message_id for bad in MANY}) == 200
    assert bad_bodies(7, 3, 12, 5) == MANY[:5]


def test_every_kind_occurs():
    """Many bad bodies include every kind."""
    assert len({(bad.content_type, len(bad.body)) for bad in MANY}) >= len(KINDS)


def test_share_is_kept():
    """The number of bad bodies follows the share; at a share of 0 there are none."""
    counts = [count_bad(7, 0, number, 50, 0.1) for number in range(400)]
    assert 0.08 < sum(counts) / 20_000 < 0.12
    assert count_bad(7, 0, 1, 50, 0.0) == 0
    assert count_bad(7, 0, 1, 50, 1.0) == 50
