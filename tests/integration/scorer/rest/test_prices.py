"""Prices over real HTTP."""

import asyncio

import pytest


async def test_a_vehicle_is_priced(http, focus):
    """A vehicle gets its price, interval, currency, coverage and the model that made them."""
    response, answer = await http.post({"vehicles": [{**focus, "id": "a-1"}]})
    assert response.status == 200
    (price,) = answer["prices"]
    assert 0 < price["lower"] < price["price"] < price["upper"]
    assert {key: price[key] for key in ("id", "currency", "coverage", "model", "version")} == {
        "id": "a-1",
        "currency": "GBP",
        "coverage": 0.9,
        "model": "price",
        "version": "1",
    }
    assert price["extrapolated"] == []


async def test_one_vehicle_alone_is_accepted(http, focus):
    """One vehicle's object without the list around it gets the same answer."""
    _, alone = await http.post(focus)
    _, listed = await http.post({"vehicles": [focus]})
    assert alone == listed


async def test_case_and_spaces_do_not_matter(http, focus):
    """Make, model, fuel and transmission match in any case and with outer spaces."""
    spelt = {
        **focus,
        "make": " FORD",
        "model": "fOCUS ",
        "fuel_type": "Petrol",
        "transmission": " MANUAL ",
    }
    _, answer = await http.post({"vehicles": [focus, spelt]})
    first, second = answer["prices"]
    assert first == second


async def test_make_model_and_year_are_enough(http, focus):
    """Every other field may be absent: the vehicle is priced, and what is missing is not extrapolated."""
    _, answer = await http.post({"make": "ford", "model": "focus", "year": 2017, "fuel_type": None})
    (price,) = answer["prices"]
    assert price["lower"] < price["price"] < price["upper"]
    assert price["extrapolated"] == []


async def test_a_bad_vehicle_fails_alone(http, focus):
    """A vehicle that cannot be priced has its error in its place, with a pointer; the rest are priced."""
    wrong = [
        {**focus, "year": "2017", "id": 7},
        {**focus, "odometer_km": -1},
        {"make": "ford", "year": 2017},
        5,
        {**focus, "make": ""},
        {**focus, "model": "x" * 65},
        {**focus, "year": 10**30},
    ]
    response, answer = await http.post({"vehicles": [focus, *wrong, focus]})
    assert response.status == 200
    first, *errors, last = answer["prices"]
    assert first == last
    assert errors[0]["id"] == 7
    assert [one["error"]["pointer"] for one in errors] == [
        "/vehicles/1/year",
        "/vehicles/2/odometer_km",
        "/vehicles/3/model",
        "/vehicles/4",
        "/vehicles/5/make",
        "/vehicles/6/model",
        "/vehicles/7/year",
    ]
    assert all(one["error"].keys() == {"type", "title", "detail", "pointer"} for one in errors)


async def test_a_thousand_vehicles_are_priced_at_once(http, focus):
    """A request holds up to 1,000 vehicles; more, or none, is 422."""
    _, answer = await http.post({"vehicles": [focus] * 1_000})
    assert len(answer["prices"]) == 1_000
    assert (await http.refused({"vehicles": [focus] * 1_001}, 422))["pointer"] == "/vehicles"
    assert (await http.refused({"vehicles": []}, 422))["pointer"] == "/vehicles"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"nonsense", 400),
        (b'{"make":"\xff"}', 400),
        (b"[]", 422),
        (b"5", 422),
        (b"{}", 422),
        (b'{"vehicles":5}', 422),
        (b'{"vehicles":[' + b"[" * 50_000 + b"]" * 50_000 + b"]}", 422),
        (b'{"make":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 422),
        (b" " * 300_001, 413),
    ],
)
async def test_bodies_that_cannot_be_served(http, body, status):
    """Malformed, wrong-typed, deep and huge bodies are refused with a problem document, never a 500."""
    await http.refused(body, status)


async def test_requests_that_arrive_together_share_a_run(http, focus):
    """Each of many concurrent callers gets the prices of its own vehicles, and their errors."""
    cars = [{**focus, "id": f"car-{n}", "odometer_km": 1_000 * n} for n in range(40)]
    alone = [(await http.post({"vehicles": [car]}))[1]["prices"][0] for car in cars]
    bodies = [{"vehicles": [car, {"make": "ford"}]} for car in cars]
    together = await asyncio.gather(*(http.post(body) for body in bodies))
    assert [answer["prices"][0] for _, answer in together] == alone
    assert all("error" in answer["prices"][1] for _, answer in together)


async def test_the_served_models_are_listed(http):
    """The answer names the version in service, since when, its inputs and its accuracy."""
    response = await http.ask("GET", "/v1/models")
    (model,) = (await response.json())["models"]
    assert response.status == 200
    assert (model["name"], model["version"], model["currency"]) == ("price", "1", "GBP")
    assert [one["name"] for one in model["words"]] == ["make", "model", "transmission", "fuel_type"]
    assert {one["name"] for one in model["numbers"]} >= {"year", "odometer_km"}
    assert model["created_at"] < model["loaded_at"]
    assert 0.9 < model["r2"] < 1
