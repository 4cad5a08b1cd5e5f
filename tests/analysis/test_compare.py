"""Tables from scores: pairing, families, directions and gaps in the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference
from study.analysis.tables import cost_rows, curve_rows, kind_rows

from study.analysis.compare import BootstrapWeights, estimate_rows, paired_rows, rows_against_gain, seed_rows
from study.analysis.runs import score_matrices
from study.config.arms import Control, Tuned
from study.metrics import METRICS
from tests.analysis.arms import arm


def long_table(values: dict[str, np.ndarray], metric: str = "ab_rmse", kind: str = "all") -> pd.DataFrame:
    rows = [
        {"arm": arm, "seed": seed, "image": f"i{image}", "kind": kind, "metric": metric, "value": matrix[seed, image]}
        for arm, matrix in values.items()
        for seed in range(matrix.shape[0])
        for image in range(matrix.shape[1])
    ]
    return pd.DataFrame(rows)


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
    base = rng.normal(20, 1, (5, 20))
    arms = {"mse": base, "a": base - 1, "b": base - 2, "c": base + rng.normal(0, 0.1, (5, 20))}
    rows = paired_rows(METRICS["ab_rmse"], score_matrices(long_table(arms), list(arms)), "mse", weights)
    by_arm = {row["arm"]: row for row in rows}
    assert by_arm["a"]["p_holm"] == pytest.approx(3 * 0.0625)
    assert by_arm["c"]["p_holm"] >= by_arm["c"]["p"]


def test_tuned_arms_are_compared_with_the_gain_that_they_have_to_beat_as_a_family_of_their_own(
    weights: BootstrapWeights,
) -> None:
    base = np.random.default_rng(10).normal(20, 1, (5, 20))
    values = {"mse": base, "gain": base + 1, "one_tuned": base + 1.05, "other_tuned": base + 3, "plain": base + 2}
    matrices = score_matrices(long_table(values), list(values))
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
    assert (rows["one_tuned"]["verdict"], rows["other_tuned"]["verdict"]) == ("equivalent", "worse")
    assert rows["other_tuned"]["delta"] == pytest.approx(2)
    assert rows["other_tuned"]["p_holm"] == pytest.approx(2 * 0.0625)
    assert rows_against_gain(METRICS["ab_rmse"], matrices, [arms[0], *arms[2:]], weights) == []
    assert rows_against_gain(METRICS["ab_rmse"], matrices, arms[:2], weights) == []


def test_only_shared_seeds_are_paired(weights: BootstrapWeights) -> None:
    base = np.random.default_rng(3).normal(20, 1, (5, 20))
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
    base = np.random.default_rng(4).normal(20, 1, (1, 20))
    matrices = score_matrices(long_table({"mse": base, "other": base + 1}), ["mse", "other"])
    (row,) = paired_rows(METRICS["ab_rmse"], matrices, "mse", weights)
    assert (row["p"], row["p_min"], row["verdict"]) == (1, 1, "undecided")
    assert np.isnan([row["effect"], row["detectable"], row["p_t"]]).all()
    assert row["seeds_needed"] == ""
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
        ("chroma_ratio", 0.75, 1.24, "undecided"),  # as far above as the baseline is below, but far from it
    ],
)
def test_verdicts_know_which_way_is_better(
    metric: str, baseline: float, arm: float, expected: str, weights: BootstrapWeights
) -> None:
    noise = np.random.default_rng(6).normal(0, 1e-3, (5, 20))
    table = long_table({"mse": baseline + noise, "arm": arm + noise}, metric)
    (row,) = paired_rows(METRICS[metric], score_matrices(table, ["mse", "arm"]), "mse", weights)
    assert row["verdict"] == expected
    assert row["delta"] == pytest.approx(arm - baseline)


def test_kinds_use_students_interval_over_seeds_and_ignore_images_without_the_kind() -> None:
    values = np.random.default_rng(5).normal(30, 3, (5, 10))
    values[:, 4] = np.nan
    table = kind_rows(long_table({"mse": values}, "chroma", "car"), ["mse"])
    means = np.nanmean(values, axis=1)
    expected = reference.t.interval(0.95, 4, loc=means.mean(), scale=reference.sem(means))
    assert table.loc[0, "mean"] == pytest.approx(means.mean())
    assert (table.loc[0, "low"], table.loc[0, "high"]) == pytest.approx(expected)


def test_cost_is_in_medians_and_ratios_to_the_baseline() -> None:
    def record(seconds: float, control: dict | None = None) -> dict:
        settings = {"control": control}
        return {"parameters": 10, "peak_memory_mb": 10 * seconds, "seconds": seconds, "arm_settings": settings}

    records = {("mse", 0): record(10), ("mse", 1): record(30), ("mse", 2): record(12), ("slow", 0): record(24)}
    records["late", 0] = record(6)
    records["gained", 0] = record(10, {"of": "mse", "match": "truth"})
    # The machine is slow in the second round, for both; what is left is the ratio.
    times = {"mse": np.array([[10.0, 40, 12]]), "slow": np.array([[20.0, 88, 36]])}
    table = cost_rows(records, times, ["mse", "slow", "late", "gained"], "mse", batch=32).set_index("arm")
    assert table.loc["mse", ["seconds", "step_ms", "step_ratio"]].tolist() == [12, 12, 1]
    assert table.loc["mse", ["step_low", "step_high"]].isna().all()
    assert table.loc["slow", ["step_low", "step_ratio", "step_high"]].tolist() == pytest.approx([2.1, 2.2, 2.6])
    assert table.loc["slow", "images_per_s"] == pytest.approx(32 / 0.036)
    assert table.loc["slow", "memory_ratio"] == 2
    assert table.loc["late", ["step_ms", "step_ratio", "step_low", "images_per_s"]].isna().all()
    assert table.loc["late", "memory_ratio"] == 0.5
    assert np.isnan(table.loc["gained", "seconds"])  # nothing was trained for it


def test_without_times_of_the_baseline_there_are_no_ratios() -> None:
    record = {"parameters": 1, "peak_memory_mb": 1.0, "seconds": 1.0, "arm_settings": {}}
    records = {(arm, 0): record for arm in ("mse", "other")}
    table = cost_rows(records, {"other": np.array([[5.0, 7, 6]])}, ["mse", "other"], "mse", batch=8).set_index("arm")
    assert table.loc["other", "step_ms"] == 6
    assert table["step_ratio"].isna().all()


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
    assert (row["verdict"], row["seeds_needed"]) == ("worse", "")


def test_undecided_comparisons_say_how_many_seeds_they_need(weights: BootstrapWeights) -> None:
    rng = np.random.default_rng(10)
    base = rng.normal(20, 5, (5, 40))
    some = np.array([-0.5, 0.9, 0.2, 1.2, 0.3])[:, None]
    hopeless = np.array([-9.0, 9.1, -9.3, 9.2, 0.1])[:, None]
    arms = {"mse": base, "some": base + some, "hopeless": base + hopeless}
    rows = paired_rows(METRICS["ab_rmse"], score_matrices(long_table(arms), list(arms)), "mse", weights)
    needed = {row["arm"]: row["seeds_needed"] for row in rows}
    assert {row["verdict"] for row in rows} == {"undecided"}
    assert 5 < needed["some"] <= 100
    assert needed["hopeless"] == ">100"


def test_a_verdict_counts_how_many_arms_were_compared(weights: BootstrapWeights) -> None:
    rng = np.random.default_rng(11)
    base = rng.normal(20, 1, (4, 30))
    shift = 1 + np.array([0.3, -0.4, 0.5, -0.4])[:, None]
    alone = {"mse": base, "own": base + shift}
    crowd = alone | {f"other{k}": base + rng.normal(0, 1, (4, 1)) for k in range(20)}
    words = []
    for arms in (alone, crowd):
        rows = paired_rows(METRICS["ab_rmse"], score_matrices(long_table(arms), list(arms)), "mse", weights)
        words.append(rows[0]["verdict"])
    assert words == ["worse", "undecided"]


def test_curves_are_averaged_over_seeds_without_speed() -> None:
    def history(shift: float) -> pd.DataFrame:
        names = ["lab", "images_per_s"] * 2
        return pd.DataFrame(
            {"step": [1, 1, 2, 2], "images": [8, 8, 16, 16], "split": "train", "name": names, "value": [3.0, 9, 1, 9]}
        ).assign(value=lambda table: table["value"] + shift)

    table = curve_rows({("mse", 0): history(0), ("mse", 1): history(1), ("old", 0): history(5)}, ["mse"])
    assert table[["arm", "name", "step", "mean", "low", "high", "seeds"]].to_numpy().tolist() == [
        ["mse", "lab", 1, 3.5, 3, 4, 2],
        ["mse", "lab", 2, 1.5, 1, 2, 2],
    ]
