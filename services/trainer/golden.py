"""Made-up vehicles: every loader of the model checks their prices before it serves the model."""

import math
from typing import NamedTuple

import numpy as np

from services.trainer.session import Session
from shared.registry.model_manifest import GoldenRow


class _Vehicle(NamedTuple):
    title: str
    make: str
    model: str
    transmission: str
    fuel_type: str
    year: float
    odometer_km: float
    engine_l: float
    rated_consumption_l_100km: float


_NAN = math.nan
_HUGE = 3e38  # near the end of float32; JSON has no infinity
_VEHICLES = (
    _Vehicle("a common hatchback", "ford", "focus", "manual", "petrol", 2017, 41_500, 1.0, 4.65),
    _Vehicle("the same, worn", "ford", "focus", "manual", "petrol", 2017, 182_250, 1.0, 4.65),
    _Vehicle("a small car, ten years old", "vauxhall", "corsa", "manual", "petrol", 2010, 118_400, 1.2, 5.15),
    _Vehicle("a city car, almost new", "hyundai", "i10", "manual", "petrol", 2019, 4_350, 1.0, 4.95),
    _Vehicle("an estate on diesel", "skoda", "octavia", "semi-auto", "diesel", 2018, 63_700, 2.0, 4.35),
    _Vehicle("a saloon on diesel", "bmw", "3 series", "automatic", "diesel", 2016, 78_900, 2.0, 4.25),
    _Vehicle("a saloon, dear and new", "mercedes", "s class", "automatic", "diesel", 2019, 9_250, 3.0, 6.15),
    _Vehicle("a sports car", "audi", "r8", "automatic", "petrol", 2018, 12_800, 5.2, 12.35),
    _Vehicle("an off-roader", "volkswagen", "tiguan", "semi-auto", "diesel", 2017, 52_300, 2.0, 5.25),
    _Vehicle("a hybrid", "toyota", "prius", "automatic", "hybrid", 2016, 71_400, 1.8, 3.35),
    _Vehicle("an electric car", "bmw", "i3", "automatic", "electric", 2018, 28_600, _NAN, _NAN),
    _Vehicle("the first, capitalised", "Ford", "Focus", "Manual", "Petrol", 2017, 41_500, 1.0, 4.65),
    _Vehicle("an unknown model", "audi", "quattro concept", "automatic", "petrol", 2018, 33_000, 2.0, 7.05),
    _Vehicle("an unknown make", "lada", "niva", "manual", "petrol", 2014, 90_500, 1.7, 9.75),
    _Vehicle("newer than any seen", "toyota", "yaris", "automatic", "hybrid", 2027, 1_200, 1.5, 3.85),
    _Vehicle("older than any seen", "mercedes", "sl class", "automatic", "petrol", 1968, 205_000, 2.8, 12.75),
    _Vehicle("far beyond the odometers seen", "ford", "mondeo", "manual", "diesel", 2012, 915_000, 2.0, 5.35),
    _Vehicle("no year, no odometer", "skoda", "fabia", "manual", "petrol", _NAN, _NAN, 1.0, 4.75),
    _Vehicle("only make and model", "vauxhall", "astra", "", "", _NAN, _NAN, _NAN, _NAN),
    _Vehicle("nothing known", "", "", "", "", _NAN, _NAN, _NAN, _NAN),
    _Vehicle("absurd numbers", "bmw", "x5", "automatic", "diesel", _HUGE, -_HUGE, _HUGE, -_HUGE),
)


def golden_rows(session: Session) -> tuple[GoldenRow, ...]:
    cat = np.array([vehicle[1:5] for vehicle in _VEHICLES], dtype=object)
    num = np.array([vehicle[5:] for vehicle in _VEHICLES], dtype=np.float32)
    prices = session.run(cat, num)
    return tuple(
        GoldenRow(
            title=vehicle.title,
            cat=vehicle[1:5],
            num=tuple(None if math.isnan(value) else value for value in vehicle[5:]),
            price=float(prices.price[k]),
            lower=float(prices.lower[k]),
            upper=float(prices.upper[k]),
        )
        for k, vehicle in enumerate(_VEHICLES)
    )
