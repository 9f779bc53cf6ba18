import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.trainer.datasets.used_cars import NUMERIC, parse_table, read_listings
from services.trainer.split import FOLDS, assign_folds, split_rows
from shared.service.errors import NeedsAttention


def test_units(market_table):
    """Miles and imperial mpg become km and l/100 km once, when the data is read."""
    table = market_table()
    listings = parse_table(table, "")
    num = dict(zip(NUMERIC, listings.num.T, strict=True))
    assert num["odometer_km"] == pytest.approx(table["mileage"].to_numpy() * 1.609344)
    mpg = np.array(table["mpg"].to_pylist(), dtype=float)
    assert num["rated_consumption_l_100km"] == pytest.approx(282.48 / mpg, nan_ok=True)
    assert listings.num.dtype == np.float32


def test_words(listings):
    """Words match without outer spaces and in any case; the data's own spelling is kept too."""
    assert set(listings.cat[:, 0]) == {"alba", "borea", "cirrus"}
    assert "due plus" in listings.cat[:, 1]
    assert "Due Plus" in listings.spellings[1]


def test_a_row_has_one_purpose(listings):
    """A row is used for training, calibration or measuring, never for two, in about the promised shares."""
    split = split_rows(listings.share)
    together = split.train.astype(int) + split.calibration + split.held_out
    assert (together == 1).all()
    assert split.held_out.mean() == pytest.approx(0.2, abs=0.02)
    assert split.calibration.mean() == pytest.approx(0.1, abs=0.02)
    assert set(assign_folds(listings.share)) == set(range(FOLDS))


def test_held_out_rows_follow_the_row(market_table):
    """The content of a row decides if it is held out; the order of the file does not matter."""
    table = market_table()
    shuffled = np.random.default_rng(3).permutation(len(table))
    share = parse_table(table, "").share
    assert (parse_table(table.take(shuffled), "").share == share[shuffled]).all()


def _broken(table, tmp_path):
    path = tmp_path / "data.parquet"
    pq.write_table(table, path)
    return path


def test_missing_file(tmp_path):
    """A missing data file raises an error that names it and the flag."""
    with pytest.raises(NeedsAttention, match=r"no file .*absent\.parquet; name one with --data"):
        read_listings(tmp_path / "absent.parquet")


def test_no_parquet(tmp_path):
    """A file that is not Parquet is refused in one line."""
    path = tmp_path / "data.parquet"
    path.write_text("make,model\n")
    with pytest.raises(NeedsAttention, match="no readable Parquet file"):
        read_listings(path)


def test_missing_columns(market_table, tmp_path):
    """A file without the columns of the data set is refused with their names."""
    path = _broken(market_table().drop_columns(["mpg", "price"]), tmp_path)
    with pytest.raises(NeedsAttention, match="lacks the columns mpg, price"):
        read_listings(path)


@pytest.mark.parametrize(
    ("column", "values", "complaint"),
    [
        ("price", 0, "every row needs a price above 0"),
        ("price", None, "every row needs a price above 0"),
        ("mpg", -1.0, "mpg must be above 0"),
        ("year", "new", "year|new"),
        ("mileage", float("inf"), "mileage must be finite"),
    ],
)
def test_wrong_values(market_table, tmp_path, column, values, complaint):
    """A column of the wrong type or with impossible values is refused, not trained on."""
    table = market_table()
    index = table.column_names.index(column)
    kind = pa.int32() if values is None else None
    path = _broken(table.set_column(index, column, pa.array([values] * len(table), kind)), tmp_path)
    with pytest.raises(NeedsAttention, match=complaint):
        read_listings(path)


def test_too_few_rows(market_table, tmp_path):
    """A data set with too few rows is refused."""
    with pytest.raises(NeedsAttention, match="too few to train on"):
        read_listings(_broken(market_table(rows=50), tmp_path))
