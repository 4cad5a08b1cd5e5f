"""The conformance test of a loss: what every loss of the study keeps, run on any arm's loss, a person's own too.

Nothing here knows a particular loss: it is called with pictures that networks meet on their way, as training calls it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from study.color.bins import BINS
from study.errors import Check
from study.losses.base import HEADS, Loss
from study.losses.conformance_inputs import PICTURES, SPECIAL, Trial, gradient
from study.losses.rules import broken_name, untrained_parameter

STEPS = 20
PRECISIONS = ("float32", "float64", "bfloat16 autocast")
STEP_SIZES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


class Fault(Exception):
    """What a check found wrong, in one line."""


def check_loss(loss: Loss) -> list[Check]:
    """All checks of a loss with the weights it has, in the order in which a person would mend what fails.

    An exception inside a check makes that check fail. A loss that cannot be called as training calls it is not tried
    any further. The loss's weights are the same afterwards.
    """
    weights = dict(loss.weights)
    checks = []
    for what, examine in _EXAMINATIONS.items():
        try:
            checks.append(Check(what, True, examine(Trial(loss))))
        except Fault as fault:
            checks.append(Check(what, False, str(fault)))
        except Exception as error:  # whatever a loss of somebody else's raises
            checks.append(Check(what, False, one_line(error)))
        finally:
            loss.set_weights(weights)
        if what in _WITHOUT_THESE and not checks[-1].passed:
            break
    return checks


def _input(trial: Trial) -> str:
    loss = trial.loss
    if loss.head not in HEADS:
        raise Fault(f"head is {loss.head!r}; it must be one of {', '.join(HEADS)}")
    if trial.bins and loss.needs_lightness:
        raise Fault("needs_lightness goes with the head 'ab' only: logits are no picture")
    if trial.bins:
        return f"logits (N,{BINS},h,w), target ab (N,2,h,w) at half resolution"
    return "Lab pictures (N,3,H,W)" if loss.needs_lightness else "ab (N,2,h,w) at half resolution"


def _names(trial: Trial) -> str:
    if wrong := broken_name(trial.loss):
        raise Fault(wrong)
    return ", ".join(trial.loss.terms)


def _parameters(trial: Trial) -> str:
    if wrong := untrained_parameter(trial.loss):
        raise Fault(wrong)
    return "nothing of the loss itself asks for training"


def _terms(trial: Trial) -> str:
    terms = trial.loss.compute(*trial.inputs(trial.prediction().float(), trial.target().float()))
    if not isinstance(terms, dict):
        raise Fault(f"compute must return a dict of its terms, it returned {type(terms).__name__}")
    out = trial.values(trial.prediction(), trial.target(), "float32")
    declared = {"total", *trial.loss.terms}
    if set(out) != declared:
        raise Fault(f"it returned {', '.join(sorted(out))}; declared are {', '.join(sorted(declared))}")
    for name, value in out.items():
        if not (isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point()):
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise Fault(f"{name} must be a floating-point scalar tensor, got {shape}")
        if not value.isfinite():
            raise Fault(f"{name} is {value.item()} for ordinary pictures")
    return ", ".join(f"{name} {value.item():.4g}" for name, value in out.items())


def _weighted_sum(trial: Trial) -> str:
    terms = trial.loss.terms
    for weights in (dict(trial.loss.weights), {name: 1.5 + i for i, name in enumerate(terms)}):
        trial.loss.set_weights(weights)
        out = trial.values(trial.prediction(), trial.target())
        parts = [weights[name] * out[name].item() for name in terms if weights[name] > 0]
        if abs(out["total"].item() - sum(parts)) > 1e-5 * sum(abs(part) for part in parts):
            shown = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
            raise Fault(f"total is {out['total'].item():.6g}, the weighted sum {sum(parts):.6g} (weights: {shown})")
    return "with the arm's weights and with others"


def _weight_zero(trial: Trial) -> str:
    if len(trial.loss.terms) == 1:
        return "it has a single term"
    for name in trial.loss.terms:
        trial.loss.set_weights({name: 1.0})
        prediction = trial.prediction().requires_grad_()
        out = trial.values(prediction, trial.target())
        total, alone = gradient(out["total"], prediction), gradient(out[name], prediction)
        if not torch.isclose(out["total"], out[name].to(out["total"]), rtol=1e-5):
            raise Fault(f"with {name} alone the total is {out['total'].item():.6g}, {name} {out[name].item():.6g}")
        if (total - alone).norm() > 1e-5 * alone.norm():
            raise Fault(f"with {name} alone the total's gradient is not that of {name}")
    return "each term was tried alone"


def _finite(trial: Trial, kind: str) -> str:
    cases = {
        f"{kind} prediction": (trial.special_prediction(kind), trial.target()),
        f"{kind} target": (trial.prediction(), trial.special_target(kind)),
        f"{kind} prediction and target": (trial.special_prediction(kind), trial.special_target(kind)),
    }
    for case, (prediction, target) in cases.items():
        for precision in PRECISIONS:
            out, slope = trial.results(prediction, target, precision)
            for name, value in out.items():
                if not value.isfinite():
                    raise Fault(f"{name} is {value.item()} for {case}, {precision}")
            if not slope.isfinite().all():
                share = (~slope.isfinite()).double().mean().item()
                raise Fault(f"{share:.0%} of the gradient is not finite for {case}, {precision}")
    return f"as prediction, as target and as both; {', '.join(PRECISIONS)}"


def _reaches(trial: Trial) -> str:
    _, slope = trial.results(trial.prediction(), trial.target(), "float32")
    norms = slope.flatten(1).norm(dim=1)
    if not (norms > 0).all():
        which = "no picture" if not norms.any() else f"only {int((norms > 0).sum())} of {PICTURES} pictures"
        raise Fault(f"the total's gradient reaches {which}")
    return f"norm {slope.norm().item():.3g}"


def _finite_differences(trial: Trial) -> str:
    """Along random directions; of several step sizes the one that agrees best counts.

    A wrong gradient disagrees at all of them, a right one agrees at one, also with a kink nearby or with float32
    inside. A colour of chroma 5 or more is 50 of the largest step away from gray.
    """
    prediction, target = trial.prediction().requires_grad_(), trial.target()
    out = trial.values(prediction, target)
    weights = trial.loss.weights
    asked = [name for name in out if name == "total" or out[name].requires_grad or weights[name] > 0]
    slopes = {name: gradient(out[name], prediction).double() for name in asked}
    worst = 0.0
    for seed in range(10, 13):
        direction = trial.noise(prediction.shape[1], seed)
        with torch.no_grad():
            both = [
                (size, *(trial.values(prediction + sign * size * direction, target) for sign in (1, -1)))
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
                    f"along a random direction {name} has slope {ours:.6g}, finite differences say {numeric:.6g}"
                )
            worst = max(worst, error)
    return f"total and every term, along 3 random directions; largest difference {worst:.0e} of the gradient's norm"


def _batch_order(trial: Trial) -> str:
    prediction, target = trial.prediction(), trial.target()
    order = torch.tensor([2, 0, 1])
    lightness = trial.lightness
    before, slope = trial.results(prediction, target)
    trial.lightness = lightness[order]
    after, slope_after = trial.results(prediction[order], target[order])
    for name, value in before.items():
        if abs(after[name].item() - value.item()) > 1e-5 * abs(value.item()):
            raise Fault(
                f"{name} is {value.item():.6g}, and {after[name].item():.6g} with the pictures in another order"
            )
    if (slope_after - slope[order]).norm() > 1e-4 * slope.norm():
        raise Fault("the gradient of a picture depends on its place in the batch")
    return f"{PICTURES} pictures in another order give the same"


def _deterministic(trial: Trial) -> str:
    state = torch.get_rng_state()
    (one, slope), (two, other) = (trial.results(trial.prediction(), trial.target(), "float32") for _ in range(2))
    for name in one:
        if not torch.equal(one[name], two[name]):
            raise Fault(f"{name} is {one[name].item():.9g}, then {two[name].item():.9g} for the same pictures")
    if not torch.equal(slope, other):
        raise Fault("the gradient differs from one call to the next")
    if not torch.equal(state, torch.get_rng_state()):
        raise Fault("it draws or seeds torch's global random numbers: training would depend on it")
    return "the same pictures twice give the same bits"


def _leaves_inputs(trial: Trial) -> str:
    leaf = trial.prediction().float().requires_grad_()
    prediction, target = trial.inputs(leaf, trial.target().float())
    copies = prediction.detach().clone(), target.clone()
    total = trial.loss(prediction, target)["total"]
    for moment in ("forward", "backward"):
        for name, given, copy in zip(("prediction", "target"), (prediction, target), copies, strict=True):
            if not torch.equal(given.detach(), copy):
                raise Fault(f"the {name} is changed in place ({moment} pass)")
        if moment == "forward":
            gradient(total, leaf)
    return "prediction and target are as they were"


def _mismatch(trial: Trial) -> str:
    prediction, target = trial.inputs(trial.prediction().float(), trial.target().float())
    others = target[..., 1:], target[:1]  # the second would be broadcast silently
    for other in others:
        shapes = f"prediction {tuple(prediction.shape)} and target {tuple(other.shape)}"
        try:
            trial.loss(prediction, other)
        except ValueError as error:
            if any(str(tuple(tensor.shape)) not in str(error) for tensor in (prediction, other)):
                raise Fault(f"for {shapes} the error does not name both shapes: {one_line(error)}") from error
        except Exception as error:
            raise Fault(f"for {shapes} it must raise ValueError, it raised {one_line(error)}") from error
        else:
            raise Fault(f"no error for {shapes}: call check_same_shape (study.losses) first")
    return "a ValueError names both shapes"


def _learns(trial: Trial) -> str:
    prediction, target = trial.prediction().float(), trial.target()
    step = 0.5 * prediction.numel() ** 0.5  # half a Lab unit, or half a logit, per value
    totals = []
    for _ in range(STEPS):
        out, slope = trial.results(prediction, target, "float32")
        totals.append(out["total"].item())
        prediction -= step * slope / slope.norm().clamp(min=1e-30)
    totals.append(trial.values(prediction, target, "float32")["total"].item())
    if not totals[-1] < totals[0]:
        raise Fault(f"the total went from {totals[0]:.6g} to {totals[-1]:.6g} in {STEPS} steps against its gradient")
    return f"total {totals[0]:.4g} -> {totals[-1]:.4g} in {STEPS} steps against its gradient"


def _gives_away(trial: Trial) -> str:
    """Somebody who scales or clips a gradient in place must not change what the next backward pass gives."""
    prediction = trial.prediction().requires_grad_()
    total = trial.values(prediction, trial.target())["total"]
    (first,) = torch.autograd.grad(total, prediction, retain_graph=True)
    exact = first.clone()
    first.zero_()
    (second,) = torch.autograd.grad(total, prediction)
    off = ((second - exact).norm() / exact.norm().clamp(min=1e-30)).item()
    if not off < 1e-6:
        raise Fault(f"a second backward pass gives another gradient ({off:.2g} of it) once the first was changed")
    return "a second backward pass gives the same"


def _truth(trial: Trial) -> str:
    """A minimum at more or at less colour than the truth has may be meant; at other hues, or at both, it is not."""
    target, prediction = trial.target(), trial.prediction()
    if trial.values(prediction, target)["total"] == trial.values(prediction, trial.colors(3))["total"]:
        raise Fault("the total is the same whatever the target is")
    truth, opposite, less, more, gray = (
        trial.values(trial.painting(factor * target), target)["total"].item() for factor in (1, -1, 0.5, 1.5, 0)
    )
    least = truth - 1e-6 * abs(truth)
    if opposite < least:
        raise Fault(
            f"the true colours cost {truth:.4g}, the opposite hues {opposite:.4g}: it leads away from the truth"
        )
    if less < least and more < least:
        raise Fault(
            f"the true colours cost {truth:.4g}, with half the chroma {less:.4g} and with one and a half {more:.4g}: "
            "it leads away from the truth"
        )
    verdict = "" if truth <= gray else "; note: this loss prefers gray to the truth"
    return f"the true colours cost {truth:.4g}, the opposite hues {opposite:.4g}, gray {gray:.4g}{verdict}"


_EXAMINATIONS: dict[str, Callable[[Trial], str]] = {
    "input": _input,
    "names of the terms": _names,
    "parameters": _parameters,
    "terms": _terms,
    "total is the weighted sum": _weighted_sum,
    "weight 0 contributes nothing": _weight_zero,
    **{f"finite, {kind} pictures": lambda trial, kind=kind: _finite(trial, kind) for kind in SPECIAL},
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

_WITHOUT_THESE = ("input", "terms")


def one_line(error: Exception) -> str:
    """What went wrong, and where in a file of one's own."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/ablations/losses/" in Path(frame.filename).as_posix()]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no further word'}{where}"
