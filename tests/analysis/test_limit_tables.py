"""Tables of the limits, on networks whose place is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from study.analysis.estimates import BootstrapWeights
from study.analysis.limit_tables import PooledScores, arm_rows, calibration_rows, curve_rows, limit_rows, measures
from study.analysis.pooled import PooledTruth, base_facts, best_gain, pooled_rows
from study.analysis.schemas import CALIBRATION, LIMIT_CURVES, LIMITS, LIMITS_ARMS
from study.metrics import ab_distance

PICTURES, SIDE, SEEDS = 40, 4, 3  # few pixels, so that the exact solver is quick


def world() -> tuple[Tensor, Tensor]:
    """E[ab | x] of every pixel, (N,2,H,W), and a truth around it: every picture comes twice, off to opposite sides."""
    rng = torch.Generator().manual_seed(0)
    half = PICTURES // 2
    mean = 15 * torch.randn(half, 2, 1, 1, generator=rng) + 5 * torch.randn(half, 2, SIDE, SIDE, generator=rng)
    off = 20 * torch.randn(half, 2, 1, 1, generator=rng)
    return torch.cat([mean, mean]), torch.cat([mean + off, mean - off])


def lifted(ab: Tensor, by: float) -> Tensor:
    length = ab.norm(dim=1, keepdim=True)
    return ab * (length + by) / length


MEAN, TRUTH = world()
ARMS = {
    "mse": lambda ab: ab,
    "lift": lambda ab: lifted(ab, 8),
    "scaled": lambda ab: 1.5 * ab,
    "noisy": lambda ab: ab + 15 * torch.randn(ab.shape, generator=torch.Generator().manual_seed(5)),
    "gray": lambda ab: 0 * ab,
    "faint": lambda ab: lifted(ab, 0) * (1 - 4 / ab.norm(dim=1, keepdim=True).clamp_min(4)),
}


def kept(pictures: np.ndarray, arms: list[str], seeds: int = SEEDS) -> PooledScores:
    """What would be kept of networks that differ by a little luck, on some of the pictures."""
    truth = PooledTruth(TRUTH[pictures], [f"i{k:03d}" for k in pictures])
    rows, facts = [], {}
    for seed in range(seeds):
        luck = torch.randn(MEAN.shape, generator=torch.Generator().manual_seed(100 + seed))
        network = 0.8 * MEAN + luck
        gain = best_gain(network, TRUTH)
        for arm in arms:
            ab = ARMS[arm](network * gain)[pictures]
            rows.append(pooled_rows(ab, truth).assign(arm=arm, seed=seed))
        base = (network * gain)[pictures]
        rows.append(pooled_rows(base, truth, base=True).assign(arm="mse", seed=seed))
        facts[str(seed)] = base_facts(base, truth)
    return PooledScores.of(pd.concat(rows), arms, "mse", {"floor": truth.floor(), "seeds": facts})


@pytest.fixture(scope="module")
def scores() -> PooledScores:
    return kept(np.arange(PICTURES), list(ARMS))


@pytest.fixture(scope="module")
def judged(scores: PooledScores) -> pd.DataFrame:
    table = LIMITS_ARMS.frame(arm_rows(scores, "mse", None, BootstrapWeights(500, 0)), study="made")
    return table.set_index(["arm", "measure", "against"])


def test_limits_are_those_of_the_pictures(scores: PooledScores) -> None:
    table = LIMITS.frame(limit_rows(scores, {("lift", 1): 3.5}, None), study="made").set_index(["arm", "seed"])
    assert len(table) == len(ARMS) * SEEDS
    network = 0.8 * MEAN + torch.randn(MEAN.shape, generator=torch.Generator().manual_seed(101))
    own = lifted(network * best_gain(network, TRUTH), 8)
    row = table.loc["lift", 1]
    assert row["error"] == pytest.approx(float((own - TRUTH).square().mean()))
    assert row["chroma"] == pytest.approx(float(own.norm(dim=1).mean()))
    flat = (ab.movedim(1, -1).reshape(-1, 2) for ab in (own, TRUTH))
    assert row["ab_distance"] == pytest.approx(ab_distance(*flat), abs=1e-3)
    assert row["region_spread"] == 3.5 and np.isnan(table.loc["gray", 1]["region_spread"])
    base = table.loc["mse", 1]
    assert row["least_error_at_chroma"] == pytest.approx(base["error"] + 8**2 / 2, rel=1e-3)
    gap = base["ab_distance"] - row["ab_distance"]
    assert row["least_error_at_distance"] == pytest.approx(base["error"] + gap**2 / 2, rel=1e-6)
    assert row["excess_at_chroma"] == pytest.approx(np.sqrt(row["error"] / row["least_error_at_chroma"]) - 1)
    assert (table["floor"] > 0).all() and table["floor"].nunique() == 1


def test_a_lift_lies_at_the_limit_and_noise_far_above(judged: pd.DataFrame) -> None:
    lift, noisy = (judged.loc[arm, "excess_at_chroma", ""] for arm in ("lift", "noisy"))
    assert abs(lift["mean"]) < 0.02 < 0.1 < noisy["low"] < noisy["mean"] < noisy["high"]
    assert judged.loc["noisy", "excess_at_chroma", "mse"]["verdict"] == "worse"
    assert judged.loc["mse", "excess_at_chroma", ""]["mean"] == pytest.approx(0, abs=1e-6)
    assert ("mse", "excess_at_chroma", "mse") not in judged.index


def test_scaling_is_as_good_as_scaling_and_a_lift_is_better(judged: pd.DataFrame) -> None:
    assert judged.loc["scaled", "error_against_gain", "gain"]["mean"] == pytest.approx(0, abs=1e-6)
    assert judged.loc["scaled", "error_against_gain", "gain"]["verdict"] == "within tolerance"
    assert judged.loc["scaled", "distance_against_gain", "gain"]["mean"] > -0.3
    assert judged.loc["lift", "error_against_gain", "gain"]["mean"] < -0.003
    assert judged.loc["noisy", "error_against_gain", "gain"]["verdict"] == "worse"


def test_the_truths_color_has_a_price(judged: pd.DataFrame, scores: PooledScores) -> None:
    base = scores.bases[0].own
    missing = base.true_chroma.mean() - base.chroma.mean()
    expected = np.sqrt(1 + missing**2 / 2 / base.error.mean()) - 1
    row = judged.loc["mse", "price_of_chroma", ""]
    assert row["low"] < row["mean"] < row["high"] and row["mean"] == pytest.approx(expected, rel=0.05)
    assert judged.loc["mse", "price_of_distance", ""]["mean"] > 0


@pytest.mark.parametrize("arm", ["noisy", "faint"])
def test_influences_foretell_the_values_of_other_pictures(arm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.analysis.pooled.CURVE_POINTS", 2)

    def measured(pictures: np.ndarray) -> dict[str, np.ndarray]:
        (pair,) = kept(pictures, ["mse", arm], seeds=1).pairs(arm)
        return measures(*pair[1:])

    everything = np.arange(PICTURES)
    whole = measured(everything)
    lefts = [everything[everything % 4 != group] for group in range(4)]
    fewer = [measured(left) for left in lefts]
    for name in ("error", "chroma", "ab_distance", "excess_at_chroma", "excess_at_distance", "error_against_gain"):
        changes = np.array([one[name].mean() for one in fewer]) - whole[name].mean()
        foretold = np.array([whole[name][left].mean() for left in lefts]) - whole[name].mean()
        assert np.abs(changes - foretold).max() < np.abs(foretold).max() / 2 + 1e-3, name


def test_curves_meet_the_base_and_stay_above_their_limit(scores: PooledScores) -> None:
    table = LIMIT_CURVES.frame(curve_rows(scores, None), study="made")
    assert set(table["curve"]) == {"chroma_limit", "distance_limit", "gain", "lift"}
    limit = table[table["curve"] == "chroma_limit"]
    base = np.mean([one.own.error.mean() for one in scores.bases.values()])
    assert limit["error"].min() == pytest.approx(base, rel=0.01)
    for name in ("gain", "lift"):
        curve = table[table["curve"] == name]
        assert (curve["error"] >= np.interp(curve["chroma"], limit["chroma"], limit["error"]) * 0.99).all()
    start = table[(table["curve"] == "distance_limit") & (table["parameter"] == 0)].iloc[0]
    unscaled = table[(table["curve"] == "lift") & (table["parameter"] == 0)].iloc[0]
    assert start["error"] == pytest.approx(base) and unscaled["error"] == pytest.approx(base, rel=1e-4)
    assert start["ab_distance"] == pytest.approx(unscaled["ab_distance"], abs=0.01)


def test_calibration_tells_gain_and_knowledge(scores: PooledScores) -> None:
    table = CALIBRATION.frame(calibration_rows(scores), study="made").groupby("arm")[["share_removed", "gain"]].mean()
    assert table.loc["mse", "gain"] == pytest.approx(1, abs=0.01)
    assert table.loc["scaled", "gain"] == pytest.approx(1 / 1.5, abs=0.01)
    assert table.loc["gray", "share_removed"] == 0 and np.isnan(table.loc["gray", "gain"])
    removed = 1 - float((1.0 * MEAN - TRUTH).square().mean() / TRUTH.square().mean())
    assert table.loc["mse", "share_removed"] == pytest.approx(removed, abs=0.03)


def test_predictions_that_are_not_finite_have_no_distance() -> None:
    ab = TRUTH.clone()
    ab[3, 0, 0, 0] = torch.nan
    rows = pooled_rows(ab, PooledTruth(TRUTH, [str(k) for k in range(PICTURES)]))
    assert rows.loc[rows["metric"] == "distance", "value"].isna().all()
    assert rows.loc[rows["metric"] == "error", "value"].isna().sum() == 1
