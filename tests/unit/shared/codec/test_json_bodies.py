"""JSON as programs and people write it: on many lines, with a byte order mark, with a bad element."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codec.body_decoder import ARROW, JSON, MAX_RECORDS, NDJSON, BodyDecoder
from shared.codec.json_text import BYTE_ORDER_MARK, split_array, with_whole_numbers
from shared.contract.columns import READING
from shared.lake.dead_letters import reason_code
from tests.support.reading_bodies import encode_json, reading

DECODER = BodyDecoder(READING)
TYPES = [None, JSON, NDJSON, "text/plain"]


def pretty(number, **changes):
    return json.dumps(json.loads(encode_json(number, **changes)), indent=2).encode()


def numbers(decoded):
    return [record.reading_no for record in decoded.records]


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_pretty_printed_record_with_an_unknown_field_lands(content_type, newline):
    """One record over many lines is one row whatever the content type; its unknown field is kept."""
    body = pretty(1, wiper={"front": [1, {"speed": 2}]}).replace(b"\n", newline)
    decoded = DECODER.decode(body, content_type)
    assert numbers(decoded) == [1]
    assert json.loads(decoded.extras[0]) == {"wiper": {"front": [1, {"speed": 2}]}}
    assert not decoded.bad


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize(
    ("body", "where"),
    [
        (pretty(1, year=1700), "year"),
        (pretty(1, year="2017"), "year"),
        (pretty(1).replace(b"2017", b"NaN"), "malformed"),
        (pretty(1).replace(b"2017", b"nope"), "malformed"),
        (pretty(1, wiper=[{}, {"a": 1}]).replace(b"2017", b"-Infinity"), "malformed"),
        (pretty(1)[:-1], "malformed"),
        (pretty(1, note="x" * 70_000), "too large"),
    ],
)
def test_a_bad_pretty_printed_record_is_one_letter(body, where, content_type):
    """Its lines are parts of one record, so they are one dead letter with the whole body."""
    decoded = DECODER.decode(body, content_type)
    assert not decoded.records
    assert [(bad.line, bad.body) for bad in decoded.bad] == [(0, body)]
    assert where in decoded.bad[0].reason


@pytest.mark.parametrize("content_type", TYPES)
def test_a_byte_order_mark_is_no_part_of_the_record(content_type):
    """Programs on Windows write one before a body, or before each file that they join."""
    one, two = encode_json(1), encode_json(2, wiper=1)
    single = DECODER.decode(BYTE_ORDER_MARK + one, content_type)
    lines = DECODER.decode(BYTE_ORDER_MARK + one + b"\n" + BYTE_ORDER_MARK + two, content_type)
    assert numbers(single) == [1]
    assert numbers(lines) == [1, 2]
    assert not [*single.bad, *lines.bad]


def test_a_byte_order_mark_stays_in_a_dead_letter():
    """A dead letter holds the bytes as they came."""
    body = BYTE_ORDER_MARK + encode_json(1, year=1700)
    assert DECODER.decode(body, JSON).bad[0].body == body


def test_an_array_after_a_byte_order_mark_is_its_elements():
    """The mark stands before the bracket."""
    body = BYTE_ORDER_MARK + b"[" + encode_json(1) + b"," + encode_json(2) + b"]"
    assert numbers(DECODER.decode(body, None)) == [1, 2]


GOOD, NESTED = encode_json(1), encode_json(4, wiper=[{"a": 1}, {"b": "}],["}])


@pytest.mark.parametrize(
    "bad",
    [
        encode_json(2).replace(b"2017", b"NaN"),
        encode_json(2).replace(b"2017", b"Infinity"),
        encode_json(2).replace(b"2017", b"nope"),
        encode_json(2).replace(b"2017", b"[1,nope]"),
        encode_json(2).replace(b"2017", b""),
        encode_json(2).replace(b'"Focus"', b"'Focus'"),
        encode_json(2).replace(b"Focus", b"Fo\\xcus"),
        encode_json(2).replace(b"Focus", b"Fo\tcus"),
        encode_json(2).replace(b"Focus", b'6" pipe'),
        encode_json(2).replace(b"Focus", b'the "old" one'),
        encode_json(2, wiper=[{"a": 1}, {"b": 2}]).replace(b"2017", b"NaN"),
        encode_json(2)[:-1],
        encode_json(2) + b"}",
        b"NaN",
        b'"',
    ],
)
@pytest.mark.parametrize("gap", [b",", b" ,\n  "])
def test_a_bad_element_of_an_array_goes_alone(bad, gap):
    """One bad token never costs the good records beside it."""
    body = b"[" + gap.join((GOOD, NESTED, bad, encode_json(3), encode_json(5))) + b"]"
    decoded = DECODER.decode(body, JSON)
    assert numbers(decoded) == [1, 4, 3, 5]
    assert list(decoded.lines) == [0, 1, 3, 4]
    assert [(one.line, one.body.strip()) for one in decoded.bad] == [(2, bad)]
    assert decoded.bad[0].reason.startswith(("malformed", "invalid"))


def test_a_cut_off_array_keeps_its_whole_records():
    """A sender that died in the middle of an array loses only the record in which it stopped."""
    body = b"[" + b",".join((GOOD, NESTED, encode_json(3)))[:-5]
    decoded = DECODER.decode(body, None)
    assert numbers(decoded) == [1, 4]
    assert b"".join(one.body for one in decoded.bad) == encode_json(3)[:-5]


def test_what_follows_an_array_is_a_letter():
    """The array's records land all the same."""
    decoded = DECODER.decode(b"[" + GOOD + b"," + NESTED + b"] and more", JSON)
    assert numbers(decoded) == [1, 4]
    assert [one.body for one in decoded.bad] == [b"and more"]


def test_a_trailing_comma_costs_nothing():
    """Programs that join records with commas often write one too many."""
    decoded = DECODER.decode(b"[" + GOOD + b"," + NESTED + b",\n]", JSON)
    assert numbers(decoded) == [1, 4]
    assert not decoded.bad


ODD = [b"NaN", b"{", b'"', b"}", b"1e", b'{"a":nope}']


@given(st.lists(st.sampled_from([GOOD, GOOD.replace(b",", b" , "), *ODD]), max_size=8))
def test_no_byte_of_a_bad_array_is_lost(elements):
    """Every element of an array with bad ones is a row or in a dead letter, and stays in its order."""
    body = b"[" + b",".join(elements) + b"]"
    decoded = DECODER.decode(body, JSON)
    left = b"\n".join(one.body for one in decoded.bad)
    for odd in ODD:
        assert left.count(odd) >= elements.count(odd)
    landed = len(decoded.lines) + left.count(GOOD) + left.count(GOOD.replace(b",", b" , "))
    assert landed == len([one for one in elements if one not in ODD])


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 2**20 + b"NaN]",
        b"[" + b"{" * 2**20,
        b'["' + b'{"a' * 2**18,
        b"[" + b'{"' * 2**19,
        b"[{" + b" " * 2**20,
    ],
    ids=["elements", "braces", "quotes", "openings", "spaces"],
)
def test_a_hostile_array_takes_little_time(body):
    """Splitting a bad array takes time in proportion to its size, and stops at the maximum of records."""
    began_s = time.process_time()
    decoded = DECODER.decode(body, JSON)
    assert time.process_time() - began_s < 3
    assert sum(len(one.body) for one in decoded.bad) >= len(body) - 4
    assert len(decoded.bad) <= MAX_RECORDS


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[NaN", b"[1, NaN, 2]", b'["' + b"x" * 70_000])
def test_an_array_in_which_no_record_is_found_is_one_letter(body):
    """Nothing of it is a record, so it is kept whole."""
    assert [one.body for one in DECODER.decode(body, None).bad] == [body]


def test_lines_that_are_too_long_are_letters_of_their_own():
    """Each is a record, and only too large."""
    large = encode_json(1, note="x" * 70_000)
    decoded = DECODER.decode(large + b"\n" + large, None)
    assert [(one.line, one.body) for one in decoded.bad] == [(0, large), (1, large)]


def test_elements_are_split_at_their_own_commas():
    """Commas and brackets in texts and in nested values separate nothing."""
    assert list(split_array(b'[{"a":"],{"},[1,[2]], NaN ]')) == [b'{"a":"],{"}', b"[1,[2]]", b" NaN "]


@pytest.mark.parametrize("content_type", [None, JSON, NDJSON])
@pytest.mark.parametrize("number", [b"2017.0", b"2017.00", b"2.017e3", b"2017E0"])
def test_a_whole_number_may_be_written_as_a_float(number, content_type):
    """The published schema says integer, which in JSON Schema takes 2017.0: pandas writes it so."""
    body = encode_json(1, dtc_count=5, wiper=1.50).replace(b"2017", number)
    array = b"[" + body + b"]"
    for one in (body, body + b"\n" + body, array if content_type != NDJSON else body):
        decoded = DECODER.decode(one, content_type)
        assert {record.year for record in decoded.records} == {2017}
        assert decoded.records[0] == reading(1, dtc_count=5)
        assert decoded.extras[0] == '{"wiper":1.5}'
        assert not decoded.bad


@pytest.mark.parametrize("number", [b"2017.5", b"1e400", b"1e999999999", b'"2017.0"', b"9007199254740993.0"])
def test_what_is_no_whole_number_in_range_stays_bad(number):
    """A fraction, a text or a number beyond the range is a dead letter as before."""
    decoded = DECODER.decode(encode_json(1).replace(b"2017", number), JSON)
    assert [bad.reason.partition(":")[0] for bad in decoded.bad] == ["invalid"]


@given(st.recursive(st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists, max_leaves=8))
def test_whole_numbers_keep_their_value(value):
    """A rewritten text holds equal numbers and the same texts."""
    assert json.loads(with_whole_numbers(json.dumps(value).encode())) == value


EMPTY_OF_ANY_TYPE = [b"", b"  \n "]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        *((body, one) for body in EMPTY_OF_ANY_TYPE for one in (*TYPES, ARROW)),
        *((body, one) for body in (BYTE_ORDER_MARK, b"null", b" null\n") for one in TYPES),
        *((b"[]", one) for one in TYPES if one != NDJSON),
    ],
)
def test_a_body_without_a_record_says_so(body, content_type):
    """An empty body has the reason that `dead-letters list --reason empty` finds."""
    (bad,) = DECODER.decode(body, content_type).bad
    assert (bad.reason, bad.body) == ("no record in the body", body)
    assert reason_code(bad.reason) == "empty"
