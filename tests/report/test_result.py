"""Reading results: words stay words, numbers stay exact, and what is missing is named."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from study.errors import StudyError
from study.report.reading import load_result, read_table
from study.report.result import Metric


def test_arms_with_names_like_numbers_or_missing_values_stay_words(make_results):
    names = ("nan", "1e3", "NA", "007")
    arms = tuple((name, "mse", {}, 0.5 + i / 10, 11.0 + i, 1.0) for i, name in enumerate(names))
    result = load_result(make_results(arms=arms))
    assert [arm.name for arm in result.arms] == list(names)
    assert {arm for arm, _ in result.estimates} == set(names)
    assert {arm for arm, _ in result.comparisons} == set(names[1:])


def test_numbers_are_read_to_the_last_bit(tmp_path):
    values = np.random.default_rng(0).normal(size=200) * 10.0 ** np.arange(-100, 100)
    (tmp_path / "t.csv").write_text("value\n" + "\n".join(map(repr, values.tolist())))
    assert read_table(tmp_path / "t.csv", ["value"])["value"].tolist() == values.tolist()


def test_an_empty_field_is_no_number_and_not_zero(tmp_path):
    (tmp_path / "t.csv").write_text("arm,mean,low\na,1,\n")
    assert math.isnan(read_table(tmp_path / "t.csv", ["mean"])["low"][0])


@pytest.mark.parametrize("table", ["arms", "paired", "kinds", "curves", "cells", "cost", "metrics"])
def test_a_missing_table_is_named_with_what_to_do(make_results, table):
    results = make_results()
    (results / "tables" / f"{table}.csv").unlink()
    with pytest.raises(StudyError, match=rf"{table}\.csv does not exist: run `study compare`"):
        load_result(results)


def test_a_missing_column_is_named(make_results):
    results = make_results()
    path = results / "tables" / "paired.csv"
    pd.read_csv(path).drop(columns="verdict").to_csv(path, index=False)
    with pytest.raises(StudyError, match="no column verdict"):
        load_result(results)


def test_text_where_a_number_belongs_is_refused(make_results):
    results = make_results()
    path = results / "tables" / "arms.csv"
    path.write_text(path.read_text() + "made_up_world,mse,psnr,much,1,2,5,1\n")
    with pytest.raises(StudyError, match="column mean"):
        load_result(results)


@pytest.mark.parametrize("content", ["", "{", "{}"])
def test_a_broken_study_json_is_refused_in_one_line(make_results, content):
    results = make_results()
    (results / "tables" / "study.json").write_text(content)
    with pytest.raises(StudyError, match=r"study\.json") as caught:
        load_result(results)
    assert "\n" not in str(caught.value)


def test_broken_predictions_are_refused(make_results):
    results = make_results(images=1)
    (results / "predictions" / "mse.npz").write_bytes(b"PK not really")
    with pytest.raises(StudyError, match=r"mse\.npz cannot be read"):
        load_result(results)


def test_only_showcase_pictures_are_read_when_the_others_may_not_be_shown(make_results):
    result = load_result(make_results(pictures="showcase", images=6))
    assert all(len(pictures.names) == 3 for pictures in result.pictures.values())
    bare = make_results(study="bare", pictures="test", images=6)
    facts = json.loads((bare / "tables" / "study.json").read_text())
    (bare / "tables" / "study.json").write_text(json.dumps(facts | {"pictures": "showcase"}))
    assert load_result(bare).pictures == {}


@pytest.mark.parametrize(
    ("margin", "decimals"), [(0.03, 3), (0.25, 2), (0.5, 2), (1.0, 1), (10.0, 0), (0.005, 4), (math.nan, 3)]
)
def test_decimals_show_one_digit_more_than_the_margin_needs(margin, decimals):
    assert Metric("m", "1", 0, 1, "higher", None, margin, "", "").decimals == decimals


def test_key_metrics_answer_the_question_first_and_keep_the_order_of_the_table(make_results):
    result = load_result(make_results())
    assert {"chroma_ratio", "ab_rmse"} <= set(result.key_metrics)
    assert list(result.key_metrics) == [name for name in result.metrics if name in result.key_metrics]
    assert "lpips" in result.unmeasured and "lpips" not in result.measured


def test_labels_spell_abbreviations_in_capitals():
    def label(name: str) -> str:
        return Metric(name, "1", 0, 1, None, None, 1, "", "").label

    assert (label("ab_rmse"), label("chroma_ratio"), label("auc_rebalanced")) == (
        "ab RMSE",
        "chroma ratio",
        "AUC rebalanced",
    )
