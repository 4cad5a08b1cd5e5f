"""The pictures that a loss is tried with: those that networks meet on their way, and those that losses stumble over."""

from __future__ import annotations

import torch
from torch import Tensor

from study.color.bins import BINS, soft_encode
from study.losses import Loss

PICTURES = 3
SPECIAL = ("all-gray", "constant", "single-coloured-pixel", "extreme")
FAR_OUT = 1e4  # what a network that is about to diverge predicts: Lab units, or logits

Results = dict[str, Tensor]


class Trial:
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
        return self.colors(1)

    def prediction(self) -> Tensor:
        """A prediction unlike the target: colourful ab, or logits."""
        return 3 * self.noise(BINS, 2) if self.bins else self.colors(2)

    def painting(self, ab: Tensor) -> Tensor:
        """A prediction of the colours `ab` (N,2,S,S): these themselves, or logits in favour of their bins."""
        if not self.bins:
            return ab
        indices, weights = soft_encode(ab)
        return 12 * torch.zeros(len(ab), BINS, *ab.shape[2:], dtype=ab.dtype).scatter(1, indices, weights.to(ab.dtype))

    def special_target(self, kind: str) -> Tensor:
        """Pictures that losses stumble over, within the range that true colours have."""
        return self._special(kind, self._constant(20.0, -30.0), self._constant(0.0, 0.0), 110.0)

    def special_prediction(self, kind: str) -> Tensor:
        """The same as a prediction; extreme ones are far outside of what true colours are."""
        if not self.bins:
            return self._special(kind, self._constant(20.0, -30.0), self._constant(0.0, 0.0), FAR_OUT)
        constant = self.noise(BINS, 3)[:, :, :1, :1].repeat(1, 1, self.side, self.side)
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

    def colors(self, seed: int) -> Tensor:
        """Random colourful pictures (N,2,S,S), ab of chroma 5..60 in Lab units."""
        generator = torch.Generator().manual_seed(seed)
        shape = (2, PICTURES, self.side, self.side)
        size, turn = torch.rand(shape, generator=generator, dtype=torch.float64)
        # Hues of each picture within two thirds of the circle, so that pictures differ in how diverse they are.
        hue = 4.2 * turn * torch.linspace(0.5, 1, PICTURES, dtype=torch.float64).view(-1, 1, 1) - 1
        chroma = 5 + 55 * size
        return torch.stack([chroma * hue.cos(), chroma * hue.sin()], dim=1)

    def noise(self, channels: int, seed: int) -> Tensor:
        """Standard normal (N,channels,S,S)."""
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
            empty += far * self.noise(empty.shape[1], 4).sign()
        return empty


def gradient(value: Tensor, prediction: Tensor) -> Tensor:
    """Gradient of `value` with respect to the prediction; 0 where it does not depend on it."""
    if not value.requires_grad:
        return torch.zeros_like(prediction)
    (found,) = torch.autograd.grad(value, prediction, retain_graph=True, allow_unused=True)
    return torch.zeros_like(prediction) if found is None else found
