"""The pictures that the conformance test calls a loss with: ordinary ones, and those that break losses."""

from __future__ import annotations

import torch
from torch import Tensor

from study.color.bins import BINS, soft_encode
from study.losses.base import Loss

PICTURES = 3
SPECIAL = ("all-gray", "constant", "single-coloured-pixel", "extreme")
FAR_OUT = 1e4  # what a diverging network predicts: Lab units, or logits

Results = dict[str, Tensor]


class ConformanceInputs:
    """Inputs for one loss, and calls with them as training makes them.

    A loss gets ab at half resolution, logits and ab, or Lab pictures, as its `head` and `needs_lightness` say. All
    pictures here are float64; S is their side.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.bins = loss.head == "bins"
        self.side = 32 if loss.needs_lightness else 8  # LPIPS needs 31
        generator = torch.Generator().manual_seed(0)
        shape = (PICTURES, 1, self.side, self.side)
        self.lightness = 20 + 60 * torch.rand(shape, generator=generator, dtype=torch.float64)

    def target(self) -> Tensor:
        """Colourful pictures (N,2,S,S); every pixel has a chroma of 5 Lab units or more."""
        return self.colors(1)

    def prediction(self) -> Tensor:
        """A prediction unlike the target: colourful ab, or logits."""
        return 3 * self.noise(BINS, 2) if self.bins else self.colors(2)

    def painting(self, ab: Tensor) -> Tensor:
        """A prediction of the colours `ab` (N,2,S,S): these colours, or logits that favour their bins."""
        if not self.bins:
            return ab
        indices, weights = soft_encode(ab)
        return 12 * torch.zeros(len(ab), BINS, *ab.shape[2:], dtype=ab.dtype).scatter(1, indices, weights.to(ab.dtype))

    def special_target(self, kind: str) -> Tensor:
        """Pictures that break losses; their colours stay in the range of true colours."""
        return self._special(kind, self._constant(20.0, -30.0), self._constant(0.0, 0.0), 110.0)

    def special_prediction(self, kind: str) -> Tensor:
        """The same as predictions; extreme ones lie far outside the range of true colours."""
        if not self.bins:
            return self._special(kind, self._constant(20.0, -30.0), self._constant(0.0, 0.0), FAR_OUT)
        constant = self.noise(BINS, 3)[:, :, :1, :1].repeat(1, 1, self.side, self.side)
        return self._special(kind, constant, torch.zeros_like(constant), FAR_OUT)

    def arguments(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What the loss is called with. The tensors are new: a loss that writes into them spoils no later check."""
        if self.loss.needs_lightness:
            lightness = self.lightness.to(target)[: len(target)]
            return torch.cat([lightness.to(prediction), prediction], 1), torch.cat([lightness, target], 1)
        return prediction.clone(), target.clone()

    def call(self, prediction: Tensor, target: Tensor, precision: str = "float64") -> Results:
        """Total and terms. precision: "float32", "float64" or "bfloat16 autocast"."""
        dtype = torch.float64 if precision == "float64" else torch.float32
        prediction, target = prediction.to(dtype), target.to(dtype)
        if precision == "bfloat16 autocast":
            with torch.autocast("cpu", torch.bfloat16):
                return self.loss(*self.arguments(prediction.to(torch.bfloat16), target))
        return self.loss(*self.arguments(prediction, target))

    def call_with_gradient(
        self, prediction: Tensor, target: Tensor, precision: str = "float64"
    ) -> tuple[Results, Tensor]:
        """Total and terms, and the gradient of the total with respect to the prediction."""
        prediction = prediction.clone().requires_grad_()
        out = self.call(prediction, target, precision)
        return out, gradient(out["total"], prediction)

    def colors(self, seed: int) -> Tensor:
        """Random colourful pictures (N,2,S,S), ab with a chroma of 5 to 60 Lab units."""
        generator = torch.Generator().manual_seed(seed)
        shape = (2, PICTURES, self.side, self.side)
        size, turn = torch.rand(shape, generator=generator, dtype=torch.float64)
        # Hues of a picture lie within two thirds of the circle. So pictures differ in how diverse they are.
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
