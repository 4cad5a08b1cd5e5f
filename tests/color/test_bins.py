"""The 313 bins: the table, exact soft encoding, the prior and its weights, and decoding."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from study.color.bins import (
    AB_BINS,
    annealed_mean,
    bin_frequencies,
    class_weights,
    prior_from_ab,
    smooth_prior,
    soft_encode,
)
from study.color.lab import chroma, rgb_to_lab
from study.color.nearest_bins import sorting_network

BINS = AB_BINS.double().numpy()


def colors(n: int, side: int, seed: int = 0) -> Tensor:
    """The ab values of random sRGB colours."""
    return rgb_to_lab(torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed)))[:, 1:]


def assert_encodes(ab: Tensor, neighbors: int) -> None:
    indices, weights = soft_encode(ab, neighbors)
    n, _, height, width = ab.shape
    assert indices.shape == weights.shape == (n, neighbors, height, width)
    assert (indices.dtype, weights.dtype) == (torch.int64, torch.float32)
    pixels = ab.permute(0, 2, 3, 1).reshape(-1, 2).double().numpy()
    chosen = indices.permute(0, 2, 3, 1).reshape(-1, neighbors).numpy()
    squared = ((pixels[:, None] - BINS) ** 2).sum(-1)
    nearest = np.sort(squared, axis=1)[:, :neighbors]
    assert (np.diff(np.sort(chosen, axis=1), axis=1) > 0).all(), "a bin twice"
    # Equal distances, rank by rank: the same bins, or a tie.
    np.testing.assert_allclose(np.take_along_axis(squared, chosen, 1), nearest, rtol=1e-13)
    actual = weights.permute(0, 2, 3, 1).reshape(-1, neighbors).numpy()
    np.testing.assert_allclose(actual, softmax(-nearest / 50, axis=1), atol=1e-6)


def one_hot_logits(indices: Tensor, weights: Tensor) -> Tensor:
    n, _, height, width = indices.shape
    return torch.full((n, 313, height, width), -1e4).scatter(1, indices, weights.log())


def test_the_table_is_the_published_one():
    assert AB_BINS.shape == (313, 2)
    assert AB_BINS.dtype == torch.float32
    rows, counts = np.unique(BINS[:, 0], return_counts=True)
    assert rows.tolist() == list(range(-90, 101, 10))
    assert counts.tolist() == [5, 8, 10, 12, 14, 15, 16, 16, 17, 18, 18, 18, 19, 20, 19, 20, 20, 19, 19, 10]
    assert np.array_equal(np.lexsort((BINS[:, 1], BINS[:, 0])), np.arange(313)), "ordered by a, then b"
    for a, low, high in [(-90, 50, 90), (-10, -60, 100), (0, -70, 100), (40, -100, 90), (100, -90, 0)]:
        row = BINS[BINS[:, 0] == a, 1]
        assert np.array_equal(row, np.arange(low, high + 1, 10))


@pytest.mark.parametrize("neighbors", [1, 5, 16])
def test_encoding_is_exact_on_and_between_the_edges_of_cells(neighbors):
    # Multiples of 1.25 hit every bin, every tie between neighbours, and the corners of every cell looked up.
    axis = torch.arange(-135, 135.1, 1.25)
    points = torch.stack(torch.meshgrid(axis, axis, indexing="ij"))[None]
    for start in range(0, len(axis), 31):
        assert_encodes(points[:, :, start : start + 31], neighbors)


@given(
    arrays(np.float32, (2, 2, 3, 4), elements=st.floats(-400, 400, width=32)),
    st.integers(1, 20) | st.just(313),
    st.sampled_from([1.0, 0.25, 1e-6]),
)
def test_encoding_is_exact_for_any_color_and_any_number_of_neighbors(ab, neighbors, scale):
    assert_encodes(torch.from_numpy(ab) * scale, neighbors)


@pytest.mark.parametrize("count", range(1, 13))
def test_the_sorting_network_brings_the_smallest_to_the_front(count):
    # By the 0-1 principle (Knuth 1973) a network that sorts all sequences of zeros and ones sorts all others.
    sequences = np.array(list(itertools.product((0, 1), repeat=count)))
    for wanted in range(1, count + 1):
        values = sequences.copy()
        for i, j, lower, upper in sorting_network(count, wanted):
            low, high = values[:, [i, j]].min(1), values[:, [i, j]].max(1)
            values[:, i] = low if lower else -1  # what is not computed must not be needed
            values[:, j] = high if upper else -1
        np.testing.assert_array_equal(values[:, :wanted], np.sort(sequences, axis=1)[:, :wanted])


def test_encoding_agrees_with_a_ball_tree_in_double_precision():
    ab = colors(1, 60).double()
    pixels = ab[0].flatten(1).T.numpy()
    tree = NearestNeighbors(n_neighbors=5, algorithm="ball_tree").fit(BINS)
    distances, expected = tree.kneighbors(pixels)
    indices, weights = soft_encode(ab)
    assert np.array_equal(indices.flatten(2)[0].T.numpy(), expected)
    kernel = np.exp(-(distances**2) / 50)
    np.testing.assert_allclose(weights.flatten(2)[0].T.numpy(), kernel / kernel.sum(1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("sigma", [0.38, 5.0, 50.0])
def test_no_target_is_empty_even_far_out_of_gamut_or_with_a_tiny_sigma(sigma):
    ab = torch.tensor([[5.0, 5.0], [1e6, -1e6], [-3e3, 40.0], [130.0, -130.0], [0.1, 1e-20]])
    _, weights = soft_encode(ab.T.reshape(1, 2, 1, 5), sigma=sigma)
    assert weights.isfinite().all()
    torch.testing.assert_close(weights.sum(1), torch.ones(1, 1, 5))
    assert (weights.diff(dim=1) <= 0).all(), "nearest first"


@pytest.mark.parametrize("shape", [(1, 2, 180, 200), (300, 2, 12, 12)])
def test_encoding_does_not_depend_on_batch_or_memory_layout(shape):
    ab = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 40
    indices, weights = soft_encode(ab)
    assert indices.is_contiguous() and weights.is_contiguous()
    flat = ab.transpose(0, 1).reshape(1, 2, 1, -1)
    flat_indices, flat_weights = soft_encode(flat)
    assert torch.equal(indices.transpose(0, 1).reshape(5, -1), flat_indices.reshape(5, -1))
    torch.testing.assert_close(weights.transpose(0, 1).reshape(5, -1), flat_weights.reshape(5, -1))
    again, _ = soft_encode(ab.contiguous(memory_format=torch.channels_last))
    assert torch.equal(again, indices)


def test_encoding_is_a_target_without_gradient_in_any_precision():
    ab = colors(1, 8).to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        indices, weights = soft_encode(ab)
    assert not weights.requires_grad
    expected_indices, expected_weights = soft_encode(ab.detach().double())
    assert torch.equal(indices, expected_indices)
    assert torch.equal(weights, expected_weights)


def test_compiled_encoding_and_decoding_stay_in_one_graph():
    ab = colors(2, 6)

    def round_trip(ab: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        indices, weights = soft_encode(ab)
        return annealed_mean(logits.scatter(1, indices, weights)), indices

    logits = torch.randn(2, 313, 6, 6, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(round_trip, backend="aot_eager", fullgraph=True)
    for actual, expected in zip(compiled(ab, logits), round_trip(ab, logits), strict=True):
        torch.testing.assert_close(actual, expected)


def test_tensors_without_values_are_encoded_like_any_other():
    ab = colors(3, 5)
    expected = soft_encode(ab)
    for actual, wanted in zip(torch.vmap(lambda one: soft_encode(one[None]))(ab), expected, strict=True):
        assert torch.equal(actual[:, 0], wanted)
    slope = torch.func.grad(lambda x: (x * soft_encode(x)[1].sum()).sum())(ab)
    torch.testing.assert_close(slope, torch.full_like(ab, expected[1].sum().item()))  # a target: no gradient of its own
    with FakeTensorMode() as mode:
        fake = soft_encode(mode.from_tensor(ab))
    assert [x.shape for x in fake] == [x.shape for x in expected]
    assert [x.dtype for x in fake] == [x.dtype for x in expected]


def test_a_nan_shows_in_its_own_weights_only():
    ab = torch.zeros(1, 2, 1, 2)
    ab[0, 0, 0, 1] = float("nan")
    _, weights = soft_encode(ab)
    assert weights[..., 0].isfinite().all()
    assert weights[..., 1].isnan().all()


def test_prior_is_the_mean_soft_target_and_batches_add_up():
    ab = colors(5, 20)
    indices, weights = soft_encode(ab)
    expected = np.zeros(313)
    np.add.at(expected, indices.numpy().ravel(), weights.numpy().ravel().astype(np.float64))
    prior = prior_from_ab(ab)
    assert prior.shape == (313,)
    np.testing.assert_allclose(prior, expected / expected.sum(), atol=1e-7)
    halves = bin_frequencies(ab[:2]) + bin_frequencies(ab[2:])
    assert halves.dtype == torch.float64
    assert halves.sum().item() == pytest.approx(5 * 20 * 20)
    torch.testing.assert_close((halves / halves.sum()).float(), prior)


def test_smoothing_spreads_a_single_bin_as_a_gaussian_and_leaves_no_zero():
    start = int((AB_BINS == 0).all(1).nonzero())
    single = torch.zeros(313)
    single[start] = 1
    smooth = smooth_prior(single)
    assert smooth.sum().item() == pytest.approx(1, abs=1e-6)
    assert (smooth > 0).all()
    assert class_weights(smooth, rebalance=0.0).isfinite().all()
    squared = (BINS**2).sum(1)
    near = squared <= 500
    np.testing.assert_allclose((smooth / smooth[start]).numpy()[near], np.exp(-squared[near] / 50), rtol=1e-4)


@given(arrays(np.float64, 313, elements=st.floats(1e-6, 1.0)), st.floats(0.0, 1.0))
def test_class_weights_follow_their_formula_and_average_to_one(counts, rebalance):
    prior = counts / counts.sum()
    weights = class_weights(prior, rebalance).double().numpy()
    assert (prior * weights).sum() == pytest.approx(1, abs=1e-5)
    raw = 1 / ((1 - rebalance) * prior + rebalance / 313)
    np.testing.assert_allclose(weights / weights[0], raw / raw[0], rtol=1e-5)
    rarest_first = np.argsort(prior)
    assert (np.diff(weights[rarest_first]) <= 1e-6 * weights.max()).all()


@pytest.mark.parametrize("temperature", [1.0, 0.38, 0.05])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_annealed_mean_matches_its_definition(temperature, dtype):
    logits = torch.randn(2, 313, 3, 4, dtype=dtype, generator=torch.Generator().manual_seed(0)) * 3
    ab = annealed_mean(logits, temperature)
    assert ab.dtype == dtype
    p = softmax(np.log(softmax(logits.double().numpy(), axis=1)) / temperature, axis=1)
    np.testing.assert_allclose(ab, np.einsum("nqhw,qc->nchw", p, BINS), atol=2e-4 if dtype == torch.float32 else 1e-10)
    layout = annealed_mean(logits.contiguous(memory_format=torch.channels_last), temperature)
    torch.testing.assert_close(layout, ab)


@pytest.mark.parametrize("temperature", [1e-3, 1e-12, 1e-60])
def test_annealed_mean_towards_temperature_zero_is_the_strongest_bin(temperature):
    logits = torch.randn(2, 313, 5, 5, generator=torch.Generator().manual_seed(0)).double()
    strongest = AB_BINS[logits.argmax(1)].permute(0, 3, 1, 2)
    logits.scatter_add_(1, logits.argmax(1, keepdim=True), torch.ones(2, 1, 5, 5).double())
    torch.testing.assert_close(annealed_mean(logits.float(), temperature), strongest)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", [1.0, 0.38, 0.01])
def test_annealed_mean_and_its_gradient_are_stable_for_huge_logits(dtype, temperature):
    logits = torch.full((3, 313, 1, 2), -1e4, dtype=dtype)
    logits[0, 40], logits[1] = 1e4, 1e4
    logits.requires_grad_()
    ab = annealed_mean(logits, temperature)
    assert ab.dtype == torch.float32
    torch.testing.assert_close(ab[0], AB_BINS[40].reshape(2, 1, 1).expand(2, 1, 2))
    torch.testing.assert_close(ab[1:], AB_BINS.mean(0).reshape(1, 2, 1, 1).expand(2, 2, 1, 2), atol=1e-3, rtol=0)
    (gradient,) = torch.autograd.grad(ab.sum(), logits)
    assert gradient.isfinite().all()


def test_annealed_mean_is_computed_in_float32_under_autocast():
    logits = torch.randn(1, 313, 4, 4, generator=torch.Generator().manual_seed(0)) * 3
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ab = annealed_mean(logits)
    assert torch.equal(ab, annealed_mean(logits))


def test_annealed_mean_has_the_right_gradient():
    logits = torch.randn(1, 313, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(annealed_mean, logits.requires_grad_())


@given(st.floats(-1e3, 1e3), st.integers(0, 1000))
def test_annealed_mean_ignores_a_shift_and_stays_inside_the_bins(shift, seed):
    logits = torch.randn(1, 313, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 4
    ab = annealed_mean(logits)
    torch.testing.assert_close(annealed_mean(logits + shift), ab, atol=1e-8, rtol=0)
    assert (ab.amin((0, 2, 3)) >= AB_BINS.amin(0)).all()
    assert (ab.amax((0, 2, 3)) <= AB_BINS.amax(0)).all()


@pytest.mark.parametrize(("temperature", "floor"), [(1.0, 0.2), (0.38, 1.8), (1e-3, 3.8)])
@pytest.mark.parametrize("neighbors", [5, 10])
def test_decoding_the_truth_has_the_published_floor(temperature, floor, neighbors):
    # Mean Euclidean distance in the ab plane, over random sRGB colours.
    ab = colors(1, 90)
    decoded = annealed_mean(one_hot_logits(*soft_encode(ab, neighbors)), temperature)
    assert chroma(decoded - ab).mean().item() == pytest.approx(floor, abs=0.05)


def test_an_empty_batch_gives_empty_targets_and_colors_but_no_prior():
    indices, weights = soft_encode(torch.zeros(0, 2, 4, 5))
    assert indices.shape == weights.shape == (0, 5, 4, 5)
    assert annealed_mean(torch.zeros(0, 313, 4, 5)).shape == (0, 2, 4, 5)
    assert bin_frequencies(torch.zeros(0, 2, 4, 5)).sum() == 0
    with pytest.raises(ValueError, match=r"\(0, 2, 4, 5\)"):
        prior_from_ab(torch.zeros(0, 2, 4, 5))


@pytest.mark.parametrize("function", [soft_encode, bin_frequencies, prior_from_ab, annealed_mean])
def test_a_wrong_shape_is_named(function):
    with pytest.raises(ValueError, match=r"\(1, 3, 4, 4\)"):
        function(torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: soft_encode(torch.zeros(1, 2, 1, 1), neighbors=0), "neighbors.* 0"),
        (lambda: soft_encode(torch.zeros(1, 2, 1, 1), neighbors=314), "neighbors.*314"),
        (lambda: soft_encode(torch.zeros(1, 2, 1, 1), sigma=0.0), "sigma.* 0.0"),
        (lambda: smooth_prior(torch.ones(313) / 313, sigma=-1.0), "sigma.* -1.0"),
        (lambda: smooth_prior(torch.ones(300) / 300), r"\(300,\)"),
        (lambda: class_weights(np.ones(313)), "prior.* 313"),
        (lambda: class_weights(np.full(313, np.nan)), "prior.*nan"),
        (lambda: class_weights(np.ones(313) / 313, rebalance=1.5), "rebalance.* 1.5"),
        (lambda: class_weights(np.eye(313)[0], rebalance=0.0), "rebalance 0"),
        (lambda: annealed_mean(torch.zeros(1, 313, 1, 1), 0.0), "temperature.* 0"),
        (lambda: annealed_mean(torch.zeros(1, 313, 1, 1), -1.0), "temperature.* -1"),
    ],
)
def test_impossible_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_tensors_without_memory_give_one() -> None:
    assert annealed_mean(torch.zeros(2, 313, 3, 3, device="meta")).shape == (2, 2, 3, 3)
    with torch.device("meta"):
        assert class_weights(torch.full((313,), 1 / 313, device="cpu")).shape == (313,)
