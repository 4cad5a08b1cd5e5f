"""AdamW is torch's, to the bit, and goes on from its state as if nothing had happened."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from study.optimizer import AdamW

RATES = [0.01 * (step + 1) for step in range(12)]


def network() -> nn.Module:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 2, 1))
    return model.to(memory_format=torch.channels_last)


def gradients(model: nn.Module, step: int) -> None:
    """Of some loss; from step 6 on the last bias has none."""
    pictures = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(step))
    model(pictures).square().sum().backward()
    if step >= 6:
        list(model.parameters())[-1].grad = None


def values(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def trained(model: nn.Module, optimizer: AdamW, steps: range) -> list[Tensor]:
    for step in steps:
        optimizer.zero_grad()
        gradients(model, step)
        optimizer.step(RATES[step])
    return values(model)


def test_every_bit_is_that_of_torch() -> None:
    ours, theirs = network(), network()
    optimizer = torch.optim.AdamW(theirs.parameters(), weight_decay=0.05)
    for step, rate in enumerate(RATES):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        gradients(theirs, step)
        optimizer.step()
    expected = values(theirs)
    for one, other in zip(trained(ours, AdamW(ours.parameters(), 0.05), range(12)), expected, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(expected[0], values(network())[0])


def test_it_goes_on_from_its_state() -> None:
    model = network()
    whole = trained(model, AdamW(model.parameters(), 0.05), range(12))
    first = network()
    optimizer = AdamW(first.parameters(), 0.05)
    trained(first, optimizer, range(5))
    again = network()
    again.load_state_dict(first.state_dict())
    continued = AdamW(again.parameters(), 0.05)
    continued.load_state_dict(optimizer.state_dict())
    for one, other in zip(trained(again, continued, range(5, 12)), whole, strict=True):
        assert torch.equal(one, other)
