"""The models shipped with the project: in a wheel beside this file, in a checkout at its root."""

from pathlib import Path

PRICE, AUTOMOBILE = "price", "automobile"

_ROOT = Path(__file__).parents[2]
_PLACES = (Path(__file__).with_name("models"), _ROOT / "models")


def registry_of(name: str) -> str:
    """A model's folder of versions, in the lake as in the project."""
    return f"models/{name}"


# The registry's folder of the model that prices the stream.
REGISTRY = registry_of(PRICE)


def shipped_models(name: str = PRICE) -> Path | None:
    """The folder of a model's versions and their champion's pointer; None in an installation without them."""
    return next((place / name for place in _PLACES if (place / name).is_dir()), None)
