"""Which candidates become finalists, and which of them is recommended."""

from __future__ import annotations

import numpy as np
import pytest

from study.config.arms import Arm
from study.config.study import CompareSettings
from study.search.candidates import Candidate
from study.search.finalists import choose, recommend, with_interval


def point(chroma_ratio: float, ab_rmse: float, diversity: float = 0.1) -> dict[str, float]:
    return {"chroma_ratio": chroma_ratio, "ab_rmse": ab_rmse, "diversity": diversity}


def candidate(index: int, fidelity: float, vividness: float, diversity: float, chroma_ratio: float = 1.0) -> Candidate:
    arm = Arm.model_validate({"name": f"c{index}", "description": "", "loss": {"name": "mse"}})
    score = {
        "fidelity": fidelity,
        "ab_rmse": fidelity,
        "vividness": vividness,
        "diversity": diversity,
        "chroma_ratio": chroma_ratio,
    }
    return Candidate(index, "", {}, arm, [score], [1.0])


def test_of_points_with_the_truths_chroma_the_cheapest_is_recommended() -> None:
    points = {"dull": point(0.8, 19), "vivid": point(0.98, 22), "cheap": point(1.02, 21), "garish": point(1.3, 20)}
    assert recommend(points, colors=True) == "cheap"


def test_without_such_a_point_the_nearest_to_the_truths_chroma_is() -> None:
    points = {"dull": point(0.8, 19), "near": point(0.9, 22), "garish": point(1.15, 20)}
    assert recommend(points, colors=True) == "near"


def test_of_points_that_cost_the_same_the_one_with_better_hues_is() -> None:
    points = {"a": point(0.99, 20.0, 0.3), "b": point(1.0, 20.1, 0.1), "c": point(1.0, 20.5, 0.05)}
    assert recommend(points, colors=True) == "b"


def test_where_nothing_searched_changes_colours_the_smallest_error_is() -> None:
    points = {"undertrained": point(1.0, 30), "good": point(0.7, 19)}
    assert recommend(points, colors=False) == "good"


def test_knee_and_both_ends_come_first() -> None:
    front = [candidate(0, 19, 0.5, 0.3), candidate(1, 20, 0.1, 0.1), candidate(2, 25, 0.0, 0.2)]
    named = choose(front, 3, colors=True)
    assert {name: one.index for name, one in named.items()} == {"knee": 1, "vivid": 2, "faithful": 0}
    assert list(choose(front, 1, colors=True)) == ["knee"]


def test_others_fill_up_in_the_order_of_the_recommendation() -> None:
    best = candidate(0, 10, 0.0, 0.0, 0.9)
    others = [candidate(1, 30, 0.5, 0.5, 1.3), candidate(2, 20, 0.5, 0.5, 1.01), candidate(3, 25, 0.5, 0.5, 0.99)]
    named = choose([best, *others], 3, colors=True)
    assert {name: one.index for name, one in named.items()} == {
        "knee": 0, "vivid": 0, "faithful": 0, "next-1": 2, "next-2": 3,
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_never_more_candidates_than_asked_for_or_there_are(count: int) -> None:
    front = [candidate(k, 20 - k, 0.1 * k, 0.1) for k in range(5)]
    named = choose(front, count, colors=True)
    assert len({one.index for one in named.values()}) == min(count, 5)


def test_no_interval_reaches_beyond_the_values_that_a_metric_can_have() -> None:
    compare, apart = CompareSettings(resamples=200), np.repeat([[0.3], [0.9]], 5, axis=1)
    colorful = with_interval("colorfulness", 100 * apart, compare)
    assert (colorful["mean"], colorful["low"]) == (pytest.approx(60), 0.0)
    assert colorful["high"] > 200
    assert with_interval("chroma_ratio", apart, compare)["low"] == 0.0
    gap = with_interval("diversity", apart, compare)
    assert (gap["low"], gap["high"]) == (0.0, 1.0)
