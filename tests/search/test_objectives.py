"""The judge agrees with what `study evaluate` measures, and with the formulas of the objectives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from study.analysis.scoring import TestSet as Pictures
from study.analysis.scoring import score_table
from study.color.lab import lab_to_rgb, rgb_to_lab
from study.config.study import CompareSettings, ModelSettings
from study.errors import StudyError
from study.models import build_model
from study.search.finalists import with_interval
from study.search.objectives import Judge


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)


class Painter(nn.Module):
    """Predicts given colours, whatever it is shown."""

    def __init__(self, ab: Tensor) -> None:
        super().__init__()
        self.ab = ab

    def predict(self, lightness: Tensor, temperature: float, frozen: Tensor | None = None) -> Tensor:
        return self.ab


def lab_of(pictures: np.ndarray) -> Tensor:
    return rgb_to_lab(torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()))


@pytest.mark.parametrize("head", ["ab", "bins"])
def test_scores_are_those_of_the_evaluation(pictures: np.ndarray, head: str) -> None:
    spec = ModelSettings(options={"width": 4, "levels": 2})
    model, judge = build_model(spec, head, seed=3), Judge(pictures, "cpu")
    scores = judge.per_image(model, 0.2)
    lab = lab_of(pictures)
    with torch.no_grad():
        ab = model.predict(lab[:, :1], 0.2)
    test = Pictures(lab, [f"picture {k}" for k in range(len(lab))], torch.full((313,), 1 / 313), None, None)
    expected = dict(score_table(ab, test, None).groupby("metric")["value"].apply(np.array))
    for name in ("ab_rmse", "chroma_ratio", "colorfulness", "hue_diversity"):
        assert scores[name] == pytest.approx(expected[name], rel=1e-6)
    assert scores["diversity"] == pytest.approx(expected["hue_diversity_gap"], abs=1e-6)


def test_the_truth_is_best_in_every_objective(pictures: np.ndarray) -> None:
    scores = Judge(pictures, "cpu").scores(Painter(lab_of(pictures)[:, 1:]), 0.38)
    assert scores["fidelity"] == 0
    assert scores["vividness"] == pytest.approx(0, abs=1e-6)
    assert scores["diversity"] == pytest.approx(0, abs=1e-6)


def test_gray_restores_nothing_and_half_the_colour_half(pictures: np.ndarray) -> None:
    lab, judge = lab_of(pictures), Judge(pictures, "cpu")
    gray = judge.scores(Painter(torch.zeros_like(lab[:, 1:])), 0.38)
    assert gray["vividness"] == pytest.approx(1, abs=1e-3)
    assert gray["diversity"] == pytest.approx(judge.truth["hue_diversity"], rel=1e-6)
    half = judge.scores(Painter(lab[:, 1:] / 2), 0.38)
    assert half["chroma_ratio"] == pytest.approx(0.5, rel=1e-5)
    rgb = lab_to_rgb(torch.cat([lab[:, :1], lab[:, 1:] / 2], dim=1)).double().numpy() * 255
    red, green, blue = rgb[:, 0], rgb[:, 1], rgb[:, 2]
    rg, yb = red - green, (red + green) / 2 - blue
    spread = np.sqrt(rg.var((1, 2)) + yb.var((1, 2)))
    colorful = (spread + 0.3 * np.hypot(rg.mean((1, 2)), yb.mean((1, 2)))).mean()
    assert half["vividness"] == pytest.approx((0.5 + 1 - colorful / judge.truth["colorfulness"]) / 2, rel=1e-5)
    assert half["diversity"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_painter_of_a_fixed_share_of_the_chroma_has_that_ratio_without_any_doubt(
    pictures: np.ndarray, share: float
) -> None:
    mixed = pictures.copy()
    mixed[0] = mixed[0].mean(-1, keepdims=True)  # pictures differ in how much colour they have to lose
    scores = Judge(mixed, "cpu").per_image(Painter(share * lab_of(mixed)[:, 1:]), 0.38)["chroma_ratio"]
    found = with_interval("chroma_ratio", np.stack([scores, scores]), CompareSettings(resamples=200))
    assert [found["low"], found["high"]] == pytest.approx([share, share], abs=1e-5)


def test_vividness_is_a_gap_to_both_sides(pictures: np.ndarray) -> None:
    judge = Judge(pictures, "cpu")
    truth = judge.truth["colorfulness"]
    assert judge.vividness(1.0, truth) == 0
    assert judge.vividness(1.2, 1.4 * truth) == pytest.approx(0.3)
    assert judge.vividness(0.8, 0.6 * truth) == pytest.approx(0.3)


def test_the_chroma_ratio_is_that_of_the_mean_chromas_however_dull_some_pictures_are(pictures: np.ndarray) -> None:
    mixed = pictures.copy()
    mixed[0] = mixed[0].mean(-1, keepdims=True)
    lab, judge = lab_of(mixed), Judge(mixed, "cpu")
    painted = lab[:, 1:].clone()
    painted[1] /= 3
    chroma = [np.hypot(ab[:, 0], ab[:, 1]).mean() for ab in (painted.numpy(), lab[:, 1:].numpy())]
    assert judge.scores(Painter(painted), 0.38)["chroma_ratio"] == pytest.approx(chroma[0] / chroma[1], rel=1e-5)


def test_gray_pictures_offer_nothing_to_search_for(pictures: np.ndarray) -> None:
    gray = np.broadcast_to(pictures.mean(-1, keepdims=True), pictures.shape).astype(np.uint8)
    with pytest.raises(StudyError, match="gray"):
        Judge(gray, "cpu")
