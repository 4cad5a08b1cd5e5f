"""The contract of a loss: a head, named terms with weights, and tensors in, a dict of terms out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor, nn

from study.color.units import TargetWatch

HEADS = ("ab", "bins")


class Loss(nn.Module, ABC):
    """A weighted sum of named terms.

    A loss of your own declares two class attributes and one method (and an __init__ if it has options):

        @register("charbonnier")
        class Charbonnier(Loss):
            head = "ab"
            terms = {"charbonnier": 1.0}

            def __init__(self, eps: float = 1.0) -> None:
                super().__init__()
                self.eps = eps

            def compute(self, prediction, target):
                check_same_shape(prediction, target, channels=(2, 3))
                return {"charbonnier": ((prediction - target).square() + self.eps**2).sqrt().mean()}

    head: what the network predicts for it: "ab" (N,2,h,w) in Lab units, or "bins" (N,313,h,w) logits.
    terms: every term and its weight when nothing else is said.
    needs_prior: True to be given the training set's prior over the 313 bins as the constructor's `prior`.
    needs_lightness: True to be given Lab pictures (N,3,H,W) at full resolution, predicted colours upsampled, instead
        of ab (N,2,h,w) at half.

    Parameters and buffers keep their precision when the loss is cast with `half()` or `to(dtype)`.
    Options are the constructor's keywords. Neither they nor the weights are in its `state_dict`.
    A loss made of others keeps them as submodules and merges the dicts of their `compute`.
    """

    head: ClassVar[str] = "ab"
    terms: ClassVar[Mapping[str, float]]
    needs_prior: ClassVar[bool] = False
    needs_lightness: ClassVar[bool] = False

    weights: dict[str, float]

    def __init__(self) -> None:
        super().__init__()
        self.target_watch = TargetWatch(type(self).__name__)  # warns about wrong units
        self.set_weights(self.terms)

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Set the weight of every term; terms not listed get 0.

        Raises ValueError for a term the loss does not have, for a weight that is negative or not finite, and
        when no weight is above 0.
        """
        for name, weight in weights.items():
            if name not in self.terms:
                raise ValueError(f"unknown term {name!r}; its terms are {', '.join(self.terms)}")
            if not (isinstance(weight, Real) and math.isfinite(weight) and weight >= 0):
                raise ValueError(f"the weight of {name} must be a number of at least 0, got {weight!r}")
        if not any(weights.values()):
            raise ValueError(f"no term has a weight above 0; its terms are {', '.join(self.terms)}")
        self.weights = {name: float(weights.get(name, 0.0)) for name in self.terms}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Loss:
        # A model that is cast to half precision, with its loss inside, would round the loss's constants for good.
        return super()._apply(lambda x: at_its_precision(fn, x), recurse)

    @abstractmethod
    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Every term, unweighted, as a scalar that can be differentiated."""

    def forward(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """`total`, the weighted sum, and beside it every unweighted term.

        A term of weight 0 is reported and contributes nothing to the total, nor to its gradient. If the loss has one
        term and its weight is 1, total and term are the same tensor: nothing is left to compute.
        """
        self.target_watch.look(target)
        terms = self.compute(prediction, target)
        if set(terms) != set(self.terms):
            raise ValueError(
                f"{type(self).__name__}.compute returned the terms {', '.join(terms)}; declared are "
                f"{', '.join(self.terms)}"
            )
        if list(self.weights.values()) == [1]:
            return {"total": next(iter(terms.values())), **terms}
        return {"total": weighted_sum(terms, self.weights), **terms}


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The sum of the terms whose weight is above 0: 0 times NaN or infinity stays out of it."""
    parts = [terms[name] * weight for name, weight in weights.items() if weight > 0]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum()


def at_its_precision(fn: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """fn(x), as `torch.nn.Module._apply` moves and casts a parameter or buffer, but for its cast."""
    moved = fn(x)
    return moved if moved.dtype == x.dtype else x.to(moved.device)


def common_precision(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both tensors in their common floating type, at least float32: losses are not computed in half precision."""
    if prediction.dtype == target.dtype == torch.float32:
        return prediction, target
    dtype = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    return prediction.to(dtype), target.to(dtype)


def check_same_shape(prediction: Tensor, target: Tensor, channels: tuple[int, ...]) -> None:
    """ValueError, naming both shapes, unless they are equal, (N,C,H,W) with C in `channels`, and not empty; naming both
    types, unless they are tensors."""
    if not (isinstance(prediction, Tensor) and isinstance(target, Tensor)):
        kinds = f"{type(prediction).__name__} and {type(target).__name__}"
        raise ValueError(f"prediction and target must be tensors, got {kinds}")
    shape = prediction.shape
    if shape != target.shape:
        raise ValueError(f"prediction and target must have the same shape, {_both(prediction, target)}")
    if len(shape) != 4 or shape[1] not in channels:
        wanted = " or ".join(f"(N,{c},H,W)" for c in channels)
        raise ValueError(f"prediction and target must be {wanted}, {_both(prediction, target)}")
    if prediction.numel() == 0:
        raise ValueError(f"a loss needs at least one pixel, {_both(prediction, target)}")


def _both(prediction: Tensor, target: Tensor) -> str:
    return f"got prediction {tuple(prediction.shape)} and target {tuple(target.shape)}"
