"""The contract of the streams: readings and predictions, their fields, bounds and columns.

Public: docs/python-api.md. A name is imported at its first use, because the columns need pyarrow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.contract.columns import PREDICTION, READING, Contract
    from shared.contract.prediction import Prediction
    from shared.contract.reading import Reading

__all__ = ["PREDICTION", "READING", "Contract", "Prediction", "Reading"]

_MODULES = {
    "PREDICTION": "shared.contract.columns",
    "READING": "shared.contract.columns",
    "Contract": "shared.contract.columns",
    "Prediction": "shared.contract.prediction",
    "Reading": "shared.contract.reading",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shared.service.extras import needs_extra  # noqa: PLC0415 - only if a name is used

    with needs_extra("the contract's columns", "streams"):
        return getattr(import_module(_MODULES[name]), name)
