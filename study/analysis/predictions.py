"""Predictions of a network: for the scores, and the pictures and histograms of them that a report shows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from study.analysis.scoring import TestSet
from study.color.lab import lab_to_rgb, rgb_to_lab, to_uint8
from study.color.tensors import images_to_tensor
from study.data.showcase import PHOTOGRAPHS, photographs

SHOWCASE_SIZE = 128


@torch.no_grad()
def predict(model: torch.nn.Module, test: TestSet, temperature: float, device: torch.device) -> Tensor:
    """Predicted ab (N,2,H,W) of all test pictures, on the CPU."""
    parts = []
    for part in test.batches():
        lightness, frozen = test.inputs(part, device)
        parts.append(model.predict(lightness, temperature, frozen).cpu())
    return torch.cat(parts)


@torch.no_grad()
def kept_pictures(
    model: torch.nn.Module,
    ab: Tensor,
    test: TestSet,
    temperature: float,
    device: torch.device,
    kept: int,
    shown: int,
) -> dict[str, np.ndarray]:
    """What predictions/<arm>.npz holds: arrays by name, pictures uint8 (P,H,W,3).

    ab: predictions of all test pictures, (N,2,H,W), Lab units.
    names, gray, truth, prediction: of `kept` test pictures, evenly spread. grid: which `shown` of these a grid of the
    report shows. showcase_*: the same of freely usable photographs, with credits. histogram_*, true_histogram_*: how
    predictions and truth use colour, see `color_use`.
    """
    chosen = _spread(len(test.lab), kept)
    photos, names = photographs(SHOWCASE_SIZE)
    photo_lab = rgb_to_lab(images_to_tensor(photos))
    photo_ab = torch.cat([model.predict(one[None, :1].to(device), temperature).cpu() for one in photo_lab])
    credits = np.array([PHOTOGRAPHS[name][2] for name in names])
    return (
        _picture_arrays("", test.lab[chosen], ab[chosen], [test.names[k] for k in chosen])
        | {"grid": _spread(len(chosen), shown)}
        | color_use("", ab)
        | color_use("true_", test.lab[:, 1:])
        | _picture_arrays("showcase_", photo_lab, photo_ab, names)
        | {"showcase_credits": credits}
    )


def no_pictures(test: TestSet) -> dict[str, np.ndarray]:
    """What stands in for `kept_pictures` where no seed came through."""
    none = test.lab[:0]
    return _picture_arrays("", none, none[:, 1:], []) | _picture_arrays("showcase_", none, none[:, 1:], [])


def color_use(prefix: str, ab: Tensor) -> dict[str, np.ndarray]:
    """How pictures ab (N,2,H,W) use colour: histograms over all their pixels.

    histogram_ab (44,44): pixels by a (rows) and b (columns), -110..110 in steps of 5, values outside in the outermost;
    histogram_hue (36,): share of the chroma by hue, -180..180 degrees in steps of 10;
    histogram_chroma (60,): pixels by chroma, 0..150 in steps of 2.5.
    """
    a, b = (ab[:, channel].flatten().double().numpy() for channel in (0, 1))
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a))
    edges = np.linspace(-110, 110, 45)
    inside = (np.clip(values, -109.999, 109.999) for values in (a, b))
    by_hue = np.histogram(hue, np.linspace(-180, 180, 37), weights=chroma)[0]
    return {
        f"{prefix}histogram_ab": np.histogram2d(*inside, bins=(edges, edges))[0].astype(np.int64),
        f"{prefix}histogram_hue": by_hue / max(by_hue.sum(), 1e-9),
        f"{prefix}histogram_chroma": np.histogram(np.minimum(chroma, 149.999), np.linspace(0, 150, 61))[0],
    }


def _spread(count: int, wanted: int) -> np.ndarray:
    """Indices of `wanted` of `count` things (all of them when there are fewer), evenly spread."""
    return np.linspace(0, count - 1, min(wanted, count)).round().astype(int)


def _picture_arrays(prefix: str, lab: Tensor, ab: Tensor, names: list[str]) -> dict[str, np.ndarray]:
    lightness = lab[:, :1]
    return {
        f"{prefix}names": np.array(names),
        f"{prefix}gray": to_uint8(lab_to_rgb(torch.cat([lightness, torch.zeros_like(ab)], dim=1))),
        f"{prefix}truth": to_uint8(lab_to_rgb(lab)),
        f"{prefix}prediction": to_uint8(lab_to_rgb(torch.cat([lightness, ab], dim=1))),
    }
