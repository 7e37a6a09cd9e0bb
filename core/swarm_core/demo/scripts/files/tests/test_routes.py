"""Is a planned tour complete, short, and quick to compute?"""

from __future__ import annotations

import random
import time
import unittest
from itertools import permutations

from backend.optimiser import best_order, distance_km, length_km
from tests.support import ServerCase

DEPOT = (51.36, 12.34)


def town(stops: int, seed: int) -> list[tuple[float, float]]:
    """Some bins in a square of about ten by ten kilometres."""
    chance = random.Random(seed)
    return [(51.30 + chance.random() * 0.09, 12.30 + chance.random() * 0.14) for _ in range(stops)]


class Optimiser(unittest.TestCase):
    def test_distance_agrees_with_the_map(self) -> None:
        leipzig, dresden = (51.3397, 12.3731), (51.0504, 13.7373)
        self.assertAlmostEqual(distance_km(leipzig, dresden), 100.2, delta=0.5)

    def test_every_stop_is_visited_once(self) -> None:
        for stops in (0, 1, 2, 50):
            with self.subTest(stops=stops):
                self.assertEqual(sorted(best_order(DEPOT, town(stops, 1))), list(range(stops)))

    def test_a_tour_is_close_to_the_best_there_is(self) -> None:
        for seed in range(5):
            points = town(7, seed)
            best = min(length_km(DEPOT, order) for order in permutations(points))
            ours = length_km(DEPOT, [points[i] for i in best_order(DEPOT, points)])
            with self.subTest(seed=seed):
                self.assertLess(ours, best * 1.10)

    def test_a_thousand_stops_take_less_than_five_seconds_of_computing(self) -> None:
        started = time.process_time()
        best_order(DEPOT, town(1_000, 2))
        self.assertLess(time.process_time() - started, 5)


class Planning(ServerCase):
    def test_a_route_visits_the_full_bins_and_no_others(self) -> None:
        token = self.log_in()
        full = {b["id"] for b in self.call("GET", "/api/bins?min_fill=70", token=token)[1]}
        status, route = self.call("POST", "/api/routes", {"name": "Monday", "min_fill": 70}, token)
        self.assertEqual(status, 201)
        self.assertEqual({stop["bin_id"] for stop in route["stops"]}, full)
        self.assertEqual([stop["position"] for stop in route["stops"]], list(range(1, len(full) + 1)))

    def test_a_planned_route_is_kept(self) -> None:
        token = self.log_in()
        _, planned = self.call("POST", "/api/routes", {"name": "Tuesday"}, token)
        _, kept = self.call("GET", f"/api/routes/{planned['id']}", token=token)
        self.assertEqual(kept["stops"], planned["stops"])
        self.assertGreater(kept["distance_km"], 0)
