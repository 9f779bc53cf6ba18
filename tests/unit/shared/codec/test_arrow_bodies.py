"""Arrow bodies as libraries write them, and as attackers might: rows land or are dead letters."""

import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codec.arrow_bodies import write_stream
from shared.codec.batch_decoder import BatchDecoder
from shared.codec.body_decoder import ARROW, NO_RECORD, BodyDecoder
from shared.codec.fast_path.columnar_decoder import ColumnarDecoder
from shared.contract.columns import READING

DECODER = BodyDecoder(READING)
AT = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def rows(count=1, **columns):
    """Make a batch of valid readings; `columns` replaces some of them and adds others."""
    known = {
        "vehicle_id": pa.array([f"v-{row}" for row in range(count)]),
        "reading_no": pa.array(range(1, count + 1), pa.int64()),
        "reading_at": pa.array([AT] * count, pa.timestamp("us", "UTC")),
        "make": pa.array(["ford"] * count),
        "model": pa.array(["Focus"] * count),
        "year": pa.array([2017] * count, pa.int32()),
    }
    return pa.RecordBatch.from_pydict({**known, **columns})


def stream(batch):
    """Encode a batch with pyarrow's own writer, which also writes dictionaries."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def land(batch):
    """Decode a body that must land whole; return its rows."""
    decoded = DECODER.decode(stream(batch), ARROW)
    assert not decoded.bad
    assert decoded.batch.schema == READING.columns
    return decoded.batch


def extra(column):
    """Return what an unknown column becomes in `extra`, row by row."""
    return [
        msgspec.json.decode(text)["own"] for text in land(rows(len(column), own=column))["extra"].to_pylist()
    ]


def runs(ends, values):
    return pa.RunEndEncodedArray.from_arrays(pa.array(ends, pa.int32()), values)


def raw(kind, *values):
    """Make a column of times from its numbers, which Python may have no form for."""
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    return pa.array(values, width).view(kind)


FAR, NOW_S = 2**62, 1_777_000_000
NO_UUID = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (raw(pa.timestamp("ns"), 1), "1970-01-01T00:00:00.000000001"),
        (raw(pa.timestamp("ns", "UTC"), -1), "1969-12-31T23:59:59.999999999Z"),
        (raw(pa.timestamp("us", "Mars/Olympus"), 250_000), "1970-01-01T00:00:00.250000Z"),
        (raw(pa.timestamp("s", "+02:00"), 0), "1970-01-01T00:00:00Z"),
        (raw(pa.timestamp("us"), 9_223_372_036_854_775_807), "+294247-01-10T04:00:54.775807"),
        (raw(pa.date32(), 0), "1970-01-01"),
        (raw(pa.date32(), 2**31 - 1), "+5881580-07-11"),
        (raw(pa.date32(), -719_529), "-000001-12-31"),
        (raw(pa.time64("ns"), 1), "00:00:00.000000001"),
        (raw(pa.duration("ns"), -1_500_000_001), "-PT1.500000001S"),
        (raw(pa.duration("s"), FAR), f"PT{FAR}S"),
        (pa.array([timedelta(hours=1)], pa.duration("us")), "PT3600S"),
        (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), "P1M2DT0.000000003S"),
        (pa.array([float("nan")]), "NaN"),
        (pa.array([Decimal("1.50")]), "1.50"),
        (pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
        (pa.array([b"\xff"]), "/w=="),
        (pa.array(["a" * 20], pa.string_view()), "a" * 20),
        (pa.array([b"ab"], pa.binary_view()), "YWI="),
        (pa.array(["on"]).dictionary_encode(), "on"),
        (runs([1], pa.array(["on"])), "on"),
        (pa.array([{"front": [1, None]}]), {"front": [1, None]}),
        (pa.array([[1]], pa.list_view(pa.int8())), [1]),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8())), {"a": 1}),
        (pa.array([[(1, "a")]], pa.map_(pa.int8(), pa.string())), [[1, "a"]]),
        (pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([7])]), 7),
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)], pa.binary(16))), NO_UUID),
        (pa.nulls(1), None),
    ],
    ids=lambda value: str(value.type)[:40] if isinstance(value, pa.Array) else repr(value)[:30],
)  # fmt: skip
def test_an_unknown_column_of_any_type_is_kept_without_loss(column, expected):
    """The value stands in `extra`, however a writer typed it, and one bad row beside it is refused alone."""
    assert extra(column) == [expected]
    twice = pa.concat_arrays([column, column]) if not isinstance(column, pa.RunEndEncodedArray) else None
    if twice is not None:
        decoded = DECODER.decode(stream(rows(2, own=twice, speed_kmh=pa.array([50.0, 999.0]))), ARROW)
        assert (list(decoded.lines), [bad.line for bad in decoded.bad]) == ([0], [1])
        assert pa.ipc.open_stream(decoded.bad[0].body).read_all()["reading_no"].to_pylist() == [2]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["ford"], pa.string_view()),
        pa.array(["ford"], pa.large_string()),
        pa.array(["ford"]).dictionary_encode(),
        pa.array([b"ford"], pa.binary_view()),
        pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array(["ford"], pa.large_string())),
        runs([1], pa.array(["ford"])),
    ],
    ids=lambda column: str(column.type)[:40],
)
def test_a_text_lands_in_any_type_of_text(column):
    """A known text column may be a view, large, bytes, a dictionary or runs."""
    assert land(rows(make=column))["make"].to_pylist() == ["ford"]


@pytest.mark.parametrize(
    "column",
    [pa.array([2017], kind) for kind in (pa.int64(), pa.uint16(), pa.float32(), pa.float64())]
    + [pa.array([Decimal(2017)]), pa.array([2017], pa.int16()).dictionary_encode()],
    ids=lambda column: str(column.type)[:40],
)
def test_a_whole_number_lands_in_any_type_of_number(column):
    """pandas writes int64, and float64 where a value is missing: both land in a column of int32."""
    assert land(rows(year=column))["year"].to_pylist() == [2017]


@pytest.mark.parametrize(
    "kind",
    [
        pa.timestamp(unit, zone)
        for unit in ("ms", "us", "ns")
        for zone in ("UTC", "Etc/UTC", "+00:00", "Europe/Berlin", "Mars/Olympus")
    ],
    ids=str,
)
def test_an_instant_lands_in_any_unit_and_zone(kind):
    """An instant is an instant, whatever its unit and however a reader would show it."""
    per_ms = {"ms": 1, "us": 1_000, "ns": 10**6}[kind.unit]
    at = raw(kind, int(AT.timestamp() * 1_000) * per_ms)
    assert land(rows(reading_at=at))["reading_at"].to_pylist() == [AT]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"year": pa.array([2017, 2**40], pa.int64())}, "year is not a whole number"),
        ({"year": pa.array([2017, 2017.5])}, "year is not a whole number"),
        ({"year": pa.array([2017, float("nan")])}, "year is not a whole number"),
        ({"make": pa.array([b"ford", b"\xff"])}, "make is not UTF-8"),
        ({"make": pa.array(["ford", "x" * 65], pa.string_view())}, "length of make"),
        ({"reading_at": raw(pa.timestamp("s", "UTC"), NOW_S, FAR)}, "reading_at is outside 1990 to 2200"),
        ({"reading_at": raw(pa.timestamp("ns", "UTC"), NOW_S * 10**9, -FAR)}, "reading_at is outside"),
        ({"vehicle_id": pa.array(["v", None]).dictionary_encode()}, "vehicle_id is missing"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_costs_its_row(changes, reason):
    """Beside it the other row lands, and the letter is an Arrow stream of the row as sent."""
    decoded = DECODER.decode(stream(rows(2, **changes)), ARROW)
    assert decoded.batch["reading_no"].to_pylist() == [1]
    [bad] = decoded.bad
    assert (bad.line, reason in bad.reason) == (1, True), bad.reason
    assert pa.ipc.open_stream(bad.body).read_all()["reading_no"].to_pylist() == [2]
    again = DECODER.decode(bad.body, ARROW)
    assert [one.reason for one in again.bad] == [bad.reason]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"year": pa.array(["2017"])}, "year is string, the contract says int32"),
        ({"reading_at": pa.array([AT.replace(tzinfo=None)])}, "give it a time zone"),
        ({"reading_at": pa.array([AT.date()])}, "the contract says timestamp"),
        ({"make": pa.array([["ford"]])}, "the contract says string"),
    ],
)
def test_a_type_that_cannot_fit_is_named(changes, reason):
    """A body whose column is of another kind is one letter that names column and types."""
    decoded = DECODER.decode(stream(rows(**changes)), ARROW)
    assert decoded.batch is None
    assert reason in decoded.bad[0].reason


def write_polars(table):
    return pl.from_arrow(table).write_ipc_stream(None).getvalue()


def write_duckdb(table):
    duckdb.sql("SET TimeZone = 'Asia/Kolkata'")
    reader = duckdb.from_arrow(table).to_arrow_reader()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("write", [write_polars, write_duckdb])
def test_what_a_library_writes_by_default_lands(write):
    """Readings from a library's frame land, with their unknown columns of texts and of categories."""
    trim = pa.array(["s", "x", "s"]).dictionary_encode()
    sent = pa.Table.from_batches([rows(3, wiper=pa.array(["on", None, "off"]), trim=trim)])
    decoded = DECODER.decode(write(sent), ARROW)
    assert not decoded.bad
    assert decoded.batch["reading_at"].to_pylist() == [AT] * 3
    assert decoded.batch["year"].to_pylist() == [2017] * 3
    kept = [msgspec.json.decode(text) for text in decoded.batch["extra"].to_pylist()]
    assert kept == [{"trim": "s", "wiper": "on"}, {"trim": "x", "wiper": None}, {"trim": "s", "wiper": "off"}]


def test_joined_streams_land_one_after_the_other():
    """Two streams in one body, with different columns: lines count on, and no row vanishes."""
    second = stream(rows(2, wiper=pa.array(["on", "off"]), speed_kmh=pa.array([50.0, 999.0])))
    decoded = DECODER.decode(stream(rows(2)) + second, ARROW)
    assert list(decoded.lines) == [0, 1, 2]
    assert decoded.batch["reading_no"].to_pylist() == [1, 2, 1]
    assert [bad.line for bad in decoded.bad] == [3]


def test_what_is_behind_a_stream_and_is_none_is_a_letter():
    """Rows before it land; the rest of the body is kept whole in a letter."""
    decoded = DECODER.decode(stream(rows()) + b"and more", ARROW)
    assert list(decoded.lines) == [0]
    assert [(bad.line, bad.body) for bad in decoded.bad] == [(1, b"and more")]
    padded = DECODER.decode(stream(rows()) + bytes(8), ARROW)
    assert (list(padded.lines), list(padded.bad)) == ([0], [])


@pytest.mark.parametrize("content_type", [ARROW, None])
def test_an_arrow_file_is_told_apart_from_a_stream(content_type):
    """The file format, which many libraries write by default, gets a reason that says what to do."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows().schema) as writer:
        writer.write_batch(rows())
    [bad] = DECODER.decode(bytes(sink.getvalue()), content_type).bad
    assert "an Arrow file; write an Arrow IPC stream" in bad.reason


LONG = "x" * 2**20


def shared_views(kind=pa.string_view):
    one = pa.array([LONG], kind())
    views, texts = one.buffers()[1], one.buffers()[2]
    return pa.Array.from_buffers(kind(), 20_000, [None, pa.py_buffer(views.to_pybytes() * 20_000), texts])


def repeated(value):
    return pa.array([value]).dictionary_encode().take(pa.array([0] * 20_000))


def nested_views(depth):
    column = pa.array([1] * 1_000, pa.int8())
    for _ in range(depth):
        offsets, sizes = pa.array([0] * 1_000, pa.int32()), pa.array([len(column)] * 1_000, pa.int32())
        column = pa.ListViewArray.from_arrays(offsets, sizes, column)
    return column


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"make": repeated(LONG)}, id="dictionary"),
        pytest.param({"own": repeated(LONG)}, id="unknown dictionary"),
        pytest.param({"make": shared_views()}, id="views of the same bytes"),
        pytest.param({"own": shared_views(pa.binary_view)}, id="unknown views of the same bytes"),
        pytest.param({"make": runs([20_000], pa.array([LONG]))}, id="a run"),
        pytest.param({"own": runs([20_000], pa.array([LONG]))}, id="an unknown run"),
        pytest.param({"own": nested_views(3)}, id="list views of the same list views"),
        pytest.param(
            {"own": pa.ListArray.from_arrays(pa.array([0, 2**30], pa.int32()), pa.nulls(2**30))}, id="nulls"
        ),
    ],
)  # fmt: skip
def test_values_that_are_used_many_times_are_counted_each_time(changes):
    """A small body that would become gigabytes is one letter, and memory stays bounded."""
    count = len(next(iter(changes.values())))
    body = stream(rows(count, **changes))
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    decoded = DECODER.decode(body, ARROW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert decoded.batch is None
    assert [bad.body for bad in decoded.bad] == [body]
    assert "at most" in decoded.bad[0].reason
    assert peak < 200 * 2**20
    assert pa.total_allocated_bytes() - before < 2**22


def test_many_small_batches_share_the_limit():
    """Each batch declares less than a body may hold, all together more: nothing of it is decompressed."""
    batch = pa.record_batch({"vehicle_id": pa.array(["x" * 8 * 2**20])})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for _ in range(5):
            writer.write_batch(batch)
    body = bytes(sink.getvalue())
    assert len(body) < 100_000
    [bad] = DECODER.decode(body, ARROW).bad
    assert bad.body == body


leaves = st.sampled_from([
    pa.null(), pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.string(), pa.large_string(),
    pa.string_view(), pa.binary(), pa.binary_view(), pa.binary(3), pa.date32(), pa.date64(), pa.time32("ms"),
    pa.time64("ns"), pa.timestamp("s"), pa.timestamp("ns", "No/Zone"), pa.duration("ms"), pa.duration("ns"),
    pa.month_day_nano_interval(), pa.decimal32(9, 2), pa.decimal128(38, 3), pa.decimal256(76, -3), pa.uuid(),
])  # fmt: skip
kinds = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(pa.list_, inner),
        st.builds(pa.large_list, inner),
        st.builds(pa.list_view, inner),
        st.builds(lambda one: pa.list_(one, 2), inner),
        st.builds(lambda a, b: pa.struct([("a", a), ("b", b)]), inner, inner),
        st.builds(pa.map_, st.sampled_from([pa.string(), pa.int8()]), inner),
    ),
    max_leaves=4,
)


@st.composite
def columns(draw, count):
    """Draw a column of `count` rows: the bits of its leaves are random, so that every value may occur."""
    kind = draw(kinds)
    data = draw(st.binary(min_size=64, max_size=64))
    column = fill(kind, count, data)
    encoding = draw(st.sampled_from(["plain", "dictionary", "runs"]))
    if encoding == "dictionary" and not pa.types.is_nested(kind) and not pa.types.is_null(kind):
        indices = pa.array([draw(st.integers(0, count - 1)) for _ in range(count)], pa.int8())
        return pa.DictionaryArray.from_arrays(indices, column)
    if encoding == "runs" and not pa.types.is_nested(kind):
        return runs(range(1, count + 1), column)
    return column


def fill(kind, count, data):
    """Make a column of `count` rows of a type from random bytes."""
    for is_kind, make in MAKERS:
        if is_kind(kind):
            return make(kind, count, data)
    repeated = (data * (1 + 40 * count // len(data)))[: count * kind.bit_width // 8]
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(repeated)])


def fill_map(kind, count, data):
    keys, items = fill(kind.key_type, count, data), fill(kind.item_type, count, data)
    return pa.MapArray.from_arrays(list(range(count + 1)), keys, items)


def fill_list_view(kind, count, data):
    starts, sizes = pa.array(range(count), pa.int32()), pa.array([1] * count, pa.int32())
    return pa.ListViewArray.from_arrays(starts, sizes, fill(kind.value_type, count, data))


def fill_struct(kind, count, data):
    return pa.StructArray.from_arrays([fill(one.type, count, data) for one in kind], fields=list(kind))


def fill_list(kind, count, data):
    offsets, values = list(range(count + 1)), fill(kind.value_type, count, data)
    return (pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray).from_arrays(offsets, values)


def fill_decimal(kind, count, data):
    numbers = [Decimal(data[row] - 128).scaleb(-max(0, kind.scale)) * 1_000 for row in range(count)]
    return pa.array(numbers, kind)


def fill_days(kind, count, data):
    return raw(kind, *((byte - 128) * 86_400_000 for byte in data[:count]))


def fill_times(kind, count, data):
    return raw(kind, *(byte * 86_399 for byte in data[:count]))


MAKERS = (
    (pa.types.is_date64, fill_days),
    (pa.types.is_time, fill_times),
    (
        lambda kind: isinstance(kind, pa.BaseExtensionType),
        lambda kind, count, data: pa.ExtensionArray.from_storage(kind, fill(kind.storage_type, count, data)),
    ),
    (pa.types.is_map, fill_map),
    (pa.types.is_struct, fill_struct),
    (
        pa.types.is_fixed_size_list,
        lambda kind, count, data: pa.FixedSizeListArray.from_arrays(
            fill(kind.value_type, 2 * count, data), 2
        ),
    ),
    (pa.types.is_list_view, fill_list_view),
    (lambda kind: pa.types.is_list(kind) or pa.types.is_large_list(kind), fill_list),
    (pa.types.is_null, lambda _kind, count, _data: pa.nulls(count)),
    (pa.types.is_boolean, lambda _kind, count, data: pa.array([byte > 127 for byte in data[:count]])),
    (
        lambda kind: kind in (pa.string(), pa.large_string(), pa.string_view()),
        lambda kind, count, data: pa.array([data[row:].decode("latin-1") for row in range(count)], kind),
    ),
    (
        lambda kind: kind in (pa.binary(), pa.binary_view()),
        lambda kind, count, data: pa.array([data[row:] for row in range(count)], kind),
    ),
    (pa.types.is_decimal, fill_decimal),
)


@given(st.data(), st.integers(1, 5))
def test_no_column_makes_a_decoder_raise(data, count):
    """A body with an unknown column of any type lands, row by row, by the careful and the fast path alike."""
    own = data.draw(columns(count))
    batch = rows(count, own=own, speed_kmh=pa.array([50.0] * (count - 1) + [999.0]))
    batch.validate(full=True)
    body = stream(batch)
    decoded = DECODER.decode(body, ARROW)
    if decoded.batch is None:  # refused whole: not even a good row of it could be kept
        assert count == 1 or [bad.body for bad in decoded.bad] == [body]
    assert len(decoded.lines) + sum(1 if bad.body != body else count for bad in decoded.bad) == count
    for text in decoded.batch["extra"].to_pylist() if decoded.batch is not None else ():
        assert "own" in msgspec.json.decode(text)
    for fast in (BatchDecoder(READING), ColumnarDecoder(READING)):
        regular = fast.decode([body, body], ARROW, 100)
        assert not regular.counts


@given(
    st.data(),
    st.integers(1, 4),
    st.sampled_from(["make", "year", "reading_at", "speed_kmh", "is_service_due"]),
)
def test_no_type_of_a_known_column_makes_a_decoder_raise(data, count, name):
    """A known column of any type lands, or its rows or the body are letters; every row is accounted for."""
    body = stream(rows(count, **{name: data.draw(columns(count))}))
    decoded = DECODER.decode(body, ARROW)
    whole = [bad.body for bad in decoded.bad] == [body]
    assert whole or len(decoded.lines) + len(decoded.bad) == count
    assert decoded.bad or decoded.lines


def test_a_stream_without_rows_is_one_letter():
    """A stream of zero rows, however many batches, holds no record."""
    assert DECODER.decode(stream(rows(1)[:0]), ARROW).bad[0].reason == NO_RECORD
    assert write_stream(rows()) == stream(rows())
