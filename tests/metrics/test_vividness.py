"""Colorfulness against closed forms and numpy; chroma, its ratio and shortfall, and the share of gray."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study.losses import ColorizationAntiAverageLoss
from study.metrics import chroma_ratio, chroma_shortfall, colorfulness, colorfulness_gap, gray_share, mean_chroma

RED, GREEN, BLUE, YELLOW, GRAY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (77, 77, 77)


def halves(left: tuple[int, int, int], right: tuple[int, int, int]) -> torch.Tensor:
    """uint8 image whose left half has one colour and right half another."""
    image = torch.empty(1, 3, 4, 6, dtype=torch.uint8)
    image[..., :3] = torch.tensor(left).reshape(3, 1, 1)
    image[..., 3:] = torch.tensor(right).reshape(3, 1, 1)
    return image


def colorfulness_in_numpy(rgb: np.ndarray) -> float:
    """M3 of an (H, W, 3) image on the 0..255 scale, straight from the paper."""
    red, green, blue = np.moveaxis(rgb.astype(float), -1, 0)
    rg, yb = red - green, 0.5 * (red + green) - blue
    return math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean())


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (halves(RED, GREEN), 255 + 0.3 * 127.5),  # 293.25
        (halves(YELLOW, BLUE), 255.0),
        (halves(RED, RED), 0.3 * math.hypot(255, 127.5)),  # 85.5296
        (halves(GRAY, GRAY), 0.0),
    ],
    ids=["red and green", "yellow and blue", "red", "gray"],
)
def test_colorfulness_closed_forms(image: torch.Tensor, expected: float) -> None:
    assert colorfulness(image).item() == pytest.approx(expected, abs=1e-4)
    assert colorfulness(image.float() / 255).item() == pytest.approx(expected, abs=1e-4)
    assert colorfulness(image.double() / 255).item() == pytest.approx(expected, abs=1e-9)


def test_colorfulness_equals_numpy_on_random_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 31, 17, 3), dtype=np.uint8)
    expected = [colorfulness_in_numpy(image) for image in images]
    planes = torch.from_numpy(images).permute(0, 3, 1, 2)
    np.testing.assert_allclose(colorfulness(planes), expected, rtol=1e-5)
    np.testing.assert_allclose(colorfulness(planes.double() / 255), expected, rtol=1e-12)


def test_colorfulness_gap_has_no_sign() -> None:
    vivid, plain = halves(RED, GREEN), halves(YELLOW, BLUE)
    assert colorfulness_gap(vivid, plain).item() == pytest.approx(293.25 - 255, abs=1e-4)
    assert colorfulness_gap(plain, vivid).item() == pytest.approx(293.25 - 255, abs=1e-4)


@given(seed=st.integers(0, 10_000), shift=st.floats(-0.2, 0.2))
def test_colorfulness_ignores_brightness_added_and_the_order_of_pixels(seed: int, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    rgb = torch.rand(1, 3, 5, 4, dtype=torch.float64, generator=generator)
    value = colorfulness(rgb)
    torch.testing.assert_close(colorfulness(rgb + shift), value)
    order = torch.randperm(20, generator=generator)
    torch.testing.assert_close(colorfulness(rgb.flatten(2)[..., order].reshape(1, 3, 5, 4)), value)


def test_mean_chroma_of_known_colors() -> None:
    ab = torch.tensor([[[3.0, 0.0], [0.0, -30.0]], [[4.0, 0.0], [-5.0, 40.0]]])[None]
    assert mean_chroma(ab).item() == pytest.approx((5 + 0 + 5 + 50) / 4)


@given(gain=st.floats(0, 4), angle=st.floats(-math.pi, math.pi), seed=st.integers(0, 1000))
def test_chroma_ratio_is_the_gain_whatever_the_turn_of_hue(gain: float, angle: float, seed: int) -> None:
    target = torch.randn(2, 2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 20
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    prediction = gain * torch.einsum("ij,njhw->nihw", turn, target)
    torch.testing.assert_close(chroma_ratio(prediction, target), torch.full((2,), gain, dtype=torch.float64))


@given(seed=st.integers(0, 1000))
def test_with_the_chroma_of_a_set_the_mean_ratio_is_the_ratio_of_means(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    strength = torch.tensor([1.0, 10.0, 60.0], dtype=torch.float64).view(-1, 1, 1, 1)
    target, pred = (strength * torch.randn(3, 2, 6, 5, dtype=torch.float64, generator=generator) for _ in range(2))
    true_chroma = float(np.hypot(target[:, 0], target[:, 1]).mean())
    values = chroma_ratio(pred, target, true_chroma)
    assert values.mean().item() == pytest.approx(float(np.hypot(pred[:, 0], pred[:, 1]).mean()) / true_chroma)
    torch.testing.assert_close(chroma_ratio(target, target, true_chroma), torch.ones(3, dtype=torch.float64))


def test_dull_pictures_do_not_decide_the_ratio_of_a_set() -> None:
    target = torch.full((2, 2, 4, 4), 40.0)
    target[0] /= 40
    pred = torch.full_like(target, 1.0)
    own, of_set = chroma_ratio(pred, target), chroma_ratio(pred, target, float(mean_chroma(target).mean()))
    assert own.mean().item() == pytest.approx((1 + 1 / 40) / 2)
    assert of_set.mean().item() == pytest.approx(2 / 41, rel=1e-5)


def test_chroma_ratio_is_undefined_for_a_colorless_set() -> None:
    target = torch.full((2, 2, 4, 4), 0.5)
    assert chroma_ratio(target, target, 0.7).isnan().all()


def test_chroma_ratio_is_undefined_only_for_the_colorless_target_of_a_batch() -> None:
    target = torch.full((2, 2, 4, 4), 10.0)
    target[0] = 0.5  # mean chroma 0.71
    ratio = chroma_ratio(torch.full_like(target, 5.0), target)
    assert ratio[0].isnan()
    assert ratio[1].item() == pytest.approx(0.5)


def test_gray_share_counts_chroma_below_five() -> None:
    ab = torch.tensor([[0.0, 4.99, 5.0, 5.01, -3.0, 80.0, -4.0, 0.0], [0.0, 0.0, 0.0, 0.0, 4.0, 0.0, 2.0, -4.9]])
    assert gray_share(ab.reshape(1, 2, 2, 4)).item() == pytest.approx(4 / 8)


def test_a_colour_that_is_not_finite_is_not_gray() -> None:
    ab = torch.zeros(2, 2, 3, 3)
    ab[0, 0, 1, 1] = math.nan
    found = gray_share(ab)
    assert found[0].isnan() and found[1] == 1
    assert gray_share(torch.full((1, 2, 3, 3), 2e19)) == 0  # whose square no float holds


def some_ab(seed: int, count: int = 3) -> torch.Tensor:
    return 30 * torch.randn(count, 2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_shortfall_equals_its_definition_in_numpy() -> None:
    pred, target = some_ab(0), some_ab(1)
    missing = np.hypot(*target.numpy().swapaxes(0, 1)) - np.hypot(*pred.numpy().swapaxes(0, 1))
    np.testing.assert_allclose(chroma_shortfall(pred, target), np.maximum(missing, 0).mean(axis=(1, 2)))


def test_gray_misses_all_of_the_chroma_and_the_truth_and_more_than_it_none() -> None:
    target = some_ab(2)
    torch.testing.assert_close(chroma_shortfall(torch.zeros_like(target), target), mean_chroma(target))
    assert chroma_shortfall(target, target).tolist() == chroma_shortfall(1.5 * target, target).tolist() == [0, 0, 0]


def test_too_much_here_does_not_make_up_for_too_little_there() -> None:
    target = torch.full((1, 2, 1, 2), 10.0)
    pred = target * torch.tensor([2.0, 0.0])
    assert mean_chroma(pred) == pytest.approx(mean_chroma(target).item())
    assert chroma_shortfall(pred, target).item() == pytest.approx(np.hypot(10, 10) / 2)


def test_mean_shortfall_is_the_confidence_term() -> None:
    pred, target = some_ab(3), some_ab(4)
    term = ColorizationAntiAverageLoss()(pred, target)["confidence"]
    assert chroma_shortfall(pred, target).mean().item() == pytest.approx(term.item())
