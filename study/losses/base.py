"""The contract of a loss: a head, named terms with weights; tensors go in, a dict of terms comes out."""

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


def is_own_head(head: object) -> bool:
    """Whether `head` is a class that can serve as the last layer of a network."""
    return isinstance(head, type) and issubclass(head, nn.Module) and hasattr(head, "decode")


class Loss(nn.Module, ABC):
    """A weighted sum of named terms.

    A loss of your own declares two class attributes and one method, and an __init__ if it has options:

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

    head: what the network predicts: "ab" (N,2,h,w) in raw Lab units, or "bins" (N,313,h,w) logits; or a class of your
        own, a `torch.nn.Module` whose constructor takes the number of channels, with a method `decode` as in
        `study.models.heads`.
    terms: every term and its default weight.
    needs_prior: if True, the constructor gets `prior`, the training set's frequencies of the 313 bins.
    needs_lightness: if True, the loss gets Lab pictures (N,3,H,W) at full resolution, with upsampled predictions,
        instead of ab (N,2,h,w) at half resolution.

    The target is ab (N,2,h,w) or Lab (N,3,h,w) in raw Lab units. The first targets are looked at, and wrong units warn
    once (`study.color.units`). Parameters and buffers keep their precision when the loss is cast by `half()` or
    `to(dtype)`. Options are the constructor's keywords; the `state_dict` holds neither options nor weights. A loss made
    of others keeps them as submodules and merges the dicts of their `compute`.
    """

    head: ClassVar[str | type[nn.Module]] = "ab"
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

        Raises ValueError for an unknown term, for a weight that is negative or not finite, and if no weight is above 0.
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
        # A model may be cast to half precision with its loss inside. That must not round the loss's constants.
        return super()._apply(lambda x: at_its_precision(fn, x), recurse)

    @abstractmethod
    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Every term, unweighted, as a differentiable scalar."""

    def forward(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """`total`, the weighted sum, and every unweighted term.

        A term of weight 0 is reported. It adds nothing to the total, nor to its gradient. If the loss has one term and
        its weight is 1, total and term are the same tensor: nothing is left to compute.
        """
        self.target_watch.look(target)
        terms = self.compute(prediction, target)
        if set(terms) != set(self.terms):
            raise ValueError(
                f"{type(self).__name__}.compute returned the terms {', '.join(terms)}; it must return "
                f"{', '.join(self.terms)}"
            )
        if list(self.weights.values()) == [1]:
            return {"total": next(iter(terms.values())), **terms}
        return {"total": weighted_sum(terms, self.weights), **terms}


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The sum of the terms whose weight is above 0. The others stay out: 0 times NaN or infinity would be NaN."""
    parts = [terms[name] * weight for name, weight in weights.items() if weight > 0]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum()


def at_its_precision(fn: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """fn(x), which moves and casts a parameter or buffer for `torch.nn.Module._apply`, without the cast."""
    moved = fn(x)
    return moved if moved.dtype == x.dtype else x.to(moved.device)


def common_precision(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both tensors in their common floating type, float32 at least: half precision is too coarse for losses."""
    if prediction.dtype == target.dtype == torch.float32:
        return prediction, target
    dtype = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    return prediction.to(dtype), target.to(dtype)


def check_same_shape(prediction: Tensor, target: Tensor, channels: tuple[int, ...]) -> None:
    """Raise ValueError unless both are tensors of one shape (N,C,H,W), with C in `channels`, and hold a pixel.

    The error names both shapes, or both types.
    """
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
