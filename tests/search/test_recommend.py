"""Which of several points is recommended, and which cannot be told from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.search.recommend import SCORES, alike, best_point, passed

NO_ALLOWANCE = dict.fromkeys(SCORES, 0.0)


def table(*points: tuple[float, float, float]) -> dict[str, np.ndarray]:
    """Points of chroma ratio, ab_rmse and gap of hue diversity."""
    return dict(zip(SCORES, np.array(points, dtype=float).T, strict=True))


def test_of_points_with_the_truths_chroma_the_one_with_the_smallest_error_is_recommended() -> None:
    dull, vivid, cheap, garish = (0.8, 19, 0.1), (0.98, 22, 0.1), (1.02, 21, 0.1), (1.3, 20, 0.1)
    assert best_point(table(dull, vivid, cheap, garish), colors=True) == 2


def test_without_such_a_point_the_nearest_to_the_truths_chroma_is() -> None:
    dull, near, garish = (0.8, 19, 0.1), (0.9, 22, 0.1), (1.15, 20, 0.1)
    assert best_point(table(dull, near, garish), colors=True) == 1


def test_of_points_with_much_the_same_error_the_one_with_better_hues_is() -> None:
    assert best_point(table((0.99, 20.0, 0.3), (1.0, 20.1, 0.1), (1.0, 20.5, 0.05)), colors=True) == 1


def test_where_nothing_searched_changes_colours_the_smallest_error_is() -> None:
    undertrained, good = (1.0, 30, 0.1), (0.7, 19, 0.1)
    assert best_point(table(undertrained, good), colors=False) == 1
    assert best_point(table(undertrained, good), colors=True) == 0


def test_a_point_is_told_from_the_best_in_the_score_that_is_worse_beyond_tolerance_and_noise() -> None:
    points = table((1.0, 20, 0.10), (0.95, 20, 0.10), (1.0, 20.5, 0.10), (1.0, 20, 0.15), (1.02, 20.1, 0.11))
    found = passed(points, True, NO_ALLOWANCE)
    assert {name: np.flatnonzero(~mask).tolist() for name, mask in found.items()} == {
        "chroma_ratio": [1], "ab_rmse": [2], "diversity": [3],
    }  # fmt: skip
    assert alike(points, True, NO_ALLOWANCE).tolist() == [True, False, False, False, True]
    assert alike(points, True, {"chroma_ratio": 0.03, "ab_rmse": 0.4, "diversity": 0.04}).all()
    assert alike(points, False, NO_ALLOWANCE).tolist() == [True, True, False, False, True]


POINTS = st.lists(st.tuples(st.floats(0.5, 1.5), st.floats(10, 30), st.floats(0, 1)), min_size=1, max_size=8)
ERRORS = st.tuples(st.floats(0, 0.2), st.floats(0, 2), st.floats(0, 0.2))


@given(POINTS, ERRORS, st.booleans())
def test_the_best_cannot_be_told_from_itself_and_more_noise_leaves_more_points(points, errors, colors) -> None:
    given_, small = table(*points), dict(zip(SCORES, errors, strict=True))
    large = {name: 2 * error for name, error in small.items()}
    assert alike(given_, colors, small)[best_point(given_, colors)]
    assert (alike(given_, colors, small) <= alike(given_, colors, large)).all()


def test_errors_may_differ_from_point_to_point() -> None:
    points = table((1.0, 20, 0.1), (0.9, 20, 0.1), (0.9, 20, 0.1))
    errors = {"chroma_ratio": np.array([0, 0.01, 0.1]), "ab_rmse": 0.0, "diversity": 0.0}
    assert alike(points, True, errors).tolist() == [True, False, True]


@pytest.mark.parametrize("far", [np.inf, -np.inf])
def test_points_that_are_out_of_the_question_are_never_recommended(far: float) -> None:
    points = table((1.0, 30, 0.1), (far, np.inf, np.inf))
    assert best_point(points, colors=True) == 0
    assert alike(points, True, NO_ALLOWANCE).tolist() == [True, False]
