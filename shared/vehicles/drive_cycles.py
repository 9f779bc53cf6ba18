"""Tables of the trips that a fleet drives: speed and distance at each second.

A trip lasts TRIP_S seconds and consists of the micro-trips of a style (city, mixed, motorway), each from
standstill to standstill. The same micro-trips in another order give another trip of the same duration and
distance. So the distance of n whole trips is computed as a product, not as a sum (motion.py).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from shared.vehicles.hash_random import Floats, uniform

TRIP_S = 1800
ORDERINGS = 32
_SECONDS_STANDING_FIRST = 4
_SHARE_STANDING_LAST = 0.08
_MEAN_ACCELERATION_MS2, _MEAN_BRAKING_MS2 = 0.85, 1.0
_RIPPLE = 0.05  # of the cruising speed: traffic ahead

# Cruising speed in km/h and seconds of each micro-trip; the seconds of a style add up to TRIP_S.
_CITY = ((28, 120), (45, 240), (18, 90), (50, 300), (32, 150), (48, 330), (24, 120), (40, 210), (52, 240))
_MIXED = ((35, 150), (50, 240), (82, 480), (48, 210), (30, 120), (92, 600))
_MOTORWAY = ((38, 150), (60, 210), (113, 1140), (72, 300))
STYLES = (_CITY, _MIXED, _MOTORWAY)


@dataclass(frozen=True, slots=True)
class DriveCycles:
    """The tables of speed and distance, indexed by [style, ordering, second of the trip].

    `trip_distance_m` is the distance of a whole trip, indexed by [style].
    """

    speed_ms: Floats
    distance_m: Floats
    trip_distance_m: Floats


@cache
def drive_cycles() -> DriveCycles:
    """Build the tables, once per process.

    Distance is the trapezoidal integral of speed from second 0.
    """
    speed_ms = np.array(
        [[_build_trip(style, ordering) for ordering in range(ORDERINGS)] for style in range(len(STYLES))]
    )
    steps_m = (speed_ms[..., 1:] + speed_ms[..., :-1]) / 2
    distance_m = np.concatenate([np.zeros((*speed_ms.shape[:2], 1)), np.cumsum(steps_m, axis=-1)], axis=-1)
    # A trip ends at rest, so the step into the next one adds nothing.
    return DriveCycles(speed_ms, distance_m, distance_m[:, 0, -1])


def _build_trip(style: int, ordering: int) -> Floats:
    micro_trips = [_build_micro_trip(cruise_kmh / 3.6, length_s) for cruise_kmh, length_s in STYLES[style]]
    order = np.argsort(uniform(style, ordering, np.arange(len(micro_trips))))
    return np.concatenate([micro_trips[index] for index in order])


def _build_micro_trip(cruise_ms: float, length_s: int) -> Floats:
    """Build the speeds of a micro-trip: stand, speed up, cruise with ripples, brake, stand.

    Ramps are half cosines. Raises ValueError if the micro-trip is too short to reach `cruise_ms`.
    """
    standing_last_s = max(2, round(_SHARE_STANDING_LAST * length_s))
    rise_s = round(cruise_ms / _MEAN_ACCELERATION_MS2)
    fall_s = round(cruise_ms / _MEAN_BRAKING_MS2)
    cruise_s = length_s - _SECONDS_STANDING_FIRST - standing_last_s - rise_s - fall_s
    if cruise_s < 1:
        raise ValueError(f"{length_s} s are too short to reach {cruise_ms:.1f} m/s and stop again")
    at = np.linspace(0, 1, cruise_s)
    ripple = np.sin(np.pi * at) * np.sin(2 * np.pi * at * max(1, cruise_s // 45))
    return np.concatenate(
        [
            np.zeros(_SECONDS_STANDING_FIRST),
            cruise_ms * _half_cosine(rise_s),
            cruise_ms * (1 + _RIPPLE * ripple),
            cruise_ms * _half_cosine(fall_s)[::-1],
            np.zeros(standing_last_s),
        ]
    )


def _half_cosine(steps: int) -> Floats:
    """Return `steps` values that rise from just above 0 to just below 1 along half a cosine wave."""
    rising: Floats = (1 - np.cos(np.pi * np.arange(1, steps + 1) / (steps + 1))) / 2
    return rising
