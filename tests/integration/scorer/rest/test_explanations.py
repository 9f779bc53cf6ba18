"""`POST /v1/prices?explain=true`: the contribution of each field to a price."""

import math

import pytest

PATH = "/v1/prices?explain=true"


async def explained(http, body):
    response, answer = await http.post(body, PATH)
    assert response.status == 200
    return answer["prices"]


async def test_a_price_is_explained(http, focus):
    """Every field's contribution is given, largest first; the price is the same as without."""
    (price,) = await explained(http, focus)
    explanation = price.pop("explanation")
    _, plain = await http.post(focus)
    assert plain["prices"] == [price]
    contributions = explanation["contributions"]
    assert {one["feature"]: one["value"] for one in contributions} == focus
    sizes = [abs(one["log_price"]) for one in contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert all("note" not in one for one in contributions)
    assert all(one["log_price"] * one["currency"] >= 0 for one in contributions)


async def test_contributions_add_up(http, focus):
    """In hundredths of the currency they add up to the price exactly, in log price to its logarithm."""
    others = [{**focus, "make": "bmw", "model": "x5"}, {**focus, "year": 2031, "engine_l": None}]
    for price in await explained(http, {"vehicles": [focus, *others]}):
        explanation = price["explanation"]
        contributions = explanation["contributions"]
        hundredths = sum(round(100 * one["currency"]) for one in contributions)
        assert round(100 * explanation["base_price"]) + hundredths == round(100 * price["price"])
        total = math.fsum(one["log_price"] for one in contributions)
        assert explanation["base_log_price"] + total == pytest.approx(explanation["log_price"], abs=1e-12)
        assert math.exp(explanation["log_price"]) == pytest.approx(price["price"], rel=1e-4)
        assert math.exp(explanation["base_log_price"]) == pytest.approx(explanation["base_price"], abs=0.006)


async def test_values_never_seen_in_training_are_noted(http, focus):
    """Missing, unknown and out-of-range fields are noted as such; the latter two are those flagged."""
    strange = {**focus, "model": "Quattro Concept", "year": 2031, "engine_l": None}
    del strange["fuel_type"]
    (price,) = await explained(http, strange)
    notes = {one["feature"]: one.get("note") for one in price["explanation"]["contributions"]}
    assert {name: note for name, note in notes.items() if note} == {
        "model": "unknown",
        "year": "out_of_range",
        "engine_l": "missing",
        "fuel_type": "missing",
    }
    assert set(price["extrapolated"]) == {"model", "year"}


async def test_a_bad_vehicle_is_not_explained(http, focus):
    """If one vehicle cannot be priced, the explanations of the others stay with their vehicles."""
    first, error, last = await explained(http, {"vehicles": [focus, {}, {**focus, "model": "fiesta"}]})
    assert error.keys() == {"error"}
    values = [
        {one["feature"]: one["value"] for one in price["explanation"]["contributions"]}
        for price in (first, last)
    ]
    assert [one["model"] for one in values] == ["Focus", "fiesta"]
    assert (await explained(http, {"vehicles": [{}]}))[0].keys() == {"error"}


async def test_explaining_is_bounded(http, focus):
    """At most 20 vehicles are explained in one request: more are 422, and the limit is named."""
    assert len(await explained(http, {"vehicles": [focus] * 20})) == 20
    problem = await http.refused({"vehicles": [focus] * 21}, 422, PATH)
    assert "at most 20" in problem["detail"]
    await http.refused(focus, 422, "/v1/prices?explain=perhaps")
    _, answer = await http.post(focus, "/v1/prices?explain=false")
    assert "explanation" not in answer["prices"][0]
