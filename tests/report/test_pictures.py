"""Galleries, example pairs and contact sheets."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from study.report.figures_color import bar_of_colors, gray_share
from study.report.findings import find
from study.report.pictures import Chooser, colorfulness, contact_sheet, example_pairs, gallery, png, strip

ORDER = ["mse", "anti_average", "strong", "zhang", "tuned", "gray", "gain"]


@pytest.fixture
def result(make):
    return make(images=10)


def test_gallery_has_gray_truth_and_arms(result):
    shown = gallery(result, ORDER)
    assert shown.columns == ("gray input", "truth", *ORDER) and len(shown.rows) == 4 and shown.small
    vivid = colorfulness(result.pictures["mse"].truth[: len(shown.rows)])
    assert shown.hero == int(vivid.argmax())
    picture = np.asarray(Image.open(io.BytesIO(shown.rows[1].tiles[2])).convert("RGB"))
    assert (picture == result.pictures["mse"].prediction[1]).all()


def test_a_small_budget_keeps_at_least_one_row(result):
    assert len(gallery(result, ORDER, budget=1).rows) == 1


def test_no_pictures_no_gallery(make):
    assert gallery(make(), ORDER) is None


def test_the_strip_shows_what_the_answer_names(result):
    shown = strip(gallery(result, ORDER), find(result))
    assert shown.columns[:3] == ("gray input", "truth", "mse") and {"tuned", "gain"} <= set(shown.columns)
    assert len(shown.rows) == 1


def test_pairs_show_the_largest_differences_both_ways(result):
    chooser = Chooser(result, ORDER)
    pair = chooser.pair("tuned", "mse")
    one, other = chooser.errors("tuned"), chooser.errors("mse")
    assert pair.wins == sum(one[name] < other[name] for name in one) and pair.of == 10
    gains = [row.errors[1] - row.errors[0] for row in pair.for_first]
    assert gains == sorted(gains, reverse=True) and all(gain > 0 for gain in gains)
    assert all(row.errors[1] <= row.errors[0] for row in pair.for_second)
    first = example_pairs(result, find(result), chooser)[0]
    assert (first.first, first.second) == ("tuned", "mse")


def test_spread_is_best_median_and_worst(result):
    chooser = Chooser(result, ORDER)
    errors = sorted(chooser.errors("zhang").values())
    assert [row.errors[0] for row in chooser.spread("zhang").rows] == [errors[0], errors[5], errors[-1]]


def test_free_photographs_are_not_chosen_by_score(make):
    assert Chooser(make(images=10, pictures="showcase"), ORDER).pictures == {}


def test_gray_pictures_are_stored_with_one_channel():
    assert Image.open(io.BytesIO(png(np.full((4, 4, 3), 7, np.uint8)))).mode == "L"


def test_contact_sheet_enlarges_small_pictures_without_smoothing(result):
    shown = gallery(result, ORDER)
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(shown.columns, shown.rows[:1], shown.size))))
    factor = next(k for k in range(10, 0, -1) if k * shown.size <= 160)
    corner = sheet[-factor * shown.size - 6 : -6, 6 : 6 + factor * shown.size]
    assert (corner[::factor, ::factor] == result.pictures["mse"].gray[0]).all()


def test_colorfulness_matches_closed_forms():
    halves = np.zeros((1, 4, 4, 3), np.uint8)
    halves[:, :2, :, 0], halves[:, 2:, :, 1] = 255, 255
    assert colorfulness(halves)[0] == pytest.approx(293.25, abs=0.01)
    assert colorfulness(np.full((1, 4, 4, 3), 90, np.uint8))[0] == 0


def test_the_bar_of_colours_is_as_wide_as_colours_are_frequent():
    counts = np.zeros((44, 44))
    counts[22, 22], counts[40, 22] = 3, 1  # three quarters gray, one quarter vivid
    bar = bar_of_colors(counts).astype(int)
    gray = np.ptp(bar[0], axis=1) < 25
    assert gray.mean() == pytest.approx(0.75, abs=0.01) and gray[0] and not gray[-1]
    assert gray_share(counts) == 0.75
