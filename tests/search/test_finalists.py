"""Which candidates become finalists, their scores on fresh seeds, and what is recommended by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from study.config.arms import Arm
from study.config.study import CompareSettings, TrainSettings
from study.project import Project
from study.search import whole
from study.search.candidates import Candidate
from study.search.finalists import pick, with_interval
from study.search.run import search
from tests.search.conftest import make_project
from tests.search.fake import FakeScorer


def candidate(index: int, fidelity: float, vividness: float, diversity: float, chroma_ratio: float = 1.0) -> Candidate:
    arm = Arm.model_validate({"name": f"c{index}", "description": "", "loss": {"name": "mse"}})
    score = {"fidelity": fidelity, "ab_rmse": fidelity, "vividness": vividness, "diversity": diversity}
    score["chroma_ratio"] = chroma_ratio
    return Candidate(index, "", {}, arm, [score], [1.0])


def test_knee_and_both_ends_come_first() -> None:
    front = [candidate(0, 19, 0.5, 0.3), candidate(1, 20, 0.1, 0.1), candidate(2, 25, 0.0, 0.2)]
    named = pick(front, 3, colors=True)
    assert {name: one.index for name, one in named.items()} == {"knee": 1, "vivid": 2, "faithful": 0}
    assert list(pick(front, 1, colors=True)) == ["knee"]


def test_others_fill_up_in_the_order_of_the_recommendation() -> None:
    best = candidate(0, 10, 0.0, 0.0, 0.9)
    others = [candidate(1, 30, 0.5, 0.5, 1.3), candidate(2, 20, 0.5, 0.5, 1.01), candidate(3, 25, 0.5, 0.5, 0.99)]
    named = pick([best, *others], 3, colors=True)
    assert {name: one.index for name, one in named.items()} == {
        "knee": 0, "vivid": 0, "faithful": 0, "next-1": 2, "next-2": 3,
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_never_more_candidates_than_asked_for_or_there_are(count: int) -> None:
    front = [candidate(k, 20 - k, 0.1 * k, 0.1) for k in range(5)]
    named = pick(front, count, colors=True)
    assert len({one.index for one in named.values()}) == min(count, 5)


def test_no_interval_reaches_beyond_the_values_that_a_metric_can_have() -> None:
    compare, apart = CompareSettings(resamples=200), np.repeat([[0.3], [0.9]], 5, axis=1)
    colorful = with_interval("colorfulness", 100 * apart, compare)
    assert (colorful["mean"], colorful["low"]) == (pytest.approx(60), 0.0)
    assert colorful["high"] > 200
    assert with_interval("chroma_ratio", apart, compare)["low"] == 0.0
    gap = with_interval("diversity", apart, compare)
    assert (gap["low"], gap["high"]) == (0.0, 1.0)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("finalists"), trials=16, batch=4, finalists=3)


def find(project: Project, monkeypatch: pytest.MonkeyPatch, scorer: type[FakeScorer] = FakeScorer, **how: Any) -> dict:
    """What a search finds with training that takes no time."""
    monkeypatch.setattr(whole, "Scorer", scorer)
    return search(project, "tiny", jobs=1, report=lambda line: None, again=True, **how)


def load_of(weights: dict[str, float]) -> float:
    """What the fake training's chroma grows with."""
    return weights["confidence"] / 20 + weights["saturation"] / 5


def settings_of(point: dict[str, Any]) -> dict[str, Any]:
    return {key: point[key] for key in ("weights", "options", "decode", "train")}


@pytest.fixture(scope="module")
def plain(project: Project) -> dict[str, Any]:
    """What a search of both families finds."""
    with pytest.MonkeyPatch.context() as patch:
        return find(project, patch)["families"]


def test_the_middle_of_the_region_is_confirmed_and_recommended(plain: dict[str, Any]) -> None:
    family = plain["anti_average"]
    assert family["middle"]["recommended"]
    assert family["middle"]["reason"] == ""
    assert settings_of(family["choices"]["recommended"]) == settings_of(family["choices"]["middle"])
    weights = family["choices"]["recommended"]["weights"]
    for column, found in family["region"].items():
        assert found["low"] <= weights[column[2:]] == found["middle"] <= found["high"]
        assert found["middle"] == float(f"{found['middle']:.0e}")
    load = load_of(weights)
    assert 0.6 + 0.8 * load / (1 + load) + 0.02 == pytest.approx(1, abs=0.05)
    assert family["region"]["w_confidence"]["low"] < 10 < family["region"]["w_confidence"]["high"]
    assert family["middle"]["predicted"]["chroma_ratio"] == pytest.approx(
        family["choices"]["middle"]["refit"]["chroma_ratio"]["mean"], abs=0.05
    )


class Surprising(FakeScorer):
    """Full training takes much of the middle's chroma."""

    def longer(self, arm: Arm) -> float:
        return -0.3 if arm.name.endswith("-middle") else 0.0


def test_a_middle_that_full_training_refutes_is_not_recommended_and_it_is_on_record_why(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find(project, monkeypatch, Surprising, families=["anti_average"])
    family = found["families"]["anti_average"]
    assert not family["middle"]["recommended"]
    assert family["middle"]["reason"] == "chroma_ratio"
    assert family["region"] is None
    assert family["middle"]["ranges"]["w_confidence"]["low"] < family["middle"]["ranges"]["w_confidence"]["high"]
    gaps = {name: abs(point["refit"]["chroma_ratio"]["mean"] - 1) for name, point in family["choices"].items()}
    assert gaps["recommended"] == min(gaps.values()) < gaps["middle"] - 0.03
    best = yaml.safe_load((project.results("tiny") / "search" / "best.yaml").read_text())
    assert best["regions"]["anti_average"] is None


class Undertrained(FakeScorer):
    """Short training reaches less chroma than full training, everywhere alike."""

    def longer(self, arm: Arm) -> float:
        return 0.2


def test_the_region_is_that_of_full_training(
    project: Project, monkeypatch: pytest.MonkeyPatch, plain: dict[str, Any]
) -> None:
    found = find(project, monkeypatch, Undertrained, families=["anti_average"])["families"]["anti_average"]
    less, more = (family["choices"]["recommended"]["weights"] for family in (found, plain["anti_average"]))
    assert load_of(less) < load_of(more) / 1.5
    assert found["choices"]["recommended"]["refit"]["chroma_ratio"]["mean"] == pytest.approx(1, abs=0.06)


class Exploding(FakeScorer):
    """The middle diverges in full training."""

    def train_and_score(self, wanted: list, train: TrainSettings) -> tuple[list, list]:
        seconds, scores = super().train_and_score(wanted, train)
        return seconds, [
            None if arm.name.endswith("-middle") else s for (arm, _), s in zip(wanted, scores, strict=True)
        ]


def test_a_middle_that_diverges_leaves_the_best_finalist(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    family = find(project, monkeypatch, Exploding, families=["anti_average"])["families"]["anti_average"]
    assert family["middle"]["reason"] == "diverged"
    assert "middle" not in family["choices"]
    assert family["choices"]["recommended"]["trial"] is not None


def test_options_are_searched_too_and_those_that_are_worse_are_not_in_the_region(plain: dict[str, Any]) -> None:
    middle, found = plain["zhang"]["choices"]["middle"], plain["zhang"]["middle"]["ranges"]
    temperature, known = middle["decode"]["temperature"], found["d_temperature"]
    assert known["low"] <= temperature == known["middle"] <= known["high"]
    assert 0.05 <= temperature <= 0.3
    assert middle["options"]["rebalance"] in found["o_rebalance"]["values"]


def test_too_few_candidates_have_no_region(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    few = make_project(project.root / "few", trials=4, batch=4)
    family = find(few, monkeypatch, families=["anti_average"])["families"]["anti_average"]
    assert family["middle"] == {"recommended": False, "reason": "few candidates", "ranges": None, "predicted": None}
    assert family["region"] is None
    assert family["choices"]["recommended"]["trial"] in {point["trial"] for point in family["choices"].values()}


def test_a_constrained_search_recommends_a_finalist(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find(project, monkeypatch, families=["anti_average"], objective="constrained", slack=0.02)
    family, limit = found["families"]["anti_average"], found["baseline"]["refit"]
    assert family["region"] is None
    assert family["middle"]["reason"] == "constrained"
    within = [
        point["refit"]["vividness"]["mean"]
        for point in family["choices"].values()
        if point["refit"]["ab_rmse"]["mean"] <= 1.02 * limit["ab_rmse"]["mean"]
        and point["refit"]["diversity"]["mean"] <= limit["diversity"]["mean"]
    ]
    assert family["choices"]["recommended"]["refit"]["vividness"]["mean"] == min(
        within, default=pytest.approx(0, abs=1)
    )
