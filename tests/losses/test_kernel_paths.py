"""Losses and colour functions hand their tensors to a kernel that is found, and return what it gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from study.color import bins, lab
from study.losses import ClassificationLoss, ColorizationAntiAverageLoss, anti_average, classification


class Kernel:
    """Stands for a kernel with a gradient of its own, and for a plain one."""

    def __init__(self, result: object) -> None:
        self.result, self.given = result, []

    def apply(self, *given: object) -> object:
        self.given.append(given)
        return self.result

    __call__ = apply


def found_in(monkeypatch: pytest.MonkeyPatch, module: object, result: object) -> tuple[Kernel, list[tuple]]:
    """Let `module` find a kernel that returns `result`; also what it was asked for."""
    kernel, asked = Kernel(result), []

    def find(where: str, name: str, *tensors: Tensor, own_gradient: bool = False) -> Kernel:
        asked.append((where, name, own_gradient))
        return kernel

    monkeypatch.setattr(module, "find_kernel", find)
    return kernel, asked


@pytest.mark.parametrize("name", ["rgb_to_lab", "lab_to_rgb"])
def test_a_conversion_runs_its_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture, result = torch.zeros(1, 3, 2, 2), torch.ones(1)
    kernel, asked = found_in(monkeypatch, lab, result)
    assert getattr(lab, name)(picture) is result
    assert kernel.given == [(picture,)]
    assert asked == [("study.color.triton.lab", name, False)]


def test_soft_encoding_runs_its_kernel_for_few_neighbors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    result = torch.ones(1, dtype=torch.int64), torch.ones(1)
    kernel, asked = found_in(monkeypatch, bins, result)
    ab = torch.zeros(1, 2, 2, 2)
    assert bins._soft_encode(ab, 5, 5.0) is result
    assert kernel.given == [(ab, 5, 5.0)]
    assert asked == [("study.color.triton.bins", "soft_encode", False)]
    assert bins._soft_encode(ab, 17, 5.0)[0].shape == (1, 17, 2, 2)


def test_the_anti_average_loss_runs_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    values = tuple(torch.tensor(float(i)) for i in range(5))
    kernel, asked = found_in(monkeypatch, anti_average, values)
    loss = ColorizationAntiAverageLoss()
    out = loss(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2))
    assert out == dict(zip(("total", *loss.terms), values, strict=True))
    assert len(kernel.given) == 1 and kernel.given[0][2] is loss
    assert asked == [("study.losses.triton.anti_average", "AntiAverage", True)]


def test_the_classification_loss_runs_its_kernel_for_few_neighbors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    value = torch.tensor(3.0)
    kernel, asked = found_in(monkeypatch, classification, value)
    logits, target = torch.zeros(1, 313, 2, 2), torch.full((1, 3, 2, 2), 20.0)
    loss = ClassificationLoss()
    assert loss(logits, target)["total"] is value
    assert kernel.given[0][0] is logits and kernel.given[0][1].shape == (1, 2, 2, 2) and kernel.given[0][2] is loss
    assert asked == [("study.losses.triton.classification", "CrossEntropy", True)]
    assert ClassificationLoss(neighbors=17)(logits, target)["total"] != 3
    assert len(kernel.given) == 1
