"""The search space: mistakes in one line, proposals turned into arms, weights in units of the gradient."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from study.errors import StudyError
from study.losses import build_loss
from study.project import Project
from study.search.space import FamilySpace, gradient_norms, load_space, open_family
from tests.conftest import REPOSITORY
from tests.search.conftest import make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("space"))


def write(project: Project, **family: Any) -> None:
    content = {"families": {"mine": {"arm": "anti_average", **family}}}
    (project.root / "ablations" / "search_space.yaml").write_text(yaml.safe_dump(content))


def opened(project: Project, name: str = "mine") -> FamilySpace:
    space = load_space(project.root)
    train = project.study("tiny").train
    return open_family(name, space, project.prepared("tiny"), project.root, train, "cpu", 10_000)


WEIGHTS = {"saturation": {"low": 0.01, "high": 10, "zero": True}, "confidence": {"low": 0.5, "high": 50, "zero": True}}
WRONG = [
    ({}, "nothing to search"),
    ({"weights": {"saturation": {"low": 10, "high": 0.01}}}, "low must be below high"),
    ({"weights": {"saturation": {"low": 0, "high": 1}}}, "families.mine.weights.saturation.low"),
    ({"weights": {"saturation": {"low": "small", "high": 1}}}, "got 'small'"),
    ({"weights": {"vigor": {"low": 0.1, "high": 1}}}, "no term 'vigor'; its terms are lab, saturation"),
    ({"weights": WEIGHTS, "arm": "nobody"}, "unknown arm 'nobody'"),
    ({"weights": WEIGHTS, "arm": "gray"}, "no arm with weights of its own"),
    ({"weights": WEIGHTS, "colour": 1}, "families.mine.colour: unknown key"),
    ({"options": {"units": {"choices": ["raw", "metric"]}}}, "units must be one of"),
    ({"train": {"learning_rate": {"low": 0.1, "high": 2}}}, "families.mine.train.learning_rate.high"),
    ({"options": {"units": {"choices": ["raw"]}}}, "families.mine.options.units.choices"),
    ({"weights": WEIGHTS, "enqueue": [{"name": "x", "weights": {"diversity": 1}}]}, "diversity is not searched"),
    ({"weights": WEIGHTS, "enqueue": [{"name": "x", "train": {"learning_rate": 0.1}}]}, "_rate is not searched"),
    ({"weights": {"saturation": {"low": 0.1, "high": 1}}, "enqueue": [{"name": "x", "weights": {"saturation": 0}}]},
     "needs zero: true"),
    ({"weights": {term: {"low": 0.1, "high": 1, "zero": True} for term in ("lab", "saturation")}, "arm": "strong_s"},
     "all weights could be 0"),
    ({"weights": {"cross_entropy": {"low": 0.1, "high": 1}}, "arm": "zhang", "units": "gradient_ratio"},
     "needs a term that is not searched"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "says"), WRONG)
def test_a_mistake_in_the_space_is_told_in_one_line(project: Project, family: dict, says: str) -> None:
    write(project, **family)
    with pytest.raises(StudyError) as error:
        opened(project)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_family_is_named_beside_the_known_ones(project: Project) -> None:
    write(project, weights=WEIGHTS)
    with pytest.raises(StudyError, match=r"unknown family 'yours'.*has mine"):
        opened(project, "yours")


def test_the_shipped_space_opens_and_holds_what_the_arms_say(project: Project) -> None:
    shipped = load_space(REPOSITORY)
    (project.root / "ablations" / "search_space.yaml").write_text(
        (REPOSITORY / "ablations" / "search_space.yaml").read_text()
    )
    families = {name: opened(project, name) for name in shipped.families}
    anti_average = families["anti_average"]
    published, plain, advice, theory, alone = (
        anti_average.arm(anti_average.params(point), point.name).loss.weights for point in anti_average.family.enqueue
    )
    assert published == {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}
    assert plain == {"lab": 1.0}
    assert advice == {"lab": 1.0, "saturation": 0.05, "diversity": 1.0, "confidence": 2.0}
    assert theory == {"lab": 1.0, "saturation": 3.0, "confidence": 10.0}
    assert alone == {"lab": 1.0, "confidence": 20.0}
    assert families["zhang"].family.enqueue[0].name == "published"
    mse = families["mse"]
    (point,) = mse.family.enqueue
    assert mse.arm(mse.params(point), "x").train.learning_rate == project.study("tiny").train.learning_rate


@settings(deadline=None)
@given(
    saturation=st.one_of(st.just(0.0), st.floats(0.001, 1000)),
    confidence=st.one_of(st.just(0.0), st.floats(0.001, 1000)),
)
def test_an_enqueued_point_comes_back_as_its_arm(project: Project, saturation: float, confidence: float) -> None:
    asked = {"saturation": float(f"{saturation:.3g}"), "confidence": float(f"{confidence:.3g}")}
    write(project, weights=WEIGHTS, enqueue=[{"name": "mine", "weights": asked}])
    family = opened(project)
    study = optuna.create_study()
    study.enqueue_trial(family.params(family.family.enqueue[0]))
    arm = family.arm(family.suggest(study.ask()), "x")
    assert {term: arm.loss.weights.get(term, 0.0) for term in asked} == pytest.approx(asked, rel=1e-9)
    assert arm.loss.weights["lab"] == 1.0
    assert arm.loss.weights["diversity"] == 0.5


def test_proposals_fill_the_declared_ranges_and_zero(project: Project) -> None:
    train = {"learning_rate": {"low": 1e-3, "high": 1e-1}}
    write(project, weights={**WEIGHTS, "diversity": {"low": 1, "high": 100}}, train=train)
    family = opened(project)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    arms = [family.arm(family.suggest(study.ask()), "x") for _ in range(400)]
    for term, low, high, zero in (("saturation", 0.01, 10, True), ("diversity", 1, 100, False)):
        weights = [arm.loss.weights.get(term, 0.0) for arm in arms]
        positive = [weight for weight in weights if weight > 0]
        assert low <= min(positive) < low * 1.2
        assert high / 1.2 < max(positive) <= high
        assert sum(low <= weight < math.sqrt(low * high) for weight in positive) == pytest.approx(
            len(positive) / 2, rel=0.2
        )
        assert len(weights) - len(positive) == (pytest.approx(80, rel=0.3) if zero else 0)
    rates = [arm.train.learning_rate for arm in arms]
    assert 1e-3 <= min(rates) < 1.2e-3
    assert len({arm.loss.weights.get("saturation") for arm in arms}) > 200


def test_what_a_step_led_out_of_the_range_is_told_and_no_candidate_is_there(project: Project) -> None:
    train, rate = {"learning_rate": {"low": 1e-3, "high": 1e-1}}, {"learning_rate": 0.2}
    write(project, weights=WEIGHTS, train=train, enqueue=[{"name": "far", "weights": {"confidence": 70}}])
    family = opened(project)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(50):
        assert family.outside(family.point(family.arm(family.suggest(study.ask()), "x"))) == {}
    inside = {"weights": {"saturation": 0.0, "confidence": 60.0}, "options": {}, "decode": {}, "train": {}}
    assert family.outside(inside | {"train": {"learning_rate": 0.1}}) == {}
    stepped = inside | {"weights": {"saturation": 0.002, "confidence": 70.1}, "train": rate}
    assert family.outside(stepped) == {
        "saturation": {"value": 0.002, "low": 0.01, "high": 10.0},
        "confidence": {"value": 70.1, "low": 0.5, "high": 70.0},
        "learning_rate": {"value": 0.2, "low": 0.001, "high": 0.1},
    }
    assert family.in_words(stepped) == (
        "confidence 70.1 (outside the searched 0.5 to 70), saturation 0.002 (outside the searched 0.01 to 10), "
        "learning rate 0.2 (outside the searched 0.001 to 0.1)"
    )


def test_a_range_in_other_units_is_told_in_the_arms_own(project: Project) -> None:
    write(project, weights={"saturation": {"low": 0.01, "high": 10}}, units="gradient_ratio")
    family = opened(project)
    scale = family.scales["saturation"]
    point = family.point(family.arm({"w_saturation": 10.0}, "x"))
    assert family.outside(point) == {}
    point["weights"]["saturation"] *= 1.01
    assert family.outside(point)["saturation"]["high"] == pytest.approx(10 * scale, rel=0.005)


def test_a_loss_of_ones_own_can_be_searched(project: Project) -> None:
    (project.root / "ablations" / "losses" / "mine.py").write_text(
        "from study.losses import Loss, register\n\n\n"
        "@register('mine')\nclass Mine(Loss):\n"
        "    terms = {'square': 1.0, 'absolute': 0.5}\n\n"
        "    def compute(self, prediction, target):\n"
        "        gap = prediction - target\n"
        "        return {'square': gap.square().mean(), 'absolute': gap.abs().mean()}\n"
    )
    (project.root / "ablations" / "mine.yaml").write_text(
        "description: two norms\nloss: {name: mine, file: ablations/losses/mine.py}\n"
    )
    write(project, arm="mine", weights={"absolute": {"low": 1, "high": 100}}, enqueue=[{"name": "as it is"}])
    family = opened(project)
    arm = family.arm(family.params(family.family.enqueue[0]), "x")
    assert arm.loss.weights == {"square": 1.0, "absolute": 0.5}
    assert build_loss(arm.loss, None, project.root).weights == arm.loss.weights


def test_a_ratio_of_one_pulls_as_hard_as_the_fixed_term(project: Project) -> None:
    weights = {"saturation": {"low": 0.01, "high": 10}, "diversity": {"low": 0.01, "high": 10, "zero": True}}
    write(project, weights=weights, units="gradient_ratio")
    family = opened(project)
    arm = family.arm({"w_saturation": 1.0, "w_diversity": 0.25}, "x")
    prepared, train = project.prepared("tiny"), project.study("tiny").train
    terms = ["lab", "saturation", "diversity"]
    norms = gradient_norms(family.template, terms, prepared, project.root, train, "cpu", 10_000)
    pulls = {term: arm.loss.weights[term] * norms[term] for term in terms}
    assert pulls["saturation"] == pytest.approx(pulls["lab"], rel=0.005)  # numbers are rounded to three digits
    assert pulls["diversity"] == pytest.approx(pulls["lab"] / 4, rel=0.005)
    assert arm.loss.weights["confidence"] == 1.0


def test_a_missing_space_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"search_space\.yaml does not exist"):
        load_space(tmp_path)
