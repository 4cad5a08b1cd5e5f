"""Findings as values: the answer, its candidates, references, share removed, close calls and threats."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from study.report import tables
from study.report.findings import MOST_ROWS, close_calls, find, is_close, restores, share_removed
from study.report.result import Comparison
from tests.report.synthetic import ARMS, GRAY, MadeArm, calibration

MSE, PUBLISHED, STRONG, ZHANG, TUNED, _, GAIN = ARMS


def test_recommended_is_the_trained_arm_nearest_to_the_truths_chroma(make):
    found = find(make())
    assert found.outcome == "priced" and found.recommended.arm == "tuned"
    assert found.recommended.excess == pytest.approx(13.0 / 11.6 - 1, abs=0.01)
    assert found.published.arm == "anti_average" and sum(found.published_verdicts.values()) > 0


def test_of_arms_as_near_within_the_margin_the_one_of_least_error_is_recommended(make):
    cheaper = MadeArm("cheaper", 0.985, 12.0, "huber")
    assert find(make(arms=[*ARMS, cheaper])).recommended.arm == "cheaper"


def test_a_reference_that_comes_closer_is_named_as_such(make):
    found = find(make())
    assert found.closest.arm == "gain" and found.closest.reference
    assert found.rival.candidate.arm == "gain" and found.rival.of == "mse" and found.rival.restores


@pytest.mark.parametrize(("error", "told", "well"), [(13.6, "larger", False), (13.0, "same", True),
                                                     (12.0, "smaller", True)])  # fmt: skip
def test_the_error_of_the_reference_beside_the_recommended_arm(make, error, told, well):
    found = find(make(arms=[*ARMS[:-1], replace(GAIN, error=error)]))
    assert (found.rival.error, found.rival.does_as_well) == (told, well)


def test_answer_never_contradicts_its_own_table(make):
    """What the findings call closest and most faithful is what a table over all arms shows, references included."""
    result = make()
    found = find(result)
    chroma = {arm: abs(own.mean - 1) for (arm, metric), own in result.estimates.items() if metric == "chroma_ratio"}
    error = {arm: own.mean for (arm, metric), own in result.estimates.items() if metric == "ab_rmse"}
    assert found.closest.arm == min(chroma, key=chroma.get)
    assert found.most_faithful.arm == min(error, key=error.get)
    table = tables.answer_table(result, found)
    best = {table.columns[k].label: row[0].text for row in table.rows for k, cell in enumerate(row) if cell.best}
    assert best["truth’s chroma"] == found.closest.arm and best["value"] == found.most_faithful.arm
    assert len(table.rows) <= MOST_ROWS


def test_a_loss_without_more_error_or_sepia_is_free(make):
    free = MadeArm("lucky", 1.0, 11.6, "huber")
    result = make(arms=[MSE, free, GRAY])
    assert find(result).outcome == "priced"  # its CIEDE2000 is larger
    same = replace(result.comparisons["lucky", "ciede2000"], verdict="within tolerance")
    result.comparisons["lucky", "ciede2000"] = same
    found = find(result)
    assert found.outcome == "free" and found.free == ("lucky",)


def test_no_loss_restores(make):
    found = find(make(arms=[MSE, ZHANG, GRAY, GAIN]))
    assert found.outcome == "none" and found.recommended.arm == "zhang" and found.rival.restores


def test_a_wide_interval_does_not_restore(make):
    result = make(seeds=2)
    wide = replace(result.estimates["mse", "chroma_ratio"], low=0.1, high=1.5)
    result.estimates["mse", "chroma_ratio"] = wide
    assert not restores(result, "mse")


def test_one_arm_alone(make):
    found = find(make(arms=[MSE], search=False))
    assert found.outcome == "none" and found.recommended.arm == "mse" and found.rows == (found.recommended,)
    assert found.rival is None and found.compromise is None and found.verdicts == {}


def test_nothing_measured(make):
    broken = {(one.name, seed): "missing" for one in ARMS for seed in range(6)}
    found = find(make(broken=broken))
    assert found.outcome == "unmeasured" and found.rows == () and found.unfinished["missing"]["mse"] == 6


def test_a_diverged_arm_counts_what_survived(make):
    found = find(make(broken={("strong", 1): "diverged"}))
    assert found.unfinished == {"diverged": {"strong": 1}}
    assert "diverged" in {one.kind for one in found.threats}


def test_the_compromise_lies_between_and_nothing_beats_it(make):
    found = find(make(arms=[*ARMS, MadeArm("half", 0.8, 12.0, "huber"), MadeArm("worse", 0.79, 12.9, "huber")]))
    assert found.compromise.arm == "half"


@pytest.mark.parametrize(("shares", "told", "pilot"), [((0.1, 0.2), 0.15, True), ((0.19, 0.23), 0.21, False)])
def test_the_share_removed_is_the_baselines_mean_and_a_small_one_makes_a_pilot(make, shares, told, pilot):
    result = make()
    result.tables["calibration"] = calibration(mse=shares, tuned=(0.9, 0.9))
    found = find(result)
    assert found.share_removed == pytest.approx(told) and found.pilot is pilot
    assert ("pilot" in {one.kind for one in found.threats}) is pilot


def test_without_a_calibration_nothing_is_said_of_what_the_baseline_knows(make):
    result = make()
    assert share_removed(result) is None and not find(result).pilot
    result.tables["calibration"] = calibration(tuned=(0.9,))
    assert share_removed(result) is None


def test_farther_than_gray_needs_both_intervals(make):
    assert find(make(arms=[MSE, TUNED, replace(GRAY, error=12.0)])).farther_than_gray[0] == "ab_rmse"
    assert "ab_rmse" not in find(make()).farther_than_gray


@pytest.mark.parametrize(
    ("low", "high", "verdict", "close"),
    [
        (-0.5, 0.5, "within tolerance", False),
        (-0.5, 0.99, "within tolerance", True),
        (2.0, 4.0, "worse", False),
        (0.05, 4.0, "worse", True),  # nearly reaches zero
        (1.0, 1.2, "worse", False),
        (0.9, 1.12, "worse", True),  # hardly larger than the margin
        (-2.0, 1.0, "inconclusive", False),
        (-0.1, 4.0, "inconclusive", True),  # nearly beside zero
        (-0.9, 1.05, "inconclusive", True),  # nearly inside the margin
        (math.nan, math.nan, "inconclusive", False),
    ],
)
def test_close_calls_hang_on_a_tenth_of_the_half_width(low, high, verdict, close):
    found = Comparison((low + high) / 2, low, high, 6, 0.01, verdict)
    assert is_close(found, margin=1.0) is close


def test_close_calls_are_on_key_metrics_only(make):
    result = make()
    assert {one.metric for one in close_calls(result)} <= set(result.key_metrics)


def test_threats_follow_from_the_study(make):
    kinds = {one.kind: one.values for one in find(make(seeds=3)).threats}
    assert kinds["few_seeds"] == {"seeds": 3} and kinds["skipped"] == {"many": 3}
    assert kinds["unmeasured"]["metrics"] == ["lpips"] and kinds["unmeasured"]["reason"]
    assert kinds["short_training"]["passes"] == pytest.approx(7.68)
    assert "pilot" not in kinds and "made_world" in kinds


def test_threats_of_the_metadata_are_passed_on(make):
    result = make(seeds=1)
    result.meta["threats"] = [{"name": "few_pictures", "pictures": 5, "least": 20, "metrics": ["psnr"]}]
    kinds = {one.kind: one.values for one in find(result).threats}
    assert kinds["few_pictures"] == {"pictures": 5, "least": 20, "metrics": ["psnr"]} and "one_seed" in kinds


def test_pictures_and_processors_that_may_mislead_are_threats(make):
    result = make()
    result.meta["data"] |= {"flagged": 2, "monochrome": {"train": 5, "test": 0}, "color_spaces": {"sRGB": 9, "P3": 4}}
    result.meta["provenance"]["processors"] = {"arm64 DEFAULT": 3, "x86_64 AVX2": 30}
    kinds = {one.kind: one.values for one in find(result).threats}
    assert kinds["monochrome"] == {"splits": {"train": 5}, "flagged": 2}
    assert kinds["converted"] == {"spaces": {"P3": 4}}
    assert kinds["mixed_processors"] == {"kinds": {"arm64 DEFAULT": 3, "x86_64 AVX2": 30}}
    result.meta["data"] |= {"monochrome": {}, "color_spaces": {"sRGB": 9}}
    result.meta["provenance"]["processors"] = {"arm64 DEFAULT": 33}
    assert not {"monochrome", "converted", "mixed_processors"} & {one.kind for one in find(result).threats}
