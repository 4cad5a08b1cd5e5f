"""Tests of `study.metrics.ab_distance`: closed forms, other solvers, and what every colour adds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist
from scipy.stats import norm, qmc

from study.metrics import ab_distance
from study.metrics.ab_distance import MOST_COLORS, ColorSet, color_transport, transport

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=6, deadline=None)


def gaussian(mean, covariance):
    """16,384 colours of a Gaussian law, spread evenly over it."""
    normal = norm.ppf(qmc.Sobol(2, seed=0).random(2**14))
    return np.asarray(mean) + normal @ sqrtm(np.asarray(covariance)).T


@pytest.mark.parametrize(
    ("mean", "covariance"),
    [((3, -4), [[400, 0], [0, 400]]), ((0, 0), [[900, 0], [0, 25]]), ((10, 5), [[200, 120], [120, 150]])],
)
def test_two_gaussians_have_the_closed_form(mean, covariance):
    first = np.array([[300.0, -60], [-60, 200]])
    root = sqrtm(first)
    cross = sqrtm(root @ covariance @ root).trace()
    expected = np.sqrt(np.square(mean).sum() + first.trace() + np.trace(covariance) - 2 * cross)
    found = ab_distance(gaussian((0, 0), first), gaussian(mean, covariance))
    assert found == pytest.approx(expected, abs=0.03)


def test_sets_of_equal_size_agree_with_the_best_assignment():
    rng = np.random.default_rng(1)
    pred, target = rng.normal(0, 15, (400, 2)), rng.normal((8, 3), 30, (400, 2))
    cost = cdist(pred, target, "sqeuclidean")
    expected = np.sqrt(cost[linear_sum_assignment(cost)].mean())
    assert ab_distance(pred, target) == pytest.approx(expected, abs=0.05)


def test_one_color_against_two_opposite_ones_is_their_chroma():
    modes = np.repeat([[50.0, 0], [-50, 0]], 500, axis=0)
    assert ab_distance(np.zeros((7, 2)), modes) == pytest.approx(50)


@few
@given(seed=seeds, shift=st.tuples(st.integers(-40, 40), st.integers(-40, 40)))
def test_a_shift_of_all_colors_is_its_length(seed, shift):
    colors = np.random.default_rng(seed).normal(0, 12, (400, 2))
    assert ab_distance(colors + shift, colors) == pytest.approx(np.hypot(*shift), abs=0.25)


@few
@given(seed=seeds, gain=st.floats(0, 2.5))
def test_a_gain_costs_its_excess_times_the_mean_square(seed, gain):
    colors = np.random.default_rng(seed).normal((5, 10), 12, (400, 2))
    expected = abs(gain - 1) * np.sqrt(np.square(colors).sum(1).mean())
    assert ab_distance(gain * colors, colors) == pytest.approx(expected, rel=0.02, abs=0.3)


@few
@given(seed=seeds, rows=st.integers(1, 400))
def test_the_order_of_colors_does_not_matter_nor_that_of_the_sets(seed, rows):
    rng = np.random.default_rng(seed)
    pred, target = rng.normal(0, 20, (rows, 2)), rng.normal(4, 10, (300, 2))
    found = ab_distance(pred, target)
    assert ab_distance(rng.permutation(pred), target) == pytest.approx(found, abs=1e-6)
    assert ab_distance(target, pred) == pytest.approx(found, abs=1e-6)
    assert ab_distance(pred, rng.permutation(pred)) == pytest.approx(0, abs=1e-5)


def test_merging_bins_costs_little_accuracy():
    rng = np.random.default_rng(0)
    pred, target = ColorSet(rng.normal(0, (5, 8), (10**5, 2))), ColorSet(rng.laplace(3, 5, (10**5, 2)))
    assert min(len(pred.means), len(target.means)) > MOST_COLORS
    every_bin, _, _ = transport(pred.means, pred.shares, target.means, target.shares)
    assert np.sqrt(color_transport(pred, target).squared) == pytest.approx(np.sqrt(every_bin), abs=0.03)


@few
@given(seed=seeds, own=st.integers(1, 6), others=st.integers(1, 6))
def test_weighted_points_agree_with_the_linear_programme(seed, own, others):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 20, (own, 2)), rng.normal(0, 30, (others, 2))
    p, q = rng.dirichlet(np.ones(own) * 3) + 1e-3, rng.dirichlet(np.ones(others) * 3) + 1e-3
    p, q = p / p.sum(), q / q.sum()
    rows = np.kron(np.eye(own), np.ones(others)), np.kron(np.ones(own), np.eye(others))
    cost = cdist(x, y, "sqeuclidean")
    expected = linprog(cost.ravel(), A_eq=np.vstack(rows), b_eq=np.concatenate([p, q])).fun
    squared, u, v = transport(x, p, y, q)
    assert squared == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert p @ u + q @ v == pytest.approx(squared, rel=1e-6, abs=1e-6)
    assert (u[:, None] + v <= cost + 1e-6 * cost.max()).all()


def test_influences_foretell_what_leaving_out_pictures_does():
    rng = np.random.default_rng(3)
    pred, target = (rng.normal(0, sd, (100, 50, 2)).round(-1) for sd in (20, 40))
    pred[:20] += 20

    def distance(kept):
        return color_transport(ColorSet(pred[kept].reshape(-1, 2)), ColorSet(target[kept].reshape(-1, 2)))

    plan = distance(slice(None))
    by_picture = plan.pred.reshape(100, -1).mean(1) + plan.target.reshape(100, -1).mean(1)
    assert by_picture.mean() == pytest.approx(plan.squared)
    changes = [distance(np.arange(100) // 5 != group).squared - plan.squared for group in range(20)]
    foretold = [np.delete(by_picture, slice(5 * k, 5 * k + 5)).mean() - plan.squared for k in range(20)]
    assert np.corrcoef(changes, foretold)[0, 1] > 0.9
    assert np.std(changes) == pytest.approx(np.std(foretold), rel=0.2)


def test_weights_count_like_repeated_colors():
    rng = np.random.default_rng(4)
    colors, counts = rng.normal(0, 20, (300, 2)), rng.integers(1, 9, 300)
    target = ColorSet(rng.normal(9, 25, (500, 2)))
    weighted = color_transport(ColorSet(colors, counts.astype(float)), target).squared
    assert weighted == pytest.approx(color_transport(ColorSet(np.repeat(colors, counts, axis=0)), target).squared)


def test_tensors_of_any_float_type_are_taken():
    pred, target = torch.tensor([[0.0, 30]]), torch.tensor([[40.0, 0]])
    assert ab_distance(pred.half(), target.double().requires_grad_()) == pytest.approx(50)


def test_a_color_that_is_not_finite_gives_nan():
    assert np.isnan(ab_distance(torch.tensor([[0.0, torch.nan]]), torch.zeros(3, 2)))


@pytest.mark.parametrize("shape", [(0, 2), (5, 3), (5,), (1, 2, 4, 4)])
def test_what_is_no_set_of_colors_is_refused(shape):
    with pytest.raises(ValueError, match="target_ab"):
        ab_distance(torch.zeros(3, 2), torch.zeros(shape))
