"""AuC, plain and rebalanced, against threshold loops and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study.color.bins import AB_BINS
from study.metrics import auc, rebalanced_auc
from study.metrics.threshold_curve import PRIOR_FLOOR


def random_pair(seed: int, *shape: int, spread: float = 40.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(spread * torch.randn(*shape, dtype=torch.float64, generator=generator) for _ in range(2))


def thresholds_area(prediction: torch.Tensor, target: torch.Tensor, steps: int) -> float:
    """Trapezoid area under the curve of shares at `steps` equal steps from 0 to 150, normalised."""
    distance = np.linalg.norm((prediction - target).numpy(), axis=1).ravel()
    at = np.linspace(0, 150, steps + 1)
    return np.trapezoid([(distance <= t).mean() for t in at], at) / 150


def test_auc_is_the_limit_of_the_threshold_loop() -> None:
    prediction, target = random_pair(1, 1, 2, 40, 40)
    exact = auc(prediction, target).item()
    assert exact == pytest.approx(thresholds_area(prediction, target, 150), abs=1 / 300)
    assert exact == pytest.approx(thresholds_area(prediction, target, 15_000), abs=1 / 30_000)


@pytest.mark.parametrize(("distance", "expected"), [(0.0, 1.0), (30.0, 0.8), (150.0, 0.0), (400.0, 0.0)])
def test_auc_of_a_constant_distance(distance: float, expected: float) -> None:
    prediction = torch.zeros(1, 2, 3, 3)
    prediction[:, 0], prediction[:, 1] = 0.6 * distance, -0.8 * distance
    assert auc(prediction, torch.zeros(1, 2, 3, 3)).item() == pytest.approx(expected, abs=1e-6)


@given(seed=st.integers(0, 1000))
def test_whole_number_weights_equal_repeating_pixels(seed: int) -> None:
    prediction, target = random_pair(seed, 1, 2, 1, 12)
    weights = torch.randint(1, 5, (12,), generator=torch.Generator().manual_seed(seed))
    repeated = [ab.repeat_interleave(weights, dim=3) for ab in (prediction, target)]
    torch.testing.assert_close(auc(prediction, target, weights.reshape(1, 1, 12)), auc(*repeated))


def flat(color: torch.Tensor, *shape: int) -> torch.Tensor:
    return color.reshape(1, 2, 1, 1).expand(1, 2, *shape)


def test_rebalanced_auc_weights_by_the_bin_of_the_target() -> None:
    """Three pixels of a common colour, met exactly; one of a rare colour, 30 units off, where its bin differs."""
    common, rare = AB_BINS[100], AB_BINS[200]
    prior = torch.full((313,), (1 - 0.4 - 0.01) / 311)
    prior[100], prior[200] = 0.4, 0.01
    target = torch.cat([flat(common, 1, 3), flat(rare, 1, 1)], dim=3)
    prediction = target.clone()
    prediction[0, 1, 0, 3] += 30
    w_common, w_rare = 1 / 0.4, 1 / 0.01
    expected = 1 - w_rare * (30 / 150) / (3 * w_common + w_rare)
    assert rebalanced_auc(prediction, target, prior).item() == pytest.approx(expected, abs=1e-6)


def test_rebalanced_auc_equals_a_loop_over_nearest_bins() -> None:
    prediction, target = random_pair(3, 2, 2, 8, 8, spread=30.0)
    prior = np.random.default_rng(0).dirichlet(np.full(313, 0.3))
    colors = target.permute(0, 2, 3, 1).reshape(2, -1, 2).numpy()
    nearest = np.linalg.norm(colors[:, :, None] - AB_BINS.numpy(), axis=-1).argmin(-1)
    weight = 1 / np.maximum(prior[nearest], PRIOR_FLOOR)
    score = 1 - np.minimum(np.linalg.norm((prediction - target).numpy(), axis=1), 150).reshape(2, -1) / 150
    expected = (weight * score).sum(1) / weight.sum(1)
    np.testing.assert_allclose(rebalanced_auc(prediction, target, torch.from_numpy(prior)), expected, rtol=1e-6)


def test_color_that_training_never_saw_has_a_finite_weight() -> None:
    prior = torch.zeros(313)
    prior[100] = 1.0
    target = torch.cat([flat(AB_BINS[100], 1, 2), flat(AB_BINS[7], 1, 1)], dim=3)
    value = rebalanced_auc(target + 15.0, target, prior)
    assert value.item() == pytest.approx(1 - 15 * math.sqrt(2) / 150, abs=1e-6)


@pytest.mark.parametrize(
    ("prior", "says"), [(torch.ones(289) / 289, r"\(313,\).*\(289,\)"), (torch.full((313,), 7.0), "prior")]
)
def test_a_prior_of_another_length_or_of_counts_is_refused(prior: torch.Tensor, says: str) -> None:
    ab = torch.zeros(1, 2, 4, 4)
    with pytest.raises(ValueError, match=says):
        rebalanced_auc(ab, ab, prior)


def test_a_prior_may_be_rounded_an_array_or_not_to_be_looked_at() -> None:
    generator = torch.Generator().manual_seed(0)
    pred, target = (40 * torch.randn(2, 2, 6, 6, generator=generator) for _ in range(2))
    prior = torch.rand(313, generator=generator)
    prior /= prior.sum()
    wanted = rebalanced_auc(pred, target, prior)
    torch.testing.assert_close(rebalanced_auc(pred, target, prior.numpy()), wanted)
    compiled = torch.compile(rebalanced_auc, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(pred, target, prior), wanted)
    uniform = torch.full((313,), 1 / 313)  # whose sum is 0.998 in bfloat16
    torch.testing.assert_close(
        rebalanced_auc(pred, target, uniform.bfloat16()), rebalanced_auc(pred, target, uniform), rtol=0, atol=1e-3
    )
    assert rebalanced_auc(pred.to("meta"), target.to("meta"), prior.to("meta")).shape == (2,)
