"""The Open Inference Protocol, over real HTTP and by an unmodified client."""

import base64
import json
import math

import numpy as np
import pytest

from tests.integration.scorer.rest.tensors import (
    INFER,
    NUMBERS,
    OCTETS,
    WORDS,
    binary,
    refused,
    request,
    tensor,
)

FLAT_WORDS, FLAT_NUMBERS = ([one for row in rows for one in row] for rows in (WORDS, NUMBERS))


@pytest.fixture
async def prices(http, focus):
    """The prices of the same two vehicles by /v1/prices."""
    other = {"make": "bmw", "model": "5 Series", "year": 2015, "odometer_km": 90_000}
    _, answer = await http.post({"vehicles": [{**focus, "rated_consumption_l_100km": 4.65}, other]})
    return [[one[name] for one in answer["prices"]] for name in ("price", "lower", "upper")]


async def test_the_server_describes_itself(http):
    """Tools find the server, its extensions, the model, its versions, inputs and outputs."""
    server = await (await http.ask("GET", "/v2")).json()
    assert server["name"] == "fleetprice"
    assert server["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/models/price", "/v2/models/price/versions/1"):
        model = await (await http.ask("GET", path)).json()
        assert (model["name"], model["versions"], model["platform"]) == ("price", ["1"], "onnx_onnxv1")
        assert model["inputs"] == [
            {"name": "cat", "datatype": "BYTES", "shape": [-1, 4]},
            {"name": "num", "datatype": "FP32", "shape": [-1, 4]},
        ]
        assert [one["name"] for one in model["outputs"]] == ["price", "lower", "upper"]
        assert (await http.ask("GET", f"{path}/ready")).status == 200


SALOON = ["mazda", "gas", "std", "four", "sedan", "fwd", "front", "ohc", "four", "2bbl"]
SIZES = [1, 117, 97.3, 172.2, 65.7, 54.1, 2310, 112, 3.27, 3.31, 8.8, 87, 4900, 26, 31]


async def test_every_served_model_is_there(serving, automobile):
    """The automobile model is served under its own name, with the prices of /score."""
    names = (automobile.pricer.manifest.inputs.cat, automobile.pricer.manifest.inputs.num)
    saloon = {one.name: value for one, value in zip([*names[0], *names[1]], [*SALOON, *SIZES], strict=True)}
    inputs = [
        tensor("cat", "BYTES", [[word.upper() for word in SALOON], [""] * 10], (2, 10)),
        tensor("num", "FP32", [SIZES, [None] * 15], (2, 15)),
    ]
    async with serving(automobile=automobile) as http:
        _, scored = await http.post({"Inputs": {"WebServiceInput0": [saloon, {}]}}, "/score")
        prices = [row["Scored Labels"] for row in scored["Results"]["WebServiceOutput0"]]
        for path in ("/v2/models/automobile", "/v2/models/automobile/versions/1"):
            model = await (await http.ask("GET", path)).json()
            assert (model["name"], model["versions"]) == ("automobile", ["1"])
            assert [one["shape"] for one in model["inputs"]] == [[-1, 10], [-1, 15]]
            assert (await http.ask("GET", f"{path}/ready")).status == 200
            response, answer = await http.post({"inputs": inputs}, f"{path}/infer")
            price, lower, upper = (np.array(one["data"]) for one in answer["outputs"])
            assert (response.status, answer["model_name"]) == (200, "automobile")
            np.testing.assert_allclose(price, prices, rtol=1e-6)
            assert (lower < price).all()
            assert (price < upper).all()
        await refused(http, {"inputs": inputs})
        await refused(http, {"inputs": inputs}, 404, "/v2/models/automobile/versions/2/infer")


async def test_health_needs_no_key(serving):
    """Probes need no key; not ready is a 4xx without a body, as the protocol requires."""
    async with serving(key={}, is_ready=lambda: False) as http:
        for path, status in (("/v2/health/live", 200), ("/v2/health/ready", 400)):
            response = await http.ask("GET", path)
            assert (response.status, response._body) == (status, b"")
        await refused(http, request(), 401)


async def test_tensors_in_json_are_priced(http, prices):
    """Rows, nested or flat, get the prices of /v1/prices; null and "" are missing values."""
    flat = [tensor("num", "FP32", FLAT_NUMBERS), tensor("cat", "BYTES", FLAT_WORDS)]
    for body in (request(id="a-1"), {"inputs": flat, "id": "a-1", "outputs": []}):
        response, answer = await http.post(body, INFER)
        assert response.status == 200
        assert (answer["id"], answer["model_name"], answer["model_version"]) == ("a-1", "price", "1")
        assert [(one["name"], one["datatype"], one["shape"]) for one in answer["outputs"]] == [
            (name, "FP32", [2]) for name in ("price", "lower", "upper")
        ]
        np.testing.assert_allclose([one["data"] for one in answer["outputs"]], prices, rtol=1e-6)


ENCODED = [[base64.b64encode(word.encode()).decode() for word in row] for row in WORDS]


@pytest.mark.parametrize(
    ("words", "content_type"), [(ENCODED, "base64"), (WORDS, "str"), (WORDS, "np"), (WORDS, None)]
)
async def test_the_content_type_of_an_input_is_honoured(http, prices, words, content_type):
    """MLServer's clients send words as base64 and say so; the prices are the same."""
    parameters = {"parameters": {"content_type": content_type}}
    cat, num = tensor("cat", "BYTES", words, **parameters), tensor("num", "FP32", NUMBERS)
    _, answer = await http.post({"inputs": [cat, num], "parameters": {"content_type": "pd"}}, INFER)
    np.testing.assert_allclose([one["data"] for one in answer["outputs"]], prices, rtol=1e-6)


async def test_base64_in_a_binary_tensor_is_honoured(http, prices):
    """The elements after the JSON are base64 too."""
    body, size = binary(words=ENCODED, numbers=[NUMBERS[0], [2015, 90_000, math.nan, math.nan]])
    head = json.loads(body[:size])
    head["inputs"][1]["parameters"]["content_type"] = "base64"
    told = json.dumps(head).encode()
    headers = {"Content_Type": OCTETS, "Inference_Header_Content_Length": str(len(told))}
    _, answer = await http.post(told + body[size:], INFER, **headers)
    np.testing.assert_allclose([one["data"] for one in answer["outputs"]], prices, rtol=1e-6)


async def test_only_wanted_outputs_are_returned(http, prices):
    """Only the requested outputs are returned, in the request's order, without an id if none was sent."""
    wanted = [{"name": "upper"}, {"name": "price"}]
    _, answer = await http.post(request(outputs=wanted), "/v2/models/price/versions/1/infer")
    assert "id" not in answer
    assert [one["name"] for one in answer["outputs"]] == ["upper", "price"]
    np.testing.assert_allclose(answer["outputs"][1]["data"], prices[0], rtol=1e-6)


@pytest.mark.parametrize(
    "asked",
    [
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": n, "parameters": {"binary_data": True}} for n in ("price", "lower", "upper")]},
    ],
)
async def test_binary_tensors_both_ways(http, prices, asked):
    """Tensors may follow the JSON both ways, with the length of the JSON in a header."""
    body, size = binary(numbers=[NUMBERS[0], [2015, 90_000, math.nan, math.nan]], **asked)
    headers = {"Content_Type": OCTETS, "Inference_Header_Content_Length": str(size)}
    response = await http.ask("POST", INFER, body, **headers)
    answer = response._body
    assert (response.status, response.content_type) == (200, OCTETS)
    size = int(response.headers["Inference-Header-Content-Length"])
    outputs = json.loads(answer[:size])["outputs"]
    assert all(one["parameters"] == {"binary_data_size": 8} and "data" not in one for one in outputs)
    np.testing.assert_allclose(np.frombuffer(answer[size:], "<f4").reshape(3, 2), prices, rtol=1e-6)


async def test_some_outputs_may_be_binary(http, prices):
    """One output is in JSON and another in binary, as requested for each."""
    wanted = [{"name": "price"}, {"name": "lower", "parameters": {"binary_data": True}}]
    response = await http.ask("POST", INFER, request(outputs=wanted))
    answer, size = response._body, int(response.headers["Inference-Header-Content-Length"])
    price, lower = json.loads(answer[:size])["outputs"]
    np.testing.assert_allclose(price["data"], prices[0], rtol=1e-6)
    assert lower["parameters"] == {"binary_data_size": 8}
    np.testing.assert_allclose(np.frombuffer(answer[size:], "<f4"), prices[1], rtol=1e-6)


async def test_triton_client_prices_through_it(http, prices):
    """NVIDIA's unmodified Open Inference client finds the model and prices with it."""
    client = pytest.importorskip("tritonclient.http.aio", reason="tritonclient[http] is not installed")
    headers = {"Authorization": "Bearer fleetprice-dev-key"}
    async with client.InferenceServerClient(f"127.0.0.1:{http.port}") as triton:
        assert await triton.is_server_live(headers=headers)
        assert await triton.is_server_ready(headers=headers)
        assert await triton.is_model_ready("price", headers=headers)
        assert (await triton.get_server_metadata(headers=headers))["name"] == "fleetprice"
        assert (await triton.get_model_metadata("price", headers=headers))["versions"] == ["1"]
        for is_binary in (True, False):
            cat = client.InferInput("cat", [2, 4], "BYTES")
            cat.set_data_from_numpy(np.array(WORDS, dtype=np.object_), binary_data=is_binary)
            num = client.InferInput("num", [2, 4], "FP32")
            floats = [NUMBERS[0], [2015, 90_000, math.nan, math.nan]] if is_binary else NUMBERS
            if is_binary:
                num.set_data_from_numpy(np.array(floats, dtype=np.float32), binary_data=True)
            else:
                num._data = FLAT_NUMBERS  # JSON has no NaN: null is what is missing
            wanted = [client.InferRequestedOutput(n, binary_data=is_binary) for n in ("price", "upper")]
            result = await triton.infer(
                "price", [cat, num], outputs=wanted, headers={**headers}, request_id="r"
            )
            assert result.get_response()["id"] == "r"
            np.testing.assert_allclose(result.as_numpy("price"), prices[0], rtol=1e-6)
            np.testing.assert_allclose(result.as_numpy("upper"), prices[2], rtol=1e-6)
