"""The motion of a vehicle: speed, acceleration and distance at reading n, in closed form. Pure.

One reading is one second of driving. Trip b of a vehicle runs at pace 1 + PACE_SPREAD·(g(b) - g(b-1)), with
g in [0, 1). The paces of all trips before b add up to b + PACE_SPREAD·(g(b-1) - g(-1)), and all trips of a
style have the same length at pace 1. So the distance at reading n costs the same for n = 5 and n = 5·10⁹.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from shared.vehicles.drive_cycles import ORDERINGS, STYLES, TRIP_S, drive_cycles
from shared.vehicles.fleet import Fleet, Trait
from shared.vehicles.hash_random import Floats, Ints, uniform

PACE_SPREAD = 0.06
_MIN_VIGOUR, _VIGOUR_SPREAD = 0.9, 0.2


@dataclass(frozen=True, slots=True)
class Motion:
    """The motion at a number of readings: columns with one entry per reading.

    `seconds` and `distance_m` count from the vehicle's first reading.
    """

    trip: Ints
    second_of_trip: Ints
    seconds: Ints
    speed_ms: Floats
    acceleration_ms2: Floats  # over the last second
    distance_m: Floats
    trip_distance_m: Floats
    last_trip_distance_m: Floats


@dataclass(frozen=True, slots=True)
class Drivers:
    """How each vehicle is driven: columns with one entry per vehicle, and the fleet's seed."""

    seed: int
    style: Ints
    vigour: Floats
    mean_trip_distance_m: Floats
    first_second: Ints
    first_mood: Floats
    start_m: Floats

    @classmethod
    def from_fleet(cls, fleet: Fleet) -> Self:
        """Draw how each vehicle of the fleet is driven."""
        cycles = drive_cycles()
        vehicles = np.arange(len(fleet))
        style = (fleet.draw(Trait.STYLE) * len(STYLES)).astype(np.int64)
        vigour = _MIN_VIGOUR + _VIGOUR_SPREAD * fleet.draw(Trait.VIGOUR)
        # Vehicles are not all at the first second of a trip when the fleet starts.
        first_second = (fleet.draw(Trait.FIRST_SECOND) * TRIP_S).astype(np.int64)
        first_mood = _draw_mood(fleet.seed, vehicles, -1)
        pace = vigour * (1 + PACE_SPREAD * (_draw_mood(fleet.seed, vehicles, 0) - first_mood))
        start_m = pace * cycles.distance_m[style, _draw_ordering(fleet.seed, vehicles, 0), first_second]
        mean_trip_distance_m = cycles.trip_distance_m[style]
        return cls(fleet.seed, style, vigour, mean_trip_distance_m, first_second, first_mood, start_m)

    def motion(self, vehicles: Ints, reading_nos: Ints) -> Motion:
        """Return the motion of vehicles at their readings.

        Entry i of the result is the motion of vehicles[i] at reading reading_nos[i], numbered from 1.
        """
        cycles = drive_cycles()
        trip, second = np.divmod(self.first_second[vehicles] + reading_nos - 1, TRIP_S)
        mood, last_mood, mood_before = (_draw_mood(self.seed, vehicles, trip - back) for back in (0, 1, 2))
        vigour, mean_trip_m = self.vigour[vehicles], self.mean_trip_distance_m[vehicles]
        pace = vigour * (1 + PACE_SPREAD * (mood - last_mood))
        last_pace = vigour * (1 + PACE_SPREAD * (last_mood - mood_before))
        paces_of_trips = vigour * (trip + PACE_SPREAD * (last_mood - self.first_mood[vehicles]))
        style, ordering = self.style[vehicles], _draw_ordering(self.seed, vehicles, trip)
        speed_ms = pace * cycles.speed_ms[style, ordering, second]
        # A trip begins and ends at rest, so the trip before contributes nothing.
        last_speed_ms = pace * cycles.speed_ms[style, ordering, np.maximum(second - 1, 0)]
        trip_distance_m = pace * cycles.distance_m[style, ordering, second]
        return Motion(
            trip=trip,
            second_of_trip=second,
            seconds=reading_nos - 1,
            speed_ms=speed_ms,
            acceleration_ms2=speed_ms - last_speed_ms,
            distance_m=paces_of_trips * mean_trip_m + trip_distance_m - self.start_m[vehicles],
            trip_distance_m=trip_distance_m,
            last_trip_distance_m=last_pace * mean_trip_m,
        )


def _draw_ordering(seed: int, vehicles: Ints, trip: Ints | int) -> Ints:
    """Draw which ordering of its micro-trips a trip of each vehicle has."""
    return (uniform(seed, Trait.ORDERING, vehicles, trip) * ORDERINGS).astype(np.int64)


def _draw_mood(seed: int, vehicles: Ints, trip: Ints | int) -> Floats:
    return uniform(seed, Trait.PACE, vehicles, trip)
