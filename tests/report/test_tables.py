"""Tables as content, and the same content in every format."""

from __future__ import annotations

import csv
import io
import math

import pytest

from study.report import tables
from study.report.findings import find
from study.report.format import amount, count, duration, interval, number, p_value, percent, slug
from study.report.render import markdown_code, markdown_escape, paragraphs, render_tex, tex_escape
from study.report.result import Arm
from study.report.table import Cell, Column, arm_cell, badge, table, value, words


@pytest.fixture
def small():
    head = [
        Column("arm", words=True),
        Column("x", spanner="wide"),
        Column("y", spanner="wide"),
        Column("v", words=True),
    ]
    rows = [[arm_cell("a_b"), value(1.25, 1, 1.0, 1.5), value(math.nan, 1), badge("worse")],
            [arm_cell("c|d"), value(-2.0, 1), Cell("3 %", 0.03), words("50 & 60_%")]]  # fmt: skip
    return table("small", "Small", head, rows)


def test_spanners_cover_neighbours(small):
    assert small.spanners == [("", 1), ("wide", 2), ("", 1)]
    assert table("x", "", [Column("a")], [[words("b")]]).spanners == []


def test_csv_has_exact_numbers(small):
    head, first, second = list(csv.reader(io.StringIO(small.csv)))
    assert head == ["arm", "wide x", "wide y", "v"]
    assert first[:3] == ["a_b", "1.25", "–"] and second[:3] == ["c|d", "-2", "0.03"]


def test_best_cells_are_marked(small):
    marked = small.marked(1, -2.0)
    assert [row[1].best for row in marked.rows] == [False, True]


def test_tex_escapes_and_aligns(small):
    told = render_tex(small)
    assert r"\begin{tabular}{lrrl}" in told and r"\multicolumn{2}{c}{wide}" in told
    assert r"50 \& 60\_\%" in told and r"a\_b" in told and told.count(r"\\") == 4
    assert tex_escape("a\\b^c~") == r"a\textbackslash{}b\textasciicircum{}c\textasciitilde{}"


@pytest.mark.parametrize("name", ["a`b", "``", "a|b", "<b>x</b>", "$x$"])
def test_markdown_shows_names_as_they_are(name):
    from markdown_it import MarkdownIt

    shown = MarkdownIt().enable("table").render(f"| a |\n| --- |\n| {markdown_code(name)} |\n")
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"<code>{escaped}</code>" in shown


@pytest.mark.parametrize("text", ["a*b*c", "1. x", "# x", "[x](y)", "a_b_c", "<i>", "x | y", "~~x~~", "- x"])
def test_markdown_escapes_text(text):
    from markdown_it import MarkdownIt

    shown = MarkdownIt().enable(["table", "strikethrough"]).render(str(markdown_escape(text)))
    assert shown.strip() == f"<p>{text.replace('<', '&lt;').replace('>', '&gt;')}</p>"


def test_paragraphs_are_set_apart_by_empty_lines_and_pilcrows():
    assert paragraphs("a\nb\n\n- c ¶ d\n ¶ ") == [(False, "a b"), (True, "c"), (False, "d")]
    assert paragraphs("8\u00a0% a") == [(False, "8\u00a0% a")]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (number(-1.0, 1), "−1.0"), (number(-0.01, 1), "0.0"), (number(math.nan), "–"), (number(math.inf), "∞"),
        (number(1.0, 1, sign=True), "+1.0"), (interval(1, 2, 0), "[1, 2]"), (interval(math.nan, 2), ""),
        (percent(0.25), "25\u00a0%"), (percent(0.001), "<1\u00a0%"), (percent(0.0), "0\u00a0%"),
        (percent(math.nan), "–"), (p_value(0.00001), "<0.0001"), (p_value(math.nan), "–"),
        (count(26210), "26\u202f210"),
        (amount(0.0123456), "0.0123"), (amount(1234.5), "1\u202f234"), (amount(math.nan), "–"), (duration(45), "45 s"),
        (duration(600), "10 min"), (duration(4000), "1 h 7 min"), (slug("A b", "<x>"), "a_b-x"), (slug("…"), "x"),
    ],
)  # fmt: skip
def test_numbers_as_text(made, told):
    assert made == told


def test_every_table_has_a_cell_for_every_column(make):
    result = make()
    found = find(result)
    from study.report.search import find_families

    families = find_families(result)
    made = [
        tables.answer_table(result, found), tables.results_table(result), tables.results_table(result, key=False),
        tables.margins_table(result, found), tables.claims_table(result), tables.theory_matrix(result),
        tables.weights_table(families), tables.finalists_table(result, families), tables.arms_table(result),
        *(tables.detail_table(result, name) for name in tables.DETAILS),
    ]  # fmt: skip
    assert len({one.name for one in made}) == len(made)
    for one in made:
        assert one.rows and {len(row) for row in one.rows} == {len(one.columns)}, one.name


def test_results_show_the_numbers_of_arms_csv(make):
    result = make()
    table_ = tables.results_table(result)
    for row in table_.rows:
        for column, cell in zip(table_.columns[1:], row[1:], strict=True):
            own, card = result.estimates[row[0].text, column.metric], result.metrics[column.metric]
            assert cell.text == number(own.mean, card.decimals) and cell.key
            found = result.comparisons.get((row[0].text, column.metric))
            assert cell.verdict == (found.verdict if found else "")


def test_references_have_no_cost(make):
    result = make()
    assert {row[0].text for row in tables.detail_table(result, "cost").rows} == set(result.trained)


def test_claims_that_hang_on_the_margin_are_listed(make):
    result = make()
    names = {row[0].text for row in tables.margins_table(result, find(result)).rows}
    assert "claim 1a" in names


def test_details_show_the_fields_of_their_table(make):
    result = make()
    table_ = tables.detail_table(result, "paired")
    rows = [row for row in result.rows("paired") if row.baseline == "mse"]
    assert len(table_.rows) == len(rows) and table_.rows[0][0].text == result.metrics[result.key_metrics[0]].label
    one = next(row for row in table_.rows if row[1].text == "tuned" and row[0].text == "chroma ratio")
    own = result.comparisons["tuned", "chroma_ratio"]
    assert one[2].sort == own.mean and one[2].text == number(own.mean, 3, sign=True)
    assert one[2].detail == interval(own.low, own.high, 3, sign=True) and one[3].kind == "badge"
    assert {row[1].text for row in table_.rows} == set(result.arms) - {"mse"}


def test_the_settings_of_a_reference_say_what_it_does_to_the_colours():
    half = Arm("half", control={"of": "mse", "match": "truth", "by": "transport", "strength": 0.5})
    told = tables.settings(half)
    assert "mse" in told and "transport" in told and "0.5" in told and "gain" not in told
    assert "gain" in tables.settings(Arm("old", control={"of": "mse", "match": "truth"}))
