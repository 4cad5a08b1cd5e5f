"""What all metrics promise: declarations that make sense, one value per image, masks, precision, clear refusals."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from study import metrics
from study.metrics import METRICS

Batch = dict[str, torch.Tensor]

MODES = torch.tensor([[[40.0, 0.0], [-40.0, 0.0]], [[0.0, 30.0], [0.0, -20.0]]])
PROBABILITIES = torch.tensor([[0.5, 0.5], [0.3, 0.7]])
PRIOR = torch.full((313,), 1 / 313)

MASKED: dict[str, Callable[..., torch.Tensor]] = {
    "ab_rmse": lambda b, **mask: metrics.ab_rmse(b["ab"], b["true_ab"], **mask),
    "ciede2000": lambda b, **mask: metrics.ciede2000(b["lab"], b["true_lab"], **mask),
    "psnr": lambda b, **mask: metrics.psnr(b["rgb"], b["true_rgb"], **mask),
    "auc": lambda b, **mask: metrics.auc(b["ab"], b["true_ab"], **mask),
    "auc_rebalanced": lambda b, **mask: metrics.rebalanced_auc(b["ab"], b["true_ab"], PRIOR, **mask),
    "colorfulness": lambda b, **mask: metrics.colorfulness(b["rgb"], **mask),
    "chroma": lambda b, **mask: metrics.mean_chroma(b["ab"], **mask),
    "chroma_ratio": lambda b, **mask: metrics.chroma_ratio(b["ab"], b["true_ab"], **mask),
    "chroma_shortfall": lambda b, **mask: metrics.chroma_shortfall(b["ab"], b["true_ab"], **mask),
    "gray_share": lambda b, **mask: metrics.gray_share(b["ab"], **mask),
    "sepia_cast": lambda b, **mask: metrics.sepia_cast(b["ab"], b["true_ab"], **mask),
    "purple_cast": lambda b, **mask: metrics.purple_cast(b["ab"], b["true_ab"], **mask),
    "hue_diversity": lambda b, **mask: metrics.hue_diversity(b["ab"], **mask),
    "hue_entropy": lambda b, **mask: metrics.hue_entropy(b["ab"], **mask),
    "averaging_index": lambda b, **mask: metrics.averaging_index(b["ab"], b["kind"], MODES, PROBABILITIES, **mask),
    "mode_commitment": lambda b, **mask: metrics.mode_commitment(b["ab"], b["kind"], MODES, PROBABILITIES, **mask),
    "excess_error": lambda b, **mask: metrics.excess_error(b["ab"], b["kind"], MODES, PROBABILITIES, **mask),
    "reachable_error": lambda b, **mask: metrics.reachable_error(b["kind"], MODES, PROBABILITIES, **mask),
}
ALL = MASKED | {"ssim": lambda b: metrics.ssim(b["rgb"], b["true_rgb"])}
PAIRS = {
    name: (function, channels)
    for function, channels, name in (
        (metrics.ab_rmse, 2, "ab_rmse"),
        (metrics.ciede2000, 3, "ciede2000"),
        (metrics.psnr, 3, "psnr"),
        (metrics.ssim, 3, "ssim"),
        (metrics.auc, 2, "auc"),
        (lambda p, t: metrics.rebalanced_auc(p, t, PRIOR), 2, "auc_rebalanced"),
        (metrics.chroma_ratio, 2, "chroma_ratio"),
        (metrics.chroma_shortfall, 2, "chroma_shortfall"),
        (metrics.sepia_cast, 2, "sepia_cast"),
        (metrics.purple_cast, 2, "purple_cast"),
    )
}


def batch(dtype: torch.dtype = torch.float64, count: int = 3, height: int = 12, width: int = 14) -> Batch:
    generator = torch.Generator().manual_seed(0)

    def uniform(channels: int, low: float, high: float) -> torch.Tensor:
        values = torch.rand(count, channels, height, width, dtype=torch.float64, generator=generator)
        return (low + (high - low) * values).to(dtype)

    ab, true_ab, lightness = uniform(2, -50, 60), uniform(2, -40, 50), uniform(1, 0, 100)
    return {
        "ab": ab,
        "true_ab": true_ab,
        "lab": torch.cat([lightness, ab], 1),
        "true_lab": torch.cat([lightness, true_ab], 1),
        "rgb": uniform(3, 0, 1),
        "true_rgb": uniform(3, 0, 1),
        "kind": torch.randint(0, 2, (count, height, width), generator=generator),
    }


def column(values: Batch, part: slice) -> Batch:
    """The same batch with only some columns of pixels."""
    return {name: value[..., part] for name, value in values.items()}


def test_every_declaration_is_complete_and_consistent() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.low < metric.high
        assert metric.margin > 0
        assert metric.better in ("higher", "lower", "target", None)
        assert (metric.target is not None) == (metric.better == "target")
        for line in (metric.says, metric.weakness, metric.unit):
            assert line.strip() == line != ""
            assert "\n" not in line


def test_tables_show_metrics_in_the_declared_order() -> None:
    assert list(METRICS) == [
        "ab_rmse", "ciede2000", "psnr", "ssim", "auc", "auc_rebalanced", "lpips", "colorfulness", "colorfulness_gap",
        "chroma", "chroma_ratio", "chroma_shortfall", "gray_share", "sepia_cast", "purple_cast", "hue_diversity",
        "hue_diversity_gap", "hue_entropy", "averaging_index", "mode_commitment", "regret",
    ]  # fmt: skip


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
    for key in ("ab", "rgb"):
        spoiled[key][..., 0, :] = math.nan
    spoiled["lab"] = torch.cat([values["lab"][:, :1], spoiled["ab"]], 1)
    torch.testing.assert_close(MASKED[name](spoiled, mask=mask), MASKED[name](values, mask=mask))


@pytest.mark.parametrize("name", MASKED)
def test_mask_of_another_shape_or_kind_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"mask is \(3, 12, 13\)"):
        MASKED[name](batch(), mask=torch.ones(3, 12, 13, dtype=torch.bool))
    with pytest.raises(ValueError, match="boolean"):
        MASKED[name](batch(), mask=torch.ones(3, 12, 14))


@pytest.mark.parametrize("name", PAIRS)
def test_pair_that_differs_in_shape_is_refused_and_both_shapes_named(name: str) -> None:
    function, channels = PAIRS[name]
    with pytest.raises(ValueError, match=rf"\(2, {channels}, 16, 16\) and \(2, {channels}, 16, 17\)"):
        function(torch.zeros(2, channels, 16, 16), torch.zeros(2, channels, 16, 17))
    with pytest.raises(ValueError, match=rf"\(N, {channels}, H, W\)"):
        function(torch.zeros(2, 5, 16, 16), torch.zeros(2, 5, 16, 16))


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
    for key in ("ab", "rgb", "lab"):
        values[key].requires_grad_()
    kept = {key: value.detach().clone() for key, value in values.items()}
    assert not ALL[name](values).requires_grad
    assert all(torch.equal(values[key].detach(), kept[key]) for key in values)
