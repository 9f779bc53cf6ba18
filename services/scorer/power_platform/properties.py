"""`apiProperties.json`: the parameters of a connection and the policies for its requests. Pure."""

from typing import Any

from services.scorer.power_platform.actions import ACTIONS, PRICES
from services.scorer.power_platform.definition import KEY

ADDRESS = "host"


def api_properties() -> dict[str, Any]:
    return {
        "properties": {
            "connectionParameters": {
                ADDRESS: _parameter(
                    "string", "Host", "Where the scorer answers over HTTPS, such as prices.example.com", 1
                ),
                KEY: _parameter("securestring", "Key", "A key of the scorer's, without the word Bearer", 2),
            },
            "iconBrandColor": "#1f6f5c",
            "capabilities": ["actions"],
            "policyTemplateInstances": [
                _policy(
                    "dynamichosturl",
                    "Ask the connection's host",
                    urlTemplate=f"https://@connectionParameters('{ADDRESS}')",
                ),
                _policy(
                    "setheader",
                    "Send the key as a bearer token",
                    name="Authorization",
                    value=f"Bearer @connectionParameters('{KEY}')",
                    existsAction="override",
                ),
                *(
                    _policy(
                        "routerequesttoendpoint",
                        f"{action.summary}: served where lists are",
                        [action.id],
                        newPath=PRICES,
                    )
                    for action in ACTIONS
                    if action.path
                ),
            ],
        }
    }


def _parameter(kind: str, name: str, about: str, place: int) -> dict[str, Any]:
    constraints = {"required": "true", "tabIndex": place}
    if kind == "securestring":
        constraints["clearText"] = False
    return {
        "type": kind,
        "uiDefinition": {
            "displayName": name,
            "description": about,
            "tooltip": about,
            "constraints": constraints,
        },
    }


def _policy(template: str, title: str, operations: list[str] | None = None, **given: str) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        f"x-ms-apimTemplateParameter.{name}": value for name, value in given.items()
    }
    if operations:
        parameters["x-ms-apimTemplate-operationName"] = operations
    if template == "setheader":
        parameters["x-ms-apimTemplate-policySection"] = "Request"
    return {"templateId": template, "title": title, "parameters": parameters}
