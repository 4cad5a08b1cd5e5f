"""Zhang's network of 2016: its parameters are those of the published one, and a small one takes a training step."""

from __future__ import annotations

from itertools import pairwise

import torch

from study.config.study import ModelSettings
from study.models import build_model


def parameters_of_the_paper() -> int:
    """Counted from the paper's table of layers: 3x3 convolutions with biases, normalisations, a 4x4 up-convolution."""
    blocks = [(1, 64, 64), (64, 128, 128), (128, 256, 256, 256), *[(256, 512, 512, 512)], *[(512,) * 4] * 3]
    total = 0
    for channels in blocks:
        for inputs, outputs in pairwise(channels):
            total += 9 * inputs * outputs + outputs
        total += 2 * channels[-1]
    return total + (16 * 512 * 256 + 256) + 2 * (9 * 256 * 256 + 256) + (256 * 313 + 313)


def test_the_network_has_the_published_number_of_parameters() -> None:
    model = build_model(ModelSettings(name="eccv16"), "bins", 0)
    count = sum(p.numel() for p in model.parameters())
    assert count == parameters_of_the_paper()
    assert round(4 * count / 1e6) == 129  # megabytes of float32, as the paper's Table 1 has them


def test_a_small_one_learns() -> None:
    model = build_model(ModelSettings(name="eccv16", options={"shrink": 16}), "ab", 0)
    lightness, ab = 100 * torch.rand(4, 1, 32, 32), 20 * torch.randn(4, 2, 8, 8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = (model(lightness) - ab).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert model.predict(lightness).shape == (4, 2, 32, 32)
