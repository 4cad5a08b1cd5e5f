"""Pictures chosen by score, and colours counted: checked against scikit-image and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.color import rgb2lab

from study.report.choices import EACH, Chooser, duels, spreads
from study.report.figures_usage import BAR, LEVELS, bar_of_colors
from study.report.reading import load_result
from tests.report.synthetic import build_results
from tests.report.synthetic_evidence import EXTRAS, MANY, build_everything

PAIR = tuple(arm for arm in MANY if arm[0] in ("mse", "anti_average", "zhang"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """Three arms with forty kept pictures; noise makes each arm the better one somewhere."""
    results = build_everything(tmp_path_factory.mktemp("kept"), arms=PAIR, seeds=2, images=40, size=16)
    for place, arm in enumerate(PAIR):
        path = results / "predictions" / f"{arm[0]}.npz"
        with np.load(path) as archive:
            content = dict(archive)
        noise = np.random.default_rng(place).normal(0, 25, (len(content["names"]), 1, 1, 3))
        content["prediction"] = (content["prediction"] + noise).clip(0, 255).astype(np.uint8)
        np.savez_compressed(path, **content)
    return results


def errors_of(results: Path, arm: str) -> dict[str, float]:
    with np.load(results / "predictions" / f"{arm}.npz") as archive:
        error = rgb2lab(archive["prediction"])[..., 1:] - rgb2lab(archive["truth"])[..., 1:]
        return dict(zip(archive["names"].tolist(), np.sqrt((error**2).mean((1, 2, 3))).tolist(), strict=True))


def test_duels_show_the_pictures_with_the_largest_differences_both_ways(kept):
    found = duels(Chooser(load_result(kept)))
    assert [(duel.first, duel.second) for duel in found] == [("zhang", "mse"), ("anti_average", "mse")]
    for duel in found:
        one, other = errors_of(kept, duel.first), errors_of(kept, duel.second)
        order = sorted(one, key=lambda name: one[name] - other[name])
        assert [choice.image for choice in duel.for_first] == order[:EACH]
        assert [choice.image for choice in duel.for_second] == order[::-1][:EACH]
        assert duel.wins == sum(one[name] < other[name] for name in one) and duel.of == 40
        for choice in (*duel.for_first, *duel.for_second):
            assert choice.errors == pytest.approx((one[choice.image], other[choice.image]), abs=0.02)
            assert len(choice.tiles) == 3


def test_best_median_and_worst_are_those_of_the_scores(kept):
    for spread in spreads(Chooser(load_result(kept))):
        errors = errors_of(kept, spread.arm)
        order = sorted(errors, key=errors.get)
        assert [choice.image for choice in spread.choices] == [order[0], order[20], order[-1]]


def test_nothing_is_chosen_from_pictures_that_may_not_be_shown_or_are_too_few(tmp_path):
    hidden = build_results(tmp_path / "a", pictures="showcase", images=20, arms=PAIR)
    few = build_results(tmp_path / "b", images=5, arms=PAIR)
    for results in (hidden, few):
        chooser = Chooser(load_result(results))
        assert duels(chooser) == [] and spreads(chooser) == []


def test_a_grid_shows_only_the_pictures_meant_for_it(kept):
    from study.report.pictures import gallery

    result = load_result(kept)
    assert len(result.pictures["mse"].names) == 40
    assert [row.name for row in gallery(result).rows] == list(result.pictures["mse"].names[:6])


def test_a_bar_of_colours_gives_each_colour_its_share():
    counts = np.zeros((44, 44))
    counts[22, 22] = 3  # nearly gray
    counts[22 + 12, 22] = 1  # red
    bar = bar_of_colors(counts)
    assert bar.shape == (LEVELS, BAR, 3)
    gray = np.ptp(bar.astype(int), axis=-1) < 40
    assert gray[:, : BAR * 3 // 4].all() and not gray[:, BAR * 3 // 4 :].any()
    red = bar[0, -1].astype(int)
    assert red[0] > red[1] + 60


def test_a_bar_shows_dull_below_and_vivid_above():
    counts = np.zeros((44, 44))
    counts[22 + 4, 22 + 4] = counts[22 + 14, 22 + 14] = 1
    spread = np.ptp(bar_of_colors(counts).astype(int), axis=-1)
    assert (spread[0] > spread[-1] + 50).all()


def test_extras_of_made_up_arms_name_real_ones():
    assert set(EXTRAS) <= {arm[0] for arm in MANY}
