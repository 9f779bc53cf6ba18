"""Layout of the model registry, the same in the lake, in the project and in a wheel.

models/<name>/champion.json           the version in service: replaced
models/<name>/history/<number>.json   one record for each promotion: written once
models/<name>/<version>/…             the files of a version: written once
"""

from shared.service.errors import ModelUnusable

PRICE, AUTOMOBILE = "price", "automobile"

MANIFEST_FILE = "manifest.json"
GRAPH_FILE = "model.onnx"
TREES_FILE = "trees.npz"
CARD_FILE = "card.md"
CHAMPION_FILE = "champion.json"
HISTORY_FOLDER = "history"


def model_path(name: str) -> str:
    """Return the folder of a model's versions."""
    return f"models/{name}"


def champion_path(name: str) -> str:
    """Return the pointer to the version of a model that is in service."""
    return f"{model_path(name)}/{CHAMPION_FILE}"


def history_path(name: str) -> str:
    """Return the folder of a model's promotions."""
    return f"{model_path(name)}/{HISTORY_FOLDER}"


def version_path(name: str, version: str) -> str:
    """Return the folder of a version. Raises ModelUnusable for a `version` that is no folder's name."""
    return f"{model_path(name)}/{check_version(version)}"


def check_version(version: str) -> str:
    """Return `version`, which must not lead out of the registry. Raises ModelUnusable if it does."""
    if not version or version.startswith(".") or "/" in version or "\\" in version:
        raise ModelUnusable(f"{version!r} is no version")
    return version
