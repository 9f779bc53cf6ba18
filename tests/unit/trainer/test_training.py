import hashlib

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import structlog

from services.trainer.session import Session
from services.trainer.settings import TrainerSettings
from services.trainer.training import train
from shared.registry.model_manifest import decode_manifest, encode_manifest
from shared.registry.version_folder import write_version_folder
from shared.service.errors import ModelUnusable, NeedsAttention


def test_same_seed_same_model(version, build_market_version):
    """The same rows and seed give the same files, byte for byte; another seed gives another model."""
    assert build_market_version().files == version.files
    assert build_market_version(seed=8).files["model.onnx"] != version.files["model.onnx"]


def test_golden_rows_hold(version):
    """The graph gives the golden prices in the manifest; a missing number is null there."""
    session = Session(version.files["model.onnx"])
    golden = decode_manifest(version.files["manifest.json"]).golden
    cat = np.array([row.cat for row in golden], dtype=object)
    num = np.array([[np.nan if x is None else x for x in row.num] for row in golden], dtype=np.float32)
    prices = session.run(cat, num)
    assert prices.price == pytest.approx([row.price for row in golden], rel=1e-6)
    assert prices.lower == pytest.approx([row.lower for row in golden], rel=1e-6)
    assert prices.upper == pytest.approx([row.upper for row in golden], rel=1e-6)


def test_manifest_describes_the_training_rows(version, listings):
    """The manifest has the words, ranges and pairs of make and model of the training rows."""
    manifest = version.manifest
    assert manifest.models_of_make["borea"] == ("north 1", "south")
    assert manifest.inputs.cat[0].categories == ("alba", "borea", "cirrus")
    odometer = manifest.inputs.num[1]
    assert (odometer.name, odometer.unit) == ("odometer_km", "km")
    assert listings.num[:, 1].min() <= odometer.minimum < odometer.maximum <= listings.num[:, 1].max()
    training = manifest.training
    assert training.rows + training.calibration_rows + training.held_out_rows == len(listings)


def test_interval_has_its_coverage(version):
    """On held-out rows the interval covers about 90 %; withholding an important input raises the error."""
    metrics = version.manifest.metrics
    assert metrics.coverage == pytest.approx(0.9, abs=0.04)
    assert sum(band.rows for band in metrics.fifths_of_price) == version.manifest.training.held_out_rows
    mae = {blind.name: blind.mae for blind in metrics.without_input}
    assert mae["year"] > metrics.mae
    assert mae["fuel_type"] == pytest.approx(metrics.mae, rel=0.2)


def test_card_has_the_measured_figures(version):
    """The card has the manifest's own figures, the limits of the data and its licence."""
    card = version.files["card.md"].decode()
    assert f"{version.manifest.metrics.mae:,.0f}" in card
    assert f"{version.manifest.metrics.r2:.4f}" in card
    for words in (
        "Asking prices, not sale prices",
        "3 makes",
        "no condition",
        "believed CC0",
        "extrapolated",
    ):
        assert words in card


def test_manifest_reads_back(version):
    """A manifest is read back as written; a truncated or foreign one is refused."""
    body = encode_manifest(version.manifest)
    assert decode_manifest(body) == version.manifest
    for broken in (body[:-40], b"{}", b"\xff"):
        with pytest.raises(ModelUnusable, match=r"manifest\.json"):
            decode_manifest(broken)


@pytest.fixture
def settings(market_table, tmp_path):
    data = tmp_path / "data.parquet"
    pq.write_table(market_table(rows=3_000), data)
    return TrainerSettings(data=data, out=tmp_path / "models" / "price" / "2", threads=1, _env_file=None)


def test_each_step_is_logged(settings):
    """A person sees which step a training has reached, and how many ensembles are done."""
    with structlog.testing.capture_logs() as events:
        train(settings)
    steps = [event for event in events if event["event"] == "training_step"]
    assert (steps[0]["step"], steps[-1]["step"]) == ("read the data", "write the version")
    ensembles = [(step["done"], step["of"]) for step in steps if "of" in step]
    assert ensembles == [(done, 6) for done in range(6)]


def test_version_folder(settings):
    """Training writes the version's files, with their digests in the manifest, and nothing else."""
    manifest = train(settings)
    assert manifest.version == "2"
    assert {path.name for path in settings.out.parent.iterdir()} == {"2"}
    assert {path.name for path in settings.out.iterdir()} == {*manifest.files, "manifest.json"}
    for name, digest in manifest.files.items():
        assert hashlib.sha256((settings.out / name).read_bytes()).hexdigest() == digest
    assert decode_manifest((settings.out / "manifest.json").read_bytes()) == manifest
    data_digest = hashlib.sha256(settings.data.read_bytes()).hexdigest()
    assert manifest.training.digest == data_digest


def test_a_version_is_never_overwritten(settings):
    """An existing version is refused before training begins, and is not changed."""
    settings.out.mkdir(parents=True)
    (settings.out / "card.md").write_text("the old one")
    with pytest.raises(NeedsAttention, match="exists; a version is never changed"):
        train(settings)
    assert (settings.out / "card.md").read_text() == "the old one"


def test_a_version_needs_a_name(settings):
    """A folder whose name cannot name a version is refused."""
    nameless = settings.model_copy(update={"out": settings.out.parent / "version two"})
    with pytest.raises(NeedsAttention, match="names the version"):
        train(nameless)


def test_a_version_appears_whole_or_not_at_all(tmp_path):
    """If a file cannot be written, no part of the version is left behind."""
    with pytest.raises(NeedsAttention, match="cannot be written"):
        write_version_folder(tmp_path / "3", {"good": b"1", "no/such/folder": b"2"})
    assert list(tmp_path.iterdir()) == []


def test_a_version_written_meanwhile_stays(tmp_path):
    """Of two trainings of one version the first wins; the second is refused."""
    write_version_folder(tmp_path / "3", {"card.md": b"first"})
    with pytest.raises(NeedsAttention, match="cannot be written"):
        write_version_folder(tmp_path / "3", {"card.md": b"second"})
    assert (tmp_path / "3" / "card.md").read_bytes() == b"first"


def test_manifest_is_a_value(version):
    """A manifest is immutable."""
    with pytest.raises(AttributeError):
        version.manifest.version = "9"
    assert msgspec.structs.replace(version.manifest, version="9").version == "9"
