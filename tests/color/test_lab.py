"""Colour conversions against scikit-image, their gradients, and chroma and hue at gray."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor

from study.color.lab import GRAY_CHROMA, chroma, hue, lab_to_rgb, rgb_to_lab, to_uint8

unit = st.floats(0.0, 1.0, width=32)


def first(channels_last: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(channels_last, -1, 1)))


def last(channels_first: Tensor) -> np.ndarray:
    return channels_first.permute(0, 2, 3, 1).double().numpy()


def grid(levels: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, len(levels), 3)


CORNERS = torch.tensor([[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]).T.reshape(1, 3, 2, 3)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-10), (np.uint8, 1e-4)])
def test_rgb_to_lab_matches_skimage_on_a_grid(dtype, tolerance):
    rgb = grid(np.linspace(0, 1, 64))
    if dtype == np.uint8:
        rgb = (rgb * 255).round().astype(np.uint8)
    lab = rgb_to_lab(first(rgb.astype(dtype)))
    assert lab.dtype == (torch.float64 if dtype == np.float64 else torch.float32)
    assert np.abs(last(lab) - rgb2lab(rgb)).max() <= tolerance


@given(arrays(np.float32, (2, 3, 5, 3), elements=unit))
def test_rgb_to_lab_matches_skimage_on_any_picture(rgb):
    assert np.abs(last(rgb_to_lab(first(rgb))) - rgb2lab(rgb.astype(np.float64))).max() <= 1e-4


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lab_to_rgb_matches_skimage_inside_and_outside_the_gamut(dtype):
    generator = torch.Generator().manual_seed(0)
    size, start = torch.tensor([100.0, 260, 260]), torch.tensor([0.0, -130, -130])
    lab = (torch.rand(3, 50, 60, 3, generator=generator) * size + start).permute(0, 3, 1, 2).to(dtype)
    rgb = lab_to_rgb(lab)
    assert rgb.dtype == dtype
    assert rgb.min() == 0
    assert rgb.max() == 1
    assert np.abs(last(rgb) - lab2rgb(last(lab))).max() <= (2e-5 if dtype == torch.float32 else 1e-10)


def test_8_bit_colors_survive_the_round_trip():
    levels = torch.arange(256, dtype=torch.uint8)
    picture = torch.empty(1, 3, 256, 256, dtype=torch.uint8)
    picture[0, 1], picture[0, 2] = levels[:, None], levels
    for red in range(0, 256, 5):
        picture[0, 0] = red
        back = lab_to_rgb(rgb_to_lab(picture))
        assert np.array_equal(to_uint8(back), picture.permute(0, 2, 3, 1).numpy())
        assert (back - picture / 255).abs().max() < 1e-4


def test_every_gray_is_neutral_and_lightness_spans_0_to_100():
    gray = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    lab = rgb_to_lab(gray)
    assert chroma(lab[:, 1:]).max() < 0.01 < GRAY_CHROMA
    assert lab[0, 0, 0, 0] == pytest.approx(0, abs=1e-4)
    assert lab[0, 0, 0, -1] == pytest.approx(100, abs=1e-4)
    assert (lab[0, 0, 0].diff() > 0).all()


@pytest.mark.parametrize("shape", [(2, 3, 300, 500), (1200, 3, 16, 16), (3, 3, 1, 1)])
def test_pieces_and_layout_do_not_change_the_result(shape):
    levels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    lab = rgb_to_lab(levels)
    torch.testing.assert_close(rgb_to_lab(levels.contiguous(memory_format=torch.channels_last)), lab, rtol=0, atol=0)
    rgb = (levels / 255).requires_grad_()
    in_one_graph = rgb_to_lab(rgb)
    torch.testing.assert_close(in_one_graph, lab, rtol=0, atol=1e-4)
    torch.testing.assert_close(in_one_graph.detach(), rgb_to_lab(rgb.detach()), rtol=0, atol=1e-4)
    torch.testing.assert_close(lab_to_rgb(lab.requires_grad_()), rgb, rtol=0, atol=1e-4)


def test_gradients_match_finite_differences():
    rgb = torch.rand(2, 3, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.7 + 0.15
    assert torch.autograd.gradcheck(rgb_to_lab, rgb.requires_grad_())
    lab = rgb_to_lab(rgb.detach())
    assert torch.autograd.gradcheck(lab_to_rgb, lab.requires_grad_())
    assert torch.autograd.gradcheck(chroma, lab[:, 1:].detach().requires_grad_())
    assert torch.autograd.gradcheck(hue, lab[:, 1:].detach().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_at_black_white_gray_and_pure_colors(dtype):
    rgb = CORNERS.to(dtype).requires_grad_()
    lab = rgb_to_lab(rgb)
    (gradient,) = torch.autograd.grad(lab.sum(), rgb)
    assert gradient.isfinite().all()
    assert (torch.autograd.grad(rgb_to_lab(rgb)[:, 0].sum(), rgb)[0] > 0).all()
    lab = lab.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(lab_to_rgb(lab).sum(), lab)
    assert gradient.isfinite().all()


@given(arrays(np.float32, (1, 4, 4, 3), elements=st.floats(-1e4, 1e4, width=32)))
def test_any_lab_value_gives_a_picture_and_a_finite_gradient(lab):
    lab = first(lab).requires_grad_()
    rgb = lab_to_rgb(lab)
    assert ((rgb >= 0) & (rgb <= 1)).all()
    (gradient,) = torch.autograd.grad(rgb.sum(), lab)
    assert gradient.isfinite().all()


@given(arrays(np.float32, (2, 2, 3, 3), elements=st.floats(-120, 120, width=32)))
def test_chroma_and_hue_are_polar_coordinates(ab):
    a, b = ab.astype(np.float64).transpose(1, 0, 2, 3)
    ab = torch.from_numpy(ab).requires_grad_()
    np.testing.assert_allclose(chroma(ab).detach(), np.hypot(a, b), rtol=1e-6, atol=1e-18)
    visible = np.hypot(a, b) > 1e-6
    np.testing.assert_allclose(hue(ab).detach().numpy()[visible], np.arctan2(b, a)[visible], atol=1e-6)
    (gradient,) = torch.autograd.grad(chroma(ab).sum(), ab)
    assert gradient.isfinite().all()
    assert (gradient.norm(dim=1) <= 1 + 1e-5).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_gray_has_no_chroma_no_hue_and_no_gradient(dtype):
    ab = torch.zeros(1, 2, 2, 2, dtype=dtype, requires_grad=True)
    for polar in (chroma, hue):
        value = polar(ab)
        assert (value == 0).all()
        (gradient,) = torch.autograd.grad(value.sum(), ab)
        assert (gradient == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_half_precision_and_autocast_are_computed_in_float32(dtype):
    rgb = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    lab = rgb_to_lab(rgb.float())
    for function, pictures in ((rgb_to_lab, rgb), (lab_to_rgb, lab), (chroma, lab[:, 1:]), (hue, lab[:, 1:])):
        pictures = pictures.to(dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = function(pictures)
        assert torch.equal(found, function(pictures.float()))


def desaturate(rgb: Tensor) -> Tensor:
    lab = rgb_to_lab(rgb)
    return lab_to_rgb(torch.cat((lab[:, :1], lab[:, 1:] / 2), dim=1))


def test_conversions_trace_to_one_graph_with_their_gradients():
    rgb = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    direction = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    expected = desaturate(rgb)
    actual = torch.compile(desaturate, backend="aot_eager", fullgraph=True)(rgb)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    gradients = [torch.autograd.grad((out * direction).sum(), rgb)[0] for out in (actual, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)


@pytest.mark.verify  # compiling takes most of a minute on a busy machine
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="torch.compile needs a compiler")
def test_compiled_conversion_matches():
    rgb = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(desaturate, fullgraph=True)(rgb)
    torch.testing.assert_close(compiled, desaturate(rgb), rtol=0, atol=1e-5)


def test_to_uint8_rounds_and_clips():
    rgb = torch.tensor([-0.5, 0.4999 / 255, 0.5001 / 255, 254.6 / 255, 1.5, 0.2]).reshape(1, 3, 1, 2)
    pixels = to_uint8(rgb)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (1, 1, 2, 3)
    assert pixels[0, 0].tolist() == [[0, 1, 255], [0, 255, 51]]


def test_an_empty_batch_stays_empty():
    nothing = torch.zeros(0, 3, 4, 5)
    assert rgb_to_lab(nothing).shape == lab_to_rgb(nothing).shape == nothing.shape
    assert rgb_to_lab(nothing.to(torch.uint8)).shape == nothing.shape
    assert to_uint8(nothing).shape == (0, 4, 5, 3)


@pytest.mark.parametrize(
    ("function", "channels"), [(rgb_to_lab, 3), (lab_to_rgb, 3), (to_uint8, 3), (chroma, 2), (hue, 2)]
)
def test_a_wrong_shape_or_type_is_named(function, channels):
    with pytest.raises(ValueError, match=r"\(4, 7, 8, 8\)"):
        function(torch.zeros(4, 7, 8, 8))
    with pytest.raises(ValueError, match=rf"\({channels}, 8\)"):
        function(torch.zeros(channels, 8))
    with pytest.raises(ValueError, match="int64"):
        function(torch.zeros(1, channels, 8, 8, dtype=torch.int64))
