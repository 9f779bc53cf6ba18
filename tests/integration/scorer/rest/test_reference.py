"""The OpenAPI document and the reference page, as served."""

import re
import shutil
import subprocess

import msgspec
import pytest

from services.scorer.rest.app import make_app
from services.scorer.settings import ScorerSettings


@pytest.fixture
async def http(serving, automobile):
    async with serving(automobile=automobile) as http:
        yield http


@pytest.fixture
async def document(http):
    response = await http.ask("GET", "/openapi.json", Authorization="")
    assert (response.status, response.content_type) == (200, "application/json")
    return await response.json()


def references_of(value):
    if isinstance(value, dict):
        yield from (one for key, one in value.items() if key == "$ref")
        for one in value.values():
            yield from references_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from references_of(one)


async def test_every_route_is_described(document, served, automobile):
    """The document describes exactly the served routes, and every operation has an id of its own."""
    app = make_app(ScorerSettings(), served, lambda: True, automobile=automobile)
    routes = {
        (route.resource.canonical, route.method.lower())
        for route in app.router.routes()
        if route.method not in ("HEAD", "*") and route.resource.canonical not in ("/docs", "/openapi.json")
    }
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert described == routes
    ids = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(set(ids)) == len(ids)


async def test_the_document_is_consistent(document):
    """It is OpenAPI 3.1, every reference has a target, and fields have the contract's bounds."""
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    assert {one.rsplit("/", 1)[1] for one in references_of(document)} <= schemas.keys()
    vehicle = schemas["Vehicle"]
    assert set(vehicle["required"]) == {"make", "model", "year"}
    assert vehicle["properties"]["year"]["minimum"] == 1886
    assert schemas["VehicleList"]["properties"]["vehicles"]["maxItems"] == 1_000
    assert "id" not in schemas["Price"]["required"]


async def test_the_examples_work(http, document):
    """Every example of the document, sent unchanged, is answered with 200; each model has its own."""
    tried = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if "requestBody" not in operation:
                continue
            content = operation["requestBody"]["content"]["application/json"]
            given = {one["name"]: str(one["example"]) for one in operation.get("parameters", ())}
            examples = content.get("examples", {"": {"value": content.get("example")}})
            for name, example in examples.items():
                response, answer = await http.post(example["value"], path.format(**{**given, "name": name}))
                assert response.status == 200, answer
                tried.append(name)
    assert sorted(tried) == ["", "", "automobile", "automobile", "price", "price"]


async def test_the_tensors_of_every_model_are_described(http, document):
    """The document and each model's metadata give the same names, types and shapes."""
    jsonschema = pytest.importorskip("jsonschema", reason="openapi-spec-validator is not installed")
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]
    content = infer["requestBody"]["content"]["application/json"]
    (name,) = infer["parameters"]
    references = [one["$ref"].rsplit("/", 1)[1] for one in content["schema"]["anyOf"]]
    assert set(name["schema"]["enum"]) == content["examples"].keys() == {"price", "automobile"}
    schemas = document["components"]["schemas"]
    for model, reference in zip(name["schema"]["enum"], references, strict=True):
        metadata = await (await http.ask("GET", f"/v2/models/{model}")).json()
        one_of = schemas[reference]["properties"]["inputs"]["items"]["anyOf"]
        described = [schemas[one["$ref"].rsplit("/", 1)[1]]["properties"] for one in one_of]
        assert metadata["inputs"] == [
            {
                "name": one["name"]["enum"][0],
                "datatype": one["datatype"]["enum"][0],
                "shape": [-1, *one["shape"]["prefixItems"][1]["enum"]],
            }
            for one in described
        ]
        validator = jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{reference}", "components": document["components"]}
        )
        fits = {shown: validator.is_valid(one["value"]) for shown, one in content["examples"].items()}
        assert fits == {shown: shown == model for shown in fits}


async def test_the_document_follows_the_models(http, served):
    """A version that takes other columns is described as soon as it is in service."""
    sound = served.pricer

    class Narrower:
        fields = sound.fields
        manifest = msgspec.structs.replace(
            sound.manifest,
            version="narrow",
            inputs=msgspec.structs.replace(sound.manifest.inputs, num=sound.manifest.inputs.num[:3]),
            golden=tuple(msgspec.structs.replace(one, num=one.num[:3]) for one in sound.manifest.golden),
        )

    served.replace(Narrower())
    document = await (await http.ask("GET", "/openapi.json")).json()
    metadata = await (await http.ask("GET", "/v2/models/price")).json()
    shape = document["components"]["schemas"]["PriceNum"]["properties"]["shape"]
    assert shape["prefixItems"][1]["enum"] == [3] == metadata["inputs"][1]["shape"][1:]
    served.replace(sound)


async def test_the_page_works_offline(http, document):
    """The page shows every operation in a browser, fetches nothing and has no script."""
    response = await http.ask("GET", "/docs", Authorization="")
    page = await response.text()
    assert (response.status, response.content_type) == (200, "text/html")
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not re.search(r"<script|https?://|\bsrc=|@import|url\(", page)
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))
    for methods in document["paths"].values():
        assert all(one["operationId"] in targets for one in methods.values())


async def test_an_openapi_validator_accepts_it(document, tmp_path):
    """An independent validator finds no fault."""
    module = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not installed")
    module.validate(document)


async def test_promtool_accepts_the_metrics(http, focus, tmp_path):
    """promtool finds no fault with /metrics after some traffic."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian's package prometheus) is not installed")
    await http.post(focus)
    await http.post(b"{")
    text = await (await http.ask("GET", "/metrics")).text()
    checked = subprocess.run(  # noqa: ASYNC221 - nothing else runs meanwhile
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
