"""Bodies decoded together give the records that each gives by itself."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.codec.batch_decoder import BatchDecoder
from shared.codec.body_decoder import ARROW, NDJSON, BodyDecoder
from shared.codec.fast_path.columnar_decoder import ColumnarDecoder
from shared.contract.columns import READING
from shared.contract.reading import Reading
from tests.support.reading_bodies import BODIES, ONE, TWO

ALL_ROWS = 10_000


@pytest.mark.parametrize("decoder", [BatchDecoder, ColumnarDecoder])
@pytest.mark.parametrize("index", range(len(BODIES)))
def test_a_batch_never_has_more_than_single_events(index, decoder):
    """An odd body between good ones of its own kind takes nothing from them and adds nothing to them."""
    body, content_type = BODIES[index]
    good = {NDJSON: BODIES[24][0], ARROW: BODIES[33][0]}.get(content_type, ONE)
    run = decoder(READING).decode([good, body, good], content_type, ALL_ROWS)
    alone = BodyDecoder(READING).decode(body, content_type)
    is_plain = not alone.bad and not any(alone.extras) and len(alone.lines) == alone.lines[-1] + 1
    assert len(run.counts) in ((1, 3) if is_plain else (1,))
    if len(run.counts) == 3:
        assert run.counts[1] == len(alone.lines)


FRAGMENTS = [
    ONE,
    TWO,
    ONE + TWO,
    ONE + b" " + TWO,
    ONE[:40],
    ONE[40:],
    b"",
    b" ",
    b"{}",
    b"{",
    b"}",
    ONE + b"\r",
]
FRAGMENTS += [ONE[:-1] + b',"wiper":{}', b"{" + ONE, b'"}', b"}{", b" " + ONE, b"[", b"]", b"," + TWO]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(FRAGMENTS) | st.sampled_from(FRAGMENTS[:4]), min_size=1, max_size=8),
    st.booleans(),
)
def test_every_line_is_judged_by_itself(lines, is_ended):
    """Two records on a line, or one over two lines, are bad lines, however many the others make up for."""
    decoded = BodyDecoder(READING).decode(b"\n".join(lines) + b"\n" * is_ended, NDJSON)
    strict = msgspec.json.Decoder(Reading)
    expected = {}
    for number, line in enumerate(lines):
        try:
            expected[number] = strict.decode(line)
        except msgspec.MsgspecError:
            continue
    assert dict(zip(decoded.lines, decoded.records, strict=True)) == expected


def test_a_bad_row_shortens_the_runs_after_it():
    """Events of a sender of many rows out of bounds are decoded about twice at most."""
    good, bad = BODIES[33][0], BODIES[35][0]
    runs = BatchDecoder(READING)
    mixed = [len(runs.decode([good, bad, *[good] * 20], ARROW, ALL_ROWS).counts) for _ in range(4)]
    plain = [len(runs.decode([good] * 20, ARROW, ALL_ROWS).counts) for _ in range(5)]
    assert mixed == [1, 1, 1, 1]
    assert plain == [2, 4, 8, 16, 20]
