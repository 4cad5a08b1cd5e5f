"""AdamW (Loshchilov and Hutter 2019): torch's own arithmetic without its class, which would import the compiler, for
seconds, in every process that trains."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adamw import adamw

BETAS, EPSILON = (0.9, 0.999), 1e-8  # torch's own


class AdamW:
    """As torch.optim.AdamW with its defaults, to the bit; the learning rate is given at every step.

    parameters: tensors that want a gradient; those whose gradient is None at a step are left alone at it.
    weight_decay: decoupled, relative to the learning rate.
    """

    def __init__(self, parameters: Iterable[Tensor], weight_decay: float) -> None:
        self.parameters, self.weight_decay = list(parameters), weight_decay
        self.means = [torch.zeros_like(p, memory_format=torch.preserve_format) for p in self.parameters]
        self.squares = [torch.zeros_like(p, memory_format=torch.preserve_format) for p in self.parameters]
        self.steps = [torch.zeros(()) for _ in self.parameters]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Change the parameters by their gradients."""
        used = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        lists = self.parameters, [p.grad for p in self.parameters], self.means, self.squares, [], self.steps
        adamw(
            *([values[i] for i in used] if values else [] for values in lists),
            amsgrad=False, beta1=BETAS[0], beta2=BETAS[1], lr=learning_rate, weight_decay=self.weight_decay,
            eps=EPSILON, maximize=False,
        )  # fmt: skip

    def state_dict(self) -> dict[str, list[Tensor]]:
        """What `load_state_dict` needs to go on from here."""
        return {"means": self.means, "squares": self.squares, "steps": self.steps}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Go on from where `state_dict` was taken."""
        for name, own in self.state_dict().items():
            for mine, value in zip(own, state[name], strict=True):
                mine.copy_(value)
