"""Made-up automobiles of 1985: every loader of the model checks their prices before it serves the model."""

import math
from typing import Any

import numpy as np

from services.trainer.session import Session
from shared.contract.automobile import NUMBERS, WORDS
from shared.registry.model_manifest import GoldenRow

_SALOON: dict[str, Any] = {
    "make": "mazda",
    "fuel-type": "gas",
    "aspiration": "std",
    "num-of-doors": "four",
    "body-style": "sedan",
    "drive-wheels": "fwd",
    "engine-location": "front",
    "engine-type": "ohc",
    "num-of-cylinders": "four",
    "fuel-system": "2bbl",
    "symboling": 1,
    "normalized-losses": 117,
    "wheel-base": 97.3,
    "length": 172.2,
    "width": 65.7,
    "height": 54.1,
    "curb-weight": 2310,
    "engine-size": 112,
    "bore": 3.27,
    "stroke": 3.31,
    "compression-ratio": 8.8,
    "horsepower": 87,
    "peak-rpm": 4900,
    "city-mpg": 26,
    "highway-mpg": 31,
}
_LIMOUSINE = {
    "make": "mercedes-benz",
    "num-of-cylinders": "eight",
    "engine-type": "ohcv",
    "fuel-system": "mpfi",
    "drive-wheels": "rwd",
    "curb-weight": 3790,
    "engine-size": 290,
    "horsepower": 180,
    "wheel-base": 118.4,
    "length": 206.1,
    "width": 71.2,
    "city-mpg": 15,
    "highway-mpg": 17,
}
_HUGE = 3e38  # near the end of float32; JSON has no infinity
_CHANGES: dict[str, dict[str, Any]] = {
    "a saloon": {},
    "a limousine": _LIMOUSINE,
    "a small car": {"make": "honda", "curb-weight": 1905, "engine-size": 91, "horsepower": 63},
    "a diesel estate": {"make": "peugot", "fuel-type": "diesel", "fuel-system": "idi", "body-style": "wagon"},
    "a sports car": {"make": "porsche", "engine-location": "rear", "engine-size": 190, "horsepower": 205},
    "spelt as the app does": {"make": "Alfa Romero", "num-of-cylinders": "6", "num-of-doors": "2"},
    "canonically": {"make": "alfa-romero", "num-of-cylinders": "six", "num-of-doors": "two"},
    "an unknown make": {"make": "trabant", "num-of-cylinders": "two"},
    "absurd numbers": {"curb-weight": _HUGE, "horsepower": -_HUGE},
    "only make and body": dict.fromkeys(set(_SALOON) - {"make", "body-style"}),
    "nothing known": dict.fromkeys(_SALOON),
}


def golden_rows(session: Session) -> tuple[GoldenRow, ...]:
    cars = [_SALOON | changes for changes in _CHANGES.values()]
    cat = [tuple(car[name] or "" for name in WORDS) for car in cars]
    num = [tuple(car[name] for name in NUMBERS) for car in cars]
    floats = [[math.nan if value is None else value for value in row] for row in num]
    prices = session.run(np.array(cat, dtype=object), np.array(floats, dtype=np.float32))
    return tuple(
        GoldenRow(title, words, numbers, float(price), float(lower), float(upper))
        for title, words, numbers, price, lower, upper in zip(_CHANGES, cat, num, *prices, strict=True)
    )
