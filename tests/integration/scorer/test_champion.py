"""A scorer that follows the champion's pointer, which is set by hand."""

import json

import pytest
import structlog
from prometheus_client import REGISTRY

from shared.lake.client import LakeConnection, open_lake
from shared.pricing.pricer import Pricer
from shared.registry.active_model import ActiveModel
from shared.registry.champion_follower import ChampionFollower
from shared.registry.layout import GRAPH_FILE, MANIFEST_FILE, TREES_FILE
from tests.support import model_versions

FOCUS = {
    "make": ["ford"],
    "model": ["focus"],
    "transmission": ["manual"],
    "fuel_type": ["petrol"],
    "year": [2017],
    "odometer_km": [41_500.0],
    "engine_l": [1.0],
    "rated_consumption_l_100km": [4.65],
}


@pytest.fixture(scope="module")
def second():
    return model_versions.made("2")


@pytest.fixture
def served():
    return ActiveModel(Pricer.from_files(model_versions.SHIPPED))


@pytest.fixture
def follower(lake, served):
    return ChampionFollower(lake, "price", served, Pricer.from_files, 0.01)


def figure(name, **labels):
    return REGISTRY.get_sample_value(name, {"model": "price", **labels})


def version_of(served):
    return served.pricer.manifest.version


async def alarms_of(follower, looks=3):
    with structlog.testing.capture_logs() as events:
        for _ in range(looks):
            await follower.check()
    return [event for event in events if event["log_level"] in ("error", "warning")]


async def test_a_new_champion_is_swapped_in(lake, follower, served, second):
    """When the pointer is set, the new version prices; setting it back is the rollback."""
    before = served.now
    price = before.pricer.price(FOCUS).price[0]
    await model_versions.store(lake, "2", second)
    await model_versions.store(lake, "1", model_versions.SHIPPED)
    await follower.check()
    assert served.now is before
    await model_versions.point(lake, "2")
    await follower.check()
    assert version_of(served) == "2"
    assert served.now.since > before.since
    assert served.pricer.price(FOCUS).price[0] == pytest.approx(1.2 * price, rel=1e-5)
    assert before.pricer.price(FOCUS).price[0] == price
    assert figure("fleetprice_registry_model_in_service", version="2") == 1
    assert figure("fleetprice_registry_model_in_service", version="1") is None
    await model_versions.point(lake, "1")
    await follower.check()
    assert version_of(served) == "1"


async def test_an_unchanged_pointer_is_not_read_again(lake, follower, served):
    """An unchanged pointer costs one request and no download, and nothing is loaded again."""
    await model_versions.point(lake, "1")
    before = served.now
    assert await alarms_of(follower) == []
    assert served.now is before
    snapshot = await lake.read_if_changed("models/price/champion.json", None)
    assert json.loads(snapshot.data) == {"version": "1"}
    assert await lake.read_if_changed("models/price/champion.json", snapshot.etag) is None
    assert await lake.read_if_changed("models/price/nowhere.json", None) is None


def other_golden(files):
    golden = json.loads(files[MANIFEST_FILE])["golden"]
    golden[3]["upper"] *= 1.001
    return model_versions.with_manifest(files, golden=golden)


def other_signature(files):
    inputs = json.loads(files[MANIFEST_FILE])["inputs"]
    inputs["num"].pop()
    return model_versions.with_manifest(files, inputs=inputs)


def strange_input(files):
    inputs = json.loads(files[MANIFEST_FILE])["inputs"]
    inputs["num"][2]["name"] = "doors"
    unexplained = {GRAPH_FILE: model_versions.digest(files[GRAPH_FILE])}
    return model_versions.with_manifest(files, inputs=inputs, files=unexplained)


def without(name):
    return lambda files: {key: body for key, body in files.items() if key != name}


def truncated(name):
    return lambda files: files | {name: files[name][:-1_000]}


def truncated_with_digest(name):
    def change(files):
        cut = files | {name: files[name][:-1_000]}
        digests = json.loads(files[MANIFEST_FILE])["files"] | {name: model_versions.digest(cut[name])}
        return model_versions.with_manifest(cut, files=digests)

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(other_golden, "golden row", id="golden rows differ"),
        pytest.param(other_signature, "the manifest says", id="wrong signature"),
        pytest.param(strange_input, "no reading has", id="unknown input"),
        pytest.param(truncated(GRAPH_FILE), "digest", id="truncated graph"),
        pytest.param(truncated_with_digest(GRAPH_FILE), "cannot be loaded", id="graph cut before its digest"),
        pytest.param(truncated(TREES_FILE), "digest", id="truncated trees"),
        pytest.param(truncated_with_digest(TREES_FILE), "cannot be read", id="trees cut before their digest"),
        pytest.param(truncated(MANIFEST_FILE), MANIFEST_FILE, id="truncated manifest"),
        pytest.param(without(GRAPH_FILE), "lacks", id="missing graph"),
        pytest.param(without(TREES_FILE), "lacks", id="missing trees"),
        pytest.param(without(MANIFEST_FILE), "lacks", id="missing manifest"),
        pytest.param(lambda _: {}, "the lake has no", id="missing folder"),
        pytest.param(lambda _: model_versions.SHIPPED, "by its own manifest", id="another version's folder"),
        pytest.param(
            lambda files: model_versions.with_manifest(files, models_of_make={"ford": ["x", "y"]}, golden=[]),
            "golden",
            id="no golden rows",
        ),
    ],
)
async def test_a_broken_champion_is_refused(lake, follower, served, second, change, reason):
    """A version that breaks a promise of its manifest is never served: the old one stays, with one alarm."""
    before, refusals = served.now, figure("fleetprice_registry_model_refusals_total") or 0
    await model_versions.store(lake, "2", change(second))
    await model_versions.point(lake, "2")
    (alarm,) = await alarms_of(follower)
    assert (alarm["event"], alarm["log_level"]) == ("model_refused", "error")
    assert (alarm["model"], alarm["version"], alarm["serving"]) == ("price", "2", "1")
    assert reason in alarm["reason"]
    assert served.now is before
    assert figure("fleetprice_registry_model_refusals_total") == refusals + 1
    assert figure("fleetprice_registry_champion_refused") == 1


@pytest.mark.parametrize("pointer", [b"{", b"[]", b'{"version":2}', b'{"version":"../../x"}', b""])
async def test_a_broken_pointer_is_refused(lake, follower, served, pointer):
    """A pointer that is invalid, stays empty or leads elsewhere leaves the old version in service."""
    before = served.now
    await model_versions.point(lake, pointer)
    (alarm,) = await alarms_of(follower)
    assert alarm["event"] == "model_refused"
    assert served.now is before


async def test_setting_the_pointer_again_is_another_try(lake, follower, served, second):
    """After its files are repaired the pointer is set again and the alarm ends, as after a rollback."""
    await model_versions.store(lake, "2", without(TREES_FILE)(second))
    await model_versions.point(lake, "2")
    assert len(await alarms_of(follower)) == 1
    await model_versions.point(lake, "2")
    assert len(await alarms_of(follower)) == 1
    await model_versions.point(lake, "1")
    assert await alarms_of(follower) == []
    assert figure("fleetprice_registry_champion_refused") == 0
    await model_versions.store(lake, "2", second)
    await model_versions.point(lake, "2")
    assert await alarms_of(follower) == []
    assert version_of(served) == "2"


async def test_an_unreachable_registry_changes_nothing(tmp_path, served):
    """While the lake does not answer, the version in service stays: one warning, and no refusal."""
    storage = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0;"
        "BlobEndpoint=http://127.0.0.1:9/devstoreaccount1;"
    )
    before = served.now
    async with open_lake(LakeConnection(storage)) as lake:
        follower = ChampionFollower(lake, "price", served, Pricer.from_files, 0.01)
        (alarm,) = await alarms_of(follower, looks=2)
    assert (alarm["event"], alarm["log_level"]) == ("registry_unreachable", "warning")
    assert served.now is before
