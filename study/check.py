"""The conformance test of a loss: what every loss of the study keeps, run on any arm's loss, a person's own too.

Nothing here knows a particular loss: it is called with pictures that networks meet on their way, as training calls it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from study.bins import BINS
from study.doctor import Check
from study.errors import StudyError
from study.losses import Loss, build_loss
from study.losses.base import HEADS
from study.params import load_arm
from study.plan import Project

PICTURES = 3
STEPS = 20
PRECISIONS = ("float32", "float64", "bfloat16 autocast")
SPECIAL = ("all-gray", "constant", "single-coloured-pixel", "extreme")
FAR_OUT = 1e4  # what a network that is about to diverge predicts: Lab units, or logits
STEP_SIZES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

Results = dict[str, Tensor]


class Fault(Exception):
    """What a check found wrong, in one line."""


def check_arm(project: Project, name: str) -> list[Check]:
    """All checks of the loss of arm `name`, beginning with whether it can be built.

    A loss that asks for a prior is given that of a prepared study, or a uniform one. A control is checked with the
    loss of the arm it is made from, a tuned arm with the weights of its own file. StudyError for an unknown arm.
    """
    arm = load_arm(project.root, name)
    try:
        loss = build_loss(arm.loss, _prior(project.root), project.root)
    except Exception as error:  # a constructor of somebody else's may raise anything
        return [Check("it can be built", False, str(error) if isinstance(error, StudyError) else _one_line(error))]
    weights = ", ".join(f"{term} {weight:g}" for term, weight in loss.weights.items())
    return [Check("it can be built", True, f"{arm.loss.name}: {weights}"), *check_loss(loss)]


def check_loss(loss: Loss) -> list[Check]:
    """All checks of a loss with the weights it has, in the order in which a person would mend what fails.

    An exception inside a check makes that check fail. A loss that cannot be called as training calls it is not tried
    any further. The loss's weights are the same afterwards.
    """
    weights = dict(loss.weights)
    checks = []
    for what, examine in _EXAMINATIONS.items():
        try:
            checks.append(Check(what, True, examine(_Trial(loss))))
        except Fault as fault:
            checks.append(Check(what, False, str(fault)))
        except Exception as error:  # whatever a loss of somebody else's raises
            checks.append(Check(what, False, _one_line(error)))
        finally:
            loss.set_weights(weights)
        if what in _WITHOUT_THESE and not checks[-1].passed:
            break
    return checks


class _Trial:
    """Calls a loss as training does: with ab at half resolution, with logits, or with Lab pictures."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.bins = loss.head == "bins"
        self.side = 32 if loss.needs_lightness else 8  # LPIPS needs 31
        generator = torch.Generator().manual_seed(0)
        shape = (PICTURES, 1, self.side, self.side)
        self.lightness = 20 + 60 * torch.rand(shape, generator=generator, dtype=torch.float64)

    def target(self) -> Tensor:
        """Colourful pictures (N,2,S,S), every pixel of chroma 5 or more; float64 like all pictures here."""
        return self._colors(1)

    def prediction(self) -> Tensor:
        """A prediction unlike the target: colourful ab, or logits."""
        return 3 * self._noise(BINS, 2) if self.bins else self._colors(2)

    def special_target(self, kind: str) -> Tensor:
        """Pictures that losses stumble over, within the range that true colours have."""
        return self._special(kind, self._constant(20.0, -30.0), self._constant(0.0, 0.0), 110.0)

    def special_prediction(self, kind: str) -> Tensor:
        """The same as a prediction; extreme ones are far outside of what true colours are."""
        if not self.bins:
            return self._special(kind, self._constant(20.0, -30.0), self._constant(0.0, 0.0), FAR_OUT)
        constant = self._noise(BINS, 3)[:, :, :1, :1].repeat(1, 1, self.side, self.side)
        return self._special(kind, constant, torch.zeros_like(constant), FAR_OUT)

    def inputs(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What the loss is called with; new tensors, so that nothing it does to them reaches other calls."""
        if self.loss.needs_lightness:
            lightness = self.lightness.to(target)[: len(target)]
            return torch.cat([lightness.to(prediction), prediction], 1), torch.cat([lightness, target], 1)
        return prediction.clone(), target.clone()

    def values(self, prediction: Tensor, target: Tensor, precision: str = "float64") -> Results:
        """The loss's results, total and terms."""
        dtype = torch.float64 if precision == "float64" else torch.float32
        prediction, target = prediction.to(dtype), target.to(dtype)
        if precision == "bfloat16 autocast":
            with torch.autocast("cpu", torch.bfloat16):
                return self.loss(*self.inputs(prediction.to(torch.bfloat16), target))
        return self.loss(*self.inputs(prediction, target))

    def results(self, prediction: Tensor, target: Tensor, precision: str = "float64") -> tuple[Results, Tensor]:
        """The loss's results, and the gradient of its total with respect to the prediction."""
        prediction = prediction.clone().requires_grad_()
        out = self.values(prediction, target, precision)
        return out, gradient(out["total"], prediction)

    def _colors(self, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        shape = (2, PICTURES, self.side, self.side)
        size, turn = torch.rand(shape, generator=generator, dtype=torch.float64)
        # Hues of each picture within two thirds of the circle, so that pictures differ in how diverse they are.
        hue = 4.2 * turn * torch.linspace(0.5, 1, PICTURES, dtype=torch.float64).view(-1, 1, 1) - 1
        chroma = 5 + 55 * size
        return torch.stack([chroma * hue.cos(), chroma * hue.sin()], dim=1)

    def _noise(self, channels: int, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(PICTURES, channels, self.side, self.side, generator=generator, dtype=torch.float64)

    def _constant(self, a: float, b: float) -> Tensor:
        return torch.tensor([a, b], dtype=torch.float64).view(1, 2, 1, 1).repeat(PICTURES, 1, self.side, self.side)

    def _special(self, kind: str, constant: Tensor, empty: Tensor, far: float) -> Tensor:
        if kind == "constant":
            return constant
        if kind == "single-coloured-pixel":
            empty[:, :2, 1, 2] = torch.tensor([40.0, 25.0], dtype=torch.float64)
        elif kind == "extreme":
            empty += far * self._noise(empty.shape[1], 4).sign()
        return empty


def gradient(value: Tensor, prediction: Tensor) -> Tensor:
    """Gradient of `value` with respect to the prediction; 0 where it does not depend on it."""
    if not value.requires_grad:
        return torch.zeros_like(prediction)
    (found,) = torch.autograd.grad(value, prediction, retain_graph=True, allow_unused=True)
    return torch.zeros_like(prediction) if found is None else found


def _input(trial: _Trial) -> str:
    loss = trial.loss
    if loss.head not in HEADS:
        raise Fault(f"head is {loss.head!r}; it must be one of {', '.join(HEADS)}")
    if trial.bins and loss.needs_lightness:
        raise Fault("needs_lightness goes with the head 'ab' only: logits are no picture")
    if trial.bins:
        return f"logits (N,{BINS},h,w), target ab (N,2,h,w) at half resolution"
    return "Lab pictures (N,3,H,W)" if loss.needs_lightness else "ab (N,2,h,w) at half resolution"


def _terms(trial: _Trial) -> str:
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


def _weighted_sum(trial: _Trial) -> str:
    terms = trial.loss.terms
    for weights in (dict(trial.loss.weights), {name: 1.5 + i for i, name in enumerate(terms)}):
        trial.loss.set_weights(weights)
        out = trial.values(trial.prediction(), trial.target())
        parts = [weights[name] * out[name].item() for name in terms if weights[name] > 0]
        if abs(out["total"].item() - sum(parts)) > 1e-5 * sum(abs(part) for part in parts):
            shown = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
            raise Fault(f"total is {out['total'].item():.6g}, the weighted sum {sum(parts):.6g} (weights: {shown})")
    return "with the arm's weights and with others"


def _weight_zero(trial: _Trial) -> str:
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


def _finite(trial: _Trial, kind: str) -> str:
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


def _reaches(trial: _Trial) -> str:
    _, slope = trial.results(trial.prediction(), trial.target(), "float32")
    norms = slope.flatten(1).norm(dim=1)
    if not (norms > 0).all():
        which = "no picture" if not norms.any() else f"only {int((norms > 0).sum())} of {PICTURES} pictures"
        raise Fault(f"the total's gradient reaches {which}")
    return f"norm {slope.norm().item():.3g}"


def _finite_differences(trial: _Trial) -> str:
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
        direction = trial._noise(prediction.shape[1], seed)
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


def _batch_order(trial: _Trial) -> str:
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


def _deterministic(trial: _Trial) -> str:
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


def _leaves_inputs(trial: _Trial) -> str:
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


def _mismatch(trial: _Trial) -> str:
    prediction, target = trial.inputs(trial.prediction().float(), trial.target().float())
    others = target[..., 1:], target[:1]  # the second would be broadcast silently
    for other in others:
        shapes = f"prediction {tuple(prediction.shape)} and target {tuple(other.shape)}"
        try:
            trial.loss(prediction, other)
        except ValueError as error:
            if any(str(tuple(tensor.shape)) not in str(error) for tensor in (prediction, other)):
                raise Fault(f"for {shapes} the error does not name both shapes: {_one_line(error)}") from error
        except Exception as error:
            raise Fault(f"for {shapes} it must raise ValueError, it raised {_one_line(error)}") from error
        else:
            raise Fault(f"no error for {shapes}: call check_same_shape (study.losses) first")
    return "a ValueError names both shapes"


def _learns(trial: _Trial) -> str:
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


def _gives_away(trial: _Trial) -> str:
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


def _perfect(trial: _Trial) -> str:
    if trial.bins:
        return "for losses on ab only"
    target = trial.target()
    perfect = trial.values(target, target)["total"].item()
    gray = trial.values(torch.zeros_like(target), target)["total"].item()
    verdict = "" if perfect <= gray else "; note: this loss prefers gray to the truth"
    return f"the true colours cost {perfect:.4g}, gray {gray:.4g}{verdict}"


_EXAMINATIONS: dict[str, Callable[[_Trial], str]] = {
    "input": _input,
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
    "perfect and gray": _perfect,
}

_WITHOUT_THESE = ("input", "terms")


def _prior(root: Path) -> np.ndarray:
    prepared = sorted((root / "data").glob("*/prior.npy"))
    return np.load(prepared[0]) if prepared else np.full(BINS, 1 / BINS)


def _one_line(error: Exception) -> str:
    """What went wrong, and where in a file of one's own."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/ablations/losses/" in Path(frame.filename).as_posix()]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no further word'}{where}"
