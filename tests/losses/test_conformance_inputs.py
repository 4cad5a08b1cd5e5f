"""What the conformance test calls a loss with: logits, Lab pictures or ab, and pictures that break losses."""

from __future__ import annotations

import pytest
import torch

from study.color.bins import soft_encode
from study.color.lab import chroma
from study.losses import ClassificationLoss, Loss, MSELoss
from study.losses.conformance import check_loss
from study.losses.conformance_inputs import FAR_OUT, PICTURES, SPECIAL, ConformanceInputs
from tests.losses.test_conformance import Squared, failed


class WithLightness(MSELoss):
    needs_lightness = True


@pytest.mark.parametrize("loss", [MSELoss(), ClassificationLoss(), WithLightness()])
def test_pictures_are_colourful_and_the_special_ones_are_what_they_are_called(loss: Loss) -> None:
    inputs = ConformanceInputs(loss)
    target = inputs.target()
    assert len(target) == PICTURES and (chroma(target) > 4.999).all()
    channels = 313 if inputs.bins else 2
    assert inputs.prediction().shape == (PICTURES, channels, *target.shape[2:])
    special = {kind: (inputs.special_target(kind), inputs.special_prediction(kind)) for kind in SPECIAL}
    for gray in special["all-gray"]:
        assert not gray.any()
    for constant in special["constant"]:
        assert constant.any() and torch.equal(constant, constant[:, :, :1, :1].expand_as(constant))
    for single in special["single-coloured-pixel"]:
        assert (single.abs().amax(1) > 0).sum((1, 2)).tolist() == [1] * PICTURES
    assert special["extreme"][0].abs().unique().tolist() == [110]
    assert special["extreme"][1].abs().unique().tolist() == [FAR_OUT]


def test_lightness_is_put_before_both_and_nothing_is_shared() -> None:
    inputs = ConformanceInputs(WithLightness())
    prediction, target = inputs.prediction(), inputs.target()
    given = inputs.arguments(prediction, target)
    assert torch.equal(given[0][:, :1], given[1][:, :1]) and torch.equal(given[1][:, 1:], target)
    plain = ConformanceInputs(MSELoss()).arguments(prediction, target)
    assert torch.equal(plain[0], prediction) and plain[0] is not prediction


def test_a_painting_is_decoded_as_what_was_painted() -> None:
    inputs = ConformanceInputs(ClassificationLoss())
    ab = inputs.target()
    nearest = soft_encode(ab)[0][:, 0]
    assert torch.equal(inputs.painting(ab).argmax(1), nearest)
    assert ConformanceInputs(MSELoss()).painting(ab) is ab


def test_logits_and_lab_pictures_are_tried_too() -> None:
    class Logits(Loss):
        head = "bins"
        terms = {"entropy": 1.0}

        def compute(self, prediction, target):
            if prediction.shape[::2] != target.shape[::2] or prediction.shape[3] != target.shape[3]:
                raise ValueError(f"got logits {tuple(prediction.shape)} and target {tuple(target.shape)}")
            nearest = soft_encode(target)[0][:, 0]
            return {"entropy": torch.nn.functional.cross_entropy(prediction.to(target.dtype), nearest)}

    class Lightness(MSELoss):
        needs_lightness = True

    class Impossible(Logits):
        needs_lightness = True

    assert failed(Logits()) == {}
    assert failed(Lightness()) == {}
    assert "needs_lightness" in failed(Impossible())["input"]


def test_an_impossible_head() -> None:
    class Elsewhere(Squared):
        head = "rgb"

    checks = check_loss(Elsewhere())
    assert [check.what for check in checks if not check.passed] == ["input"]
    assert checks[-1].what == "input" and "rgb" in checks[-1].found
