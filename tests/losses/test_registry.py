"""The registry: building losses from settings, loss files of your own, and what errors name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from study.errors import StudyError
from study.losses import (
    ClassificationLoss,
    HuberLoss,
    Loss,
    build_loss,
    head_of,
    loss_names,
    register,
)
from study.losses.conformance import check_loss

ROOT = Path(__file__).parents[2]
BUILT_IN = [
    "anti_average", "anti_average_circular", "anti_average_lpips", "batch_wasserstein", "batch_wasserstein_lab",
    "circular_diversity", "classification", "color_histogram", "energy_distance", "huber", "hue", "hue_histogram",
    "mse", "pinball", "sliced_wasserstein",
]  # fmt: skip
PRIOR = np.full(313, 1 / 313)


@dataclass
class Settings:
    """What `build_loss` takes, as anybody may write it."""

    name: str
    weights: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    file: str | None = None


CHARBONNIER = """
import torch
from study.losses import Loss, register

@register("charbonnier")
class Charbonnier(Loss):
    head = "ab"
    terms = {"charbonnier": 1.0, "bias": 0.5}

    def __init__(self, eps: float = 1.0) -> None:
        super().__init__()
        self.eps = eps

    def compute(self, prediction, target):
        difference = prediction - target
        return {"charbonnier": (difference.square() + self.eps**2).sqrt().mean(), "bias": difference.mean().abs()}
"""


def refusal(root: Path = ROOT, prior: np.ndarray | None = None, **settings) -> str:
    """What build_loss says; always a single line."""
    with pytest.raises(StudyError) as error:
        build_loss(Settings(**settings), prior, root)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_built_in_losses():
    assert loss_names() == BUILT_IN
    assert head_of(Settings(name="huber"), ROOT) == "ab"
    assert head_of(Settings(name="classification"), ROOT) == "bins"


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_loss_keeps_the_contract(name):
    options = {"weights": "untrained"} if name == "anti_average_lpips" else {}
    loss = build_loss(Settings(name=name, options=options), PRIOR, ROOT)
    assert loss.weights == dict(loss.terms)
    assert [check for check in check_loss(loss) if not check.passed] == []


def test_weights_not_listed_are_zero():
    loss = build_loss(Settings(name="anti_average", weights={"lab": 2.0}), None, ROOT)
    assert loss.weights == {"lab": 2.0, "saturation": 0.0, "diversity": 0.0, "confidence": 0.0}
    prediction, target = torch.randn(2, 2, 4, 4), torch.randn(2, 2, 4, 4)
    torch.testing.assert_close(loss(prediction, target)["total"], 2 * torch.nn.functional.mse_loss(prediction, target))


def test_the_prior_goes_to_the_losses_that_ask_for_it():
    frequencies = np.linspace(1, 2, 313)
    frequencies /= frequencies.sum()
    loss = build_loss(Settings(name="classification"), frequencies, ROOT)
    assert isinstance(loss, ClassificationLoss)
    assert loss.class_weights.shape == (313,)
    plain = build_loss(Settings(name="classification", options={"rebalance": None}), frequencies, ROOT)
    assert plain.class_weights is None
    assert isinstance(build_loss(Settings(name="huber"), frequencies, ROOT), HuberLoss)


def test_unknown_names_list_the_known_ones():
    text = refusal(name="pinbal")
    assert "did you mean 'pinball'" in text
    assert all(name in text for name in BUILT_IN)
    text = refusal(name="anti_average", weights={"hue": 1.0})
    assert "'anti_average'" in text
    assert "'hue'" in text
    assert "lab, saturation, diversity, confidence" in text
    text = refusal(name="huber", options={"beta": 1.0})
    assert "'huber'" in text
    assert "'beta'" in text
    assert "delta" in text


@pytest.mark.parametrize("option", ["lab_weight", "prior", "self"])
def test_weights_and_prior_are_no_options(option):
    assert repr(option) in refusal(name="anti_average", options={option: 1.0})


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), "much"])
def test_impossible_weights_name_loss_and_term(weight):
    text = refusal(name="anti_average", weights={"lab": 1.0, "confidence": weight})
    assert "'anti_average'" in text
    assert "confidence" in text


def test_weights_that_are_all_zero_are_refused():
    assert "lab, saturation, diversity, confidence" in refusal(name="anti_average", weights={"lab": 0.0})


def test_option_values_that_a_loss_refuses_name_it():
    assert all(word in refusal(name="huber", options={"delta": -1.0}) for word in ("'huber'", "delta", "-1.0"))
    assert "'huber'" in refusal(name="huber", options={"delta": "wide"})
    assert all(word in refusal(name="classification", prior=np.zeros(313)) for word in ("'classification'", "prior"))


def test_a_loss_file_of_an_outsider(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/charbonnier.py").write_text(CHARBONNIER)
    settings = Settings(
        name="charbonnier", weights={"charbonnier": 2.0}, options={"eps": 3.0}, file="own/charbonnier.py"
    )
    assert head_of(settings, tmp_path) == "ab"
    loss = build_loss(settings, PRIOR, tmp_path)
    assert loss.eps == 3.0
    assert loss.weights == {"charbonnier": 2.0, "bias": 0.0}
    out = loss(torch.full((1, 2, 3, 3), 4.0), torch.zeros(1, 2, 3, 3))
    assert out["charbonnier"].item() == pytest.approx(5.0)
    assert out["total"].item() == pytest.approx(10.0)
    assert out["bias"].item() == pytest.approx(4.0)


def test_a_loss_file_runs_once(tmp_path):
    (tmp_path / "own.py").write_text("open('ran', 'a').write('x')\n" + CHARBONNIER)
    settings = Settings(name="charbonnier", file="own.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        one, other = build_loss(settings, None, tmp_path), build_loss(settings, None, tmp_path)
    assert type(one) is type(other)
    assert (tmp_path / "ran").read_text() == "x"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "own.py"),
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_package\n", "no_such_package"),
        ("raise RuntimeError('two\\nlines')\n", "RuntimeError: two lines"),
        (CHARBONNIER.replace('"charbonnier")', '"huber")'), "HuberLoss"),
        (CHARBONNIER.replace('head = "ab"', 'head = "rgb"'), "'rgb'"),
        (CHARBONNIER.replace("    terms =", "    others ="), "terms = "),
        (CHARBONNIER.replace("(Loss)", "(torch.nn.Module)"), "study.losses.Loss"),
    ],
)
def test_a_loss_file_that_fails_is_named_and_leaves_nothing(content, says, tmp_path):
    if content is not None:
        (tmp_path / "own.py").write_text(content)
    text = refusal(tmp_path, name="charbonnier", file="own.py")
    assert "own.py" in text
    assert says in text
    assert loss_names() == BUILT_IN


def test_a_loss_file_without_the_named_loss(tmp_path):
    (tmp_path / "own.py").write_text(CHARBONNIER)
    text = refusal(tmp_path, name="charbonier", file="own.py")
    assert "'charbonier'" in text
    assert "own.py registers charbonnier" in text


def test_a_loss_without_compute_is_refused(tmp_path):
    (tmp_path / "own.py").write_text(CHARBONNIER.replace("def compute", "def calculate"))
    assert "compute" in refusal(tmp_path, name="charbonnier", file="own.py")


def test_a_loss_that_returns_other_terms_says_so():
    @register("forgetful")
    class Forgetful(Loss):
        terms = {"one": 1.0, "two": 1.0}

        def compute(self, prediction, target):
            return {"one": (prediction - target).mean()}

    with pytest.raises(ValueError, match=r"Forgetful.*one.*one, two"):
        build_loss(Settings(name="forgetful"), None, ROOT)(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2))


def test_a_term_of_weight_zero_may_be_nan():
    @register("half_broken")
    class HalfBroken(Loss):
        terms = {"good": 1.0, "bad": 0.0}

        def compute(self, prediction, target):
            return {"good": (prediction - target).square().mean(), "bad": (prediction * torch.nan).sum()}

    prediction = torch.ones(1, 2, 2, 2, requires_grad=True)
    out = build_loss(Settings(name="half_broken"), None, ROOT)(prediction, torch.zeros(1, 2, 2, 2))
    out["total"].backward()
    assert out["bad"].isnan()
    assert out["total"] == 1
    assert prediction.grad.isfinite().all()
