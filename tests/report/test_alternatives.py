"""The lines of the answer about other arms than the recommended one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from study.report.alternatives import classification, in_between, others
from study.report.method import threats
from study.report.progress import convergence_sentence
from study.report.reading import load_result
from study.report.result import StudyResult
from study.report.telling import against_gain, recommended_arm
from tests.report.test_answer import edit, lines


def place(results: Path, points: dict[str, tuple[float, float]]) -> StudyResult:
    """The results with a chroma ratio and an ab RMSE for the arms named, all others far worse in both."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        for index, metric in enumerate(("chroma_ratio", "ab_rmse")):
            for arm in set(frame["arm"]):
                value = points.get(arm, (3.0, 90.0))[index]
                rows = (frame["arm"] == arm) & (frame["metric"] == metric)
                frame.loc[rows, ["mean", "low", "high"]] = [value, value - 0.01, value + 0.01]
        return frame

    return load_result(edit(results, "arms", change))


def test_in_between_are_the_arms_that_no_other_beats_in_chroma_and_error(make_results):
    points = {"mse": (0.7, 10.0), "saturation_only": (0.75, 10.5), "confidence_only": (0.88, 11.0),
              "anti_average": (0.87, 10.9), "smooth_l1": (0.8, 12.0), "strong": (1.0, 14.0)}  # fmt: skip
    result = place(make_results(), points)
    assert recommended_arm(result) == "strong"
    # smooth_l1 is beaten in both; anti_average is nearer to confidence_only than the margin of 0.02
    told = in_between(result).headline
    assert told.startswith("saturation_only paints 75\u00a0% of the truth’s chroma for 5\u00a0% more ab RMSE")
    assert "; confidence_only 88\u00a0% for 10\u00a0% more ab RMSE" in told
    assert "smooth_l1" not in told
    assert "anti_average" not in told


def test_nothing_is_in_between_where_the_recommended_arm_has_no_larger_error(make_results):
    points = {"mse": (0.7, 10.0), "saturation_only": (0.8, 9.5), "strong": (1.0, 9.0)}
    assert in_between(place(make_results(), points)) is None


def test_an_arm_with_the_settings_of_another_is_not_told_twice(make_results):
    results = make_results()
    path = results / "tables" / "study.json"
    facts = json.loads(path.read_text())
    one, other = [arm for arm in facts["arms"] if arm["loss"] == "classification"][:2]
    for temperature, same in ((0.1, False), (0.38, True)):
        one["decode"], other["decode"] = {"temperature": 0.38}, {"temperature": temperature}
        other["options"] = one["options"]
        path.write_text(json.dumps(facts))
        told = classification(place(results, {"strong": (1.0, 14.0)}))
        assert (f"; {other['name']} has the settings of {one['name']}" in told.headline) == same
        assert (f"{other['name']}: " in told.text) != same
        result = load_result(results)
        metrics = sum(name == other["name"] for name, _ in result.comparisons)
        many = len(result.comparisons) - metrics * same
        assert metrics and f"of {many} comparisons with the baseline" in lines(results)["How sure"].headline


@pytest.mark.parametrize(
    ("metric", "verdict", "says"),
    [
        ("regret", "worse", "with more regret"),
        ("sepia_cast", "better", "with less faint brown"),
        ("sepia_cast", "worse", "with more faint brown"),
    ],
)
def test_classification_is_told_with_its_regret_and_its_sepia(make_results, metric, verdict, says):
    results = make_results()
    assert says not in classification(load_result(results)).headline
    for table in ("metrics", "arms", "paired"):  # CIEDE2000 once more, under another name
        edit(results, table, lambda frame: pd.concat(
            [frame[frame["metric"] != metric], frame[frame["metric"] == "ciede2000"].assign(metric=metric)],
            ignore_index=True))  # fmt: skip

    def judge(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame["metric"] == metric, "verdict"] = verdict
        frame.loc[frame["metric"] == "ab_rmse", "verdict"] = "equivalent"
        return frame

    edit(results, "paired", judge)
    assert says in classification(load_result(results)).headline


def test_against_the_gain_control_gaps_stand_for_what_has_no_better_direction(make_results):
    results = make_results()
    best = recommended_arm(load_result(results))
    neutral = "colorfulness"
    assert neutral in load_result(results).key_metrics

    def gained(frame: pd.DataFrame) -> pd.DataFrame:
        own = frame[frame["arm"] == best].drop_duplicates("metric").assign(baseline="gain", verdict="equivalent")
        own.loc[own["metric"] == neutral, "verdict"] = "higher"
        gap = own[own["metric"] == neutral].assign(metric=f"{neutral}_gap", verdict="better")
        return pd.concat([frame, own, gap], ignore_index=True)

    for table in ("metrics", "arms"):
        edit(results, table, lambda frame: pd.concat(
            [frame[frame["metric"] != f"{neutral}_gap"],
             frame[frame["metric"] == "ab_rmse"].assign(metric=f"{neutral}_gap")], ignore_index=True))  # fmt: skip
    edit(results, "paired", gained)
    told = "".join(against_gain(load_result(results), best))
    assert told.startswith(f" Against it {best} is better on ")
    assert "higher" not in told

    edit(results, "paired", lambda frame: frame[(frame["baseline"] != "gain") | (frame["metric"] != f"{neutral}_gap")])
    told = "".join(against_gain(load_result(results), best))
    assert told.startswith(f" Against it {best} is equivalent on ")
    assert told.endswith(f"; it has higher {load_result(results).metrics[neutral].label}.")


def test_a_loss_that_is_better_but_paints_more_gray_is_told_with_it(make_results):
    results = make_results()
    result = load_result(results)
    arm = "smooth_l1"
    assert arm != recommended_arm(result)
    for table in ("metrics", "arms", "paired"):
        edit(results, table, lambda frame: pd.concat(
            [frame[frame["metric"] != "gray_share"], frame[frame["metric"] == "ab_rmse"].assign(metric="gray_share")],
            ignore_index=True))  # fmt: skip

    def judge(gray: str):
        def change(frame: pd.DataFrame) -> pd.DataFrame:
            own = frame["arm"] == arm
            frame.loc[own, "verdict"] = "equivalent"
            frame.loc[own & frame["metric"].isin(["ab_rmse", "ciede2000"]), "verdict"] = "better"
            frame.loc[own & (frame["metric"] == "gray_share"), "verdict"] = gray
            return frame

        return change

    told = others(load_result(edit(results, "paired", judge("higher")))).headline
    assert f"{arm} is better than the baseline on" in told
    assert ", but with a higher gray_share (" in told.replace("gray share", "gray_share")
    told = others(load_result(edit(results, "paired", judge("equivalent")))).headline
    assert "gray" not in told


def test_refuted_claims_that_are_right_in_direction_are_counted_apart(everything, tmp_path):
    results = Path(shutil.copytree(everything[0], tmp_path / "own"))

    def refute(frame: pd.DataFrame) -> pd.DataFrame:
        frame["verdict"], frame["by"], frame["why"] = "refuted", "loss", "the whole interval lies where it is wrong"
        frame.loc[frame.index[:1], "why"] = "right in direction, but too little to matter; amended"
        return frame

    many = len(load_result(edit(results, "claims", refute)).tables["claims"])
    assert many > 1
    assert (
        f"{many} are refuted (1 of them right in direction, but by too little to matter) and 0 confirmed"
        in lines(results)["What fails"].headline
    )


def test_how_often_simulated_studies_are_wrong_is_told_where_it_is_known(everything, tmp_path):
    results = Path(shutil.copytree(everything[0], tmp_path / "own"))
    assert "simulated" not in dict(threats(load_result(results)))["Luck of the seeds"]
    file = results / "tables" / "study.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"coverage": {"alike": 0.0525, "unlike": 0.1472}}))
    told = dict(threats(load_result(results)))["Luck of the seeds"]
    assert "at most 5.3\u00a0% of them" in told and "in up to 14.8\u00a0% where" in told


def test_test_pictures_that_were_trained_on_are_a_threat(everything, tmp_path):
    results = Path(shutil.copytree(everything[0], tmp_path / "own"))
    assert "Pictures seen in training" not in dict(threats(load_result(results)))
    file = results / "tables" / "study.json"
    facts = json.loads(file.read_text())
    facts["data"]["seen_in_training"] = 12
    file.write_text(json.dumps(facts))
    assert dict(threats(load_result(results)))["Pictures seen in training"].startswith("12 of the test pictures")


def test_curves_that_nobody_can_tell_flattened_are_counted(everything, tmp_path):
    results = Path(shutil.copytree(everything[0], tmp_path / "own"))
    for many, said in ((0, ""), (1, ", 1 is undecided"), (3, ", 3 are undecided")):

        def judge(frame: pd.DataFrame, many: int = many) -> pd.DataFrame:
            frame["flattened"] = ["undecided"] * many + ["yes"] * (len(frame) - many)
            return frame

        result = load_result(edit(results, "convergence", judge))
        assert f" had flattened by the end of training{said}." in convergence_sentence(result)
        assert dict(threats(result))["Short training"].endswith(convergence_sentence(result))
