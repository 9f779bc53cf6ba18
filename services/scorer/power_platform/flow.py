"""A Power Automate flow that calls `/score` as the published app does, as an exported package. Pure."""

from typing import Any

from services.scorer.power_platform.definition import HOST
from services.scorer.rest.automobiles.requests import SCORED_LABELS
from shared.contract.automobile import NUMBERS, WORDS

FLOW_ID = "6f1d8f0e-3c0b-4d6e-9a55-2f1f7c8d4b10"
_RESOURCE_ID = "b7a4c2d1-58e9-4f36-8c1d-90e2a6f3d7c4"
_TITLE = "Car price"
_SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
_PRICE = f"@body('Score')?['Results']?['WebServiceOutput0']?[0]?['{SCORED_LABELS}']"


def flow_package() -> dict[str, dict[str, Any]]:
    """Return the package's files by path, in the layout of "Export package (.zip)"."""
    flows = "Microsoft.Flow/flows"
    return {
        "manifest.json": _package_manifest(),
        f"{flows}/manifest.json": {
            "packageSchemaVersion": "1.0",
            "flowAssets": {"assetPaths": [FLOW_ID]},
        },
        f"{flows}/{FLOW_ID}/definition.json": _flow(),
    }


def _package_manifest() -> dict[str, Any]:
    return {
        "schema": "1.0",
        "details": {
            "displayName": _TITLE,
            "description": "Asks a fleetprice scorer for the price of an automobile of 1985",
            "createdTime": "2026-11-23T00:00:00.0000000Z",
            "packageTelemetryId": _RESOURCE_ID,
            "creator": "N/A",
            "sourceEnvironment": "",
        },
        "resources": {
            _RESOURCE_ID: {
                "type": "Microsoft.Flow/flows",
                "suggestedCreationType": "New",
                "creationType": "Existing, New, Update",
                "details": {"displayName": _TITLE},
                "configurableBy": "User",
                "hierarchy": "Root",
                "dependsOn": [],
            }
        },
    }


def _flow() -> dict[str, Any]:
    return {
        "name": FLOW_ID,
        "id": f"/providers/Microsoft.Flow/flows/{FLOW_ID}",
        "type": "Microsoft.Flow/flows",
        "properties": {
            "apiId": "/providers/Microsoft.PowerApps/apis/shared_logicflows",
            "displayName": _TITLE,
            "definition": {
                "$schema": _SCHEMA,
                "contentVersion": "1.0.0.0",
                "parameters": {
                    "$connections": {"defaultValue": {}, "type": "Object"},
                    "$authentication": {"defaultValue": {}, "type": "SecureObject"},
                },
                "triggers": {"manual": _trigger()},
                "actions": {"Score": _score(), "Respond_to_a_Power_App": _respond()},
            },
            "connectionReferences": {},
            "flowFailureAlertSubscribed": False,
        },
    }


def _inputs() -> dict[str, str]:
    """Return each field of an automobile by its input's name in Power Automate: type and number."""
    texts = {("text" if not place else f"text_{place}"): name for place, name in enumerate(WORDS)}
    return texts | {
        ("number" if not place else f"number_{place}"): name for place, name in enumerate(NUMBERS)
    }


def _trigger() -> dict[str, Any]:
    """Return the trigger; no input is required, because the model takes missing values."""
    properties = {
        key: {
            "title": name,
            "type": "string" if name in WORDS else "number",
            "description": "May be left empty",
            "x-ms-content-hint": "TEXT" if name in WORDS else "NUMBER",
            "x-ms-dynamically-added": True,
        }
        for key, name in _inputs().items()
    }
    return {
        "type": "Request",
        "kind": "PowerAppV2",
        "inputs": {"schema": {"type": "object", "properties": properties, "required": []}},
    }


def _score() -> dict[str, Any]:
    row = {name: f"@triggerBody()?['{key}']" for key, name in _inputs().items()}
    return {
        "runAfter": {},
        "type": "Http",
        "inputs": {
            "method": "POST",
            "uri": f"https://{HOST}/score",
            "headers": {"Content-Type": "application/json", "Authorization": "Bearer YOUR-KEY"},
            "body": {"Inputs": {"WebServiceInput0": [row]}},
        },
        # The key stays out of the run's history.
        "runtimeConfiguration": {"secureData": {"properties": ["inputs"]}},
    }


def _respond() -> dict[str, Any]:
    price = {"title": "price", "type": "number", "x-ms-dynamically-added": True}
    return {
        "runAfter": {"Score": ["Succeeded"]},
        "type": "Response",
        "kind": "PowerApp",
        "inputs": {
            "statusCode": 200,
            "body": {"price": _PRICE},
            "schema": {"type": "object", "properties": {"price": price}},
        },
    }
