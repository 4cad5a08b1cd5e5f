"""The conformance test on gradients: wrong ones, ones that reach too little, ones that are not given away."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.losses.test_conformance import Squared, failed


class Scaled(torch.autograd.Function):
    """The identity, with `factor` times its gradient."""

    @staticmethod
    def forward(x: Tensor, factor: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.saved_tensors[0].to(grad), None


def test_a_total_that_has_the_values_of_its_terms_but_not_their_gradient() -> None:
    class Cut(Squared):
        terms = {"lab": 1.0, "absolute": 2.0}

        def broken(self, prediction, target):
            return {**super().broken(prediction, target), "absolute": (prediction - target).abs().mean()}

        def forward(self, prediction, target):
            out = super().forward(prediction, target)
            return out | {"total": Scaled.apply(out["total"], torch.tensor(1.1))}

    class Unnamed(Squared):
        def forward(self, prediction, target):
            return {"total": self.compute(prediction, target)["lab"]}

    assert set(failed(Cut())) == {"weight 0 contributes nothing", "gradient is right"}
    assert set(failed(Unnamed())) == {"terms"}


def test_a_wrong_gradient_of_a_custom_function() -> None:
    class Wrong(Squared):
        factor = torch.tensor(3.0)

        def broken(self, prediction, target):
            return super().broken(Scaled.apply(prediction, self.factor), target)

    class NearlyRight(Wrong):
        factor = torch.tensor([1.0, 0.99]).view(2, 1, 1)

    class Backwards(Wrong):
        factor = torch.tensor(-1.0)

    assert set(failed(Wrong())) == {"gradient is right"}
    assert set(failed(NearlyRight())) == {"gradient is right"}
    assert set(failed(Backwards())) == {"gradient is right", "it can be learned"}


def test_a_wrong_gradient_of_a_term_that_hardly_weighs() -> None:
    class Small(Squared):
        terms = {"lab": 1.0, "absolute": 1e-9}

        def broken(self, prediction, target):
            wrong = Scaled.apply(prediction, torch.tensor(3.0))
            return {**super().broken(prediction, target), "absolute": (wrong - target).abs().mean()}

    found = failed(Small())
    assert set(found) == {"gradient is right"}
    assert "absolute" in found["gradient is right"]


def test_a_right_gradient_with_single_precision_inside_passes() -> None:
    class Single(Squared):
        def broken(self, prediction, target):
            return super().broken(prediction.float(), target.float())

    assert failed(Single()) == {}


def test_gradients_that_do_not_reach_the_prediction() -> None:
    class Detached(Squared):
        def broken(self, prediction, target):
            return super().broken(prediction.detach(), target)

    class FirstOnly(Squared):
        def broken(self, prediction, target):
            return super().broken(prediction[:1], target[:1])

    found = failed(Detached())
    unreached = {"gradient reaches the prediction", "gradient is right", "it can be learned"}
    assert set(found) == {*unreached, "a gradient may be written into"}
    found = failed(FirstOnly())
    assert set(found) == {"gradient reaches the prediction", "batch order does not matter"}
    assert "1 of 3" in found["gradient reaches the prediction"]


def test_gradients_that_depend_on_place_or_time_or_are_kept() -> None:
    class ByPlace(Squared):
        def broken(self, prediction, target):
            rank = 1 + 0.01 * torch.arange(len(prediction)).to(prediction).view(-1, 1, 1, 1)
            return super().broken(Scaled.apply(prediction, rank), target)

    class ByTime(Squared):
        calls = 0

        def broken(self, prediction, target):
            self.calls += 1
            return super().broken(Scaled.apply(prediction, torch.tensor(1 + 1e-6 * self.calls)), target)

    class Kept(torch.autograd.Function):
        @staticmethod
        def forward(ctx, prediction: Tensor, target: Tensor) -> Tensor:
            ctx.slope = 2 * (prediction - target) / prediction.numel()
            return (prediction - target).square().mean()

        @staticmethod
        def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
            return ctx.slope.mul_(grad), None

    class Keeping(Squared):
        def broken(self, prediction, target):
            return {"lab": Kept.apply(prediction, target)}

    assert "batch order does not matter" in failed(ByPlace())
    assert "deterministic" in failed(ByTime())
    assert set(failed(Keeping())) == {"a gradient may be written into"}
