"""The anti-average loss with LPIPS, on an untrained trunk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from study.errors import StudyError
from study.losses import AntiAverageLPIPSLoss, ColorizationAntiAverageLoss, PerceptualLoss, build_loss
from tests.losses.test_perceptual import pictures
from tests.losses.test_registry import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def loss() -> AntiAverageLPIPSLoss:
    return AntiAverageLPIPSLoss(weights="untrained")


def test_is_the_anti_average_loss_of_ab_plus_lpips_of_the_pictures(loss):
    pred, target = pictures(0), pictures(1)
    out = loss(pred, target)
    published = ColorizationAntiAverageLoss()(pred[:, 1:], target[:, 1:])
    for name in ColorizationAntiAverageLoss.terms:
        torch.testing.assert_close(out[name], published[name])
    lpips = PerceptualLoss(weights="untrained")(pred, target)
    torch.testing.assert_close(out["lpips"], lpips)
    torch.testing.assert_close(out["total"], published["total"] + 0.3 * lpips)


def test_asks_for_lab_pictures(loss):
    assert AntiAverageLPIPSLoss.needs_lightness
    with pytest.raises(ValueError, match=r"\(N,3,H,W\).*\(2, 2, 32, 32\)"):
        loss(pictures(0)[:, 1:], pictures(1)[:, 1:])
    with pytest.raises(ValueError, match=r"31 .*\(2, 3, 16, 16\)"):
        loss(pictures(0, size=16), pictures(1, size=16))


@pytest.mark.parametrize("options", [{"weights": "missing.pth"}, {"net": "resnet"}, {}])
def test_without_lpips_an_arm_is_refused_with_one_line(options, monkeypatch, tmp_path):
    monkeypatch.setenv("STUDY_LPIPS_WEIGHTS", str(tmp_path / "none.pth"))
    with pytest.raises(StudyError, match=r"'anti_average_lpips'.*LPIPS") as error:
        build_loss(Settings(name="anti_average_lpips", options=options), None, ROOT)
    assert "\n" not in str(error.value)


def test_an_arm_may_weight_it_otherwise():
    assert AntiAverageLPIPSLoss.terms == {**ColorizationAntiAverageLoss.terms, "lpips": 0.3}
    settings = Settings(name="anti_average_lpips", options={"weights": "untrained"}, weights={"lpips": 2.0})
    alone = build_loss(settings, None, ROOT)
    pred, target = pictures(0), pictures(1)
    torch.testing.assert_close(alone(pred, target)["total"], 2 * alone(pred, target)["lpips"])
