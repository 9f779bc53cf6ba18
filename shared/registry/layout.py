"""Layout of the model registry, which is the same in the lake, in the project and in a wheel.

models/<name>/champion.json           the pointer to the version in service; replaced
models/<name>/history/<number>.json   one record for each promotion; written once
models/<name>/<version>/…             the files of a version; written once
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
    """Return the path of the folder that holds a model's versions."""
    return f"models/{name}"


def champion_path(name: str) -> str:
    """Return the path of the pointer to the version of a model that is in service."""
    return f"{model_path(name)}/{CHAMPION_FILE}"


def history_path(name: str) -> str:
    """Return the path of the folder that holds the records of a model's promotions."""
    return f"{model_path(name)}/{HISTORY_FOLDER}"


def version_path(name: str, version: str) -> str:
    """Return the path of a version's folder. Raises ModelUnusable if `version` cannot name a folder."""
    return f"{model_path(name)}/{check_version(version)}"


def check_version(version: str) -> str:
    """Return `version` if it cannot lead out of the registry. Raises ModelUnusable otherwise."""
    if not version or version.startswith(".") or "/" in version or "\\" in version:
        raise ModelUnusable(f"{version!r} is no version")
    return version
