"""Timestamps parsed by whole columns equal those that the record's own decoder reads one by one."""

from datetime import datetime
from typing import Annotated

import msgspec
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.codec.fast_path.timestamps import parse_timestamps
from shared.contract.field_types import EARLIEST

ONE_BY_ONE = msgspec.json.Decoder(Annotated[datetime, msgspec.Meta(tz=True)])
TWO_DIGITS = st.integers(0, 99).map("{:02d}".format)
NEAR_TIMESTAMPS = st.tuples(
    st.sampled_from(["2026", "2024", "1990", "0000", "0001", "9999", "+202", "-001", "20 6"]),
    st.sampled_from("--- /"),
    st.integers(0, 13).map("{:02d}".format) | TWO_DIGITS,
    st.sampled_from("--- /"),
    st.integers(0, 32).map("{:02d}".format) | TWO_DIGITS,
    st.sampled_from("TTTt "),
    st.integers(0, 25).map("{:02d}".format) | st.just("+1"),
    st.sampled_from("::: ."),
    st.integers(0, 61).map("{:02d}".format),
    st.sampled_from("::: ."),
    st.integers(0, 61).map("{:02d}".format) | st.just("-1"),
    st.sampled_from(["", "", ".", ".5", ".000001", ".123456", ".1234567", ".12345678901", ".-1", ",5", ".Z"]),
    st.sampled_from(["Z", "Z", "z", "", "+00:00", "-00:00", "+02:00", "+0000", "+00", "ZZ", " +00:00"]),
).map("".join)


@settings(max_examples=2_000, deadline=None)
@given(NEAR_TIMESTAMPS | st.text(max_size=40))
@example("2026-05-01T12:00:60Z")
@example("2024-02-29T24:00:00Z")
@example("2026-05-01T12:00:00.Z")
@example("0000-01-01T00:00:00Z")
def test_a_column_never_reads_a_timestamp_differently(text):
    """The record's decoder accepts every text in range that the column accepts, as the same microsecond."""
    found = parse_timestamps(pa.array([text]))
    if found is not None and text.startswith("0000"):  # no year of Python's, and out of range
        assert found.view(pa.int64())[0].as_py() < EARLIEST.timestamp() * 1_000_000
    elif found is not None:
        assert found.to_pylist() == [ONE_BY_ONE.decode(msgspec.json.encode(text))]


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-01T12:00:00Z",
        "2026-05-01T12:00:00.5Z",
        "2026-05-01T12:00:00.123456Z",
        "2026-05-01T12:00:00+00:00",
        "2026-05-01T12:00:00.123+00:00",
    ],
)
def test_the_usual_forms_are_parsed_together(text):
    """A sender of timestamps in UTC keeps ingest on the fast path."""
    column = pa.array(["2026-05-01T12:00:00Z", None, text])
    found = parse_timestamps(column.slice(1))
    assert found.to_pylist() == [None, ONE_BY_ONE.decode(msgspec.json.encode(text))]


def test_one_unsupported_text_rules_out_its_column():
    """A column is not parsed at all if any of its texts has another form."""
    assert parse_timestamps(pa.array(["2026-05-01T12:00:00Z", "2026-05-01T14:00:00+02:00"])) is None
    assert parse_timestamps(pa.array([None, None], pa.string())).to_pylist() == [None, None]
