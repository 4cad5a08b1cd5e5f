"""Which pictures a step sees and how fast it learns: pure functions of seed and step, the same for every arm.

Because nothing here has a state, a killed cell continues with exactly the batches it would have seen.
"""

from __future__ import annotations

import math

import numpy as np

ORDER, FLIP = 1, 2  # separate random streams of one seed


class BatchOrder:
    """Indices of the training pictures in every step: each epoch a new permutation, epochs run on without a gap."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed = count, batch, seed
        self._epochs: dict[int, np.ndarray] = {}

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch not in self._epochs:
            order = np.random.default_rng([self.seed, ORDER, epoch]).permutation(self.count)
            # A batch never spans more than two epochs unless it is larger than the data set.
            self._epochs = {kept: v for kept, v in self._epochs.items() if kept >= epoch - 1} | {epoch: order}
        return self._epochs[epoch]

    def indices(self, step: int) -> np.ndarray:
        """Indices (batch,) of the pictures of `step` (from 0)."""
        places = np.arange(step * self.batch, (step + 1) * self.batch)
        epochs = places // self.count
        parts = [self._permutation(int(epoch))[places[epochs == epoch] % self.count] for epoch in np.unique(epochs)]
        return np.concatenate(parts)

    def flips(self, step: int) -> np.ndarray:
        """Which pictures (batch,) of `step` are mirrored, each with probability one half."""
        return np.random.default_rng([self.seed, FLIP, step]).random(self.batch) < 0.5


def step_count(images: int, batch: int) -> int:
    """Steps in which a cell sees at least `images` pictures."""
    return math.ceil(images / batch)


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Linear rise to `peak` over the first `warmup` share of `steps`, then half a cosine down to 0."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return peak * (step + 1) / rise
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
