"""Lakes with the right keys and wrong values: each kind of damage is named."""

import io
import random

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from services.cli.verify.verification import verify
from shared.lake.parquet import write_options
from shared.service.errors import NeedsAttention

FOLDER = "raw/telemetry/date=2026-03-01/hour=12"
ROWS_0, ROWS_2 = f"{FOLDER}/p00-00000000000000000000.parquet", f"{FOLDER}/p00-00000000000000000002.parquet"
PRICES = "raw/predictions/date=2026-03-01/hour=12/p00-00000000000000000000.parquet"


async def rewrite(world, path, change):
    """Replace the rows of a file with `change` of them; the footer stays."""
    table = pq.read_table(pa.BufferReader(await world.lake.read(path)))
    sink = io.BytesIO()
    changed = change(table).replace_schema_metadata(table.schema.metadata)
    pq.write_table(changed, sink, **write_options(changed.schema))
    await world.lake.write(path, sink.getvalue())


def with_value(column, value, row=0):
    def change(table):
        values = table[column].to_pylist()
        values[row] = value
        index = table.schema.get_field_index(column)
        return table.set_column(index, table.schema.field(column), pa.array(values, table[column].type))

    return change


async def faults(world):
    verdict = await verify(world.settings)
    assert not verdict.is_clean
    return verdict.faults


@pytest.mark.parametrize(
    ("column", "value"),
    [("make", "Lada"), ("latitude", 1.5), ("engine_hours_h", None), ("year", 1999), ("vin", "X")],
)
async def test_a_changed_value_is_named(sound, column, value):
    """A row whose key is right and whose value is not the one that was sent is a fault."""
    await rewrite(sound, ROWS_2, with_value(column, value))
    (fault,) = await faults(sound)
    assert f"{ROWS_2}: {column} differs from what was sent in 1 rows" in fault
    assert f"event 2, line 0: {value!r} instead of" in fault


async def test_a_changed_time_is_named(sound):
    """A reading's time is compared with the simulator's record."""
    later = pc.add(pa.scalar(sound.readings[0].reading_at), pa.scalar(1, pa.duration("us"))).as_py()
    await rewrite(sound, ROWS_0, with_value("reading_at", later))
    assert "reading_at differs" in (await faults(sound))[0]


async def test_missing_columns_are_named(sound):
    """A file without columns of the contract is a fault for each of them."""
    dropped = ["make", "latitude", "offset"]
    await rewrite(sound, ROWS_0, lambda table: table.drop_columns(dropped))
    assert {f"{ROWS_0}: the column {name} is missing" for name in dropped} == set(await faults(sound))


async def test_a_column_of_another_type_is_named(sound):
    """A column whose values are the same in another type is a fault."""
    await rewrite(
        sound,
        ROWS_0,
        lambda table: table.set_column(
            table.schema.get_field_index("year"), "year", table["year"].cast("int64")
        ),
    )
    assert await faults(sound) == (f"{ROWS_0}: the column year is int64 instead of int32",)


async def test_flipped_bytes_are_named(sound):
    """A bit that flipped in the values of any column is found by the page's checksum.

    The header of a page has no checksum of its own: there a flip counts only if it changes what is read.
    """
    await rewrite(sound, ROWS_0, lambda table: table)
    data = await sound.lake.read(ROWS_0)
    columns = pq.read_metadata(pa.BufferReader(data)).row_group(0)
    for index in random.Random(24).sample(range(columns.num_columns), 8):
        column = columns.column(index)
        damaged = bytearray(data)
        damaged[column.data_page_offset + column.total_compressed_size // 2] ^= 1
        await sound.lake.write(ROWS_0, bytes(damaged))
        if read_rows(damaged) != read_rows(data):
            assert any(ROWS_0 in fault for fault in await faults(sound)), column.path_in_schema


def read_rows(data):
    """Return the rows, or None if they cannot be read."""
    try:
        return (
            pq.ParquetFile(pa.BufferReader(bytes(data)), page_checksum_verification=True).read().to_pylist()
        )
    except (OSError, pa.ArrowException):
        return None


async def test_rows_swapped_between_files_are_named(sound):
    """Rows that stand under each other's keys have wrong values, whichever file they came from."""
    first, third = sound.readings[0], sound.readings[2]
    mixed = msgspec.structs.replace(third, reading_no=first.reading_no)
    await sound.file("telemetry", 0, 2, [(0, 0, mixed), (1, 0, sound.readings[1])])
    assert any("differs from what was sent" in fault for fault in await faults(sound))


async def test_a_double_with_a_changed_value_is_doubled_and_named(sound):
    """A second row of a reading counts as a double, and its values are compared too."""
    changed = msgspec.structs.replace(sound.readings[0], make="Lada")
    await sound.file("telemetry", 4, 5, [(4, 0, changed)])
    verdict = await verify(sound.settings)
    assert verdict.counts.doubled == 1
    assert any("make differs" in fault for fault in verdict.faults)


async def test_a_price_below_its_interval_is_named(sound):
    """A price of 0 with the ends of the interval exchanged is a fault of the lake's file."""
    await rewrite(sound, PRICES, with_value("price", 0.0))
    await rewrite(sound, PRICES, with_value("lower", 20_000.0))
    assert await faults(sound) == (f"{PRICES}: 1 predictions have no lower <= price <= upper",)


async def test_a_price_that_is_no_number_is_named(sound):
    """NaN is not a price."""
    await rewrite(sound, PRICES, with_value("price", float("nan"), row=2))
    assert await faults(sound) == (f"{PRICES}: 1 predictions have no lower <= price <= upper",)


async def test_a_bad_price_in_the_hub_is_named(sound):
    """The predictions that clients read are checked as those of the lake are."""
    wrong = [msgspec.structs.replace(sound.predictions()[3], price=0.0, source_sequence_number=9)]
    await sound.publish(wrong)
    assert "the predictions hub: 1 predictions have no lower <= price <= upper" in await faults(sound)


async def test_a_prediction_with_another_time_is_named(sound):
    """A prediction repeats the time of its reading."""
    later = sound.readings[1].reading_at.replace(hour=13)
    await rewrite(sound, PRICES, with_value("reading_at", later, row=1))
    assert "1 predictions have another reading_at" in (await faults(sound))[0]


async def test_readings_that_the_record_does_not_name_are_counted(sound):
    """Rows of the fleet that its record does not name show that one of the two was changed."""
    (sound.data / "simulator" / "p00.ndjson").write_text("")
    (sound.data / "simulator" / "fleet.json").write_text('[{"seed": 7}]')
    held = "raw/telemetry/date=2026-03-01/hour=12 holds 4 readings of the fleet"
    assert any(held in fault for fault in await faults(sound))


async def test_a_removed_record_is_not_clean(sound):
    """Without the record of what was sent, nobody can know that nothing is missing."""
    (sound.data / "simulator" / "p00.ndjson").unlink()
    assert any("there is no record of what the fleet sent" in fault for fault in await faults(sound))


async def test_events_that_only_the_hub_has_are_named(sound):
    """A partition whose record and files are gone still has its events in the hub."""
    await sound.send(sound.readings[0], sound.readings[1], partition=1)
    assert await faults(sound) == ("telemetry partition 1: the hub has events 0 to 1, which are in no file",)


async def test_a_verification_ends_at_its_time_limit(sound):
    """What could not be read in time is named."""
    settings = sound.settings.model_copy(update={"timeout_s": 1e-6})
    with pytest.raises(NeedsAttention, match=r"could not be read within 1e-06 s .* no verdict"):
        await verify(settings)


async def test_a_running_stack_never_shows_more_predicted_than_sent(sound):
    """What was sent after the record was read is counted neither as landed nor as predicted."""
    record = sound.data / "simulator" / "p00.ndjson"
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:2]))
    counts = (await verify(sound.settings, is_running=True)).counts
    assert (counts.sent, counts.landed, counts.predicted) == (2, 2, 2)
    assert (counts.missing, counts.predictions_missing, counts.predictions_doubled) == (0, 0, 0)
