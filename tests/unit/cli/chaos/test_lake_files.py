import pytest

from services.cli.chaos.lake_files import landed_through, newest_files
from shared.contract.columns import READING
from shared.lake.parquet import encode
from shared.lake.slots.footer import Footer


@pytest.fixture
def land(tmp_path):
    def land(partition, first, last, hour=14):
        folder = f"date=2026-09-20/hour={hour:02d}"
        footer = Footer(first, last, "", last + 1, folder, 0, 0, 0, "a", "", 1, "2026")
        path = tmp_path / f"storage/devstoreaccount1/lake/raw/telemetry/{folder}"
        path.mkdir(parents=True, exist_ok=True)
        file = path / f"p{partition:02d}-{first:020d}.parquet"
        file.write_bytes(encode(READING.raw_schema.empty_table(), footer))

    return land


def test_an_empty_lake_has_no_positions(tmp_path):
    """Before the first commit no partition is reported at all."""
    assert newest_files(tmp_path, "telemetry") == {}
    assert landed_through(tmp_path, "telemetry") == {}


def test_the_newest_file_holds_its_partitions_position(tmp_path, land):
    """Its footer counts, whatever hour it is in; other files of the raw zone are ignored."""
    land(0, 0, 99)
    land(0, 100, 149, hour=15)
    land(3, 0, 9)
    (tmp_path / "storage/devstoreaccount1/lake/raw/telemetry/date=2026-09-20/hour=14/notes.txt").touch()
    assert {number: first for number, (first, _) in newest_files(tmp_path, "telemetry").items()} == {
        0: 100,
        3: 0,
    }
    assert landed_through(tmp_path, "telemetry") == {0: 149, 3: 9}
