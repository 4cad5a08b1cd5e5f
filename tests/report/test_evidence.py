"""Claims, theory, tuning and training in the report: one truth everywhere, and each left out where it is missing."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study.errors import StudyError
from study.report import latex, progress, tuning, write_index, write_report
from study.report.page import Page as View
from study.report.reading import OPTIONAL, load_result
from study.report.sheet import Column, chip, sheet, value, words
from study.report.telling import recommended_arm
from tests.report.synthetic_evidence import MANY, SENTENCE, build_everything
from tests.report.test_report import Page, rows_of

SOME = tuple(arm for arm in MANY if arm[0] in ("mse", "anti_average", "zhang", "anti_average_tuned", "mse_gain_truth",
                                               "anti_average_confidence_double"))  # fmt: skip


@pytest.fixture(scope="module")
def some(tmp_path_factory) -> Path:
    return build_everything(tmp_path_factory.mktemp("some"), arms=SOME, seeds=2, images=10, size=16)


def plain(text: str) -> str:
    """Text of Markdown or LaTeX without markup: what a reader sees."""
    for mark, letter in latex.SIGNS.items():
        text = text.replace(letter, mark) if len(letter) > 1 else text
    text = text.replace("~", " ")
    for letter, mark in latex.ESCAPES.items():
        text = text.replace(mark, letter)
    text = re.sub(r"\\(?=[^\w\s])", "", text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return " ".join(text.replace("--", "–").split())


def test_page_markdown_and_latex_tell_every_number_of_every_table_alike(everything):
    results, out = everything
    view = View(load_result(results))
    page = Page((out / "index.html").read_text())
    markdown, shown = plain((out / "report.md").read_text()), 0
    for name, one in view.sheets.items():
        tex = plain((out / "tables" / f"{name}.tex").read_text())
        in_page = rows_of(page, name) if name not in ("claims", "results", "results_more", "cost") else None
        if in_page is not None:
            assert len(in_page) == len(one.rows), name
        for place, row in enumerate(one.rows):
            for at, field in enumerate(row):
                told = plain(field.whole)
                assert told in tex, (name, field)
                if name not in ("results", "results_more"):
                    assert told in markdown, (name, field)
                if in_page is not None:
                    cell = in_page[place][at]
                    assert cell["attrs"]["data-sort"] == field.key
                    assert field.text in cell["text"] and field.detail in cell["text"]
                shown += 1
    assert shown > 1000
    assert set(view.sheets) >= {"claims", "results", "differences", "theory", "factorial", "ledger", "convergence",
                                "lengths", "finalists", "recommended", "cost"}  # fmt: skip


def test_sheets_hold_the_numbers_of_their_tables(some):
    result = load_result(some)
    sheets = View(result).sheets
    for name, column, place in (("ledger", "mean", 5), ("convergence", "change", 3), ("factorial", "estimate", 2)):
        truth = sorted(result.tables[name][column])
        if name == "ledger":
            table = result.tables[name]
            truth = sorted(table[table.groupby("arm")["term"].transform("size") > 1][column])
        assert sorted(row[place].sort for row in sheets[name].rows) == truth
    theory = result.tables["theory"].set_index(["arm", "kind"])
    for row in sheets["theory"].rows:
        truth = theory.loc[(row[0].text, row[1].text)]
        assert row[3].sort == truth["chroma"] and row[8].text == truth["explained"]
    finalists = result.search.finalists.set_index(["family", "choice", "metric"])
    labels = {"ab RMSE": "ab_rmse", "chroma ratio": "chroma_ratio", "vividness gap": "vividness"}
    assert {row[1].text for row in sheets["finalists"].rows} == {"recommended", "knee, vivid"}
    for row in sheets["finalists"].rows:
        for column, field in zip(sheets["finalists"].head, row, strict=True):
            if column.label in labels:
                assert (
                    field.sort
                    == finalists.loc[(row[0].text, row[1].text.split(", ")[0], labels[column.label]), "honest"]
                )


def test_csv_files_beside_the_page_are_the_tables(everything):
    results, out = everything
    for path in (out / "tables").glob("*.csv"):
        folder = results / ("search" if path.stem in ("trials", "finalists") else "tables")
        pd.testing.assert_frame_equal(
            pd.read_csv(path), pd.read_csv(folder / path.name), check_exact=True, check_dtype=False
        )
    names = {path.stem for path in (out / "tables").glob("*.csv")}
    assert names >= {*OPTIONAL, "arms", "paired", "trials", "finalists"}


def test_the_ledger_of_claims_shows_every_claim_with_its_verdict(everything):
    results, out = everything
    table = pd.read_csv(results / "tables" / "claims.csv")
    page = Page((out / "index.html").read_text())
    items = {one["attrs"]["data-id"]: one["text"] for one in page.find("tr") if "data-id" in one["attrs"]}
    assert list(items) == list(table["id"])
    for row in table.itertuples():
        assert row.says in items[row.id] and row.verdict in items[row.id]
        assert (f"{row.estimate:.2f}".replace("-", "−") in items[row.id]) or math.isnan(row.estimate)
        assert math.isnan(row.p_t_holm) or f"{row.p_t_holm:.4f}" in items[row.id]
        decided = {row.verdict, row.predicted} <= {"confirmed", "refuted"}
        met = "as predicted" if row.predicted == row.verdict else "not as predicted"
        assert (met in items[row.id]) if decided else ("as predicted" not in items[row.id])
    tally = next(one["text"] for one in page.find("p") if one["attrs"].get("class") == "tally")
    counts = Counter(table["verdict"])
    assert Counter({name: int(re.search(rf"{name} (\d+)", tally)[1]) for name in counts}) == counts


def test_sections_stand_in_the_order_of_a_readers_questions(everything):
    page = Page((everything[1] / "index.html").read_text())
    assert [one["attrs"]["id"] for one in page.find("section")] == [
        "answer", "claims", "results", "differences", "pictures", "colour", "why", "tuning", "training", "cost",
        "method", "threats", "provenance", "cells",
    ]  # fmt: skip


def test_the_answer_is_about_the_tuned_arm_with_its_weights_and_its_control(everything):
    content = json.loads((everything[1] / "report.json").read_text())
    lines = {line["label"]: f"{line['headline']} {line['detail']}" for line in content["answer"]}
    assert content["recommended"] == "anti_average_tuned"
    expected = "anti_average_tuned (lab 1, saturation 3.12, diversity 0, confidence 12.4, learning rate 0.0041)"
    assert f"Nearest in chroma is {expected}" in lines["Which loss"]
    assert "One gain on the output of mse, the control mse_gain_truth, paints" in lines["What it costs"]
    assert "Against it anti_average_tuned is worse on chroma ratio; equivalent on " in lines["What it costs"]
    assert "1 is refuted and 2 confirmed" in lines["What fails"]
    assert "Refuted: The saturation term raises saturation over MSE (2a)." in lines["What fails"]
    assert "the saturation term and the diversity term have less than" in lines["What fails"]
    assert content["search"] == [SENTENCE]


def test_a_control_is_never_recommended(some):
    result = load_result(some)
    means = {arm: e.mean for (arm, metric), e in result.estimates.items() if metric == "chroma_ratio"}
    assert abs(means["mse_gain_truth"] - 1) < abs(means["anti_average"] - 1)
    assert recommended_arm(result) == "anti_average_tuned"
    for arm in result.facts["arms"]:
        arm["tuned"] = None
    assert recommended_arm(load_result(some)) != "mse_gain_truth"


@pytest.mark.parametrize("table", [*OPTIONAL, "search", "usage"])
def test_what_was_not_made_is_left_out_and_nothing_else(some, tmp_path, table):
    results = tmp_path / some.name
    shutil.copytree(some, results)
    if table == "search":
        shutil.rmtree(results / "search")
    elif table == "usage":
        shutil.rmtree(results / "predictions")
    else:
        path = results / "tables" / f"{table}.csv"
        path.write_text(path.read_text().splitlines()[0] + "\n")  # its header only, as where it does not apply
    view = View(load_result(results))
    whole = View(load_result(some))
    gone = {"claims": {"claims"}, "search": {"recommended", "finalists"}}.get(table, {table} & set(whole.sheets))
    assert set(whole.sheets) - set(view.sheets) == gone
    if table == "usage":
        assert view.bars is None and view.usage == [] and view.duels == []
    if table == "search":
        assert view.search_figures == {} and view.search_sentences == []


def test_shares_of_the_gradient_are_those_of_the_ledger(some):
    result = load_result(some)
    table = result.tables["ledger"].set_index(["arm", "term"])
    for arm in ("anti_average", "anti_average_tuned"):
        found = progress.shares(result, arm)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        for term in found:
            assert found[term].mean() == pytest.approx(table.loc[(arm, term), "mean"], rel=1e-6)
            assert found[term].iloc[-1] == pytest.approx(table.loc[(arm, term), "last"], rel=1e-6)


def test_terms_that_are_on_and_do_nothing_are_named_and_others_are_not(some):
    result = load_result(some)
    idle = {(arm, term) for arm, term, _, _ in progress.idle_terms(result)}
    table = result.tables["ledger"]
    many = table.groupby("arm")["term"].transform("size") > 1
    expected = table[many & (table["weight"] > 0) & (table["mean"] < 0.01)]
    assert idle == set(zip(expected["arm"], expected["term"], strict=True)) and idle
    assert not any(arm == "anti_average_tuned" and term == "diversity" for arm, term in idle)  # it is off
    assert "diversity in anti_average (" in progress.ledger_sentence(result)


def test_theory_counts_what_it_explains(some):
    result = load_result(some)
    table = result.tables["theory"]
    controls = [arm.name for arm in result.arms if arm.control]
    assert set(controls) & set(table["arm"])  # of which nothing is to be explained
    told = table["explained"][~table["arm"].isin(controls)]
    sentence = View(result).theory_sentences[0]
    assert f"explains {(told == 'yes').sum()} of {(told != 'no theory').sum()} outcomes" in sentence


def test_the_figures_of_evidence_are_the_same_every_time(some):
    one, other = View(load_result(some)), View(load_result(some))
    for name in ("seeds", "theory", "ledger", "lengths", "effects", "bars", "usage", "search_figures"):
        assert getattr(one, name) == getattr(other, name), name
    assert len(one.seeds) == len(one.result.key_metrics) and len(one.search_figures["slices"]) == 3


def test_every_seed_is_a_dot(some):
    view = View(load_result(some))
    for card, figure in view.seeds:
        assert figure.body.count("<use ") >= len(SOME) * 2, card.name


def test_the_budget_and_the_fronts_are_those_of_the_search(some):
    result = load_result(some)
    said = tuning.budget(result)
    assert said.startswith("Every family: 24 candidates of at most 2 seeds")
    stopped = int((result.search.trials["stopped"] == "dominated").sum())
    assert f"{stopped} of all 72 candidates were dominated early" in said and "3 diverged" in said
    fronts = View(result).search_figures["fronts"]
    assert [front.title for front in fronts] == [tuning.OBJECTIVES["vividness"], tuning.OBJECTIVES["diversity"]]
    for family, part in result.search.trials.groupby("family"):
        done = part["fidelity"].notna().sum()
        told = f"{family}: {done} candidates, {(part['front'] == 'yes').sum()} on the front"
        assert all(told in front.alt for front in fronts)


@pytest.mark.parametrize(("name", "content"), [("search.json", "{"), ("best.yaml", "a: [b"), ("trials.csv", "x\n1\n")])
def test_a_broken_search_is_refused_in_one_line(some, tmp_path, name, content):
    results = tmp_path / some.name
    shutil.copytree(some, results)
    (results / "search" / name).write_text(content)
    with pytest.raises(StudyError, match=r"run `study search` again") as caught:
        load_result(results)
    assert name in str(caught.value)


def test_twenty_six_arms_fit_and_the_derived_ones_are_folded_away(everything):
    text = (everything[1] / "index.html").read_text()
    assert len(text.encode()) < 8_000_000
    page = Page(text)
    folded = {one["text"] for one in page.find("th") if one["attrs"].get("class") == "derived"}
    starts = ("anti_average_confidence", "anti_average_saturation", "anti_average_diversity", "mse_gain", "gray")
    others = {"zhang_mean", "zhang_sharp", "strong_s", "strong_d", "strong_c"}
    gain = {"mse_gain_truth"}  # what the tuned arms have to beat is never folded away
    assert folded == {arm[0] for arm in MANY if arm[0].startswith(starts)} - gain | others


def test_latex_prints_hostile_names_as_they_stand():
    hostile = r"a_b & 50% $x$ #1 {y} ~^ \end{tabular} <|>"
    text = latex.render_tex(
        sheet("t", "T", [Column("arm", words=True), Column("x"), Column("v", words=True)],
              [[words(hostile), value(-1.5, 2, -2, -1), chip("refuted")]], "arms")
    )  # fmt: skip
    row = text.splitlines()[5]
    assert row == (
        r"a\_b \& 50\% \$x\$ \#1 \{y\} \textasciitilde{}\textasciicircum{} \textbackslash{}end\{tabular\} "
        r"\textless{}\textbar{}\textgreater{} & $-$1.50 [$-$2.00, $-$1.00] & $\times$ refuted \\"
    )
    assert text.splitlines()[1] == r"\begin{tabular}{lrl}" and text.count(r"\end{tabular}") == 1


def test_the_index_sets_the_main_numbers_and_claims_of_all_studies_side_by_side(some, tmp_path):
    write_report(some, tmp_path / "ant")
    shutil.copytree(tmp_path / "ant", tmp_path / "zebra")
    content = json.loads((tmp_path / "zebra" / "report.json").read_text())
    for row in content["tables"]["arms"]:
        row["mean"] += 1
    content["study"] = "other"
    (tmp_path / "zebra" / "report.json").write_text(json.dumps(content))
    page = Page(write_index(tmp_path).read_text())
    table = pd.read_csv(some / "tables" / "arms.csv").set_index(["arm", "metric"])["mean"]
    text = " ".join(one["text"] for one in page.find("tr"))
    for arm in ("mse", "anti_average_tuned"):
        ratio = table[arm, "chroma_ratio"]
        found = re.search(rf"{arm}[^0-9]*([\d.]+) \[[^]]*\][^0-9]*([\d.]+) \[", text)
        assert (float(found[1]), float(found[2])) == pytest.approx((ratio, ratio + 1), abs=0.0005)
    assert text.count("✓ confirmed") == 4 and text.count("✗ refuted") == 2


def test_a_table_that_is_too_large_for_the_page_is_linked_beside_it(some, monkeypatch):
    view = View(load_result(some))
    assert view.download("curves").inside and view.download("curves").uri.startswith("data:text/csv")
    monkeypatch.setattr("study.report.page.LARGEST_TABLE", 1000)
    found = view.download("curves")
    assert not found.inside and found.uri == "tables/curves.csv"
    assert len(pd.read_csv(io.StringIO(view.csv_files()["curves"]))) == len(view.result.tables["curves"])
