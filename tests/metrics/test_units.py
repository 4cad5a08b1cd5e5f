"""Wrong units are told, once for a line of code; gray and dark pictures raise no alarm."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.data import astronaut, chelsea, coffee

from study import metrics
from study.color import rgb_to_lab
from study.metrics.units import warn_of_ab_units, warn_of_rgb_units
from study.training.memory import peak_bytes

PRIOR = torch.full((313,), 1 / 313)
ON_PICTURES: dict[str, Callable] = {
    "colorfulness": lambda rgb: metrics.colorfulness(rgb),
    "colorfulness_gap": lambda rgb: metrics.colorfulness_gap(rgb, rgb),
    "psnr": lambda rgb: metrics.psnr(rgb, rgb),
    "ssim": lambda rgb: metrics.ssim(rgb, rgb),
    "lpips": lambda rgb: metrics.lpips_distance(Same(), rgb, rgb),
}
ON_COLORS: dict[str, Callable] = {
    "ab_rmse": lambda ab: metrics.ab_rmse(ab, ab),
    "auc": lambda ab: metrics.auc(ab, ab),
    "auc_rebalanced": lambda ab: metrics.rebalanced_auc(ab, ab, PRIOR),
    "chroma_ratio": lambda ab: metrics.chroma_ratio(ab, ab),
    "chroma_shortfall": lambda ab: metrics.chroma_shortfall(ab, ab),
    "sepia_cast": lambda ab: metrics.sepia_cast(ab, ab),
    "purple_cast": lambda ab: metrics.purple_cast(ab, ab),
    "hue_diversity_gap": lambda ab: metrics.hue_diversity_gap(ab, ab),
    "ciede2000": lambda ab: metrics.ciede2000(torch.cat([ab[:, :1], ab], 1), torch.cat([ab[:, :1], ab], 1)),
}


class Same(torch.nn.Module):
    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(one))


def photographs(size: int = 64) -> torch.Tensor:
    """uint8 (3, 3, size, size)"""
    crops = [picture()[20 : 20 + 4 * size : 4, 100 : 100 + 4 * size : 4] for picture in (astronaut, chelsea, coffee)]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()


def told(function: Callable, *inputs: object) -> list[str]:
    """The messages of all warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*inputs)
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("name", ON_PICTURES)
def test_floats_of_0_to_255_and_of_minus_1_to_1_are_told_and_sound_pictures_are_not(name: str) -> None:
    function, levels = ON_PICTURES[name], photographs()
    for sound in (levels, levels / 255, levels.double() / 255, (levels / 255).half()):
        assert told(function, sound) == []
    assert all("0..1" in message and "255" in message for message in told(function, levels.float()))
    assert all("0..1" in message and "-1..1" in message for message in told(function, levels / 127.5 - 1))
    assert told(function, levels.float()) != []
    assert told(function, levels / 127.5 - 1) != []


@pytest.mark.parametrize("name", ON_COLORS)
@pytest.mark.parametrize("divisor", [100, 110, 128])
def test_ab_divided_by_about_110_are_told_and_lab_units_are_not(name: str, divisor: float) -> None:
    ab = rgb_to_lab(photographs())[:, 1:]
    assert told(ON_COLORS[name], ab) == []
    assert any("110" in message for message in told(ON_COLORS[name], ab / divisor))


def test_exact_grays_gray_photographs_and_predictions_near_gray_raise_no_alarm() -> None:
    gray = photographs().float().mean(1, keepdim=True).round().to(torch.uint8).expand(-1, 3, -1, -1)
    assert told(warn_of_ab_units, "ab", rgb_to_lab(gray)[:, 1:]) == []
    truth = rgb_to_lab(photographs())[:, 1:]
    for prediction in (torch.zeros_like(truth), truth / 110):
        assert told(metrics.ab_rmse, prediction, truth) == []
        assert told(metrics.mean_chroma, prediction) == []


def test_what_has_no_values_to_look_at_is_let_through() -> None:
    ab = 0.5 * torch.randn(2, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(metrics.ab_rmse, backend="eager", fullgraph=True)
    assert [m for m in told(compiled, ab, ab) if "Lab" in m] == []
    assert told(metrics.ab_rmse, ab.to("meta"), ab.to("meta")) == []
    assert told(metrics.ab_rmse, ab[:0], ab[:0]) == []
    assert told(metrics.ab_rmse, ab * torch.nan, ab * torch.nan) == []


def test_a_line_that_is_run_again_and_again_is_told_once() -> None:
    code = (
        "import torch; from study.metrics import colorfulness\n"
        "x = 255 * torch.rand(2, 3, 16, 16)\n"
        "for _ in range(5):\n    colorfulness(x)\n"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        exec(compile(code, "<code>", "exec"), {})
    assert [(one.filename, one.lineno) for one in caught if "0..1" in str(one.message)] == [("<code>", 4)]


def test_a_glance_at_large_pictures_reads_little_of_them() -> None:
    ab, rgb = torch.randn(16, 2, 512, 512), torch.rand(16, 3, 512, 512)
    for judge, name, pictures in ((warn_of_ab_units, "ab", 50 * ab), (warn_of_rgb_units, "rgb", rgb)):
        read = peak_bytes(lambda judge=judge, name=name, pictures=pictures: judge(name, pictures), torch.device("cpu"))
        assert read < pictures.nbytes / 20
