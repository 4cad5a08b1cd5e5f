"""Claims about scores: every kind on made-up scores with a known answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from tests.analysis.worlds import IMAGES, SEEDS, judged, scores, sources, with_scores


@pytest.mark.parametrize(
    ("direction", "own", "verdict"),
    [
        ("up", 12.0, "confirmed"),
        ("up", 8.0, "opposite"),
        ("up", 10.2, "negligible"),  # chroma's margin is 0.5: practically nothing
        ("down", 8.0, "confirmed"),
        ("down", 12.0, "opposite"),
        ("down", 9.8, "negligible"),
    ],
)
def test_a_difference(write: Callable, direction: str, own: float, verdict: str) -> None:
    found = with_scores("chroma", mse=10.0, own=own)
    row = judged(write, found, kind="difference", arm="own", against="mse", metric="chroma", direction=direction)
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(own - 10)
    assert row["low"] < row["estimate"] < row["high"]
    assert (row["p"], row["p_min"], row["unit"], row["comparison"]) == (1 / 32, 1 / 32, "Lab", "own − mse")


@pytest.mark.parametrize(
    ("own", "luck", "verdict"),
    [
        (10.2, 0.01, "negligible"),  # the right direction, surely within the margin of 0.5
        (10.0, 0.1, "negligible"),  # either direction, within the margin
        (9.9, 0.01, "negligible"),  # the wrong direction, surely within the margin: it does not matter either
        (9.4, 0.9, "negligible"),  # surely not enough in the claimed direction, perhaps more the other way
        (8.0, 0.1, "opposite"),
        (9.6, 0.2, "opposite"),  # surely the wrong way, perhaps beyond the margin
    ],
)
def test_a_claim_fails_in_one_of_two_ways(write: Callable, own: float, luck: float, verdict: str) -> None:
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    row = judged(write, with_scores("chroma", mse=10.0, own=scores(own, luck, seed=1)), **claim)
    assert row["verdict"] == verdict
    assert row["why"]


def test_a_sure_direction_is_not_enough_while_the_estimate_is_within_the_margin(write: Callable) -> None:
    """Otherwise a blurred measurement could confirm what a sharp one calls negligible."""
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    verdicts = []
    for luck in (0.005, 0.15, 0.9):
        row = judged(write, with_scores("chroma", mse=10.0, own=scores(10.45, luck, seed=1)), **claim)
        verdicts.append((row["verdict"], bool(row["low"] > 0), bool(row["high"] > 0.5)))
    assert verdicts == [("negligible", True, False), ("inconclusive", True, True), ("inconclusive", False, True)]


@pytest.mark.parametrize(("metric", "level", "direction"), [("purple_cast", 0.02, "down"), ("ssim", 0.999, "up")])
def test_a_claim_needs_room_for_the_change_that_it_claims(
    write: Callable, metric: str, level: float, direction: str
) -> None:
    found = sources(declared=["mse", "own"], matrices={metric: {"mse": scores(0) * 0 + level, "own": scores(0) * 0}})
    row = judged(write, found, kind="difference", arm="own", against="mse", metric=metric, direction=direction)
    assert row["verdict"] == "not testable" and f"{level:.2g}" in row["why"]


def test_a_difference_that_is_lost_in_the_luck_of_seeds_is_inconclusive(write: Callable) -> None:
    found = with_scores("chroma", mse=10.0, own=scores(11, luck=3, seed=1))
    row = judged(write, found, kind="difference", arm="own", against="mse", metric="chroma", direction="up")
    assert row["verdict"] == "inconclusive"
    assert row["low"] < 0 < row["high"]


def test_a_claim_may_have_a_margin_of_its_own(write: Callable) -> None:
    found = with_scores("chroma", mse=10.0, own=10.2)
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    assert judged(write, found, **claim, margin=0.1)["verdict"] == "confirmed"
    assert judged(write, found, **claim, margin=0.3)["verdict"] == "negligible"


def test_estimate_interval_and_p_are_those_of_a_t_test_where_only_seeds_differ(write: Callable) -> None:
    luck = np.array([0.9, 1.4, 0.8, 1.3, 1.0, 1.2])
    found = with_scores("chroma", mse=10.0)
    found.matrices["chroma"]["own"] = found.matrices["chroma"]["mse"] + luck[:, None]
    found = replace(found, declared=["mse", "own"])
    row = judged(write, found, kind="difference", arm="own", against="mse", metric="chroma", direction="up")
    low, high = reference.t.interval(0.95, 5, loc=luck.mean(), scale=reference.sem(luck))
    assert row["estimate"] == pytest.approx(luck.mean())
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.05 * (high - low))
    assert row["p_t"] == pytest.approx(reference.ttest_1samp(luck, 0).pvalue, rel=1e-6)


@pytest.mark.parametrize(("own", "verdict"), [(0.7, "confirmed"), (0.3, "opposite"), (0.51, "negligible")])
def test_a_value(write: Callable, own: float, verdict: str) -> None:
    matrix = own + (scores(0) - scores(0).mean().mean()) / 1000
    found = with_scores("averaging_index", mse=matrix)
    row = judged(write, found, kind="value", arm="mse", metric="averaging_index", direction="up", than=0.5)
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(own)


@pytest.mark.parametrize(
    ("metric", "direction", "own", "verdict"),
    [
        ("ab_rmse", "down", 10.1, "confirmed"),  # its margin is 0.25
        ("ab_rmse", "down", 8.0, "confirmed"),
        ("ab_rmse", "down", 10.6, "opposite"),
        ("chroma", "up", 9.7, "confirmed"),  # its margin is 0.5
        ("chroma", "up", 15.0, "confirmed"),
        ("chroma", "up", 9.2, "opposite"),
    ],
)
def test_no_worse(write: Callable, metric: str, direction: str, own: float, verdict: str) -> None:
    found = with_scores(metric, mse=10.0, own=own)
    row = judged(write, found, kind="no_worse", arm="own", against="mse", metric=metric, direction=direction)
    assert row["verdict"] == verdict


@pytest.mark.parametrize(("own", "verdict"), [(11.0, "confirmed"), (12.5, "opposite"), (9.9, "opposite")])
def test_within_a_range(write: Callable, own: float, verdict: str) -> None:
    found = with_scores("chroma", mse=10.0, own=own)
    row = judged(write, found, kind="within", arm="own", against="mse", metric="chroma", low=0, high=2)
    assert row["verdict"] == verdict


def test_within_without_limits_is_within_the_margin(write: Callable) -> None:
    claim = {"kind": "within", "arm": "own", "against": "mse", "metric": "chroma"}
    assert judged(write, with_scores("chroma", mse=10.0, own=10.3), **claim)["verdict"] == "confirmed"
    assert judged(write, with_scores("chroma", mse=10.0, own=9.3), **claim)["verdict"] == "opposite"
    noisy = with_scores("chroma", mse=10.0, own=scores(10, luck=2, seed=1))
    assert judged(write, noisy, **claim)["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("rival", "verdict", "estimate"),
    [(11.0, "confirmed", 2.0), (14.0, "opposite", -1.0), (6.0, "opposite", -1.0), (12.8, "negligible", 0.2)],
)
def test_the_strongest_is_stronger_than_the_strongest_rival(
    write: Callable, rival: float, verdict: str, estimate: float
) -> None:
    found = with_scores("chroma", mse=10.0, strong=13.0, weak=10.1, rival=rival)
    claim = {"kind": "strongest", "arm": "strong", "against": ["weak", "rival"], "baseline": "mse", "metric": "chroma"}
    row = judged(write, found, **claim)
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(estimate)
    assert "rival" in row["comparison"]


@pytest.mark.parametrize(
    ("levels", "verdict"),
    [((10, 11, 12), "confirmed"), ((12, 11, 10), "opposite"), ((10, 10.1, 10.2), "negligible")],
)
def test_a_trend(write: Callable, levels: tuple[float, ...], verdict: str) -> None:
    low, middle, high = levels
    found = with_scores("chroma", low=float(low), middle=float(middle), high=float(high))
    doses = {0.5: "low", 2.0: "high", 1.0: "middle"}
    row = judged(write, found, kind="trend", doses=doses, metric="chroma", direction="up")
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(high - low)
    assert row["comparison"] == "low (0.5) → middle (1) → high (2)"


def test_a_trend_with_a_step_back_fails_by_that_step(write: Callable) -> None:
    found = with_scores("chroma", low=10.0, middle=13.0, high=12.0)
    doses = {0.5: "low", 2.0: "high", 1.0: "middle"}
    row = judged(write, found, kind="trend", doses=doses, metric="chroma", direction="up")
    assert (row["verdict"], row["comparison"]) == ("opposite", "middle (1) → high (2)")
    assert row["estimate"] == pytest.approx(-1)


def test_one_rival_that_is_as_strong_decides_whatever_the_others_do(write: Callable) -> None:
    found = with_scores("chroma", mse=10.0, strong=13.0, equal=12.8, wide=scores(11.5, luck=3.0, seed=1))
    claim = {"kind": "strongest", "arm": "strong", "against": ["wide", "equal"], "baseline": "mse", "metric": "chroma"}
    row = judged(write, found, **claim)
    assert row["verdict"] == "negligible" and "equal" in row["comparison"]


def painted(arm: str, angle: float, luck: float = 0.5, images: int = IMAGES) -> pd.DataFrame:
    """Scores by region: `sky` is painted `angle` degrees off its mean hue, `flower` exactly right, `wall` anyhow."""
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(SEEDS):
        turn = np.radians(90 + angle + luck * rng.normal())
        colors = {"sky": (20 * np.cos(turn), 20 * np.sin(turn)), "flower": (50.0, 0.0), "wall": (-1.0, 2.0)}
        for region, ab in colors.items():
            for metric, value in zip(("a_mean", "b_mean"), ab, strict=True):
                rows += [{"arm": arm, "seed": seed, "image": i, "region": region, "metric": metric, "value": value}
                         for i in range(images)]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("angle", "verdict"), [(0, "confirmed"), (8, "confirmed"), (-40, "opposite")])
def test_the_same_hue_is_weighted_by_the_chroma_of_the_mean(write: Callable, angle: float, verdict: str) -> None:
    means = {"sky": (0.0, 30.0), "flower": (60.0, 0.0), "wall": (0.0, 0.1)}
    found = sources(declared=["own"], by_region=painted("own", angle), means=means)
    row = judged(write, found, kind="same_hue", arm="own", margin=5)
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(abs(angle) / 3, abs=0.3)  # sky has a third of the chroma
    assert ("sky" in row["comparison"]) == (abs(angle) > 5) and "flower" not in row["comparison"]
    assert row["unit"] == "degrees"


def test_the_hue_of_a_few_pictures_decides_nothing(write: Callable) -> None:
    found = sources(declared=["own"], by_region=painted("own", 0, images=3), means={"sky": (0.0, 30.0)})
    assert judged(write, found, kind="same_hue", arm="own", margin=5)["verdict"] == "inconclusive"
