"""Figures are sound SVG, the same every time, in the page's colours, and show every arm."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest

from study.report.figures import file_name, forest, key, shortened
from study.report.figures_color import ab_planes, chroma_by_kind
from study.report.figures_pareto import vividness
from study.report.figures_training import curves, terms
from study.report.reading import load_result
from study.report.result import StudyResult
from study.report.svg import TONES, Drawing
from tests.report.synthetic import ARMS

HOSTILE = '<b a="$x$&\'`|\\">$'


def drawings(result: StudyResult) -> list[Drawing]:
    found = [key(result), vividness(result), chroma_by_kind(result), *ab_planes(result)[:1]]
    found += [forest(result, "ab_rmse"), forest(result, "chroma_ratio")]
    found += [*curves(result, "val", "ab_rmse"), *curves(result, "train", terms(result)[0])]
    return [figure for figure in found if figure]


def words_of(svg: str) -> str:
    return "".join(ElementTree.fromstring(svg).itertext())


def test_figures_are_well_formed_and_carry_no_date_program_or_foreign_address(make_results):
    for figure in drawings(load_result(make_results())):
        ElementTree.fromstring(figure.standalone)
        ElementTree.fromstring(figure.inline.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1))
        assert not re.search(r"metadata|matplotlib|\d{4}-\d\d-\d\d|<image|DejaVu", figure.standalone, re.IGNORECASE)
        addresses = set(re.findall(r"https?://[^\"\s<]*", figure.standalone))
        assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_inline_figures_take_every_tone_from_the_page_and_share_no_id(make_results):
    figures = drawings(load_result(make_results()))
    ids = [name for figure in figures for name in set(re.findall(r'\bid="([^"]*)"', figure.inline))]
    assert len(ids) == len(set(ids))
    for figure in figures:
        assert not any(color in figure.inline for color in TONES.values())
        assert "var(--ink)" in figure.inline
        for target in re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', figure.inline):
            assert f'id="{target[0] or target[1]}"' in figure.inline


def test_a_forest_names_every_compared_arm_in_its_own_colour_and_marks_its_verdict(make_results):
    result = load_result(make_results())
    figure = forest(result, "ab_rmse")
    text = words_of(figure.standalone)
    look = result.looks
    for arm in result.others:
        assert shortened(arm) in text
        assert look[arm].color in figure.standalone
        assert f'data-arm="{look[arm].index}"' in figure.inline
    assert text.count("▼") == sum(
        c.verdict == "worse" for (_, metric), c in result.comparisons.items() if metric == "ab_rmse"
    )
    assert "← better" in text and "(Lab units)" in text


def test_the_alt_text_of_a_forest_tells_its_numbers(make_results):
    result = load_result(make_results())
    found = result.comparisons["strong", "ab_rmse"]
    assert f"strong {found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}] worse" in forest(result, "ab_rmse").alt


def test_an_arm_far_off_is_drawn_at_the_edge_with_its_value_so_that_the_others_stay_readable(make_results):
    results = make_results()
    path = results / "tables" / "paired.csv"
    table = pd.read_csv(path)
    rows = (table["arm"] == "strong") & (table["metric"] == "ab_rmse")
    table.loc[rows, ["delta", "low", "high"]] = [400.0, 390.0, 410.0]
    table.to_csv(path, index=False)
    assert "+400.0 →" in words_of(forest(load_result(results), "ab_rmse").standalone)


@pytest.mark.parametrize("seeds", [1, 5])
def test_names_from_files_appear_as_written(make_results, seeds):
    arms = (("mse", "mse", {}, 0.5, 11.0, 1.0), (HOSTILE, "mse", {}, 0.6, 11.2, 1.1))
    result = load_result(make_results(arms=arms, seeds=seeds, kinds={HOSTILE: [(10, 10), (-30, 20)]}, images=0))
    for figure in drawings(result):
        if not figure.name.startswith("ab-"):
            assert HOSTILE in words_of(figure.standalone).replace(figure.alt, "", 1), figure.name
        assert re.fullmatch(r"[a-z0-9_-]+", figure.name)


def test_what_was_not_measured_has_no_figure(make_results):
    results = make_results(kinds=None)
    result = load_result(results)
    assert chroma_by_kind(result) is None and ab_planes(result) == []
    assert curves(result, "val", "no_such_quantity") == []
    assert vividness(result, up="lpips") is None


def test_the_gap_of_averaging_is_drawn_between_the_average_colour_and_the_palette(make_results):
    result = load_result(make_results(kinds={"odd": [(40, 0), (-40, 0)], "sure": [(20, 0)]}))
    figure = chroma_by_kind(result)
    assert "odd palette 40.0, its average colour 13.3" in figure.alt
    assert words_of(figure.standalone).index("odd") < words_of(figure.standalone).rindex("sure")


def test_totals_rates_and_gradients_are_no_loss_terms(make_results):
    assert terms(load_result(make_results()))[:2] == ["lab", "smooth_l1"]
    assert not {"total", "lr", "grad_norm", "images_per_s"} & set(terms(load_result(make_results(study="again"))))


def test_forty_arms_still_make_a_figure(make_results):
    arms = tuple((f"arm_{i:02d}", "mse", {}, 0.4 + i / 60, 11 + i / 20, 1 + i / 50) for i in range(40))
    result = load_result(make_results(arms=arms, images=0))
    for figure in (forest(result, "ab_rmse"), *curves(result, "val", "ab_rmse")):
        assert all(f"arm_{i:02d}" in words_of(figure.standalone) for i in range(1, 40))


@pytest.mark.parametrize(
    ("text", "name"), [("ab_rmse", "ab_rmse"), ("../../etc", "etc"), ("<script>", "script"), ("ä", "x"), ("", "x")]
)
def test_names_of_files_hold_nothing_but_letters_digits_and_lines(text, name):
    assert file_name(text) == name


def test_long_names_lose_their_middle():
    assert shortened("a" * 30 + "end") == "a" * 15 + "…" + "aaaaaend"
    assert len(shortened("x" * 200)) == 24
    assert ARMS[0][0] == shortened(ARMS[0][0])
