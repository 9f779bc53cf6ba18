"""The models shipped with the project: in a wheel they are beside this file, in a checkout at its root."""

from pathlib import Path

from shared.registry.layout import PRICE

_ROOT = Path(__file__).parents[2]
_PLACES = (Path(__file__).with_name("models"), _ROOT / "models")


def shipped_models(name: str = PRICE) -> Path | None:
    """Return the folder with a model's shipped versions and champion pointer.

    Return None if the installation has no such folder.
    """
    return next((place / name for place in _PLACES if (place / name).is_dir()), None)
