"""The contract of the streams: readings and predictions, their fields, bounds and columns.

Public: docs/python-api.md. A name is imported at its first use, because the columns need pyarrow.
"""

from typing import TYPE_CHECKING

from shared.service.extras import lazy_exports

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

__getattr__ = lazy_exports(__name__, _MODULES, "the contract's columns", "streams")
