"""The anti-average loss in one kernel, its gradient in another: starting a kernel takes longer than its work."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from study.color.triton.launch import counters, is_last, kernel
from study.losses.anti_average import (
    CHROMA_SQUARED_FLOOR,
    ColorizationAntiAverageLoss,
    by_definition,
    of_total_alone,
)

_BLOCK = 1024  # pixels at a time
_MOST_PARTS = 256  # the pixels of an image are cut into at most as many
# The programs of `_loss` store numbers for each other and for `_gradient` in one piece of memory: six of every image,
# and seven sums of every part.
_OF_IMAGE = tl.constexpr(6)  # lab, saturation, squared gap, confidence; mean hue, gap
_SUMS = tl.constexpr(7)  # mean and squares of both hues; lab, saturation, confidence


class AntiAverage(torch.autograd.Function):
    """Total and terms of the loss. A kernel computes the total's gradient, the definition all other gradients."""

    @staticmethod
    def forward(ctx: Any, pred: Tensor, target: Tensor, loss: ColorizationAntiAverageLoss) -> tuple[Tensor, ...]:
        *results, room = sweep(pred, target, loss)
        ctx.loss, ctx.weights = loss, dict(loss.weights)  # a copy: the caller may change the weights later
        ctx.save_for_backward(pred, target, room)
        ctx.set_materialize_grads(False)
        # Not views of one piece of memory: autograd would refuse to change those in place.
        return tuple(result.data for result in results)

    @staticmethod
    def backward(ctx: Any, of_total: Tensor | None, *of_terms: Tensor | None) -> tuple[Tensor | None, ...]:
        if not of_total_alone(of_total, of_terms):
            return by_definition(ctx, of_total, *of_terms), None, None
        return gradient(*ctx.saved_tensors, ctx.loss, ctx.weights, of_total), None, None


def sweep(pred: Tensor, target: Tensor, loss: ColorizationAntiAverageLoss) -> tuple[Tensor, ...]:
    """Total, lab, saturation, diversity and confidence of `loss`, and the memory that `gradient` needs.

    pred, target: contiguous (N,2,H,W) or (N,3,H,W), float32, on a card. Every call gives the same bits.
    """
    images, channels, height, width = pred.shape
    pixels = height * width
    units = loss.units
    part, parts, slots = _cut(pixels, _MOST_PARTS)
    room = pred.new_empty(images * (_OF_IMAGE.value + parts * _SUMS.value))
    results = pred.new_empty(1 + len(loss.terms))
    by_pixel = 1 / (images * pixels)
    _loss(
        images * parts,
        (pred, target, room, results, counters(images + 1, pred.device)),
        (
            images, pixels, parts, part, 1 / units.lightness, 1 / units.ab, 1 / pred.numel(),
            by_pixel / units.chroma**2, 1 / (images * units.hue**4), by_pixel / units.chroma, *loss.weights.values(),
        ),
        (slots, channels, _BLOCK),
    )  # fmt: skip
    return *results.unbind(), room


def gradient(
    pred: Tensor,
    target: Tensor,
    room: Tensor,
    loss: ColorizationAntiAverageLoss,
    weights: dict[str, float],
    of_total: Tensor,
) -> Tensor:
    """The gradient of the total that `sweep` returned under these weights, times the scalar of_total."""
    images, channels, height, width = pred.shape
    pixels = height * width
    units = loss.units
    # The derivative of each weighted term, without the pixel's own factor.
    by_pixel, by_lab = 1 / (images * pixels), 2 * weights["lab"] / pred.numel()
    slope = torch.empty_like(pred)
    _gradient(
        images * -(-pixels // _BLOCK),
        (pred, target, room, of_total, slope),
        (
            images, pixels, by_lab / units.lightness**2, by_lab / units.ab**2,
            2 * weights["saturation"] * by_pixel / units.chroma**2, weights["confidence"] * by_pixel / units.chroma,
            4 * weights["diversity"] / (images * max(pixels - 1, 1) * units.hue**4), CHROMA_SQUARED_FLOOR,
        ),
        (channels, _BLOCK),
    )  # fmt: skip
    return slope


@lru_cache(maxsize=1024)
def _cut(pixels: int, most_parts: int) -> tuple[int, int, int]:
    """Pixels per part of an image, the number of parts, and the power of two that holds it."""
    part = max(_BLOCK, triton.next_power_of_2(triton.cdiv(pixels, most_parts)))
    parts = triton.cdiv(pixels, part)
    return part, parts, triton.next_power_of_2(parts)


@kernel()
def _loss(
    pred, target, room, results, done, images, pixels, parts, part, by_lightness, by_ab,
    by_lab, by_saturation, by_diversity, by_confidence,
    lab_weight, saturation_weight, diversity_weight, confidence_weight,
    PARTS: tl.constexpr, CHANNELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The sums of one part of an image. The last part to finish sums up its image, the last image the batch.

    Means and squares of hues are merged as in Chan, Golub and LeVeque (1983).
    """
    image = (tl.program_id(0) // parts).to(tl.int64)
    number = tl.program_id(0) % parts
    first = number * part
    last = tl.minimum(first + part, pixels)
    seen, mean, squares, true_mean, true_squares = 0.0, 0.0, 0.0, 0.0, 0.0
    lab, saturation, confidence = 0.0, 0.0, 0.0
    for start in range(first, last, BLOCK):
        offset = start + tl.arange(0, BLOCK)
        inside = offset < last
        a, b = _ab(pred, image, offset, inside, pixels, CHANNELS)
        true_a, true_b = _ab(target, image, offset, inside, pixels, CHANNELS)
        lab += tl.sum(((a - true_a) * by_ab) * ((a - true_a) * by_ab) + ((b - true_b) * by_ab) * ((b - true_b) * by_ab))
        if CHANNELS == 3:
            difference = _lightness(pred, image, offset, inside, pixels)
            difference -= _lightness(target, image, offset, inside, pixels)
            lab += tl.sum((difference * by_lightness) * (difference * by_lightness))
        excess = tl.sqrt(a * a + b * b) - tl.sqrt(true_a * true_a + true_b * true_b)
        saturation += tl.sum(excess * excess)
        confidence += tl.sum(tl.where(excess < 0, -excess, excess * 0.0))
        count = tl.minimum(BLOCK, last - start).to(tl.float32)
        mean, squares = _merged(seen, mean, squares, count, _atan2(b, a), inside)
        true_mean, true_squares = _merged(seen, true_mean, true_squares, count, _atan2(true_b, true_a), inside)
        seen += count
    of_images = room
    sums = of_images + _OF_IMAGE * images + image * parts * _SUMS
    at = sums + number * _SUMS
    tl.store(at, mean)
    tl.store(at + 1, squares)
    tl.store(at + 2, true_mean)
    tl.store(at + 3, true_squares)
    tl.store(at + 4, lab)
    tl.store(at + 5, saturation)
    tl.store(at + 6, confidence)
    if is_last(done + image, parts):
        each = tl.arange(0, PARTS)
        exists = each < parts
        count = tl.where(exists, tl.minimum(part, pixels - each * part), 0).to(tl.float32)
        mean, squares = _of_image(sums, each, exists, count, pixels)
        _, true_squares = _of_image(sums + 2, each, exists, count, pixels)
        gap = (squares - true_squares) / tl.maximum(pixels - 1, 1).to(tl.float32)
        at = of_images + image
        tl.store(at, tl.sum(_left(sums + 4, each, exists)))
        tl.store(at + images, tl.sum(_left(sums + 5, each, exists)))
        tl.store(at + 2 * images, gap * gap)
        tl.store(at + 3 * images, tl.sum(_left(sums + 6, each, exists)))
        tl.store(at + 4 * images, mean)
        tl.store(at + 5 * images, gap)
        if is_last(done + images, images):
            lab = by_lab * _sum(of_images, images, BLOCK)
            saturation = by_saturation * _sum(of_images + images, images, BLOCK)
            diversity = by_diversity * _sum(of_images + 2 * images, images, BLOCK)
            confidence = by_confidence * _sum(of_images + 3 * images, images, BLOCK)
            total = 0.0
            if lab_weight > 0:
                total += lab_weight * lab
            if saturation_weight > 0:
                total += saturation_weight * saturation
            if diversity_weight > 0:
                total += diversity_weight * diversity
            if confidence_weight > 0:
                total += confidence_weight * confidence
            tl.store(results, total)
            tl.store(results + 1, lab)
            tl.store(results + 2, saturation)
            tl.store(results + 3, diversity)
            tl.store(results + 4, confidence)


@kernel()
def _gradient(
    pred, target, room, of_total, slope, images, pixels, by_lightness, by_ab,
    by_saturation, by_confidence, by_diversity, floor, CHANNELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    blocks = tl.cdiv(pixels, BLOCK)
    image = (tl.program_id(0) // blocks).to(tl.int64)
    offset = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = offset < pixels
    factor = tl.load(of_total)
    mean = tl.load(room + 4 * images + image)
    gap = tl.load(room + 5 * images + image)
    a, b = _ab(pred, image, offset, inside, pixels, CHANNELS)
    true_a, true_b = _ab(target, image, offset, inside, pixels, CHANNELS)
    by_a, by_b = a * 0.0, b * 0.0
    if by_ab != 0:
        by_a, by_b = by_ab * (a - true_a), by_ab * (b - true_b)
    squared = a * a + b * b
    chroma = tl.sqrt(squared)
    squared = tl.where(squared < floor, floor, squared)
    if by_saturation + by_confidence != 0:
        excess = chroma - tl.sqrt(true_a * true_a + true_b * true_b)
        outwards = by_saturation * excess - tl.where(excess < 0, by_confidence, excess * 0.0)
        outwards = outwards * chroma / squared
        by_a += outwards * a
        by_b += outwards * b
    if by_diversity != 0:
        around = (_atan2(b, a) - mean) / squared * (by_diversity * gap)
        by_a -= around * b
        by_b += around * a
    at_a = slope + (image * CHANNELS + CHANNELS - 2) * pixels + offset
    tl.store(at_a, factor * by_a, mask=inside)
    tl.store(at_a + pixels, factor * by_b, mask=inside)
    if CHANNELS == 3:
        by_l = a * 0.0
        if by_lightness != 0:
            difference = _lightness(pred, image, offset, inside, pixels)
            difference -= _lightness(target, image, offset, inside, pixels)
            by_l = by_lightness * difference
        tl.store(slope + image * CHANNELS * pixels + offset, factor * by_l, mask=inside)


@triton.jit
def _ab(pictures, image, offset, inside, pixels, CHANNELS: tl.constexpr):
    at = pictures + (image * CHANNELS + CHANNELS - 2) * pixels + offset
    return tl.load(at, mask=inside, other=0.0), tl.load(at + pixels, mask=inside, other=0.0)


@triton.jit
def _lightness(pictures, image, offset, inside, pixels):
    return tl.load(pictures + image * 3 * pixels + offset, mask=inside, other=0.0)


@triton.jit
def _left(at, each, exists):
    """One sum of each part of an image, read from the cache that all programs share, not from this program's own."""
    return tl.load(at + each * _SUMS, mask=exists, other=0.0, cache_modifier=".cg")


@triton.jit
def _sum(values, count, BLOCK: tl.constexpr):
    total = 0.0
    for start in range(0, count, BLOCK):
        offset = start + tl.arange(0, BLOCK)
        total += tl.sum(tl.load(values + offset, mask=offset < count, other=0.0, cache_modifier=".cg"))
    return total


@triton.jit
def _merged(seen, mean, squares, count, hue, inside):
    """Mean and sum of squared deviations of `seen` pixels and a block of `count` more."""
    block_mean = tl.sum(tl.where(inside, hue, 0.0)) / count
    deviation = tl.where(inside, hue - block_mean, 0.0)
    delta = block_mean - mean
    squares += tl.sum(deviation * deviation) + delta * delta * seen * count / (seen + count)
    return mean + delta * count / (seen + count), squares


@triton.jit
def _of_image(sums, each, exists, count, pixels):
    """Mean and sum of squared deviations of an image from those of its parts."""
    means = _left(sums, each, exists)
    mean = tl.sum(means * count) / pixels
    deviation = tl.where(exists, means - mean, 0.0)
    return mean, tl.sum(_left(sums + 1, each, exists) + count * deviation * deviation)


@triton.jit
def _atan2(y, x):
    """The angle of (x, y) in -pi..pi; signs of zeros as in IEEE 754. The arctangent is that of Cephes, within 2 ulp."""
    small, large = tl.minimum(tl.abs(x), tl.abs(y)), tl.maximum(tl.abs(x), tl.abs(y))
    tangent = tl.where(large > 0, small / tl.where(large > 0, large, 1.0), large)  # NaN stays NaN
    turned = tangent > 0.41421356237309503  # tan(pi / 8)
    t = tl.where(turned, (tangent - 1.0) / (tangent + 1.0), tangent)
    z = t * t
    series = ((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z - 3.33329491539e-1
    angle = tl.where(turned, 0.7853981633974483, 0.0) + (series * z * t + t)
    angle = tl.where(tl.abs(y) > tl.abs(x), 1.5707963267948966 - angle, angle)
    angle = tl.where(x.to(tl.int32, bitcast=True) < 0, 3.141592653589793 - angle, angle)
    return tl.where(y.to(tl.int32, bitcast=True) < 0, -angle, angle)
