"""Estimates from scores: pairing, families, directions, margins, and gaps in the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from study.analysis.estimates import BootstrapWeights, estimate_rows, paired_rows, rows_against_gain, seed_rows
from study.analysis.runs import score_matrices
from study.config.arms import Control, Tuned
from study.metrics import METRICS
from tests.analysis.arms import arm
from tests.analysis.worlds import long_table


def matrices_of(values: dict[str, np.ndarray]) -> dict[str, pd.DataFrame]:
    return score_matrices(long_table(values), list(values))


@pytest.fixture
def weights() -> BootstrapWeights:
    return BootstrapWeights(2000, 0)


def test_a_constant_shift_is_found_exactly_however_noisy_seeds_and_images_are(weights: BootstrapWeights) -> None:
    base = np.random.default_rng(0).normal(20, 5, (5, 40))
    matrices = score_matrices(long_table({"mse": base, "shifted": base - 1.5}), ["mse", "shifted"])
    (row,) = paired_rows(METRICS["ab_rmse"], matrices, "mse", weights)
    assert (row["delta"], row["low"], row["high"]) == pytest.approx((-1.5, -1.5, -1.5))
    assert (row["verdict"], row["p"], row["p_min"], row["seeds"]) == ("better", 0.0625, 0.0625, 5)


def test_estimates_are_means_over_seeds_of_means_over_images(weights: BootstrapWeights) -> None:
    scores = np.random.default_rng(1).normal(10, 2, (4, 30))
    (row,) = estimate_rows(METRICS["ab_rmse"], score_matrices(long_table({"mse": scores}), ["mse"]), weights)
    assert row["mean"] == pytest.approx(scores.mean())
    assert row["sd"] == pytest.approx(scores.mean(axis=1).std(ddof=1))
    assert row["low"] < row["mean"] < row["high"]


def test_holms_family_is_the_arms_of_one_metric(weights: BootstrapWeights) -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(20, 1, (5, 40))
    arms = {"mse": base, "a": base - 1, "b": base - 2, "c": base + rng.normal(0, 0.1, (5, 40))}
    rows = paired_rows(METRICS["ab_rmse"], matrices_of(arms), "mse", weights)
    by_arm = {row["arm"]: row for row in rows}
    assert by_arm["a"]["p_holm"] == pytest.approx(3 * 0.0625)
    assert by_arm["c"]["p_holm"] >= by_arm["c"]["p"]


def test_tuned_arms_are_compared_with_the_gain_that_they_have_to_beat_as_a_family_of_their_own(
    weights: BootstrapWeights,
) -> None:
    base = np.random.default_rng(10).normal(20, 1, (5, 40))
    values = {"mse": base, "gain": base + 1, "one_tuned": base + 1.05, "other_tuned": base + 3, "plain": base + 2}
    matrices = matrices_of(values)
    tuned = Tuned(family="any", choice="recommended")
    arms = [
        arm("mse", "mse"),
        arm("gain", "mse").model_copy(update={"control": Control(of="mse", match="truth")}),
        arm("one_tuned", "mse").model_copy(update={"tuned": tuned}),
        arm("other_tuned", "mse").model_copy(update={"tuned": tuned}),
        arm("plain", "mse"),
    ]
    rows = {row["arm"]: row for row in rows_against_gain(METRICS["ab_rmse"], matrices, arms, weights)}
    assert set(rows) == {"one_tuned", "other_tuned"} and {row["baseline"] for row in rows.values()} == {"gain"}
    assert (rows["one_tuned"]["verdict"], rows["other_tuned"]["verdict"]) == ("within tolerance", "worse")
    assert rows["other_tuned"]["delta"] == pytest.approx(2)
    assert rows["other_tuned"]["p_holm"] == pytest.approx(2 * 0.0625)
    assert rows_against_gain(METRICS["ab_rmse"], matrices, [arms[0], *arms[2:]], weights) == []
    assert rows_against_gain(METRICS["ab_rmse"], matrices, arms[:2], weights) == []


def test_only_shared_seeds_are_paired(weights: BootstrapWeights) -> None:
    base = np.random.default_rng(3).normal(20, 1, (5, 40))
    table = long_table({"mse": base, "lame": base - 1})
    table = table[(table["arm"] == "mse") | (table["seed"] != 2)]
    matrices = score_matrices(table, ["mse", "lame"])
    (row,) = paired_rows(METRICS["ab_rmse"], matrices, "mse", weights)
    assert (row["seeds"], row["p_min"]) == (4, 0.125)
    assert row["delta"] == pytest.approx(-1)
    estimates = estimate_rows(METRICS["ab_rmse"], matrices, weights)
    assert [estimate["seeds"] for estimate in estimates] == [5, 4]


def test_an_image_without_a_value_in_one_arm_is_left_out_of_all() -> None:
    base = np.ones((2, 4))
    holed = base.copy()
    holed[1, 3] = np.nan
    matrices = score_matrices(long_table({"mse": base, "holed": holed}), ["mse", "holed"])
    assert list(matrices["mse"].columns) == ["i0", "i1", "i2"]


def test_one_seed_has_no_spread_and_the_least_sure_p(weights: BootstrapWeights) -> None:
    base = np.random.default_rng(4).normal(20, 1, (1, 40))
    matrices = score_matrices(long_table({"mse": base, "other": base + 1}), ["mse", "other"])
    (row,) = paired_rows(METRICS["ab_rmse"], matrices, "mse", weights)
    assert (row["p"], row["p_min"], row["verdict"]) == (1, 1, "inconclusive")
    assert np.isnan([row["effect"], row["detectable"], row["p_t"]]).all()
    assert np.isnan(row["seeds_needed"])
    assert estimate_rows(METRICS["ab_rmse"], matrices, weights)[0]["sd"] is None


@pytest.mark.parametrize(
    ("metric", "baseline", "arm", "expected"),
    [
        ("ab_rmse", 20, 21, "worse"),
        ("psnr", 20, 21, "better"),
        ("colorfulness", 20, 22, "higher"),
        ("chroma_ratio", 0.5, 0.8, "better"),  # nearer to 1 by rising
        ("chroma_ratio", 0.5, 0.4, "worse"),
        ("chroma_ratio", 1.4, 1.2, "better"),  # nearer to 1 by falling
        ("chroma_ratio", 0.9, 1.4, "worse"),  # overshoots by more than the baseline fell short
        ("chroma_ratio", 0.75, 1.24, "inconclusive"),  # as far above as the baseline is below, but far from it
    ],
)
def test_verdicts_know_which_way_is_better(
    metric: str, baseline: float, arm: float, expected: str, weights: BootstrapWeights
) -> None:
    noise = np.random.default_rng(6).normal(0, 1e-3, (5, 40))
    table = long_table({"mse": baseline + noise, "arm": arm + noise}, metric)
    (row,) = paired_rows(METRICS[metric], score_matrices(table, ["mse", "arm"]), "mse", weights)
    assert row["verdict"] == expected
    assert row["delta"] == pytest.approx(arm - baseline)


def test_estimates_have_the_middle_half_and_the_share_of_the_seeds(weights: BootstrapWeights) -> None:
    scores = np.random.default_rng(7).normal(10, 2, (4, 30)) + np.arange(4)[:, None]
    (row,) = estimate_rows(METRICS["ab_rmse"], score_matrices(long_table({"mse": scores}), ["mse"]), weights)
    assert row["iqm"] == pytest.approx(reference.trim_mean(scores.ravel(), 0.25))
    assert row["seed_share"] > 0.9
    (ratio,) = estimate_rows(METRICS["chroma_ratio"], score_matrices(long_table({"mse": scores}), ["mse"]), weights)
    assert ratio["iqm"] is None  # a picture's score is its influence: the middle half of those is nothing


def test_seeds_are_means_over_images() -> None:
    scores = np.random.default_rng(8).normal(10, 2, (3, 5))
    rows = seed_rows(METRICS["ab_rmse"], score_matrices(long_table({"mse": scores}), ["mse"]))
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert [row["value"] for row in rows] == pytest.approx(scores.mean(axis=1))


@pytest.mark.parametrize(
    ("metric", "better"), [("ab_rmse", 0.25), ("psnr", 0.75), ("chroma_ratio", None), ("colorfulness", None)]
)
def test_improved_is_the_share_of_pairs_that_are_better(
    metric: str, better: float | None, weights: BootstrapWeights
) -> None:
    base = np.full((2, 4), 1.2)
    own = base + np.array([[-0.1, 0.1, 0.1, 0.1], [-0.1, 0.1, 0.1, 0.1]])
    matrices = score_matrices(long_table({"mse": base, "own": own}, metric), ["mse", "own"])
    assert paired_rows(METRICS[metric], matrices, "mse", weights)[0]["improved"] == better


def test_paired_rows_have_effect_and_power(weights: BootstrapWeights) -> None:
    rng = np.random.default_rng(9)
    base = rng.normal(20, 5, (5, 40))
    luck = np.array([0.1, 0.5, 0.3, 0.9, 0.7])
    own = base + luck[:, None]
    matrices = score_matrices(long_table({"mse": base, "own": own}), ["mse", "own"])
    (row,) = paired_rows(METRICS["ab_rmse"], matrices, "mse", weights)
    assert row["effect"] == pytest.approx(luck.mean() / luck.std(ddof=1))
    error = reference.sem(luck)
    assert row["detectable"] == pytest.approx((reference.t.ppf(0.975, 4) + reference.t.ppf(0.8, 4)) * error)
    assert row["p_t"] == pytest.approx(reference.ttest_1samp(luck, 0).pvalue, rel=1e-6)
    assert (row["verdict"], row["seeds_needed"]) == ("worse", None)


def test_inconclusive_comparisons_say_how_many_seeds_they_need(weights: BootstrapWeights) -> None:
    rng = np.random.default_rng(10)
    base = rng.normal(20, 5, (5, 40))
    some = np.array([-0.5, 0.9, 0.2, 1.2, 0.3])[:, None]
    hopeless = np.array([-9.0, 9.1, -9.3, 9.2, 0.1])[:, None]
    arms = {"mse": base, "some": base + some, "hopeless": base + hopeless}
    rows = paired_rows(METRICS["ab_rmse"], matrices_of(arms), "mse", weights)
    needed = {row["arm"]: row["seeds_needed"] for row in rows}
    assert {row["verdict"] for row in rows} == {"inconclusive"}
    assert 5 < needed["some"] <= 100
    assert needed["hopeless"] == np.inf


def test_a_verdict_counts_how_many_arms_were_compared(weights: BootstrapWeights) -> None:
    rng = np.random.default_rng(11)
    base = rng.normal(20, 1, (4, 30))
    shift = 1 + np.array([0.3, -0.4, 0.5, -0.4])[:, None]
    alone = {"mse": base, "own": base + shift}
    crowd = alone | {f"other{k}": base + rng.normal(0, 1, (4, 1)) for k in range(20)}
    words = []
    for arms in (alone, crowd):
        rows = paired_rows(METRICS["ab_rmse"], matrices_of(arms), "mse", weights)
        words.append(rows[0]["verdict"])
    assert words == ["worse", "inconclusive"]


@pytest.mark.parametrize(
    ("shift", "half", "verdict", "double"),
    [
        (0.2, "worse", "within tolerance", "within tolerance"),
        (0.4, "worse", "worse", "within tolerance"),
        (-0.4, "better", "better", "within tolerance"),
        (0.1, "within tolerance", "within tolerance", "within tolerance"),
        (0.6, "worse", "worse", "worse"),
    ],
)
def test_verdicts_are_told_at_half_and_at_double_the_margin(
    shift: float, half: str, verdict: str, double: str, weights: BootstrapWeights
) -> None:
    base = np.random.default_rng(12).normal(20, 5, (5, 40))
    matrices = matrices_of({"mse": base, "own": base + shift})
    (row,) = paired_rows(METRICS["ab_rmse"], matrices, "mse", weights)  # the margin of ab_rmse is 0.25
    assert (row["verdict_half_margin"], row["verdict"], row["verdict_double_margin"]) == (half, verdict, double)


@pytest.mark.parametrize("images", [1, 2, 5, 29])
def test_few_pictures_give_no_verdict_and_no_p(images: int, weights: BootstrapWeights) -> None:
    base = np.random.default_rng(13).normal(20, 5, (6, images))
    matrices = matrices_of({"mse": base, "own": base + 5})
    (row,) = paired_rows(METRICS["ab_rmse"], matrices, "mse", weights)
    assert row["delta"] == pytest.approx(5) and np.isnan([row["p_t"], row["detectable"]]).all()
    assert {row["verdict"], row["verdict_half_margin"], row["verdict_double_margin"]} == {"inconclusive"}
    assert row["seeds_needed"] == np.inf
