"""Two vehicles as tensors of the Open Inference Protocol, and its refusals."""

import json
import struct

import numpy as np

INFER = "/v2/models/price/infer"
WORDS = [["ford", "Focus", "manual", "petrol"], [" BMW ", "5 series", "", ""]]
NUMBERS = [[2017, 45_000, 1.0, 4.65], [2015, 90_000, None, None]]
OCTETS = "application/octet-stream"


def tensor(name, datatype, data, shape=(2, 4), **more):
    return {"name": name, "datatype": datatype, "shape": list(shape), "data": data, **more}


def request(**more):
    return {"inputs": [tensor("cat", "BYTES", WORDS), tensor("num", "FP32", NUMBERS)], **more}


def as_bytes(words):
    encoded = [word.encode() for row in words for word in row]
    return b"".join(struct.pack("<I", len(word)) + word for word in encoded)


def binary(words=WORDS, numbers=NUMBERS, **more):
    """Return the body of a request whose tensors follow its JSON, and the JSON's length."""
    cat = as_bytes(words)
    num = np.array(numbers, dtype="<f4").tobytes()
    inputs = [
        {"name": name, "datatype": kind, "shape": [2, 4], "parameters": {"binary_data_size": len(part)}}
        for name, kind, part in (("num", "FP32", num), ("cat", "BYTES", cat))
    ]
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + num + cat, len(head)


async def refused(http, body, status=400, path=INFER, **headers):
    response, answer = await http.post(body, path, **headers)
    assert response.status == status
    assert response.content_type == "application/json"
    assert answer.keys() == {"error"}
    return answer["error"]
