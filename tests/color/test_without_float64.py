"""Devices without float64: colours are converted, encoded and decoded in float32 there, as well as float32 can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from study.color import bins, chroma, dispatch, hue, lab_to_rgb, rgb_to_lab
from study.color.bins import AB_BINS, annealed_mean, soft_encode

SINGLE = np.finfo(np.float32).eps


class NoFloat64(TorchDispatchMode):
    """Lets every operation fail that takes, makes or returns float64, as Apple's devices do."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "colorization_study":  # look inside of it
            with self:
                return bins._soft_encode(*args, **kwargs)
        out = func(*args, **kwargs)
        for leaf in tree_leaves((args, kwargs, out)):
            if leaf is torch.float64 or (isinstance(leaf, Tensor) and leaf.dtype == torch.float64):
                raise TypeError(f"{func} needs float64, which this device does not have")
        return out


@contextmanager
def device_without_float64() -> Iterator[None]:
    """This processor passes for such a device."""
    with pytest.MonkeyPatch.context() as patch, NoFloat64():
        patch.setattr(dispatch, "has_float64", lambda device: False)
        for name in ("study.color.bins", "study.color.nearest_bins"):
            patch.setattr(f"{name}.has_float64", lambda device: False)
        yield


def test_the_pretended_device_refuses_float64() -> None:
    with NoFloat64(), pytest.raises(TypeError):
        soft_encode(torch.zeros(1, 2, 8, 8))


def encoded(ab: Tensor, neighbors: int = 5, sigma: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """Bins and weights (P,K) of (P,2) colours, encoded without float64."""
    with device_without_float64():
        found = soft_encode(ab.T.reshape(1, 2, 1, -1).contiguous(), neighbors, sigma)
    indices, weights = (x[0, :, 0].T.numpy() for x in found)
    assert (indices.dtype, weights.dtype) == (np.int64, np.float32)
    return indices, weights


def assert_nearest(ab: Tensor, indices: np.ndarray) -> None:
    """The bins are the nearest, nearest first, but for squared distances that float32 cannot tell apart."""
    points = ab.double().numpy()
    squared = ((points[:, None] - AB_BINS.double().numpy()) ** 2).sum(-1)
    chosen, exact = np.take_along_axis(squared, indices, 1), np.sort(squared, 1)[:, : indices.shape[1]]
    assert (np.diff(np.sort(indices, 1), axis=1) > 0).all(), "a bin twice"
    # What is compared is at most this large; beyond the table the part that all bins share is left out.
    outside = np.abs(points - points.clip(-130, 130)).sum(1, keepdims=True)
    resolution = 4 * SINGLE * (exact[:, -1:] if not outside.any() else 2 * 240**2 + 2 * 240 * outside)
    assert (np.abs(chosen - exact) <= resolution).all()


@given(arrays(np.float32, (6, 2), elements=st.floats(-400, 400, width=32)), st.integers(1, 20) | st.just(313))
def test_any_color_has_its_nearest_bins_and_their_weights(points: np.ndarray, neighbors: int) -> None:
    ab = torch.from_numpy(points)
    indices, weights = encoded(ab, neighbors)
    assert_nearest(ab, indices)
    squared = ((points[:, None].astype(np.float64) - AB_BINS.double().numpy()[indices]) ** 2).sum(-1)
    scores = np.exp(-(squared - squared.min(1, keepdims=True)) / 50)
    np.testing.assert_allclose(weights, scores / scores.sum(1, keepdims=True), atol=2e-4)


def test_weights_far_out_of_gamut_and_of_no_number() -> None:
    ab = torch.tensor([[1e5, -1e5], [-3e3, 40.0], [0.1, 1e-20], [torch.nan, 0.0], [torch.inf, 0.0]])
    indices, weights = encoded(ab)
    np.testing.assert_allclose(weights[:3].sum(1), 1, rtol=1e-6)
    assert (np.diff(weights[:3], axis=1) <= 0).all()
    assert AB_BINS[indices[0, 0]].tolist() == [60, -110] or AB_BINS[indices[0, 0]].tolist() == [90, -110]
    assert np.isnan(weights[3:]).all()


def test_conversions_and_decoding_are_the_same_without_float64() -> None:
    generator = torch.Generator().manual_seed(1)
    levels = torch.randint(0, 256, (2, 3, 9, 11), dtype=torch.uint8, generator=generator)
    floats = torch.rand(2, 3, 9, 11, generator=generator)
    logits = 5 * torch.randn(2, 313, 4, 5, generator=generator)
    raw = rgb_to_lab(floats)
    calls = [
        lambda: rgb_to_lab(levels), lambda: rgb_to_lab(floats), lambda: rgb_to_lab(floats.half()),
        lambda: lab_to_rgb(raw), lambda: chroma(raw[:, 1:]), lambda: hue(raw[:, 1:]), lambda: annealed_mean(logits),
    ]  # fmt: skip
    for call in calls:
        expected = call()
        with device_without_float64():
            assert torch.equal(call(), expected)


def test_a_device_is_asked_whether_it_has_float64() -> None:
    here = torch.device("cpu")
    assert dispatch.has_float64(here) and dispatch.has_float64(torch.device("cuda", 1))
    dispatch._computes_float64.cache_clear()
    try:
        assert dispatch._computes_float64(here)
        assert not dispatch.has_float64(torch.device("meta"))  # it computes nothing
        dispatch._computes_float64.cache_clear()
        with NoFloat64():
            assert not dispatch._computes_float64(here)
    finally:
        dispatch._computes_float64.cache_clear()
