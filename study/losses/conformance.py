"""The conformance test: checks that every loss must pass, the built-in ones and your own.

It knows no particular loss. It calls the loss as training does, with pictures that networks meet on their way.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from study.color.bins import BINS
from study.errors import Check, StudyError
from study.losses.base import HEADS, Loss
from study.losses.conformance_inputs import PICTURES, SPECIAL, ConformanceInputs, gradient
from study.losses.rules import broken_name, untrained_parameter

STEPS = 20
PRECISIONS = ("float32", "float64", "bfloat16 autocast")
STEP_SIZES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

# Code in these folders is not the author's of the loss: this package, Python's library, installed packages.
_NOT_THEIRS = [Path(__file__).parents[1], *(Path(sysconfig.get_path(key)) for key in ("stdlib", "purelib", "platlib"))]


class Fault(Exception):
    """What a check found wrong, in one line."""


def check_loss(loss: Loss | Callable[[], Loss]) -> list[Check]:
    """All checks of a loss with its present weights, in the order in which to fix what fails.

    loss: the loss, or a function that builds it; whatever that raises fails the first check. An exception inside a
    check makes that check fail. If the loss cannot be built or called, no further check is made. The loss keeps its
    weights.
    """
    what = "it can be built"
    try:
        built = loss if isinstance(loss, Loss) else loss()
    except (Exception, SystemExit) as error:  # a file or constructor of your own may raise anything
        return [Check(what, False, str(error) if isinstance(error, StudyError) else _described(error))]
    if "_parameters" not in vars(built):
        return [Check(what, False, "its __init__ must begin with super().__init__()")]
    weights = ", ".join(f"{term} {weight:g}" for term, weight in built.weights.items())
    return [Check(what, True, f"{type(built).__name__}: {weights}"), *_examined(built)]


def _examined(loss: Loss) -> list[Check]:
    weights = dict(loss.weights)
    checks = []
    for what, examine in _EXAMINATIONS.items():
        try:
            checks.append(Check(what, True, examine(ConformanceInputs(loss))))
        except Fault as fault:
            checks.append(Check(what, False, str(fault)))
        except Exception as error:  # a loss of your own may raise anything
            checks.append(Check(what, False, _described(error)))
        finally:
            loss.set_weights(weights)
        if what in _NEEDED_BY_THE_REST and not checks[-1].passed:
            break
    return checks


def _input(inputs: ConformanceInputs) -> str:
    loss = inputs.loss
    if loss.head not in HEADS:
        raise Fault(f"head is {loss.head!r}; it must be one of {', '.join(HEADS)}")
    if inputs.bins and loss.needs_lightness:
        raise Fault("needs_lightness needs head 'ab': logits are no pictures")
    if inputs.bins:
        return f"logits (N,{BINS},h,w), target ab (N,2,h,w) at half resolution"
    return "Lab pictures (N,3,H,W)" if loss.needs_lightness else "ab (N,2,h,w) at half resolution"


def _names(inputs: ConformanceInputs) -> str:
    if wrong := broken_name(inputs.loss):
        raise Fault(wrong)
    return ", ".join(inputs.loss.terms)


def _parameters(inputs: ConformanceInputs) -> str:
    if wrong := untrained_parameter(inputs.loss):
        raise Fault(wrong)
    return "none asks for a gradient"


def _terms(inputs: ConformanceInputs) -> str:
    terms = inputs.loss.compute(*inputs.arguments(inputs.prediction().float(), inputs.target().float()))
    if not isinstance(terms, dict):
        raise Fault(f"compute must return a dict of terms; it returned {type(terms).__name__}")
    out = inputs.call(inputs.prediction(), inputs.target(), "float32")
    declared = {"total", *inputs.loss.terms}
    if set(out) != declared:
        raise Fault(f"it returned {', '.join(sorted(out))}; it must return {', '.join(sorted(declared))}")
    for name, value in sorted(out.items(), key=lambda item: item[0] == "total"):  # a wrong term makes a wrong total
        if not (isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point()):
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise Fault(f"{name} must be a floating-point scalar tensor, got {shape}")
        if not value.isfinite():
            raise Fault(f"{name} is {value.item()} for ordinary pictures")
    return ", ".join(f"{name} {value.item():.4g}" for name, value in out.items())


def _weighted_sum(inputs: ConformanceInputs) -> str:
    terms = inputs.loss.terms
    for weights in (dict(inputs.loss.weights), {name: 1.5 + i for i, name in enumerate(terms)}):
        inputs.loss.set_weights(weights)
        out = inputs.call(inputs.prediction(), inputs.target())
        parts = [weights[name] * out[name].item() for name in terms if weights[name] > 0]
        if abs(out["total"].item() - sum(parts)) > 1e-5 * sum(abs(part) for part in parts):
            shown = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
            raise Fault(f"total is {out['total'].item():.6g}, the weighted sum {sum(parts):.6g} (weights: {shown})")
    return "with its own weights and with others"


def _weight_zero(inputs: ConformanceInputs) -> str:
    if len(inputs.loss.terms) == 1:
        return "it has one term"
    for name in inputs.loss.terms:
        inputs.loss.set_weights({name: 1.0})
        prediction = inputs.prediction().requires_grad_()
        out = inputs.call(prediction, inputs.target())
        total, alone = gradient(out["total"], prediction), gradient(out[name], prediction)
        if not torch.isclose(out["total"], out[name].to(out["total"]), rtol=1e-5):
            raise Fault(
                f"with only {name} weighted, the total is {out['total'].item():.6g}, {name} {out[name].item():.6g}"
            )
        if (total - alone).norm() > 1e-5 * alone.norm():
            raise Fault(f"with only {name} weighted, the gradient of the total is not that of {name}")
    return "each term was weighted alone"


def _finite(inputs: ConformanceInputs, kind: str) -> str:
    cases = {
        f"{kind} prediction": (inputs.special_prediction(kind), inputs.target()),
        f"{kind} target": (inputs.prediction(), inputs.special_target(kind)),
        f"{kind} prediction and target": (inputs.special_prediction(kind), inputs.special_target(kind)),
    }
    for case, (prediction, target) in cases.items():
        for precision in PRECISIONS:
            out, slope = inputs.call_with_gradient(prediction, target, precision)
            for name, value in out.items():
                if not value.isfinite():
                    raise Fault(f"{name} is {value.item()} for {case}, {precision}")
            if not slope.isfinite().all():
                share = (~slope.isfinite()).double().mean().item()
                raise Fault(f"{share:.0%} of the gradient is not finite for {case}, {precision}")
    return f"as prediction, as target and as both; {', '.join(PRECISIONS)}"


def _reaches(inputs: ConformanceInputs) -> str:
    _, slope = inputs.call_with_gradient(inputs.prediction(), inputs.target(), "float32")
    norms = slope.flatten(1).norm(dim=1)
    if not (norms > 0).all():
        which = "no picture" if not norms.any() else f"only {int((norms > 0).sum())} of {PICTURES} pictures"
        raise Fault(f"the total's gradient reaches {which}")
    return f"norm {slope.norm().item():.3g}"


def _finite_differences(inputs: ConformanceInputs) -> str:
    """Finite differences along random directions. Of several step sizes, the one that agrees best counts.

    A wrong gradient disagrees at every step size. A right one agrees at one of them, even next to a kink or with
    float32 inside. Every colour has a chroma of 5 or more: that is 50 of the largest steps away from gray.
    """
    prediction, target = inputs.prediction().requires_grad_(), inputs.target()
    out = inputs.call(prediction, target)
    weights = inputs.loss.weights
    asked = [name for name in out if name == "total" or out[name].requires_grad or weights[name] > 0]
    slopes = {name: gradient(out[name], prediction).double() for name in asked}
    worst = 0.0
    for seed in range(10, 13):
        direction = inputs.noise(prediction.shape[1], seed)
        with torch.no_grad():
            both = [
                (size, *(inputs.call(prediction + sign * size * direction, target) for sign in (1, -1)))
                for size in STEP_SIZES
            ]
        for name, slope in slopes.items():
            ours = (slope * direction).sum().item()
            ratios = [(ahead[name].item() - behind[name].item()) / (2 * size) for size, ahead, behind in both]
            numeric = min(ratios, key=lambda ratio: abs(ratio - ours))
            rounding = 1e-9 * (1 + abs(out[name].item()))
            error = abs(numeric - ours) / (max(slope.norm().item(), abs(numeric)) + rounding)
            in_double = all(out[each].dtype == torch.float64 for each in ([name] if name != "total" else out))
            if not error < (1e-4 if in_double else 5e-2):
                raise Fault(
                    f"along a random direction the slope of {name} is {ours:.6g}; finite differences give {numeric:.6g}"
                )
            worst = max(worst, error)
    return f"total and every term, along 3 random directions; largest difference {worst:.0e} of the gradient's norm"


def _batch_order(inputs: ConformanceInputs) -> str:
    prediction, target = inputs.prediction(), inputs.target()
    order = torch.tensor([2, 0, 1])
    lightness = inputs.lightness
    before, slope = inputs.call_with_gradient(prediction, target)
    inputs.lightness = lightness[order]
    after, slope_after = inputs.call_with_gradient(prediction[order], target[order])
    for name, value in before.items():
        if abs(after[name].item() - value.item()) > 1e-5 * abs(value.item()):
            raise Fault(
                f"{name} is {value.item():.6g}; with the pictures in another order it is {after[name].item():.6g}"
            )
    if (slope_after - slope[order]).norm() > 1e-4 * slope.norm():
        raise Fault("the gradient of a picture depends on its place in the batch")
    return f"{PICTURES} pictures in another order give the same values"


def _deterministic(inputs: ConformanceInputs) -> str:
    state = torch.get_rng_state()
    (one, slope), (two, other) = (
        inputs.call_with_gradient(inputs.prediction(), inputs.target(), "float32") for _ in range(2)
    )
    for name in one:
        if not torch.equal(one[name], two[name]):
            raise Fault(f"{name} is {one[name].item():.9g}, then {two[name].item():.9g} for the same pictures")
    if not torch.equal(slope, other):
        raise Fault("the gradient differs from one call to the next")
    if not torch.equal(state, torch.get_rng_state()):
        raise Fault("it draws or seeds torch's global random numbers: training would depend on that")
    return "the same pictures give the same bits again"


def _leaves_inputs(inputs: ConformanceInputs) -> str:
    leaf = inputs.prediction().float().requires_grad_()
    prediction, target = inputs.arguments(leaf, inputs.target().float())
    copies = prediction.detach().clone(), target.clone()
    total = inputs.loss(prediction, target)["total"]
    for moment in ("forward", "backward"):
        for name, given, copy in zip(("prediction", "target"), (prediction, target), copies, strict=True):
            if not torch.equal(given.detach(), copy):
                raise Fault(f"the {name} is changed in place ({moment} pass)")
        if moment == "forward":
            gradient(total, leaf)
    return "prediction and target keep their values"


def _mismatch(inputs: ConformanceInputs) -> str:
    prediction, target = inputs.arguments(inputs.prediction().float(), inputs.target().float())
    others = target[..., 1:], target[:1]  # torch would broadcast the second one silently
    for other in others:
        shapes = f"prediction {tuple(prediction.shape)} and target {tuple(other.shape)}"
        try:
            inputs.loss(prediction, other)
        except ValueError as error:
            if any(str(tuple(tensor.shape)) not in str(error) for tensor in (prediction, other)):
                raise Fault(f"for {shapes} the error does not name both shapes: {_described(error)}") from error
        except Exception as error:
            raise Fault(f"for {shapes} it must raise ValueError; it raised {_described(error)}") from error
        else:
            raise Fault(f"no error for {shapes}: call check_same_shape (study.losses) first")
    return "a ValueError names both shapes"


def _learns(inputs: ConformanceInputs) -> str:
    prediction, target = inputs.prediction().float(), inputs.target()
    step = 0.5 * prediction.numel() ** 0.5  # half a Lab unit, or half a logit, per value
    totals = []
    for _ in range(STEPS):
        out, slope = inputs.call_with_gradient(prediction, target, "float32")
        totals.append(out["total"].item())
        prediction -= step * slope / slope.norm().clamp(min=1e-30)
    totals.append(inputs.call(prediction, target, "float32")["total"].item())
    if not totals[-1] < totals[0]:
        raise Fault(f"the total went from {totals[0]:.6g} to {totals[-1]:.6g} in {STEPS} steps of gradient descent")
    return f"total {totals[0]:.4g} -> {totals[-1]:.4g} in {STEPS} steps of gradient descent"


def _gives_away(inputs: ConformanceInputs) -> str:
    """Scaling or clipping a gradient in place must not change what the next backward pass gives."""
    prediction = inputs.prediction().requires_grad_()
    total = inputs.call(prediction, inputs.target())["total"]
    (first,) = torch.autograd.grad(total, prediction, retain_graph=True)
    exact = first.clone()
    first.zero_()
    (second,) = torch.autograd.grad(total, prediction)
    off = ((second - exact).norm() / exact.norm().clamp(min=1e-30)).item()
    if not off < 1e-6:
        raise Fault(
            f"after the first gradient was changed in place, a second backward pass gives another one ({off:.2g} of it)"
        )
    return "a second backward pass gives the same gradient"


def _truth(inputs: ConformanceInputs) -> str:
    """An optimum at more chroma than the truth, or at less, may be intended. One at both, or at other hues, is not."""
    target, prediction = inputs.target(), inputs.prediction()
    if inputs.call(prediction, target)["total"] == inputs.call(prediction, inputs.colors(3))["total"]:
        raise Fault("the total is the same whatever the target is")
    truth, opposite, less, more, gray = (
        inputs.call(inputs.painting(factor * target), target)["total"].item() for factor in (1, -1, 0.5, 1.5, 0)
    )
    least = truth - 1e-6 * abs(truth)
    if opposite < least:
        raise Fault(
            f"it leads away from the truth: the true colours cost {truth:.4g}, the opposite hues {opposite:.4g}"
        )
    if less < least and more < least:
        raise Fault(
            f"it leads away from the truth: the true colours cost {truth:.4g}, half their chroma {less:.4g}, one and a "
            f"half of it {more:.4g}"
        )
    verdict = "" if truth <= gray else "; note: this loss prefers gray to the truth"
    return f"the true colours cost {truth:.4g}, the opposite hues {opposite:.4g}, gray {gray:.4g}{verdict}"


_EXAMINATIONS: dict[str, Callable[[ConformanceInputs], str]] = {
    "input": _input,
    "names of the terms": _names,
    "parameters": _parameters,
    "terms": _terms,
    "total is the weighted sum": _weighted_sum,
    "weight 0 contributes nothing": _weight_zero,
    **{f"finite, {kind} pictures": lambda inputs, kind=kind: _finite(inputs, kind) for kind in SPECIAL},
    "gradient reaches the prediction": _reaches,
    "gradient is right": _finite_differences,
    "batch order does not matter": _batch_order,
    "deterministic": _deterministic,
    "inputs are left alone": _leaves_inputs,
    "a gradient may be written into": _gives_away,
    "shapes are checked": _mismatch,
    "it can be learned": _learns,
    "it follows the truth": _truth,
}

_NEEDED_BY_THE_REST = ("input", "terms")


def _described(error: BaseException) -> str:
    """What went wrong, in one line, and where in the author's code."""
    theirs = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not (frame.filename.startswith("<") or any(Path(frame.filename).is_relative_to(f) for f in _NOT_THEIRS))
    ]
    where = f" ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})" if theirs else ""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no further word'}{where}"
