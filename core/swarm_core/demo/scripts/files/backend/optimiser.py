"""The order in which a truck visits its stops.

Nearest neighbour gives a good first tour; 2-opt then uncrosses it, for as long as it gets shorter.
A tour starts and ends at the depot.
"""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import Sequence, Tuple

Point = Tuple[float, float]  # latitude, longitude in degrees

EARTH_RADIUS_KM = 6371.0
UNCROSS_LIMIT = 200  # beyond this many stops the first tour has to do: 2-opt is quadratic


def distance_km(a: Point, b: Point) -> float:
    """The great-circle distance between two points."""
    lat_a, lon_a, lat_b, lon_b = map(radians, (*a, *b))
    half = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(half))


def length_km(depot: Point, stops: Sequence[Point]) -> float:
    """The length of the round trip through ``stops`` in their order."""
    tour = [depot, *stops, depot]
    return sum(distance_km(a, b) for a, b in zip(tour, tour[1:]))


def best_order(depot: Point, stops: Sequence[Point]) -> list[int]:
    """The indices of ``stops`` in the order of the tour."""
    order = _nearest_neighbour(depot, stops)
    return _uncross(depot, stops, order) if len(order) <= UNCROSS_LIMIT else order


def _nearest_neighbour(depot: Point, stops: Sequence[Point]) -> list[int]:
    order: list[int] = []
    left = set(range(len(stops)))
    here = depot
    while left:
        nearest = min(left, key=lambda i: (distance_km(here, stops[i]), i))
        left.remove(nearest)
        order.append(nearest)
        here = stops[nearest]
    return order


def _uncross(depot: Point, stops: Sequence[Point], order: list[int]) -> list[int]:
    """Reverse stretches of the tour while that saves more than a metre."""
    tour = [depot, *(stops[i] for i in order), depot]
    order = list(order)
    improved = True
    while improved:
        improved = False
        for i in range(1, len(tour) - 2):
            for j in range(i + 1, len(tour) - 1):
                before = distance_km(tour[i - 1], tour[i]) + distance_km(tour[j], tour[j + 1])
                after = distance_km(tour[i - 1], tour[j]) + distance_km(tour[i], tour[j + 1])
                if after < before - 0.001:
                    tour[i : j + 1] = tour[i : j + 1][::-1]
                    order[i - 1 : j] = order[i - 1 : j][::-1]
                    improved = True
    return order
