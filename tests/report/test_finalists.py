"""Where another finalist is as good in everything and better in something, the report says so with the numbers."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from study.report import write_report
from study.report.finalists import dominated
from study.report.page import Page
from study.report.reading import load_result
from tests.report.synthetic_evidence import MANY, build_everything

OBJECTIVES = ("fidelity", "vividness", "diversity")


@pytest.fixture
def results(tmp_path) -> Path:
    return build_everything(tmp_path / "results", arms=MANY, seeds=2, images=0)


def with_finalists(results: Path, *rows: tuple[str, str, float | None, tuple[float, float, float]]) -> Path:
    """(family, choice, trial, honest ab RMSE and gaps of vividness and hue diversity) as finalists.csv."""
    table = [
        {"family": family, "choice": choice, "trial": trial, "metric": metric, "tuned": value, "honest": value,
         "low": None, "high": None, "seeds": 2}
        for family, choice, trial, values in rows
        for metric, value in zip((*OBJECTIVES, "ab_rmse"), (*values, values[0]), strict=True)
    ]  # fmt: skip
    pd.DataFrame(table).to_csv(results / "search" / "finalists.csv", index=False)
    return results


def sentences(results: Path) -> list[str]:
    return ["".join(line) for line in dominated(load_result(results))]


def test_a_point_stepped_to_the_truths_chroma_that_another_family_dominates(results):
    with_finalists(
        results,
        ("zhang", "knee", 18, (20.4327, 0.1654, 0.1867)),
        ("zhang", "recommended", None, (23.5082, 0.1004, 0.1931)),
        ("anti_average", "vivid", 17, (20.7587, 0.0183, 0.1809)),
        ("anti_average", "recommended", 17, (20.7587, 0.0183, 0.1809)),
    )
    assert sentences(results) == [
        "zhang_tuned, the recommended point of zhang, stepped to the truth’s mean chroma, is dominated: on the fresh "
        "seeds its ab RMSE, vividness gap and hue diversity gap are 23.51, 0.100 and 0.193, those of anti_average "
        "(recommended, vivid) are 20.76, 0.0183 and 0.181. No finalist of its own family dominates it. These are "
        "means, not tested.",
        "The recommended point of anti_average is dominated by no finalist.",
    ]


def test_a_better_finalist_of_the_same_family_is_named_as_well(results):
    with_finalists(
        results,
        ("zhang", "recommended", 3, (21.0, 0.2, 0.2)),
        ("zhang", "knee", 4, (21.0, 0.1, 0.2)),
        ("mse", "recommended", 1, (20.0, 0.1, 0.3)),
    )
    said = sentences(results)
    assert "those of zhang (knee) are 21.00" in said[0] and "own family" not in said[0] and "stepped" not in said[0]
    assert said[1:] == ["The recommended point of mse is dominated by no finalist."]


def test_equal_points_and_points_better_in_something_dominate_nothing(results):
    with_finalists(
        results,
        ("zhang", "recommended", 3, (21.0, 0.2, 0.2)),
        ("zhang", "knee", 4, (21.0, 0.2, 0.2)),
        ("mse", "recommended", 1, (20.0, 0.1, 0.2001)),
    )
    assert sentences(results) == ["The recommended points of zhang and mse are dominated by no finalist."]


def test_page_markdown_and_json_say_it_with_the_numbers_of_the_table(results, tmp_path):
    with_finalists(results, ("zhang", "recommended", None, (23.5, 0.1, 0.2)), ("mse", "knee", 1, (20.5, 0.1, 0.2)))
    (said,) = sentences(results)
    out = write_report(results, tmp_path / "out").parent
    page = unescape(re.sub(r"<[^>]*>", "", (out / "index.html").read_text()))
    markdown = (out / "report.md").read_text()
    assert said in page
    assert said.replace("_", "") in re.sub(r"[`\\_]", "", markdown)
    assert json.loads((out / "report.json").read_text())["dominated"] == [said]
    shown = {field.text for row in Page(load_result(results)).sheets["finalists"].rows for field in row}
    assert set(re.findall(r"\d+\.\d+", said)) <= shown
