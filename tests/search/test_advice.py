"""The answer of a search: which point it is, and that its words have the numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from study.search.advice import advice
from study.search.objectives import METRICS, OBJECTIVES


def refit(chroma_ratio: float, ab_rmse: float, diversity: float = 0.1) -> dict[str, Any]:
    scores = dict.fromkeys((*METRICS, *OBJECTIVES), 0.5) | {
        "chroma_ratio": chroma_ratio, "ab_rmse": ab_rmse, "diversity": diversity,
    }  # fmt: skip
    return {name: {"mean": mean, "low": mean - 0.04, "high": mean + 0.04} for name, mean in scores.items()}


def family(recommended: dict[str, Any], region: dict[str, Any] | None = None, reason: str = "", **others: Any) -> dict:
    points = {"recommended": recommended, **others}
    choices = {name: {"weights": {"confidence": k}, "refit": scores} for k, (name, scores) in enumerate(points.items())}
    return {
        "choices": choices,
        "region": None if reason else region,
        "middle": {"recommended": not reason, "reason": reason, "ranges": region, "predicted": None},
    }


def advised(fresh_seeds: int = 2, **families: dict[str, Any]) -> dict[str, Any]:
    space = SimpleNamespace(in_words=lambda point: f"confidence {point['weights']['confidence']:g}")
    search = SimpleNamespace(
        study="mine",
        settings=SimpleNamespace(fresh_seeds=fresh_seeds),
        open=lambda name: SimpleNamespace(space=space),
    )
    baseline = {"arm": "mse", "refit": refit(0.7, 20.0)}
    return advice(search, {"families": families, "baseline": baseline, "truth": {"hue_diversity": 0.57}})


FEW = {"reason": "few candidates"}


def test_of_the_families_with_the_truths_chroma_the_one_with_the_smallest_error_is_the_answer() -> None:
    found = advised(
        dull=family(refit(0.8, 19.0), **FEW),
        cheap=family(refit(0.98, 21.0), **FEW),
        dear=family(refit(1.0, 23.0), **FEW),
    )
    use = found["answer"]["use"]
    assert (use["family"], use["choice"]) == ("cheap", "recommended")
    assert use["price"] == pytest.approx(0.05)
    for part in ("mine", "cheap with confidence 0", "98 %", "70 %", "5 %", "94 to 102 %"):
        assert part in found["sentence"]
    assert list(found["sentences"]) == ["dull", "cheap", "dear"]


def test_where_none_has_it_the_nearest_is() -> None:
    found = advised(dull=family(refit(0.8, 19.0), **FEW), near=family(refit(0.9, 23.0), **FEW))
    assert found["answer"]["use"]["family"] == "near"


def test_a_point_with_clearly_better_hues_is_named_beside_it() -> None:
    colourful = family(refit(0.9, 23.0, 0.09), **FEW, knee=refit(0.8, 24.0, 0.05))
    found = advised(cheap=family(refit(1.0, 21.0, 0.1), **FEW), colourful=colourful)
    other = found["answer"]["for_hue"]
    assert (other["family"], other["choice"]) == ("colourful", "knee")
    assert "colourful with confidence 1" in found["sentence"]
    assert "0.050" in found["sentence"]
    assert "for_hue" not in advised(cheap=family(refit(1.0, 21.0, 0.1), **FEW))["answer"]


def test_where_everything_diverged_there_is_no_answer() -> None:
    nothing = {"choices": {}, "region": None, "middle": None}
    assert advised(mine=nothing) == {"sentence": "", "sentences": {}, "answer": {}}


REGION = {
    "w_confidence": {"low": 10.0, "high": 50.0, "middle": 20.0, "open_low": False, "open_high": True},
    "d_temperature": {"low": 0.3, "high": 0.3, "middle": 0.3, "open_low": False, "open_high": False},
    "o_rebalance": {"values": [None, 0.5]},
}


@pytest.mark.parametrize("reason", ["", "chroma_ratio", "ab_rmse", "diversity", "diverged"])
def test_the_ranges_are_in_the_words_and_so_is_whether_full_training_refuted_them(reason: str) -> None:
    said = advised(mine=family(refit(1.0, 21.0), REGION, reason))["sentences"]["mine"]
    confirmed = advised(mine=family(refit(1.0, 21.0), REGION))["sentences"]["mine"]
    for part in ("confidence 10 to 50", "temperature 0.3", "0.5"):
        assert part in said
    assert (said == confirmed) == (reason == "")


def test_a_point_whose_scores_are_of_one_seed_says_so() -> None:
    one, two = (advised(seeds, mine=family(refit(1.0, 21.0), **FEW))["sentence"] for seeds in (1, 2))
    assert "1 fresh seed " in one
    assert "2 fresh seeds " in two
