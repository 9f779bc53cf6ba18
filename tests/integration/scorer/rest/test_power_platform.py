"""The Power Platform files against a running scorer: every imported action works."""

import json
import re
from pathlib import Path

import pytest

from services.scorer.power_platform.flow import FLOW_ID
from tests.integration.scorer.rest.test_score import AUDI

FOLDER = Path(__file__).parents[4] / "deploy/power-platform"
KEY = "fleetprice-dev-key"
PARAMETER = "x-ms-apimTemplateParameter."


@pytest.fixture
async def http(serving, automobile):
    """The connection brings the key: the client has none of its own."""
    async with serving(automobile=automobile, key={}) as http:
        yield http


@pytest.fixture(scope="module")
def definition():
    return json.loads((FOLDER / "apiDefinition.swagger.json").read_text())


@pytest.fixture(scope="module")
def policies():
    return json.loads((FOLDER / "apiProperties.json").read_text())["properties"]["policyTemplateInstances"]


@pytest.fixture(scope="module")
def flow():
    path = FOLDER / f"flow/Microsoft.Flow/flows/{FLOW_ID}/definition.json"
    return json.loads(path.read_text())["properties"]["definition"]


def sent(definition, policies, operation_id, key=KEY):
    """Method, path and headers of an action once the policies were applied, and its operation."""
    method, path, operation = next(
        (method, path, operation)
        for path, methods in definition["paths"].items()
        for method, operation in methods.items()
        if operation["operationId"] == operation_id
    )
    headers = {}
    for policy in policies:
        given = policy["parameters"]
        if operation_id not in given.get("x-ms-apimTemplate-operationName", [operation_id]):
            continue
        if policy["templateId"] == "routerequesttoendpoint":
            path = given[f"{PARAMETER}newPath"]
        if policy["templateId"] == "setheader":
            value = given[f"{PARAMETER}value"].replace("@connectionParameters('api_key')", key)
            headers[given[f"{PARAMETER}name"]] = value
    return method.upper(), path, headers, operation


def example(definition, schema):
    """A body of the examples that makers see."""
    if "$ref" in schema:
        schema = definition["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("type") == "object":
        shown = {name: example(definition, one) for name, one in schema["properties"].items()}
        return {name: value for name, value in shown.items() if value is not None}
    if schema.get("type") == "array":
        return [example(definition, schema["items"])]
    return schema.get("example")


def assert_fits(definition, operation, answer):
    """Raise if the answer does not match the connector's definition."""
    jsonschema = pytest.importorskip("jsonschema", reason="openapi-spec-validator is not installed")
    schema = {**operation["responses"]["200"]["schema"], "definitions": definition["definitions"]}
    jsonschema.Draft4Validator(schema).validate(answer)


@pytest.mark.parametrize(
    ("operation_id", "query", "key"),
    [
        ("PriceVehicle", "", "prices"),
        ("PriceVehicle", "?explain=true", "prices"),
        ("PriceVehicles", "", "prices"),
        ("ScoreAutomobiles", "", "Results"),
        ("ListModels", "", "models"),
    ],
)
async def test_every_action_works_as_it_is_described(http, definition, policies, operation_id, query, key):
    """Each action, with its own examples and the connection's key, gets an answer of its schema."""
    method, path, headers, operation = sent(definition, policies, operation_id)
    body = next(
        (
            example(definition, one["schema"])
            for one in operation.get("parameters", ())
            if one["in"] == "body"
        ),
        None,
    )
    response = await http.ask(method, f"{path}{query}", body, **headers)
    assert response.status == 200
    answer = await response.json()
    assert answer[key]
    assert "error" not in json.dumps(answer)
    assert_fits(definition, operation, answer)


async def test_an_error_in_a_vehicles_place_fits_too(http, definition, policies, focus):
    """A list with a vehicle that cannot be priced still has the answer that the connector describes."""
    method, path, headers, operation = sent(definition, policies, "PriceVehicles")
    response = await http.ask(method, path, {"vehicles": [focus, {"make": "ford"}]}, **headers)
    answer = await response.json()
    assert [("price" in one, "error" in one) for one in answer["prices"]] == [(True, False), (False, True)]
    assert_fits(definition, operation, answer)


async def test_a_wrong_key_fails_the_test_of_the_connection(http, definition, policies):
    """The operation that tests a connection is 401 with another key, so that a maker learns it at once."""
    tested = definition["x-ms-capabilities"]["testConnection"]["operationId"]
    for key, status in ((KEY, 200), ("another", 401)):
        method, path, headers, _ = sent(definition, policies, tested, key)
        assert (await http.ask(method, path, **headers)).status == status


def evaluated(template, inputs):
    """Return the template with its expressions evaluated for one run's inputs, as the flow's engine does."""
    if isinstance(template, dict):
        return {name: evaluated(one, inputs) for name, one in template.items()}
    if isinstance(template, list):
        return [evaluated(one, inputs) for one in template]
    reference = re.fullmatch(r"@triggerBody\(\)\?\['(\w+)'\]", template)
    return inputs.get(reference[1]) if reference else template


def found(expression, answer):
    """Return the value of an expression such as `@body('Score')?['a']?[0]` in the answer."""
    assert expression.startswith("@body('Score')")
    for name, index in re.findall(r"\?\[(?:'([^']+)'|(\d+))\]", expression):
        answer = answer[name] if name else answer[int(index)]
    return answer


async def run(http, flow, inputs):
    """The flow's answer to the app that calls it; its maker sets only the key."""
    call = flow["actions"]["Score"]["inputs"]
    path = "/" + call["uri"].split("/", 3)[3]
    headers = {name: value.replace("YOUR-KEY", KEY) for name, value in call["headers"].items()}
    response = await http.ask(call["method"], path, evaluated(call["body"], inputs), **headers)
    assert response.status == 200
    answer = await response.json()
    reply = flow["actions"]["Respond_to_a_Power_App"]["inputs"]
    return {name: found(expression, answer) for name, expression in reply["body"].items()}


async def test_the_flow_gets_the_price_that_the_app_gets(http, flow):
    """The flow, given the published app's values, returns the price of the app's own request."""
    declared = flow["triggers"]["manual"]["inputs"]["schema"]["properties"]
    inputs = {key: AUDI[one["title"]] for key, one in declared.items()}
    kinds = {"string": str, "number": (int, float)}
    assert all(isinstance(inputs[key], kinds[one["type"]]) for key, one in declared.items())
    assert {one["title"] for one in declared.values()} == AUDI.keys() - {"price"}
    _, answer = await http.post(
        {"Inputs": {"WebServiceInput0": [AUDI]}}, "/score", Authorization=f"Bearer {KEY}"
    )
    price = answer["Results"]["WebServiceOutput0"][0]["Scored Labels"]
    assert await run(http, flow, inputs) == {"price": price}


async def test_the_flow_needs_no_input(http, flow):
    """Inputs that are left empty are missing values, which the flow gets a price for."""
    assert 3_000 < (await run(http, flow, {}))["price"] < 50_000
