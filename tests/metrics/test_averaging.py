"""Averaging index, commitment and excess error where the colour distribution is known, against loops and exact sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study.metrics import averaging_index, excess_error, mode_commitment, reachable_error, regret

NAN = math.nan
# kind 0: two opposite modes, unequal; kind 1: one colour; kind 2: three modes; kind 3: two modes around their mean's
# vicinity (2 units), where averaging and committing look alike
MODES = torch.tensor(
    [
        [[40.0, 0.0], [-40.0, 0.0], [NAN, NAN]],
        [[5.0, 30.0], [NAN, NAN], [NAN, NAN]],
        [[0.0, 50.0], [30.0, -10.0], [-20.0, -20.0]],
        [[2.0, 10.0], [-2.0, 10.0], [NAN, NAN]],
    ],
    dtype=torch.float64,
)
PROBABILITIES = torch.tensor(
    [[0.75, 0.25, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [0.5, 0.5, 0.0]], dtype=torch.float64
)
MEAN = torch.tensor([[20.0, 0.0], [5.0, 30.0], [-1.0, -3.0], [0.0, 10.0]], dtype=torch.float64)
WORLD = (MODES, PROBABILITIES)


def painted(points: torch.Tensor, kind: torch.Tensor) -> torch.Tensor:
    """Picture (N, 2, H, W) whose every pixel has its kind's point."""
    return points[kind].permute(0, 3, 1, 2)


def random_kinds(seed: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(seed))


def test_prediction_at_the_mean_averages_fully() -> None:
    kind = random_kinds(0, 2, 6, 6)
    prediction = painted(MEAN, kind)
    torch.testing.assert_close(averaging_index(prediction, kind, *WORLD), torch.ones(2, dtype=torch.float64))
    assert torch.equal(mode_commitment(prediction, kind, *WORLD), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(excess_error(prediction, kind, *WORLD), torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("mode", [0, 1])
def test_prediction_at_a_mode_commits_fully_even_to_the_unlikely_one(mode: int) -> None:
    kind = random_kinds(1, 2, 6, 6)
    kind[kind == 1] = 0
    prediction = painted(MODES[:, mode], kind)
    assert torch.equal(averaging_index(prediction, kind, *WORLD), torch.zeros(2, dtype=torch.float64))
    assert torch.equal(mode_commitment(prediction, kind, *WORLD), torch.ones(2, dtype=torch.float64))


def test_kinds_whose_mean_is_near_a_mode_are_left_out() -> None:
    kind = torch.tensor([[[0, 1, 3, 3]]])
    prediction = painted(MEAN, kind).clone()
    assert averaging_index(prediction, kind, *WORLD).item() == 1
    only_uninformative = torch.tensor([[[1, 1, 3, 3]]])
    for metric in (averaging_index, mode_commitment):
        assert metric(prediction, only_uninformative, *WORLD).isnan().all()


def test_commitment_needs_ten_units_and_a_mode_nearer_than_the_mean() -> None:
    kind = torch.zeros(1, 1, 4, dtype=torch.long)
    a = torch.tensor([-31.0, -29.0, 47.0, 40.0])
    b = torch.tensor([0.0, 0.0, 7.0, 10.5])
    prediction = torch.stack([a, b])[None, :, None]
    assert mode_commitment(prediction, kind, *WORLD).item() == pytest.approx(2 / 4)
    # modes 8 units from their mean: a point 4.5 from the mode and 3.5 from the mean is near a mode, but averages
    close = torch.tensor([[[8.0, 0.0], [-8.0, 0.0]]])
    point = torch.tensor([3.5, 0.0]).reshape(1, 2, 1, 1)
    assert mode_commitment(point, kind[..., :1], close, torch.tensor([[0.5, 0.5]])).item() == 0


def test_gray_never_commits_even_where_a_pale_mode_is_near() -> None:
    """One of the possible colours is ten units from gray: a picture without colour has not chosen it."""
    modes, probabilities = torch.tensor([[[0.0, -10.0], [0.0, -60.0]]]), torch.tensor([[0.5, 0.5]])
    kind = torch.zeros(1, 1, 4, dtype=torch.long)
    prediction = torch.stack([torch.zeros(4), torch.tensor([0.0, -4.9, -5.1, -10.0])])[None, :, None]
    committed = [mode_commitment(prediction[..., k : k + 1], kind[..., :1], modes, probabilities) for k in range(4)]
    assert torch.cat(committed).tolist() == [0, 0, 1, 1]


def test_index_equals_a_loop_over_pixels() -> None:
    kind = random_kinds(2, 2, 5, 4)
    prediction = 25 * torch.randn(2, 2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for image in range(2):
        values = []
        for row, column in np.ndindex(5, 4):
            k = int(kind[image, row, column])
            if k in (1, 3):
                continue
            point = prediction[image, :, row, column].numpy()
            to_mode = min(np.linalg.norm(point - mode) for mode in MODES[k].numpy() if not np.isnan(mode[0]))
            to_mean = np.linalg.norm(point - MEAN[k].numpy())
            values.append(to_mode / (to_mode + to_mean))
        found = averaging_index(prediction, kind.to(torch.uint8), *WORLD)
        assert found[image].item() == pytest.approx(np.mean(values))


@given(seed=st.integers(0, 10_000))
def test_excess_plus_reachable_is_the_expected_error_summed_over_the_modes(seed: int) -> None:
    kind = random_kinds(seed, 2, 3, 3)
    prediction = 30 * torch.randn(2, 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    expected = torch.zeros(2, dtype=torch.float64)
    for mode in range(3):
        error = (prediction - painted(MODES[:, mode].nan_to_num(), kind)).square().mean(1)
        expected += (PROBABILITIES[kind][..., mode] * error).flatten(1).mean(1)
    torch.testing.assert_close(excess_error(prediction, kind, *WORLD) + reachable_error(kind, *WORLD), expected)


def test_drawing_colors_from_the_distribution_doubles_the_reachable_error() -> None:
    kind = torch.full((1, 2, 2), 2)
    drawn = sum(p * excess_error(painted(MODES[:, m], kind), kind, *WORLD) for m, p in enumerate(PROBABILITIES[2]))
    torch.testing.assert_close(drawn, reachable_error(kind, *WORLD))


def test_regret_is_the_excess_as_a_share_of_what_the_whole_set_can_reach() -> None:
    kind = random_kinds(9, 3, 4, 4)
    prediction = painted(MEAN, kind) + 6.0
    reachable = reachable_error(kind, *WORLD).mean().item()
    torch.testing.assert_close(
        regret(prediction, kind, *WORLD, reachable), torch.full((3,), 36 / reachable, dtype=torch.float64)
    )


def test_regret_is_undefined_where_nothing_has_to_be_guessed() -> None:
    kind = torch.ones(2, 3, 3, dtype=torch.int64)  # a single colour
    assert regret(painted(MEAN, kind) + 1.0, kind, *WORLD, reachable_error(kind, *WORLD).mean().item()).isnan().all()


def test_reachable_error_of_opposite_hues_and_of_a_single_color() -> None:
    kind = torch.tensor([[[0, 0]], [[1, 1]]])
    # 0.75 * 20^2 + 0.25 * 60^2 = 1200, halved by the mean over the two channels
    torch.testing.assert_close(reachable_error(kind, *WORLD), torch.tensor([600.0, 0.0], dtype=torch.float64))


@given(angle=st.floats(-4, 4), seed=st.integers(0, 1000))
def test_turning_the_world_and_the_prediction_together_changes_nothing(angle: float, seed: int) -> None:
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    kind = random_kinds(seed, 1, 5, 5)
    prediction = 30 * torch.randn(1, 2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    turned = torch.einsum("ij,njhw->nihw", turn, prediction)
    for metric in (averaging_index, excess_error):
        before, after = metric(prediction, kind, *WORLD), metric(turned, kind, MODES @ turn.T, PROBABILITIES)
        torch.testing.assert_close(before, after, equal_nan=True)


def test_shapes_that_do_not_fit_are_named() -> None:
    prediction, kind = torch.zeros(2, 2, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long)
    with pytest.raises(ValueError, match=r"\(2, 4, 5\).*\(2, 2, 4, 4\)"):
        averaging_index(prediction, torch.zeros(2, 4, 5, dtype=torch.long), *WORLD)
    with pytest.raises(ValueError, match=r"\(4, 3, 2\) and \(4, 2\)"):
        excess_error(prediction, kind, MODES, PROBABILITIES[:, :2])


@pytest.mark.parametrize("odd", [NAN, math.inf])
def test_a_colour_that_is_not_finite_is_no_good_score(odd: float) -> None:
    kind = torch.zeros(1, 3, 3, dtype=torch.int64)
    prediction = painted(MODES[:, 0], kind).clone()
    prediction[0, 0, 1, 1] = odd
    for metric in (mode_commitment, averaging_index, excess_error):
        assert not metric(prediction, kind, *WORLD).isfinite()
    elsewhere = torch.ones(1, 3, 3, dtype=torch.bool)
    elsewhere[0, 1, 1] = False
    assert mode_commitment(prediction, kind, *WORLD, elsewhere) == 1


@pytest.mark.parametrize("label", [-1, 4, 255])
def test_labels_that_are_no_kind_are_refused_unless_the_mask_leaves_them_out(label: int) -> None:
    kind = random_kinds(5, 2, 4, 4)
    prediction = painted(MEAN, kind)
    expected = [excess_error(prediction, kind, *WORLD), reachable_error(kind, *WORLD)]
    kind[0, 0, 0] = label
    for refused in (lambda: mode_commitment(prediction, kind, *WORLD), lambda: reachable_error(kind, *WORLD)):
        with pytest.raises(ValueError, match=r"0\.\.3"):
            refused()
    counted = kind != label
    averaging_index(prediction, kind, *WORLD, counted)
    found = [excess_error(prediction, kind, *WORLD, counted), reachable_error(kind, *WORLD, counted)]
    assert torch.equal(found[0][1], expected[0][1]) and torch.equal(found[1][1], expected[1][1])


def test_kinds_and_probabilities_of_another_sort_are_refused() -> None:
    kind = random_kinds(6, 1, 3, 3)
    prediction = painted(MEAN, kind)
    with pytest.raises(ValueError, match="float"):
        averaging_index(prediction, kind.double(), *WORLD)
    for wrong in (2 * PROBABILITIES, -PROBABILITIES, PROBABILITIES * NAN):
        with pytest.raises(ValueError, match="probabilities"):
            excess_error(prediction, kind, MODES, wrong)
