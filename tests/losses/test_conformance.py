"""The conformance test: sound losses pass, and the check meant for a fault catches every loss that has it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from study.errors import StudyError
from study.losses import ClassificationLoss, Loss, MSELoss, check_same_shape
from study.losses.base import common_precision
from study.losses.conformance import check_loss

MSE = {"lab": 1.0}


def failed(loss: Loss) -> dict[str, str]:
    """What fails, and what was found."""
    return {check.what: check.found for check in check_loss(loss) if not check.passed}


class Squared(Loss):
    """A sound loss, to be broken in one respect."""

    terms = MSE

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        check_same_shape(prediction, target, channels=(2,))
        return self.broken(*common_precision(prediction, target))

    def broken(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"lab": (prediction - target).square().mean()}


def test_a_sound_loss_passes_and_keeps_its_weights() -> None:
    assert failed(Squared()) == {}
    assert [check.what for check in check_loss(Squared)] == [check.what for check in check_loss(Squared())]
    loss = MSELoss()
    loss.set_weights({"lab": 3.5})
    assert failed(loss) == {}
    assert loss.weights == {"lab": 3.5}


def test_a_gradient_that_is_nan_at_gray() -> None:
    class Chroma(Squared):
        def broken(self, prediction, target):
            chroma, true_chroma = (x.square().sum(1).sqrt() for x in (prediction, target))
            return {"lab": (chroma - true_chroma).square().mean()}

    found = failed(Chroma())
    assert set(found) == {"finite, all-gray pictures", "finite, single-coloured-pixel pictures"}
    assert all(word in found["finite, all-gray pictures"] for word in ("100%", "all-gray prediction", "float32"))


def test_values_that_overflow_for_extreme_colours() -> None:
    class Exponential(Squared):
        def broken(self, prediction, target):
            return {"lab": ((prediction - target).abs() / 50).exp().mean()}

    found = failed(Exponential())
    assert set(found) == {"finite, extreme pictures"}
    assert all(word in found["finite, extreme pictures"] for word in ("total", "inf", "prediction", "float32"))


def test_a_spread_that_is_nan_for_a_constant_picture() -> None:
    class Spread(Squared):
        def broken(self, prediction, target):
            lab = super().broken(prediction, target)["lab"]
            return {"lab": lab + (prediction.var((2, 3)).sqrt() - target.var((2, 3)).sqrt()).square().mean()}

    assert set(failed(Spread())) == {"finite, all-gray pictures", "finite, constant pictures"}


@pytest.mark.parametrize(
    ("results", "named"), [({"mse": 1.0}, ["mse", "lab"]), ({"lab": 1.0, "more": 1.0}, ["lab, more"])]
)
def test_terms_other_than_declared(results: dict[str, float], named: list[str]) -> None:
    class Other(Squared):
        def broken(self, prediction, target):
            lab = super().broken(prediction, target)["lab"]
            return {name: lab * factor for name, factor in results.items()}

    found = failed(Other())
    assert set(found) == {"terms"}
    assert all(name in found["terms"] for name in named)


def test_terms_that_are_no_scalars_or_not_finite() -> None:
    class PerPicture(Squared):
        def broken(self, prediction, target):
            return {"lab": (prediction - target).square().mean((1, 2, 3))}

    class NotFinite(Squared):
        terms = {"lab": 1.0, "share": 0.0}

        def broken(self, prediction, target):
            return {**super().broken(prediction, target), "share": prediction.new_tensor(float("nan"))}

    for loss, named in ((PerPicture(), ("lab", "(3,)")), (NotFinite(), ("share", "nan"))):
        found = failed(loss)
        assert set(found) == {"terms"}
        assert all(name in found["terms"] for name in named)


def test_weights_that_the_total_does_not_follow() -> None:
    class Fixed(Squared):
        terms = {"lab": 1.0, "absolute": 2.0}

        def broken(self, prediction, target):
            return {**super().broken(prediction, target), "absolute": (prediction - target).abs().mean()}

        def forward(self, prediction, target):
            terms = self.compute(prediction, target)
            return {"total": self.sum_up(terms), **terms}

        def sum_up(self, terms):
            return terms["lab"] + 2.0 * terms["absolute"]

    class Leaking(Fixed):
        def sum_up(self, terms):
            return sum(terms[name] * max(weight, 0.1) for name, weight in self.weights.items())

    assert set(failed(Fixed())) == {"total is the weighted sum", "weight 0 contributes nothing"}
    assert set(failed(Leaking())) == {"weight 0 contributes nothing"}


def test_dependence_on_the_order_of_the_batch() -> None:
    class Ordered(Squared):
        def broken(self, prediction, target):
            rank = torch.arange(1, len(prediction) + 1).to(prediction).view(-1, 1, 1, 1)
            return {"lab": (rank * (prediction - target).square()).mean()}

    assert set(failed(Ordered())) == {"batch order does not matter"}


def test_results_that_differ_from_call_to_call() -> None:
    class Noisy(Squared):
        def broken(self, prediction, target):
            return super().broken(prediction + 0.01 * torch.randn_like(prediction), target)

    class Drawing(Squared):
        def broken(self, prediction, target):
            torch.rand(3)
            return super().broken(prediction, target)

    class Seeding(Squared):
        def broken(self, prediction, target):
            torch.manual_seed(0)
            return super().broken(prediction + 0.01 * torch.randn(prediction.shape, dtype=prediction.dtype), target)

    assert "deterministic" in failed(Noisy())
    assert set(failed(Drawing())) == {"deterministic"}
    assert "deterministic" in failed(Seeding())


@pytest.mark.parametrize("which", ["prediction", "target"])
def test_inputs_that_are_changed_in_place(which: str) -> None:
    class InPlace(Squared):
        def compute(self, prediction, target):
            check_same_shape(prediction, target, channels=(2,))
            (prediction if which == "prediction" else target).mul_(0.5)
            return self.broken(prediction, target)

    found = failed(InPlace())
    assert set(found) == {"inputs are left alone"}
    assert which in found["inputs are left alone"] and "forward" in found["inputs are left alone"]


def test_shapes_that_are_not_checked() -> None:
    class Unchecked(Squared):
        def compute(self, prediction, target):
            return self.broken(prediction, target)

    class Silent(Squared):
        def compute(self, prediction, target):
            if prediction.shape[1:] != target.shape[1:]:
                raise ValueError(f"shapes differ: {tuple(prediction.shape)} and {tuple(target.shape)}")
            return self.broken(prediction, target)

    class Wordless(Squared):
        def compute(self, prediction, target):
            if prediction.shape != target.shape:
                raise ValueError("shapes differ")
            return self.broken(prediction, target)

    for loss, named in ((Unchecked, "RuntimeError"), (Silent, "check_same_shape"), (Wordless, "shapes differ")):
        found = failed(loss())
        assert set(found) == {"shapes are checked"}
        assert named in found["shapes are checked"]


def test_a_loss_that_prefers_gray_is_noted_but_does_not_fail() -> None:
    class Muted(Squared):
        def broken(self, prediction, target):
            return {"lab": prediction.square().mean() + 1e-3 * (prediction - target).square().mean()}

    checks = {check.what: check for check in check_loss(Muted())}
    assert checks["it follows the truth"].passed
    sound = {check.what: check for check in check_loss(Squared())}["it follows the truth"].found
    assert "note" in checks["it follows the truth"].found and "note" not in sound


def test_a_loss_that_leads_away_from_the_truth_or_does_not_look_at_it() -> None:
    class Negative(Squared):
        def broken(self, prediction, target):
            return {"lab": -(prediction - target).square().mean()}

    class NegativeChroma(Squared):  # the opposite hues have the same chroma
        def broken(self, prediction, target):
            chroma, true_chroma = ((x.square().sum(1) + 1).sqrt() for x in (prediction, target))
            return {"lab": -(chroma - true_chroma).abs().mean()}

    class Blind(Squared):
        def broken(self, prediction, target):
            return {"lab": prediction.square().mean()}

    class NegativeLogits(ClassificationLoss):
        def compute(self, prediction, target):
            return {name: -value for name, value in super().compute(prediction, target).items()}

    class Vivid(Squared):  # more colour than the truth has is something that one may want
        def broken(self, prediction, target):
            return {"lab": (prediction - 1.3 * target).square().mean()}

    for loss in (Negative(), NegativeChroma(), NegativeLogits(rebalance=None)):
        assert set(failed(loss)) == {"it follows the truth"}
    assert set(failed(Blind())) == {"it follows the truth"}
    assert failed(Vivid()) == {}


def test_parameters_that_nobody_trains() -> None:
    class Learnable(Squared):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def broken(self, prediction, target):
            return {"lab": (self.scale * (prediction - target)).square().mean()}

    class Fixed(Learnable):
        def __init__(self):
            super().__init__()
            self.scale.requires_grad_(False)

    found = failed(Learnable())
    assert set(found) == {"parameters"}
    assert "scale" in found["parameters"]
    assert failed(Fixed()) == {}


@pytest.mark.parametrize("name", ["lr", "total", "a,b"])
def test_names_that_terms_may_not_have(name: str) -> None:
    class Named(Squared):
        terms = {name: 1.0}

        def broken(self, prediction, target):
            return {name: super().broken(prediction, target)["lab"]}

    assert name in failed(Named())["names of the terms"]


@pytest.mark.parametrize("returned", [None, 3.0, "tensor"])
def test_results_that_are_no_dict(returned: object) -> None:
    class Bare(Squared):
        def broken(self, prediction, target):
            return (prediction - target).square().mean() if returned == "tensor" else returned

    kind = "Tensor" if returned == "tensor" else type(returned).__name__
    found = failed(Bare())
    assert set(found) == {"terms"}
    assert kind in found["terms"]


def test_what_cannot_be_built_fails_the_first_check_alone() -> None:
    def refuses() -> Loss:
        raise StudyError("no such loss")

    def leaves() -> Loss:
        raise SystemExit("gone")

    class Bare(Squared):
        def __init__(self) -> None:
            self.eps = 1

    for build, named in (
        (refuses, "no such loss"),
        (leaves, "SystemExit: gone (test_conformance.py, line "),
        (lambda: [][0], "IndexError"),
        (Bare, "super().__init__()"),
    ):
        (check,) = check_loss(build)
        assert (check.what, check.passed) == ("it can be built", False)
        assert named in check.found


def test_an_error_inside_of_a_check_names_its_place() -> None:
    class Raising(Squared):
        def broken(self, prediction, target):
            return {"lab": torch.linalg.inv(torch.zeros(2, 3)).sum()}

    found = failed(Raising())
    assert set(found) == {"terms"}
    assert "test_conformance.py, line " in found["terms"]
