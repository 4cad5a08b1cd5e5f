"""How claims are judged: the verdicts, the corrections, other margins, and what no longer holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study.analysis.claims import MEASURES, held, judge_all, load_claims, lost
from study.analysis.estimates import BootstrapWeights
from study.errors import StudyError
from study.statistics import FEWEST_IMAGES
from tests.analysis.worlds import IMAGES, judged, scores, sources, table_of, with_scores
from tests.conftest import REPOSITORY


def test_what_is_missing_makes_a_claim_not_testable_and_says_what(write: Callable) -> None:
    claim = {"kind": "difference", "arm": "own", "against": "mse", "direction": "up"}
    found = replace(with_scores("chroma", mse=10.0), unmeasured={"lpips": "its weights could not be fetched"})
    assert "own" in judged(write, found, **claim, metric="chroma")["why"]
    found = replace(found, elsewhere={"own": ["first", "second"]})
    told = judged(write, found, **claim, metric="chroma")["why"]
    assert "first" in told and "second" in told
    found = replace(found, declared=["mse", "own"])
    row = judged(write, found, **claim, metric="chroma")
    assert row["verdict"] == "not testable" and "own" in row["why"]
    assert np.isnan(row["estimate"])
    row = judged(write, found, **claim, metric="lpips")
    assert "its weights could not be fetched" in row["why"]
    row = judged(write, found, kind="same_hue", arm="own", margin=5)
    assert row["verdict"] == "not testable"


def test_only_shared_seeds_count(write: Callable) -> None:
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    found = with_scores("chroma", mse=10.0, own=scores(12, seeds=4))
    assert judged(write, found, **claim)["p_min"] == 1 / 8
    found = with_scores("chroma", mse=scores(10).loc[:2], own=scores(12).loc[3:])
    assert judged(write, found, **claim)["verdict"] == "not testable"


def test_a_single_seed_leaves_a_claim_inconclusive(write: Callable) -> None:
    found = with_scores("chroma", mse=scores(10, seeds=1), own=scores(15, seeds=1))
    row = judged(write, found, kind="difference", arm="own", against="mse", metric="chroma", direction="up")
    assert row["verdict"] == "inconclusive"


@pytest.mark.parametrize("images", [1, 5, FEWEST_IMAGES - 1])
def test_too_few_pictures_leave_a_claim_inconclusive(write: Callable, images: int) -> None:
    found = with_scores("chroma", mse=scores(10, images=images), own=scores(15, images=images, seed=1))
    for claim in (
        {"kind": "difference", "direction": "up"},
        {"kind": "no_worse", "direction": "up"},
        {"kind": "within"},
    ):
        row = judged(write, found, arm="own", against="mse", metric="chroma", **claim)
        assert row["verdict"] == row["verdict_half_margin"] == row["verdict_double_margin"] == "inconclusive"


@pytest.mark.parametrize(
    ("own", "half", "verdict", "double"),
    [
        (10.4, "confirmed", "negligible", "negligible"),
        (10.8, "confirmed", "confirmed", "negligible"),
        (9.2, "opposite", "opposite", "negligible"),
    ],
)
def test_verdicts_at_other_margins_are_those_of_a_claim_with_that_margin(
    write: Callable, own: float, half: str, verdict: str, double: str
) -> None:
    found = with_scores("chroma", mse=10.0, own=own)
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    row = judged(write, found, **claim)  # chroma's margin is 0.5
    assert (row["verdict_half_margin"], row["verdict"], row["verdict_double_margin"]) == (half, verdict, double)
    assert judged(write, found, **claim, margin=0.25)["verdict"] == half
    assert judged(write, found, **claim, margin=1.0)["verdict"] == double


def test_limits_of_its_own_do_not_change_with_the_margin(write: Callable) -> None:
    found = with_scores("chroma", mse=10.0, own=11.5)
    row = judged(write, found, kind="within", arm="own", against="mse", metric="chroma", low=0, high=2)
    assert (row["verdict_half_margin"], row["verdict"], row["verdict_double_margin"]) == ("confirmed",) * 3
    assert np.isnan(row["margin"])


@pytest.mark.parametrize(
    ("predicted", "own", "expected"),
    [
        ("confirmed", 12.0, "yes"), ("confirmed", 8.0, "no"), ("confirmed", 10.2, "no"),
        ("refuted", 12.0, "no"), ("refuted", 8.0, "yes"), ("refuted", 10.2, "yes"), ("open", 12.0, ""),
    ],
)  # fmt: skip
def test_refuted_was_predicted_when_the_effect_is_opposite_or_negligible(
    write: Callable, predicted: str, own: float, expected: str
) -> None:
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    row = judged(write, with_scores("chroma", mse=10.0, own=own), **claim, predicted=predicted)
    assert row["as_predicted"] == expected
    unsure = with_scores("chroma", mse=10.0, own=scores(11, luck=3, seed=1))
    assert judged(write, unsure, **claim, predicted=predicted)["as_predicted"] == ""


def test_p_is_corrected_for_the_number_of_claims(write: Callable) -> None:
    found = with_scores("chroma", mse=10.0, own=scores(11.5, luck=1, seed=5), other=10.0)
    own = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    alone = table_of(write(own), found).iloc[0]
    assert (alone["verdict"], alone["p_t_holm"]) == ("confirmed", alone["p_t"])
    rest = [own | {"arm": "other", "against": "mse"} for _ in range(30)]
    among = table_of(write(own, *rest), found).iloc[0]
    assert among["p_t_holm"] == pytest.approx(31 * alone["p_t"])
    assert (among["verdict"], among["low"]) == ("inconclusive", alone["low"])


def test_where_nothing_differs_claims_are_confirmed_at_most_as_rarely_as_promised(write: Callable) -> None:
    claims = write(
        *(
            {"kind": "difference", "arm": f"arm{k}", "against": "mse", "metric": "chroma", "direction": "up"}
            | {"margin": 0}
            for k in range(6)
        )
    )
    rng = np.random.default_rng(0)
    worlds, wrong = 200, 0
    weights = BootstrapWeights(300, 0)
    for _ in range(worlds):
        luck = rng.normal(0, 1, (7, 5, 1)) + rng.normal(0, 1, (7, 1, IMAGES)) + rng.normal(0, 1, (7, 5, IMAGES))
        arms = dict(zip(["mse", *(f"arm{k}" for k in range(6))], map(pd.DataFrame, luck), strict=True))
        found = sources(declared=list(arms), matrices={"chroma": arms}, weights=weights)
        wrong += any(one.verdict == "confirmed" for one in judge_all(claims, found))
    assert wrong / worlds <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)


def test_claims_about_unknown_arms_and_metrics_are_told_in_one_line(write: Callable, tmp_path: Path) -> None:
    claim = {"kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up"}
    for name in ("own", "mse"):
        (tmp_path / "ablations").mkdir(exist_ok=True)
        (tmp_path / "ablations" / f"{name}.yaml").write_text("")
    write(claim)
    assert [one.arm for one in load_claims(tmp_path)] == ["own"]
    for wrong in ({"metric": "beauty"}, {"arm": "nobody"}, {"against": "nobody"}):
        write(claim | wrong)
        with pytest.raises(StudyError) as caught:
            load_claims(tmp_path)
        (name,) = wrong.values()
        assert name in str(caught.value) and "claim0" in str(caught.value) and "\n" not in str(caught.value)


def test_the_claims_of_this_repository_can_be_judged_and_cover_all_nineteen() -> None:
    claims = load_claims(REPOSITORY)
    assert {int(claim.number.rstrip("abcde")) for claim in claims} == set(range(1, 20))
    assert {type(claim) for claim in claims} == set(MEASURES)


def test_every_claim_of_this_repository_gets_a_row_when_nothing_is_there() -> None:
    claims = load_claims(REPOSITORY)
    table = table_of(claims, sources())
    assert table["id"].tolist() == [claim.id for claim in claims]
    assert set(table["verdict"]) == {"not testable"}
    assert all(table["why"])


def test_what_held_before_and_no_longer_does(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    assert held(path) == []
    path.write_text("no table")
    assert held(path) == []
    before = {"a": "confirmed", "b": "confirmed", "c": "opposite", "d": "confirmed", "e": "confirmed"}
    pd.DataFrame({"id": before.keys(), "verdict": before.values()}).to_csv(path, index=False)
    assert held(path) == ["a", "b", "d", "e"]
    after = {"a": "confirmed", "b": "inconclusive", "c": "confirmed", "d": "not testable"}
    now = pd.DataFrame({"id": after.keys(), "verdict": after.values()})
    assert lost(held(path), now) == ["b (inconclusive)", "d (not testable)", "e (gone)"]
