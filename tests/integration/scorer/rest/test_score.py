"""`POST /score` as the published Car Price Predictor app calls it."""

import pytest

from shared.pricing.automobile import AutomobilePricer
from shared.pricing.model import load_model
from shared.registry.active_model import ActiveModel
from shared.registry.store import read_shipped

# The app's own request, word for word.
AUDI = {
    "symboling": 3,
    "normalized-losses": 1,
    "make": "audi",
    "fuel-type": "gas",
    "aspiration": "std",
    "num-of-doors": "four",
    "body-style": "sedan",
    "drive-wheels": "fwd",
    "engine-location": "front",
    "wheel-base": 99.8,
    "length": 176.6,
    "width": 66.2,
    "height": 54.3,
    "curb-weight": 2337,
    "engine-type": "ohc",
    "num-of-cylinders": "four",
    "engine-size": 109,
    "fuel-system": "mpfi",
    "bore": 3.19,
    "stroke": 3.4,
    "compression-ratio": 10,
    "horsepower": 102,
    "peak-rpm": 5500,
    "city-mpg": 24,
    "highway-mpg": 30,
    "price": 100,
}


def asked(*rows):
    return {"Inputs": {"WebServiceInput0": list(rows)}}


@pytest.fixture(scope="session")
def automobile():
    return AutomobilePricer(load_model(read_shipped(None, "automobile")))


@pytest.fixture
async def http(serving, automobile):
    async with serving(automobile=ActiveModel(automobile), max_body_bytes=800_000) as http:
        yield http


async def labels(http, *rows):
    response, answer = await http.post(asked(*rows), "/score")
    assert response.status == 200
    return [row["Scored Labels"] for row in answer["Results"]["WebServiceOutput0"]]


async def test_the_apps_request_is_answered_unchanged(http):
    """The app's request gets its input back with a plausible price, where the app's flow reads it."""
    response, answer = await http.post(asked(AUDI), "/score")
    assert response.status == 200
    assert answer.keys() == {"Results"}
    (row,) = answer["Results"]["WebServiceOutput0"]
    label = row.pop("Scored Labels")
    assert row == AUDI
    assert isinstance(label, float)
    assert 10_000 < label < 18_000


@pytest.mark.parametrize(
    ("field", "canonical", "spellings"),
    [
        ("make", "alfa-romero", ["Alfa Romero", "Alfa-romero", " ALFA ROMERO "]),
        ("make", "mercedes-benz", ["Mercedes-Benz", "mercedes benz"]),
        ("make", "peugot", ["Peugot", "Peugeot"]),
        ("make", "bmw", ["BMW", "Bmw"]),
        ("num-of-cylinders", "six", ["Six", "6", 6, 6.0]),
        ("num-of-doors", "two", ["Two", 2]),
        ("fuel-type", "diesel", ["Diesel"]),
    ],
)
async def test_the_apps_spelling(http, field, canonical, spellings):
    """Makes in the app's spelling and case, cylinders and doors as words or digits: the same price."""
    expected, *others = await labels(
        http, {**AUDI, field: canonical}, *({**AUDI, field: one} for one in spellings)
    )
    assert others == [expected] * len(spellings)
    if field in ("make", "num-of-cylinders"):
        assert expected not in await labels(http, {**AUDI, field: "never heard of"})


async def test_several_rows_in_order(http):
    """Several automobiles are priced in the order of the request."""
    light, heavy = {**AUDI, "curb-weight": 1_600}, {**AUDI, "curb-weight": 3_900, "horsepower": 180}
    prices = await labels(http, light, heavy, AUDI)
    assert prices[0] < prices[2] < prices[1]
    assert await labels(http, AUDI) == prices[2:]
    assert len(await labels(http, *[AUDI] * 1_000)) == 1_000


async def test_missing_values_are_priced(http):
    """Any field may be absent or null; fields that the model does not have are echoed."""
    (price,) = await labels(http, {})
    assert 3_000 < price < 50_000
    for name in set(AUDI) - {"price"}:
        without = {key: value for key, value in AUDI.items() if key != name}
        one, other = await labels(http, without, {**AUDI, name: None})
        assert one == other > 0
    _, answer = await http.post(asked({**AUDI, "note": ["kept"], "Scored Labels": 1}), "/score")
    (row,) = answer["Results"]["WebServiceOutput0"]
    assert row["note"] == ["kept"]
    assert row["Scored Labels"] != 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("horsepower", "many"),
        ("horsepower", [102]),
        ("curb-weight", True),
        ("make", 7),
        ("make", "x" * 65),
        ("num-of-cylinders", {}),
        ("bore", 1e300),
    ],
)
async def test_a_wrong_typed_field_is_named(http, field, value):
    """A field of the wrong type is 422, and the problem points to it in its row."""
    problem = await http.refused(asked(AUDI, {**AUDI, field: value}), 422, "/score")
    assert problem["pointer"] == f"/Inputs/WebServiceInput0/1/{field}"


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"{", 400, None),
        (b'{"Inputs":{"WebServiceInput0":[{"make":"\xff"}]}}', 400, None),
        ({}, 422, "/Inputs"),
        ({"Inputs": {}}, 422, "/Inputs/WebServiceInput0"),
        ({"Inputs": {"WebServiceInput0": AUDI}}, 422, "/Inputs/WebServiceInput0"),
        (asked(), 422, "/Inputs/WebServiceInput0"),
        (asked(*[{}] * 1_001), 422, "/Inputs/WebServiceInput0"),
        (asked(AUDI, 5), 422, "/Inputs/WebServiceInput0/1"),
        (b'{"Inputs":{"WebServiceInput0":[' + b"[" * 90_000 + b"]" * 90_000 + b"]}}", 422, ""),
        (b'{"Inputs":{"WebServiceInput0":[{"make":' + b"[" * 90_000 + b"]" * 90_000 + b"}]}}", 422, ""),
        (b" " * 800_001, 413, None),
    ],
)
async def test_requests_of_another_shape_are_refused(http, body, status, pointer):
    """Malformed, empty, deep and huge requests are refused with a problem document."""
    problem = await http.refused(body, status, "/score")
    assert problem.get("pointer") == pointer


async def test_a_key_is_needed(http):
    """`/score` takes the same keys as `/v1/prices`: without one it is 401."""
    await http.refused(asked(AUDI), 401, "/score", Authorization="Bearer wrong")
    response = await http.ask("POST", "/score", asked(AUDI), X_Request_Id="app-1")
    assert (response.status, response.headers["X-Request-Id"]) == (200, "app-1")
