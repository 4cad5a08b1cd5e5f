"""Claims, theory, training and the search as values."""

from __future__ import annotations

import pytest

from study.report.evidence import find_claims, find_lengths, find_theory, find_training, gradient_shares
from study.report.search import find_families, setting_label, varied


def test_claims_are_counted_by_verdict_and_by_who_says_them(make):
    claims = find_claims(make())
    assert claims.counts == {"confirmed": 1, "opposite": 1, "negligible": 1, "inconclusive": 1, "not testable": 1}
    assert claims.total == 5 and sum(claims.by["loss"].values()) == 4 and sum(claims.by["study"].values()) == 1
    assert (claims.as_predicted, claims.predicted) == (2, 2)


def test_nothing_explained_leaves_nothing_to_say(make):
    result = make(explained=False, search=False)
    assert find_claims(result).total == 0 and find_theory(result) is None and find_lengths(result) == []
    training = find_training(result)
    assert training.curves == 0 and training.idle == () and training.published == {}
    assert find_families(result) == []


def test_theory_counts_trained_arms_on_regions(make):
    theory = find_theory(make())
    assert theory.outcomes == 4 * 3 and theory.explained == 3 * 3 and theory.mse == 2 * 3
    assert theory.unexplained == {"strong": ("sky", "flower", "roof")} and theory.without == ("zhang",)
    assert theory.distance == 1.5


def test_training_names_idle_terms_and_moving_curves(make):
    training = find_training(make())
    assert {(arm, term) for arm, term, _ in training.idle} == {(arm, "saturation") for arm in
                                                              ("anti_average", "strong", "tuned")}  # fmt: skip
    assert training.curves == 5 and training.flattened == 4 and training.moving == {"ab_rmse": ("strong",)}
    assert list(training.published) == ["lab", "diversity", "confidence", "saturation"]


def test_shares_of_the_gradient_sum_to_one(make):
    result = make()
    shares = gradient_shares(result, "tuned")
    assert shares.shape == (3, 4) and shares.sum(axis=1).to_list() == pytest.approx([1, 1, 1])
    assert gradient_shares(result, "gain").empty


def test_lengths_compare_the_shortest_with_the_longest(make):
    (found,) = find_lengths(make())
    assert found.images == (15_360, 30_720) and found.arms == 5 and found.tau == pytest.approx(1) and not found.moved


def test_families_have_regions_finalists_and_what_dominates_them(make):
    ours, zhang = find_families(make())
    assert (ours.name, ours.arm, ours.candidates) == ("anti_average", "tuned", 8)
    (region,) = ours.regions
    assert (region.column, region.value, region.low, region.high) == ("w_confidence", 20.0, 5.0, 30.0)
    assert region.open_high and not region.open_low and region.high_text != region.low_text
    assert [one.choices for one in ours.finalists] == [("recommended", "vivid"), ("knee",)]
    assert ours.dominated_by == () and {one.family for one in zhang.dominated_by} == {"anti_average"}
    assert zhang.reason and zhang.states == {"complete": 7, "diverged": 1}
    assert zhang.regions[0].low_text == zhang.regions[0].high_text == "–"


def test_only_numeric_settings_that_vary_are_drawn(make):
    trials = make().search.trials
    assert varied(trials[trials["family"] == "zhang"]) == ["d_temperature"]
    assert "temperature" in setting_label("d_temperature")
