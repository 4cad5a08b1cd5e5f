"""Which values a searched number may take, and where they lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.search.axes import Axis

RANGES = st.tuples(st.floats(1e-4, 1e4), st.floats(1.01, 1e5), st.booleans()).map(
    lambda given_: Axis(given_[0], given_[0] * given_[1], given_[2])
)


def test_values_have_one_significant_digit() -> None:
    assert Axis(0.05, 3).values.tolist() == [0.05, 0.06, 0.07, 0.08, 0.09, *(k / 10 for k in range(1, 10)), 1, 2, 3]
    assert Axis(0.8, 6, zero=True).values.tolist() == [0, 0.8, 0.9, 1, 2, 3, 4, 5, 6]


def test_a_narrow_range_has_two_digits() -> None:
    assert Axis(1, 2).values.tolist() == pytest.approx([k / 10 for k in range(10, 21)])
    assert Axis(1.01, 1.02).values.tolist() == [1.01, 1.02]


@given(RANGES)
def test_values_lie_in_the_range_and_what_is_near_them_becomes_them(axis: Axis) -> None:
    known = axis.values[axis.values > 0]
    assert (np.diff(axis.values) > 0).all()
    assert ((known >= axis.low) & (known <= axis.high)).all()
    assert axis.nearest(axis.values).tolist() == axis.values.tolist()
    between = np.geomspace(axis.low, axis.high, 50)
    nearest = axis.nearest(between)
    distance = np.abs(np.log(between[:, None] / known))
    assert np.abs(np.log(between / nearest)) == pytest.approx(distance.min(1), abs=1e-9)


@given(RANGES)
def test_finer_values_hold_the_tried_ones_and_leave_no_wide_step(axis: Axis) -> None:
    assert np.isin(axis.values, axis.fine).all()
    positive = axis.fine[axis.fine > 0]
    assert positive[1:] / positive[:-1] == pytest.approx(1.15, abs=0.21)
    few = axis.thinned(5)
    assert len(few) <= 5
    assert np.isin(few, axis.fine).all()


def test_zero_is_the_end_below_the_range_where_it_is_allowed() -> None:
    with_zero, without = Axis(0.01, 10, zero=True), Axis(0.01, 10)
    assert with_zero.nearest(np.array([0.0099, 0.01, 0.0])).tolist() == [0, 0.01, 0]
    assert without.nearest(np.array([0.0099, 0.01])).tolist() == [0.01, 0.01]
    assert with_zero.bottom < with_zero.low
    assert without.bottom == without.low
    assert np.log(with_zero.bottom) < with_zero.log(np.array([0.0]))[0] < np.log(with_zero.low)
    assert with_zero.log(np.array([1.0, 10.0])).tolist() == pytest.approx([0, np.log(10)])
