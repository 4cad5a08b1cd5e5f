"""The search space: mistakes in one line, proposals turned into arms, weights in units of the gradient."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from study.config.search_space import load_space
from study.errors import StudyError
from study.losses import build_loss
from study.project import Project
from study.search.space import FamilySpace, Start, gradient_norms
from tests.conftest import REPOSITORY
from tests.search.conftest import make_project, open_space


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("space"))


def write(project: Project, **family: Any) -> None:
    content = {"families": {"mine": {"arm": "anti_average", **family}}}
    (project.root / "ablations" / "search_space.yaml").write_text(yaml.safe_dump(content))


def opened(project: Project, name: str = "mine") -> FamilySpace:
    return open_space(project, name)


WEIGHTS = {"saturation": {"low": 0.01, "high": 10, "zero": True}, "confidence": {"low": 0.5, "high": 50, "zero": True}}
# What is wrong, and what the message has to name.
WRONG = [
    ({"weights": {"vigor": {"low": 0.1, "high": 1}}}, "'vigor'"),
    ({"weights": WEIGHTS, "arm": "nobody"}, "'nobody'"),
    ({"weights": WEIGHTS, "arm": "gray"}, "families.mine.arm: gray"),
    ({"options": {"units": {"choices": ["raw", "metric"]}}}, "units"),
    ({"weights": WEIGHTS, "enqueue": [{"name": "x", "weights": {"diversity": 1}}]}, "weights.diversity"),
    ({"weights": WEIGHTS, "enqueue": [{"name": "x", "train": {"learning_rate": 0.1}}]}, "train.learning_rate"),
    ({"weights": {"saturation": {"low": 0.1, "high": 1}}, "enqueue": [{"name": "x", "weights": {"saturation": 0}}]},
     "zero: true"),
    ({"arm": "zhang", "options": {"rebalance": {"choices": [None, 0.5]}},
      "enqueue": [{"name": "x", "options": {"rebalance": 0.7}}]}, "0.7"),
    ({"weights": {term: {"low": 0.1, "high": 1, "zero": True} for term in ("lab", "saturation")}, "arm": "strong_s"},
     "families.mine.weights"),
    ({"weights": {"cross_entropy": {"low": 0.1, "high": 1}}, "arm": "zhang", "units": "gradient_ratio"},
     "gradient_ratio"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "named"), WRONG)
def test_what_does_not_fit_the_template_is_named_in_one_line(project: Project, family: dict, named: str) -> None:
    write(project, **family)
    with pytest.raises(StudyError) as error:
        opened(project)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_family_is_named_beside_the_known_ones(project: Project) -> None:
    write(project, weights=WEIGHTS)
    with pytest.raises(StudyError, match=r"'yours'.*mine"):
        opened(project, "yours")


def test_the_shipped_space_opens_and_holds_what_the_arms_say(project: Project) -> None:
    shipped = load_space(REPOSITORY)
    (project.root / "ablations" / "search_space.yaml").write_text(
        (REPOSITORY / "ablations" / "search_space.yaml").read_text()
    )
    families = {name: opened(project, name) for name in shipped.families}
    anti_average = families["anti_average"]
    published, plain, advice, theory, alone = (
        anti_average.arm(anti_average.given(point), point.name).loss.weights for point in anti_average.family.enqueue
    )
    assert published == {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}
    assert plain == {"lab": 1.0}
    assert advice == {"lab": 1.0, "saturation": 0.05, "diversity": 1.0, "confidence": 2.0}
    assert theory == {"lab": 1.0, "saturation": 3.0, "confidence": 10.0}
    assert alone == {"lab": 1.0, "confidence": 20.0}
    assert families["zhang"].family.enqueue[0].name == "published"
    mse = families["mse"]
    (point,) = mse.family.enqueue
    assert mse.arm(mse.given(point), "x").train.learning_rate == project.study("tiny").train.learning_rate


@settings(deadline=None)
@given(
    saturation=st.one_of(st.just(0.0), st.floats(0.001, 1000)),
    confidence=st.one_of(st.just(0.0), st.floats(0.001, 1000)),
)
def test_an_enqueued_point_keeps_its_digits(project: Project, saturation: float, confidence: float) -> None:
    asked = {"saturation": float(f"{saturation:.5g}"), "confidence": float(f"{confidence:.5g}")}
    write(project, weights=WEIGHTS, enqueue=[{"name": "mine", "weights": asked}])
    family = opened(project)
    (point,) = family.family.enqueue
    arm = family.arm(family.given(point), "x")
    assert {term: arm.loss.weights.get(term, 0.0) for term in asked} == pytest.approx(asked, rel=1e-9)
    assert arm.loss.weights["lab"] == 1.0
    assert arm.loss.weights["diversity"] == 0.5
    study = optuna.create_study()
    study.enqueue_trial(family.params(point))
    proposed = family.settings(family.suggest(study.ask()))  # the sampler sees it where it is
    for term, value in asked.items():
        assert value / 2 <= proposed[f"w_{term}"] <= 2 * value  # one digit on the sampler's grid


def test_proposals_fill_the_declared_ranges_with_one_significant_digit(project: Project) -> None:
    train = {"learning_rate": {"low": 1e-3, "high": 1e-1}}
    write(project, weights={**WEIGHTS, "diversity": {"low": 1, "high": 100}}, train=train)
    family = opened(project)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    arms = [family.arm(family.settings(family.suggest(study.ask())), "x") for _ in range(400)]
    for term, low, high, zero in (("saturation", 0.01, 10, True), ("diversity", 1, 100, False)):
        weights = [arm.loss.weights.get(term, 0.0) for arm in arms]
        positive = [weight for weight in weights if weight > 0]
        assert set(positive) == set(family.axes[f"w_{term}"].values) - {0}
        assert (min(positive), max(positive)) == (low, high)
        below = sum(weight < math.sqrt(low * high) for weight in positive)
        assert below == pytest.approx(len(positive) / 2, rel=0.2)
        assert len(weights) - len(positive) == (pytest.approx(80, rel=0.3) if zero else 0)
    assert {arm.train.learning_rate for arm in arms} == set(family.axes["t_learning_rate"].values)


def test_settings_and_arms_belong_together(project: Project) -> None:
    train, decode = {"learning_rate": {"low": 1e-3, "high": 1e-1}}, {"temperature": {"low": 0.05, "high": 1}}
    options = {"rebalance": {"choices": [None, 0.5]}}
    write(project, arm="zhang", options=options, decode=decode, train=train)
    family = opened(project)
    asked = {"d_temperature": 0.2, "t_learning_rate": 0.03, "o_rebalance": None}
    assert family.settings_of(family.arm(asked, "x")) == asked
    point = family.point(family.arm(asked, "x"))
    assert point["decode"] == {"temperature": 0.2}
    assert point["train"] == {"learning_rate": 0.03}
    assert point["options"] == {"rebalance": None}
    write(project, weights=WEIGHTS)
    family = opened(project)
    asked = {"w_saturation": 0.0, "w_confidence": 20.0}
    arm = family.arm(asked, "x")
    assert "saturation" not in arm.loss.weights
    assert family.settings_of(arm) == asked
    assert family.point(arm)["weights"] == {"saturation": 0.0, "lab": 1.0, "diversity": 0.5, "confidence": 20.0}
    assert "confidence 20" in family.in_words(family.point(arm))


def test_ranges_are_wide_enough_for_what_is_enqueued(project: Project) -> None:
    write(project, weights=WEIGHTS, enqueue=[{"name": "far", "weights": {"confidence": 70, "saturation": 0.002}}])
    axes = opened(project).axes
    assert (axes["w_confidence"].low, axes["w_confidence"].high) == (0.5, 70)
    assert (axes["w_saturation"].low, axes["w_saturation"].high) == (0.002, 10)


def test_a_range_in_gradient_ratios_is_turned_into_the_arms_own_units(project: Project) -> None:
    write(project, weights={"saturation": {"low": 0.01, "high": 10}}, units="gradient_ratio")
    family = opened(project)
    axis, scale = family.axes["w_saturation"], family.scales["saturation"]
    assert (axis.low, axis.high) == pytest.approx((0.01 * scale, 10 * scale))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(50):
        params = family.suggest(study.ask())
        assert axis.low <= params["w_saturation"] <= axis.high
        own = family.settings(params)["w_saturation"]
        assert own in axis.values
        assert own == pytest.approx(params["w_saturation"], rel=0.5)


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
    arm = family.arm(family.given(family.family.enqueue[0]), "x")
    assert arm.loss.weights == {"square": 1.0, "absolute": 0.5}
    assert build_loss(arm.loss, None, project.root).weights == arm.loss.weights


def test_a_ratio_of_one_pulls_as_hard_as_the_fixed_term(project: Project) -> None:
    weights = {"saturation": {"low": 0.01, "high": 10}, "diversity": {"low": 0.01, "high": 10, "zero": True}}
    write(project, weights=weights, units="gradient_ratio")
    family = opened(project)
    study, prepared = project.study("tiny"), project.prepared("tiny")
    start = Start(study.model, study.train, prepared.images("train"), "cpu", 10_000)
    norms = gradient_norms(family.template, ["lab", "saturation", "diversity"], prepared.prior, project.root, start)
    for term in weights:
        assert family.scales[term] * norms[term] == pytest.approx(norms["lab"])
