"""The price models shipped with the project: in a wheel within the scorer, in a checkout at its root."""

from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PLACES = (_ROOT / "services" / "scorer" / "models" / "price", _ROOT / "models" / "price")

# The registry's folder, in the lake as in the project.
REGISTRY = "models/price"


def shipped_models() -> Path | None:
    """The folder of versions and their champion's pointer; None in an installation without them."""
    return next((place for place in _PLACES if place.is_dir()), None)
