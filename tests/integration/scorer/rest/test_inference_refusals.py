"""Refusals of the Open Inference Protocol's routes, in the protocol's own form."""

import struct

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

CAT, NUM = request()["inputs"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        {},
        {"inputs": []},
        {"inputs": [CAT]},
        {"inputs": [CAT, CAT, NUM]},
        {"inputs": [CAT, {**NUM, "name": "other"}]},
        {"inputs": [CAT, {**NUM, "datatype": "FP64"}]},
        {"inputs": [CAT, {**NUM, "shape": [2]}]},
        {"inputs": [CAT, {**NUM, "shape": [-2, 4]}]},
        {"inputs": [CAT, {**NUM, "shape": [10**12, 4]}]},
        {"inputs": [CAT, {**NUM, "shape": [1, 4], "data": NUMBERS[0]}]},
        {"inputs": [CAT, {**NUM, "shape": [0, 4], "data": []}]},
        {"inputs": [CAT, {**NUM, "data": [1, 2, 3]}]},
        {"inputs": [CAT, {**NUM, "data": [[[1]]] * 8}]},
        {"inputs": [CAT, {**NUM, "data": ["1"] * 8}]},
        {"inputs": [CAT, {**NUM, "data": [1e39] * 8}]},
        {"inputs": [{**CAT, "data": [5] * 8}, NUM]},
        {"inputs": [{**CAT, "data": ["x" * 65] * 8}, NUM]},
        {"inputs": [{**CAT, "data": [None] * 8}, NUM]},
        {"inputs": [CAT, {"name": "num", "datatype": "FP32", "shape": [2, 4]}]},
        {"inputs": [CAT, {**NUM, "parameters": {"binary_data_size": 4}}]},
        request(outputs=[{"name": "other"}]),
        request(outputs=[{"name": "price", "parameters": {"content_type": "base64"}}]),
        request(parameters={"content_type": "base64"}),
        request(parameters={"content_type": ["np"]}),
        {"inputs": [CAT, {**NUM, "parameters": {"content_type": "base64"}}]},
        {"inputs": [{**CAT, "parameters": {"content_type": "datetime"}}, NUM]},
        {"inputs": [{**CAT, "parameters": {"content_type": "base64"}, "data": ["Zm9yZA"] * 8}, NUM]},
        {"inputs": [{**CAT, "parameters": {"content_type": "base64"}, "data": ["/w=="] * 8}, NUM]},
        b'{"inputs":[{"name":"cat","shape":[2,4],"datatype":"BYTES","data":' + b"[" * 50_000 + b"]" * 50_000,
    ],
)
async def test_requests_that_are_no_tensors(http, body):
    """A tensor that does not fit the model is 400 in the protocol's own form and is named."""
    await refused(http, body)


@pytest.mark.parametrize("spoil", ["short", "long", "length", "text", "negative", "header", "beyond", "word"])
async def test_binary_tensors_that_do_not_fit(http, spoil):
    """A binary body that is cut off, too long, of wrong sizes or no text is 400, never a crash."""
    body, size = binary()
    header = str(size)
    if spoil == "short":
        body = body[:-1]
    elif spoil == "long":
        body += b"x"
    elif spoil == "length":
        body = body.replace(struct.pack("<I", 5) + b"Focus", struct.pack("<I", 2**32 - 1) + b"Focus")
    elif spoil == "text":
        body = body.replace(b"Focus", b"\xffocus")
    elif spoil == "negative":
        body = body.replace(b'"binary_data_size": 32', b'"binary_data_size": -2')
    elif spoil == "word":
        body, size = binary(words=[["x" * 100, "", "", ""], ["", "", "", ""]])
        header = str(size)
    else:
        header = {"header": "1e2", "beyond": str(len(body) + 1)}[spoil]
    await refused(http, body, Content_Type=OCTETS, Inference_Header_Content_Length=header)


async def test_other_models_and_versions_are_not_found(http):
    """A model or version that is not served is 404 in the protocol's own form; so is an unknown path."""
    for path in ("/v2/models/other", "/v2/models/price/versions/2", "/v2/models/price/other", "/v2/x"):
        response = await http.ask("GET", path)
        assert (response.status, (await response.json()).keys()) == (404, {"error"})
    await refused(http, request(), 404, "/v2/models/price/versions/2/infer")
    await refused(http, request(), 405, "/v2/models/price")


async def test_rows_are_bounded_and_counted(serving):
    """More than 1,000 rows are 400, and every row counts against the caller's limit."""
    async with serving(vehicles_per_s=0.01, vehicles_burst=1_000, max_body_bytes=2**21) as http:

        def rows(count):
            return {
                "inputs": [
                    tensor("cat", "BYTES", WORDS[:1] * count, (count, 4)),
                    tensor("num", "FP32", NUMBERS[:1] * count, (count, 4)),
                ]
            }

        assert "1000 rows" in await refused(http, rows(1_001))
        assert (await http.post(rows(900), INFER))[0].status == 200
        await refused(http, rows(900), 429)
