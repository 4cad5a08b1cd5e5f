"""What all metrics promise: one value per image, masks, precision, clear refusals."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from study import metrics
from study.metrics import METRICS, base, threshold_curve

Batch = dict[str, torch.Tensor]

MODES = torch.tensor([[[40.0, 0.0], [-40.0, 0.0]], [[0.0, 30.0], [0.0, -20.0]]])
PROBABILITIES = torch.tensor([[0.5, 0.5], [0.3, 0.7]])
PRIOR = torch.full((313,), 1 / 313)


def measured(name: str) -> Callable[..., torch.Tensor]:
    """A declared metric of a batch, whatever inputs it takes; the mask by keyword."""

    def measure(values: Batch, mask: torch.Tensor | None = None) -> torch.Tensor:
        world = {"modes": MODES, "probabilities": PROBABILITIES, "prior": PRIOR, "reachable_mse": 500.0}
        return METRICS[name].measure(values | world, mask)

    return measure


ALL: dict[str, Callable[..., torch.Tensor]] = {name: measured(name) for name in METRICS if name != "lpips"} | {
    "excess_error": lambda b, **mask: metrics.excess_error(b["ab"], b["kind"], MODES, PROBABILITIES, **mask),
    "reachable_error": lambda b, **mask: metrics.reachable_error(b["kind"], MODES, PROBABILITIES, **mask),
}
MASKED = {name: function for name, function in ALL.items() if name != "ssim"}
PAIRS = {name: card.needs for name, card in METRICS.items() if name != "lpips" and len(card.needs) in (2, 3)}


def batch(dtype: torch.dtype = torch.float64, count: int = 3, height: int = 12, width: int = 14) -> Batch:
    generator = torch.Generator().manual_seed(0)

    def uniform(channels: int, low: float, high: float) -> torch.Tensor:
        values = torch.rand(count, channels, height, width, dtype=torch.float64, generator=generator)
        return (low + (high - low) * values).to(dtype)

    ab, true_ab, lightness = uniform(2, -50, 60), uniform(2, -40, 50), uniform(1, 0, 100)
    rgb, true_rgb = uniform(3, 0, 1), uniform(3, 0, 1)
    return {
        "ab": ab,
        "pred_ab": ab,
        "target_ab": true_ab,
        "pred_lab": torch.cat([lightness, ab], 1),
        "target_lab": torch.cat([lightness, true_ab], 1),
        "rgb": rgb,
        "rgb_pred": rgb,
        "rgb_target": true_rgb,
        "kind": torch.randint(0, 2, (count, height, width), generator=generator),
    }


def column(values: Batch, part: slice) -> Batch:
    """The same batch with only some columns of pixels."""
    return {name: value[..., part] for name, value in values.items()}


@pytest.mark.parametrize("name", ALL)
def test_one_value_per_image_that_does_not_depend_on_the_rest_of_the_batch(name: str) -> None:
    values = batch()
    together = ALL[name](values)
    assert together.shape == (3,)
    alone = torch.cat([ALL[name]({key: value[k : k + 1] for key, value in values.items()}) for k in range(3)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", ALL)
def test_empty_batch_gives_no_values(name: str) -> None:
    assert ALL[name]({key: value[:0] for key, value in batch().items()}).shape == (0,)


@pytest.mark.parametrize("name", [name for name in ALL if name in METRICS])
def test_values_lie_in_the_declared_range(name: str) -> None:
    value = ALL[name](batch())
    assert ((value >= METRICS[name].low) & (value <= METRICS[name].high)).all()


@pytest.mark.parametrize("name", [name for name in ALL if name != "reachable_error"])
@pytest.mark.parametrize("narrow", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single_precision(name: str, narrow: torch.dtype) -> None:
    values = batch(narrow)
    widened = {key: value.float() if value.is_floating_point() else value for key, value in values.items()}
    result = ALL[name](values)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, ALL[name](widened))


@pytest.mark.parametrize("name", [name for name in ALL if name != "reachable_error"])
def test_double_precision_stays(name: str) -> None:
    result = ALL[name](batch())
    assert result.dtype == torch.float64
    torch.testing.assert_close(ALL[name](batch(torch.float32)).double(), result, rtol=1e-4, atol=1e-5)


class NoDoubles(TorchDispatchMode):
    """A device without float64: whatever makes a tensor of that type raises, as on Apple's graphics cards."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        made = result if isinstance(result, list | tuple) else (result,)
        if any(isinstance(one, torch.Tensor) and one.dtype == torch.float64 for one in made):
            raise TypeError("no float64 on this device")
        return result


@pytest.mark.parametrize("name", ALL)
def test_no_double_precision_is_needed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = batch(torch.float32)
    expected = ALL[name](values)
    monkeypatch.setattr(base, "has_float64", lambda device: False)
    monkeypatch.setattr(threshold_curve, "check_prior", torch.Tensor.cpu)  # it works on the processor, which has it
    with NoDoubles():
        result = ALL[name](values)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", MASKED)
def test_mask_equals_cutting_the_pixels_out(name: str) -> None:
    values = batch()
    mask = torch.zeros(3, 12, 14, dtype=torch.bool)
    mask[..., 4:9] = True
    torch.testing.assert_close(MASKED[name](values, mask=mask), MASKED[name](column(values, slice(4, 9))))


@pytest.mark.parametrize("name", MASKED)
def test_empty_mask_gives_nan_for_that_image_only(name: str) -> None:
    mask = torch.ones(3, 12, 14, dtype=torch.bool)
    mask[1] = False
    assert MASKED[name](batch(), mask=mask).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("name", MASKED)
def test_values_outside_the_mask_cannot_spoil_the_result(name: str) -> None:
    values = batch()
    mask = torch.ones(3, 12, 14, dtype=torch.bool)
    mask[:, 0] = False
    spoiled = {key: value.clone() for key, value in values.items()}
    for key in ("ab", "pred_ab", "rgb", "rgb_pred", "pred_lab"):
        spoiled[key][..., 0, :] = math.nan
    torch.testing.assert_close(MASKED[name](spoiled, mask=mask), MASKED[name](values, mask=mask))


@pytest.mark.parametrize("name", MASKED)
def test_mask_of_another_shape_or_kind_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"mask is \(3, 12, 13\)"):
        MASKED[name](batch(), mask=torch.ones(3, 12, 13, dtype=torch.bool))
    with pytest.raises(ValueError, match="float32"):
        MASKED[name](batch(), mask=torch.ones(3, 12, 14))


@pytest.mark.parametrize("name", PAIRS)
def test_pair_that_differs_in_shape_is_refused_and_both_shapes_named(name: str) -> None:
    first, second = PAIRS[name][:2]
    channels = batch()[first].shape[1]
    odd = {first: torch.zeros(2, channels, 16, 16), second: torch.zeros(2, channels, 16, 17)}
    with pytest.raises(ValueError, match=rf"\(2, {channels}, 16, 16\).*\(2, {channels}, 16, 17\)"):
        ALL[name](odd)
    with pytest.raises(ValueError, match=rf"\(N, {channels}, H, W\)"):
        ALL[name](dict.fromkeys((first, second), torch.zeros(2, 5, 16, 16)))


@pytest.mark.parametrize(
    ("function", "channels"),
    [(metrics.colorfulness, 3), (metrics.mean_chroma, 2), (metrics.gray_share, 2), (metrics.hue_diversity, 2),
     (metrics.hue_entropy, 2)],
)  # fmt: skip
def test_single_image_without_a_batch_dimension_is_refused(function: Callable, channels: int) -> None:
    with pytest.raises(ValueError, match=rf"\(N, {channels}, H, W\), got \({channels}, 16, 16\)"):
        function(torch.zeros(channels, 16, 16))


@pytest.mark.parametrize("name", ALL)
def test_metrics_do_not_build_a_graph_and_leave_their_inputs_alone(name: str) -> None:
    values = batch()
    for value in values.values():
        value.requires_grad_(value.is_floating_point())
    kept = {key: value.detach().clone() for key, value in values.items()}
    assert not ALL[name](values).requires_grad
    assert all(torch.equal(values[key].detach(), kept[key]) for key in values)
