"""When a car came to rest and set out is told to the tenth of a second from boxes that jitter."""

from __future__ import annotations

import numpy as np
import pytest

from actors.analytics.rules.halts import started_s, stopped_s

FPS, SIZE_PX = 6, 60.0
STOPS_S, SETS_OUT_S, ACCELERATION_PX = 3.1, 4.4, 25.0
PLACE = np.array([300.0, 200.0, 380.0, 245.0])


def jitter(num: int, seed: int, share: float = 0.03) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, share * SIZE_PX, (num, 4))


def boxes(times: np.ndarray, left_px: np.ndarray, seed: int) -> list[tuple[float, ...]]:
    way = np.array([1.0, -0.2, 1.0, -0.2])
    return [tuple(box) for box in PLACE + left_px[:, None] * way + jitter(len(times), seed)]


@pytest.mark.parametrize("seed", range(20))
def test_a_car_that_brakes_has_come_to_rest_when_its_way_was_at_an_end(seed):
    times = np.arange(1.0, 8.0, 1 / FPS)
    left_px = 0.5 * ACCELERATION_PX * np.maximum(STOPS_S - times, 0.0) ** 2
    assert stopped_s(times.tolist(), boxes(times, left_px, seed)) == pytest.approx(STOPS_S, abs=0.3)


@pytest.mark.parametrize("seed", range(20))
def test_a_car_that_came_slowly_before_it_braked_has_come_to_rest_when_its_way_was_at_an_end(seed):
    times = np.arange(-3.0, 8.0, 1 / FPS)
    left_s = np.maximum(STOPS_S - times, 0.0)
    braking_s = np.minimum(left_s, 2.5)
    left_px = 0.2 * ACCELERATION_PX * braking_s * (2 * left_s - braking_s)
    assert stopped_s(times.tolist(), boxes(times, left_px, seed)) == pytest.approx(STOPS_S, abs=0.3)


@pytest.mark.parametrize("seed", range(20))
def test_a_car_that_drives_off_set_out_when_its_way_began(seed):
    times = np.arange(0.0, 6.0, 1 / FPS)
    gone_px = 0.5 * ACCELERATION_PX * np.maximum(times - SETS_OUT_S, 0.0) ** 2
    found = started_s(times.tolist(), boxes(times, gone_px, seed))
    assert found == pytest.approx(SETS_OUT_S, abs=0.4)


@pytest.mark.parametrize("seed", range(20))
def test_a_car_that_only_jitters_has_stood_from_the_first_box_on(seed):
    times = np.arange(2.0, 8.0, 1 / FPS)
    assert stopped_s(times.tolist(), boxes(times, np.zeros(len(times)), seed)) == 2.0


def test_a_side_that_is_hidden_for_a_while_does_not_matter_much():
    times = np.arange(1.0, 8.0, 1 / FPS)
    left_px = 0.5 * ACCELERATION_PX * np.maximum(STOPS_S - times, 0.0) ** 2
    hidden = np.array(boxes(times, left_px, 0))
    hidden[20:24, 2] -= 15.0
    found = stopped_s(times.tolist(), [tuple(box) for box in hidden])
    assert found == pytest.approx(STOPS_S, abs=0.4)


def test_few_boxes_say_only_since_when_it_was_seen():
    assert stopped_s([1.0, 2.0], [tuple(PLACE), tuple(PLACE)]) == 1.0
