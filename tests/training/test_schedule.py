"""Batches and learning rates are functions of seed and step alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.training.schedule import BatchOrder, learning_rate


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 2**31 - 1))
def test_every_epoch_shows_every_picture_once(count: int, batch: int, seed: int) -> None:
    order = BatchOrder(count, batch, seed)
    shown = np.concatenate([order.indices(step) for step in range(2 * count)])
    for epoch in range(len(shown) // count):
        assert sorted(shown[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(st.integers(0, 40))
def test_a_step_does_not_depend_on_the_steps_before(step: int) -> None:
    walked = BatchOrder(23, 5, 7)
    for earlier in range(step):
        walked.indices(earlier)
    fresh = BatchOrder(23, 5, 7)
    assert np.array_equal(walked.indices(step), fresh.indices(step))
    assert np.array_equal(walked.flips(step), fresh.flips(step))


def test_seeds_and_epochs_differ() -> None:
    one, other = BatchOrder(100, 100, 0), BatchOrder(100, 100, 1)
    assert not np.array_equal(one.indices(0), other.indices(0))
    assert not np.array_equal(one.indices(0), one.indices(1))
    assert not np.array_equal(one.flips(0), other.flips(0))


def test_about_half_of_the_pictures_are_flipped() -> None:
    order = BatchOrder(100, 100, 0)
    assert np.mean([order.flips(step).mean() for step in range(100)]) == pytest.approx(0.5, abs=0.02)


def test_learning_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    rates = np.array([learning_rate(step, 100, 0.5, 0.1) for step in range(100)])
    assert rates.max() == pytest.approx(0.5)
    assert np.all(np.diff(rates[:10]) > 0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[-1] < 0.001
    assert rates[0] == pytest.approx(0.05)


def test_learning_rate_of_a_single_step_is_the_peak() -> None:
    assert learning_rate(0, 1, 0.5, 0.05) == 0.5
