"""The routes of vehicles: closed curves around the vehicles' home towns. Pure.

A route is a smooth closed curve, given by points at equal distances along the curve. So the distance driven
determines the position on the route, and position, heading and height follow the odometer exactly.
"""

from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.vehicles.fleet import Fleet, Trait
from shared.vehicles.hash_random import Floats, Ints, uniform

SHAPES = 24
POINTS = 512
_HARMONICS = 6
_FINE_POINTS = 16_384
_SHORTEST_M, _LONGEST_M = 18_000.0, 70_000.0
_METERS_PER_DEGREE = 111_320.0
_SCATTER_DEGREES = 0.12
_LOWEST_M, _HIGHEST_M, _HILLS_M = 15.0, 140.0, 12.0
_FULL_TURN = 2 * np.pi

# Latitude, longitude (rounded) and weight of the home towns.
_TOWNS = np.array(
    [
        (51.51, -0.12, 9),
        (52.48, -1.89, 4),
        (53.48, -2.24, 4),
        (53.80, -1.55, 3),
        (55.86, -4.25, 3),
        (53.38, -1.47, 2),
        (51.45, -2.59, 2),
        (52.95, -1.15, 2),
        (51.48, -3.18, 2),
        (55.95, -3.19, 2),
        (54.97, -1.61, 2),
        (50.90, -1.40, 2),
    ]
)


@dataclass(frozen=True, slots=True)
class Position:
    """Positions: columns with one entry per reading."""

    latitude: Floats
    longitude: Floats
    heading_deg: Floats
    altitude_m: Floats


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes of a fleet: columns with one entry per vehicle."""

    shape: Ints
    length_m: Floats
    turn: Floats
    latitude: Floats
    longitude: Floats
    height_m: Floats

    @classmethod
    def from_fleet(cls, fleet: Fleet) -> Self:
        """Draw the routes of a fleet's vehicles."""
        weights = np.cumsum(_TOWNS[:, 2])
        town = np.searchsorted(weights, fleet.draw(Trait.TOWN) * weights[-1], side="right")
        spread = 2 * _SCATTER_DEGREES
        return cls(
            shape=(fleet.draw(Trait.ROUTE) * SHAPES).astype(np.int64),
            length_m=_SHORTEST_M + (_LONGEST_M - _SHORTEST_M) * fleet.draw(Trait.ROUTE_LENGTH),
            turn=_FULL_TURN * fleet.draw(Trait.TURN),
            latitude=_TOWNS[town, 0] + spread * (fleet.draw(Trait.NORTH) - 0.5),
            longitude=_TOWNS[town, 1] + spread * (fleet.draw(Trait.EAST) - 0.5),
            height_m=_LOWEST_M + (_HIGHEST_M - _LOWEST_M) * fleet.draw(Trait.HEIGHT),
        )

    def compute_positions(self, vehicles: Ints, distance_m: Floats) -> Position:
        """Return the positions of vehicles; entry i is that of vehicles[i] after driving distance_m[i]."""
        length_m, turn = self.length_m[vehicles], self.turn[vehicles]
        lap = distance_m / length_m % 1.0
        point, beyond = np.divmod(lap * POINTS, 1.0)
        here = route_shapes()[self.shape[vehicles], point.astype(np.int64) % POINTS]
        there = route_shapes()[self.shape[vehicles], (point.astype(np.int64) + 1) % POINTS]
        unit = (here + beyond * (there - here)) * length_m
        east, north = (unit * np.exp(1j * turn)).real, (unit * np.exp(1j * turn)).imag
        course = np.angle((there - here) * np.exp(1j * turn))
        latitude = self.latitude[vehicles]
        degrees_east = east / (_METERS_PER_DEGREE * np.cos(np.radians(latitude)))
        hills = np.sin(_FULL_TURN * 5 * lap + turn) + np.sin(_FULL_TURN * 11 * lap)
        return Position(
            latitude=latitude + north / _METERS_PER_DEGREE,
            longitude=self.longitude[vehicles] + degrees_east,
            heading_deg=np.degrees(np.pi / 2 - course) % 360,
            altitude_m=self.height_m[vehicles] + _HILLS_M * hills,
        )


@cache
def route_shapes() -> NDArray[np.complex128]:
    """Build the route shapes, once per process.

    The result is [shape, point], with points as complex numbers east + i·north. Each shape starts at the
    origin and has length 1.
    """
    return np.array([_draw_shape(number) for number in range(SHAPES)])


def _draw_shape(number: int) -> NDArray[np.complex128]:
    harmonics = np.arange(1, _HARMONICS + 1)
    phases = _FULL_TURN * uniform(number, harmonics)
    sizes = (0.4 + uniform(number, harmonics + _HARMONICS)) / harmonics**2
    angles = np.linspace(0, _FULL_TURN, _FINE_POINTS + 1)
    waves = 1j * angles[:, None] * harmonics * np.where(harmonics % 3 == 0, -1, 1) + 1j * phases
    curve = (sizes * np.exp(waves)).sum(axis=1)
    run = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(curve)))])
    equal = np.linspace(0, run[-1], POINTS, endpoint=False)
    points = np.interp(equal, run, curve.real) + 1j * np.interp(equal, run, curve.imag)
    closed = np.append(points, points[0])
    shape: NDArray[np.complex128] = (points - points[0]) / np.abs(np.diff(closed)).sum()
    return shape
