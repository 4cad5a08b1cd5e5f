"""The answer says what the tables say: the right arm, the right verdicts, and no more."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from study.report.answer import answer
from study.report.reading import load_result
from study.report.telling import Code, Line, nearest, published_arm, recommended_arm
from tests.report.synthetic import ARMS, PUBLISHED


def lines(results: Path) -> dict[str, Line]:
    return {line.label: line for line in answer(load_result(results))}


def edit(results: Path, table: str, change) -> Path:
    path = results / "tables" / f"{table}.csv"
    frame = pd.read_csv(path)
    change(frame).to_csv(path, index=False)
    return results


def test_the_arm_closest_to_the_truth_is_the_one_nearest_to_the_target_from_either_side(make_results):
    results = make_results()
    means = pd.read_csv(results / "tables" / "arms.csv").query("metric == 'chroma_ratio'").set_index("arm")["mean"]
    best = (means - 1).abs().idxmin()
    result = load_result(results)
    assert nearest(result, "chroma_ratio") == best
    assert next(part for part in lines(results)["Which loss"].head if type(part) is Code) == best
    rmse = pd.read_csv(results / "tables" / "arms.csv").query("metric == 'ab_rmse'").set_index("arm")["mean"]
    assert nearest(result, "ab_rmse") == rmse.idxmin()
    assert (
        f"Pixel by pixel the closest is {rmse.idxmin()} (ab RMSE {rmse.min():.2f}"
        in lines(results)["What it costs"].text
    )


def test_arms_whose_intervals_overlap_the_best_one_are_named(make_results):
    def widen(frame: pd.DataFrame) -> pd.DataFrame:
        rows = (frame["metric"] == "chroma_ratio") & (frame["arm"] == "strong")
        frame.loc[rows, ["low", "high"]] = [0.5, 1.5]
        return frame

    results = make_results()
    assert "overlap" not in lines(results)["Which loss"].text
    assert "the interval of strong overlaps its own" in lines(edit(results, "arms", widen))["Which loss"].text


def test_of_arms_as_near_but_for_less_than_the_margin_the_one_with_the_smallest_error_is_recommended(make_results):
    results = make_results()
    result = load_result(results)
    first, margin = recommended_arm(result), result.metrics["chroma_ratio"].margin
    trained = [arm.name for arm in result.arms if not arm.control and arm.name != first]
    cheapest = min(trained, key=lambda arm: result.estimates[arm, "ab_rmse"].mean)
    assert result.estimates[cheapest, "ab_rmse"].mean < result.estimates[first, "ab_rmse"].mean
    distance = abs(result.estimates[first, "chroma_ratio"].mean - 1)

    def place(beyond: float):
        def change(frame: pd.DataFrame) -> pd.DataFrame:
            rows = (frame["metric"] == "chroma_ratio") & (frame["arm"] == cheapest)
            ratio = 1 - distance - beyond
            frame.loc[rows, ["mean", "low", "high"]] = [ratio, ratio - 0.01, ratio + 0.01]
            return frame

        return change

    assert recommended_arm(load_result(edit(results, "arms", place(1.1 * margin)))) == first
    assert f"Nearest in chroma is {first}" in lines(results)["Which loss"].headline
    assert recommended_arm(load_result(edit(results, "arms", place(0.9 * margin)))) == cheapest
    text = lines(results)["Which loss"].headline
    assert f"Practically nearest in chroma is {cheapest}" in text
    assert re.search(rf"{first} \(\d+\u00a0%\) comes closer by less than the margin of .*, at a larger ab RMSE", text)


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("worse", "It paints more faint brown than mse (sepia cast"),
        ("better", "It paints less faint brown than mse (sepia cast"),
        ("equivalent", "It paints as much faint brown as mse (sepia cast"),
        ("undecided", "It seems to paint more faint brown than mse, not surely or not by much (sepia cast"),
        ("unclear", "Whether it paints more or less faint brown than mse is undecided (sepia cast"),
    ],
)
def test_whether_the_cure_brings_sepia_is_told_with_the_verdict_of_the_table(make_results, verdict, says):
    results = make_results()
    for table in ("metrics", "arms", "paired"):  # ab_rmse once more, under the name of the cast
        edit(results, table, lambda frame: pd.concat(
            [frame, frame[frame["metric"] == "ab_rmse"].assign(metric="sepia_cast")], ignore_index=True))  # fmt: skip

    def judge(frame: pd.DataFrame) -> pd.DataFrame:
        rows = frame["metric"] == "sepia_cast"
        frame.loc[rows, "verdict"] = "undecided" if verdict == "unclear" else verdict
        if verdict == "unclear":
            frame.loc[rows, ["low", "high"]] = [-1.0, 1.0]
        return frame

    edit(results, "paired", judge)
    assert says in lines(results)["What it costs"].headline


def test_a_world_whose_averages_are_not_brown_cannot_test_sepia(make_results):
    results = make_results()
    for table in ("metrics", "arms", "paired"):
        edit(results, table, lambda frame: pd.concat(
            [frame, frame[frame["metric"] == "ab_rmse"].assign(metric="sepia_cast")], ignore_index=True))  # fmt: skip
    path = results / "tables" / "study.json"
    facts = json.loads(path.read_text())
    for cast, foreign in ((0.0, True), (9.0, False)):
        facts["law"] = {"reachable_mse": 1.0, "casts": {"sepia_cast": cast}}
        path.write_text(json.dumps(facts))
        assert ("Sepia itself cannot be tested here" in lines(results)["What it costs"].headline) == foreign
        assert ("sepia_cast" in load_result(results).key_metrics) != foreign


@pytest.mark.parametrize(
    ("ratio", "verdict", "says"),
    [
        (0.9, "equivalent", "No loss here restores the truth’s chroma."),
        (1.002, "worse", "No loss here restores the truth’s chroma without more error."),
        (1.002, "undecided", "No loss here restores the truth’s chroma without more error."),
        (1.002, "equivalent", "{arm} restores the truth’s chroma without more error."),
    ],
)
def test_the_answer_begins_with_whether_the_chroma_comes_back_and_at_no_price(make_results, ratio, verdict, says):
    results = make_results()
    best = recommended_arm(load_result(results))

    def paint(frame: pd.DataFrame) -> pd.DataFrame:
        rows = frame["metric"] == "chroma_ratio"
        frame.loc[rows, ["mean", "low", "high"]] = [0.8, 0.79, 0.81]
        frame.loc[rows & (frame["arm"] == best), ["mean", "low", "high"]] = [ratio, ratio - 0.01, ratio + 0.01]
        return frame

    def judge(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame["metric"].isin(["ab_rmse", "ciede2000", "sepia_cast"]), "verdict"] = verdict
        return frame

    edit(edit(results, "arms", paint), "paired", judge)
    assert lines(results)["Which loss"].headline.startswith(says.format(arm=best))


def test_an_arm_that_is_farther_from_the_truth_than_gray_is_said_to_be_so(make_results):
    results = make_results()
    best = recommended_arm(load_result(results))
    path = results / "tables" / "study.json"
    facts = json.loads(path.read_text())
    gray = next(arm for arm in facts["arms"] if arm["name"] not in (best, "mse"))
    gray["control"] = {"of": "mse", "match": "gray"}
    path.write_text(json.dumps(facts))

    def place(low: float):
        def change(frame: pd.DataFrame) -> pd.DataFrame:
            rows = (frame["arm"] == gray["name"]) & frame["metric"].isin(["ab_rmse", "ciede2000"])
            frame.loc[rows, ["delta", "low", "high"]] = [low + 1, low, low + 2]
            return frame

        return change

    def others(names: list[str]):
        def change(frame: pd.DataFrame) -> pd.DataFrame:
            rows = frame["metric"].isin(["ab_rmse", "ciede2000"]) & ~frame["arm"].isin([best, gray["name"]])
            frame.loc[rows, ["low", "high"]] = [-1000.0, 1000.0]
            frame.loc[rows & frame["arm"].isin(names), ["low", "high"]] = [900.0, 1000.0]
            return frame

        return change

    said = f"By ab RMSE and CIEDE2000 it is farther from the truth than {gray['name']}, no colour at all"
    edit(edit(results, "paired", place(-100.0)), "paired", others([]))
    assert f"{said}." in lines(results)["What it costs"].headline
    names = [arm["name"] for arm in facts["arms"] if arm["name"] not in (best, "mse", gray["name"])]
    for many, also in ((1, f", and so is {names[0]}."), (2, f", and so are {names[0]} and {names[1]}."),
                       (4, ", and so are 4 other arms.")):  # fmt: skip
        assert said + also in lines(edit(results, "paired", others(names[:many])))["What it costs"].headline
    assert "farther" not in lines(edit(results, "paired", place(2000.0)))["What it costs"].headline


def test_a_vivid_arm_that_is_worse_pixel_by_pixel_is_said_to_be_so(make_results):
    text = lines(make_results())["What it costs"].text
    assert re.search(r"against mse: worse on ab RMSE \(\+3\.\d\d \[.*?\]\)", text)


@pytest.mark.parametrize(
    ("weights", "options", "found"),
    [
        (PUBLISHED, {}, True),
        ({**PUBLISHED, "saturation": 0.1}, {}, False),
        ({"lab": 1.0}, {}, False),
        (PUBLISHED, {"units": "normalized"}, False),
    ],
)
def test_only_the_exact_published_weights_in_raw_units_count_as_published(make_results, weights, options, found):
    results = make_results()
    path = results / "tables" / "study.json"
    facts = json.loads(path.read_text())
    for arm in facts["arms"]:
        if arm["name"] == "anti_average":
            arm.update(weights=weights, options=options)
    path.write_text(json.dumps(facts))
    arm = published_arm(load_result(results))
    assert (arm is not None and arm.name == "anti_average") == found
    assert ("What fails" in lines(results)) == found


def test_the_published_loss_gets_exactly_the_verdicts_of_the_table(make_results):
    results = make_results()
    result = load_result(results)
    text = lines(results)["What fails"].text
    rows = pd.read_csv(results / "tables" / "paired.csv").query("arm == 'anti_average'").set_index("metric")
    for metric in result.key_metrics:
        card, verdict = result.metrics[metric], rows.loc[metric, "verdict"]
        number = f"{rows.loc[metric, 'delta']:+.{card.decimals}f}".replace("-", "−")
        group = next(part for part in text.split(": ", 1)[1].split("; ") if part.startswith(verdict))
        assert f"{card.label} ({number}" in group


@pytest.mark.parametrize(
    ("verdict", "ending"),
    [
        ("undecided", "Nothing that this study can tell from chance."),
        ("equivalent", "No key metric changed by more than its margin"),
    ],
)
def test_no_effect_is_called_no_effect(make_results, verdict, ending):
    results = edit(make_results(), "paired", lambda frame: frame.assign(verdict=verdict))
    found = lines(results)["What fails"].text
    assert ending in found
    assert not re.search(r"\b(better|worse|higher|lower) ", found)


def test_counts_of_verdicts_are_those_of_the_table(make_results):
    results = make_results()
    counts = Counter(pd.read_csv(results / "tables" / "paired.csv")["verdict"])
    text = lines(results)["How sure"].text
    assert f"Of {sum(counts.values())} comparisons" in text
    for verdict, many in counts.items():
        assert f"{many} {verdict}" in text


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        (5, "cannot give a p below 0.0625: the verdicts rest on intervals, corrected"),
        (6, "cannot give a p below 0.0312, and none below 0.281 after Holm’s correction for the number of arms"),
        (9, "with p < 0.05 by flipping signs, after Holm’s correction for the number of arms."),
    ],
)
def test_the_smallest_attainable_p_is_told_and_limits_what_is_claimed(make_results, seeds, says):
    assert says in lines(make_results(seeds=seeds))["How sure"].text


def test_one_seed_is_called_a_hint(make_results):
    text = lines(make_results(seeds=1))["How sure"].text
    assert text.startswith("1 seed for each arm: ") and "as a hint" in text


def test_what_is_missing_is_told_by_arm_with_its_reason(make_results):
    broken = {
        ("strong", 0): "diverged",
        ("strong", 1): "diverged",
        ("perceptual", 2): "missing",
        ("mse", 4): "outdated",
    }
    text = lines(make_results(broken=broken))["Missing"].text
    assert "2 of 50 cells diverged: strong (2 seeds)." in text
    assert "1 of 50 cells missing: perceptual (1 seed)." in text
    assert "1 of 50 cells out of date: mse (1 seed)." in text
    assert "lpips was not measured. Its weights are not in the cache and could not be fetched." in text


def test_nothing_missing_is_said_too(make_results):
    found = lines(make_results(lpips=True))
    assert "All 50 cells finished and every metric was measured." in found["How sure"].text
    assert "Missing" not in found


def test_an_arm_without_any_score_is_not_silently_dropped(make_results):
    broken = {("anti_average", seed): "diverged" for seed in range(5)} | {
        ("classification", seed): "missing" for seed in range(5)
    }
    found = lines(make_results(broken=broken))
    assert found["What fails"].text == "anti_average against mse: no scores (5 diverged)."
    assert found["Classification"].text == "classification against mse: no scores (5 missing)."


def test_a_study_without_any_score_claims_nothing(make_results):
    broken = {(arm[0], seed): "missing" for arm in ARMS for seed in range(5)}
    found = lines(make_results(broken=broken))
    assert found["Which loss"].text == "Nothing was measured: no cell of this study has scores."
    assert "Cost" not in found and "Nothing is compared" in found["How sure"].text


def test_cost_names_the_quickest_and_the_slowest_loss_where_the_rounds_agree(make_results):
    results = make_results()
    # Of smooth_l1 the middle half reaches over 1: nobody knows whether it is quicker than the baseline.
    assert (
        "takes 1.49 times as long as with mse (the slowest, perceptual, 3.90 times)"
        in lines(results)["What it costs"].text
    )
    file = results / "tables" / "cost.csv"
    cost = pd.read_csv(file)
    cost.loc[cost["arm"] == "smooth_l1", ["step_ratio", "step_low", "step_high"]] = [0.8, 0.7, 0.9]
    cost.to_csv(file, index=False)
    told = "(the quickest, smooth_l1, 0.80 times; the slowest, perceptual, 3.90 times)"
    assert told in lines(results)["What it costs"].text
