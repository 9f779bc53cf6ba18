"""What a request names that the scorer does not know is ignored, and said."""

import json

import pytest

from tests.integration.scorer.rest.tensors import INFER, request


def warned(answer):
    return [(one["type"].rpartition(":")[2], one.get("pointer")) for one in answer.get("warnings", [])]


async def test_a_request_without_faults_has_no_warnings(http, focus):
    """The answer is as ever."""
    for body in (focus, {**focus, "id": 7}, {"vehicles": [focus, focus]}):
        _, answer = await http.post(body)
        assert answer.keys() == {"prices"}


async def test_a_misspelt_field_is_named(http, focus):
    """A field that is not known changes nothing, and the answer says which and where first."""
    _, expected = await http.post(focus)
    _, alone = await http.post({**focus, "milage_km": 5})
    _, listed = await http.post({"vehicles": [focus, {**focus, "milage_km": 5, "a/b": 1}, {"milage_km": 5}]})
    assert alone["prices"] == expected["prices"]
    assert warned(alone) == [("unknown-field", "/milage_km")]
    assert "`milage_km`" in alone["warnings"][0]["detail"]
    assert listed["prices"][1] == expected["prices"][0]
    assert "error" in listed["prices"][2]
    assert warned(listed) == [
        ("unknown-field", "/vehicles/1/milage_km"),
        ("unknown-field", "/vehicles/1/a~1b"),
    ]


async def test_a_field_beside_the_vehicles_is_named(http, focus):
    """Such as an option that belongs in the query."""
    _, answer = await http.post({"vehicles": [focus], "explain": True})
    assert warned(answer) == [("unknown-field", "/explain")]


async def test_a_misspelt_parameter_is_named(http, focus):
    """`?explian=true` explains nothing, and says so."""
    _, answer = await http.post(focus, "/v1/prices?explian=true&explain=false")
    assert warned(answer) == [("unknown-parameter", None)]
    assert "`explian`" in answer["warnings"][0]["detail"]


async def test_warnings_are_bounded(http, focus):
    """A thousand unknown names of any length make a short answer."""
    odd = {f"{number}{'x' * 200}": 1 for number in range(1_000)}
    _, answer = await http.post({**focus, **odd})
    assert len(answer["warnings"]) == 20
    assert len(json.dumps(answer)) < 10_000


async def test_score_names_them_too(serving, automobile):
    """The published app's own fields are known, the label's column and global parameters included."""
    row = {"make": "audi", "price": 100, "Scored Labels": 1}
    async with serving(automobile=automobile) as http:
        _, answer = await http.post({"Inputs": {"WebServiceInput0": [row]}, "GlobalParameters": {}}, "/score")
        assert answer.keys() == {"Results"}
        odd = {"Inputs": {"WebServiceInput0": [row, {"horse-power": 5}]}, "Extra": 1}
        _, answer = await http.post(odd, "/score?full=1")
    assert answer["Results"]["WebServiceOutput0"][1]["horse-power"] == 5
    assert warned(answer) == [
        ("unknown-parameter", None),
        ("unknown-field", "/Extra"),
        ("unknown-field", "/Inputs/WebServiceInput0/1/horse-power"),
    ]


async def test_inference_names_them_in_its_parameters(http):
    """The protocol has a place for what a server adds: the answer's parameters."""
    _, answer = await http.post(request(), INFER)
    assert "parameters" not in answer
    inputs = request()["inputs"]
    odd = {"inputs": [{**inputs[0], "dtype": "str"}, inputs[1]], "output": [], "outputs": [{"name": "price"}]}
    _, answer = await http.post(odd, f"{INFER}?timeout=5")
    for name in ("timeout", "output", "dtype"):
        assert f"`{name}`" in answer["parameters"]["warnings"]


@pytest.mark.parametrize("place", ["alone", "list"])
@pytest.mark.parametrize("year", [b"2017.0", b"2.017e3"])
async def test_a_whole_number_may_be_written_as_a_float(http, focus, place, year):
    """The published document says integer, which takes 2017.0."""
    _, expected = await http.post({**focus, "id": 5})
    body = json.dumps({**focus, "id": 5}).encode().replace(b"2017", year).replace(b'"id": 5', b'"id": 5.0')
    response, answer = await http.post(body if place == "alone" else b'{"vehicles":[' + body + b"]}")
    assert (response.status, answer) == (200, expected)


async def test_a_fraction_is_no_whole_number(http, focus):
    """It is refused, and named."""
    assert (await http.refused({**focus, "year": 2017.5}, 422))["pointer"] == "/year"


async def test_a_byte_order_mark_is_no_part_of_a_request(serving, automobile, focus):
    """Programs on Windows write one before the JSON."""
    bodies = {
        "/v1/prices": focus,
        "/score": {"Inputs": {"WebServiceInput0": [{}]}},
        INFER: request(),
    }
    async with serving(automobile=automobile) as http:
        for path, body in bodies.items():
            response, _ = await http.post(b"\xef\xbb\xbf" + json.dumps(body).encode(), path)
            assert response.status == 200, path


async def test_a_shape_may_hold_whole_floats(http):
    """The protocol's document says integers."""
    inputs = request()["inputs"]
    floats = [{**one, "shape": [float(size) for size in one["shape"]]} for one in inputs]
    assert (await http.post({"inputs": floats}, INFER))[0].status == 200


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"year": "2017"}, 422, "/year"),
        ({"make": ""}, 422, "/make"),
        ({"odometer_km": -1, "id": "a"}, 422, "/odometer_km"),
    ],
)
async def test_a_lone_invalid_vehicle_is_refused(http, focus, change, status, pointer):
    """With nothing else to answer, the request as a whole has failed."""
    problem = await http.refused({**focus, **change}, status)
    assert (problem["type"], problem["pointer"]) == ("urn:fleetprice:problem:invalid-vehicle", pointer)
    response, _ = await http.post({"vehicles": [{**focus, **change}]})
    assert response.status == 200
