"""The anti-average loss with its gradient in three kernels: sums of parts, images and their gradient, the terms."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from study.losses.anti_average import CHROMA_SQUARED_FLOOR, ColorizationAntiAverageLoss

_BLOCK = 1024  # pixels at a time
_MOST_PARTS = 256  # into which the pixels of an image are cut
_SUMS = tl.constexpr(7)  # that a part leaves: mean and squares of both hues, lab, saturation, confidence


def sweep(pred: Tensor, target: Tensor, loss: ColorizationAntiAverageLoss, training: bool) -> tuple[Tensor | None, ...]:
    """Total, lab, saturation, diversity and confidence of `loss`, and the total's gradient or, unless training, None.

    pred, target: contiguous (N,2,H,W) or (N,3,H,W), float32, on a card. The same bits at every call.
    """
    images, channels, height, width = pred.shape
    pixels, values = height * width, pred.numel()
    units, weights = loss.units, loss.weights
    part = max(_BLOCK, triton.next_power_of_2(triton.cdiv(pixels, _MOST_PARTS)))
    parts = triton.cdiv(pixels, part)
    sums = pred.new_empty((images, parts, _SUMS.value))
    of_images = pred.new_empty((4, images))
    results = pred.new_empty(5)
    gradient = torch.empty_like(pred) if training else None
    shape = {"CHANNELS": channels, "BLOCK": _BLOCK}
    by_pixel = 1 / (images * pixels)
    # The derivative of each weighted term, but for the pixel's own factor.
    by_lab, by_saturation = 2 * weights["lab"] / values, 2 * weights["saturation"] * by_pixel / units.chroma**2
    by_confidence = weights["confidence"] * by_pixel / units.chroma
    by_diversity = 4 * weights["diversity"] / (images * max(pixels - 1, 1) * units.hue**4)
    with torch.cuda.device_of(pred):
        _parts[(images * parts,)](pred, target, sums, pixels, parts, part, 1 / units.lightness, 1 / units.ab, **shape)
        _images[(images * parts if training else images,)](
            pred, target, sums, of_images, pred if gradient is None else gradient, images, pixels, parts, part,
            by_lab / units.lightness**2, by_lab / units.ab**2, by_saturation, by_confidence, by_diversity,
            CHROMA_SQUARED_FLOOR, PARTS=triton.next_power_of_2(parts), TRAINING=training, **shape,
        )  # fmt: skip
        _terms[(1,)](
            of_images, results, images, 1 / values, by_pixel / units.chroma**2, 1 / (images * units.hue**4),
            by_pixel / units.chroma, *(float(weight) for weight in weights.values()), BLOCK=_BLOCK,
        )  # fmt: skip
    return *results.unbind(), gradient


@triton.jit
def _parts(pred, target, sums, pixels, parts, part, by_lightness, by_ab, CHANNELS: tl.constexpr, BLOCK: tl.constexpr):
    """What one part of an image leaves. Means and squares of hues are merged as by Chan, Golub and LeVeque (1983)."""
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
    at = sums + (image * parts + number) * _SUMS
    tl.store(at, mean)
    tl.store(at + 1, squares)
    tl.store(at + 2, true_mean)
    tl.store(at + 3, true_squares)
    tl.store(at + 4, lab)
    tl.store(at + 5, saturation)
    tl.store(at + 6, confidence)


@triton.jit
def _images(
    pred, target, sums, of_images, gradient, images, pixels, parts, part,
    by_lightness, by_ab, by_saturation, by_confidence, by_diversity, floor,
    PARTS: tl.constexpr, TRAINING: tl.constexpr, CHANNELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The sums of an image, by its first program, and the gradient of one part of it."""
    cut = parts if TRAINING else 1
    image = (tl.program_id(0) // cut).to(tl.int64)
    number = tl.program_id(0) % cut
    each = tl.arange(0, PARTS)
    exists = each < parts
    at = sums + (image * parts + each) * _SUMS
    count = tl.where(exists, tl.minimum(part, pixels - each * part), 0).to(tl.float32)
    freedom = tl.maximum(pixels - 1, 1).to(tl.float32)
    mean, squares = _of_image(at, count, exists, pixels)
    _, true_squares = _of_image(at + 2, count, exists, pixels)
    gap = (squares - true_squares) / freedom
    if number == 0:
        tl.store(of_images + image, tl.sum(tl.load(at + 4, mask=exists, other=0.0)))
        tl.store(of_images + images + image, tl.sum(tl.load(at + 5, mask=exists, other=0.0)))
        tl.store(of_images + 2 * images + image, gap * gap)
        tl.store(of_images + 3 * images + image, tl.sum(tl.load(at + 6, mask=exists, other=0.0)))
    if TRAINING:
        first = number * part
        last = tl.minimum(first + part, pixels)
        for start in range(first, last, BLOCK):
            offset = start + tl.arange(0, BLOCK)
            inside = offset < last
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
            at_a = gradient + (image * CHANNELS + CHANNELS - 2) * pixels + offset
            tl.store(at_a, by_a, mask=inside)
            tl.store(at_a + pixels, by_b, mask=inside)
            if CHANNELS == 3:
                by_l = a * 0.0
                if by_lightness != 0:
                    difference = _lightness(pred, image, offset, inside, pixels)
                    difference -= _lightness(target, image, offset, inside, pixels)
                    by_l = by_lightness * difference
                tl.store(gradient + image * CHANNELS * pixels + offset, by_l, mask=inside)


@triton.jit
def _terms(
    of_images, results, images, by_lab, by_saturation, by_diversity, by_confidence,
    lab_weight, saturation_weight, diversity_weight, confidence_weight, BLOCK: tl.constexpr,
):  # fmt: skip
    """The four terms and, first of all, their weighted sum."""
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


@triton.jit
def _ab(pictures, image, offset, inside, pixels, CHANNELS: tl.constexpr):
    at = pictures + (image * CHANNELS + CHANNELS - 2) * pixels + offset
    return tl.load(at, mask=inside, other=0.0), tl.load(at + pixels, mask=inside, other=0.0)


@triton.jit
def _lightness(pictures, image, offset, inside, pixels):
    return tl.load(pictures + image * 3 * pixels + offset, mask=inside, other=0.0)


@triton.jit
def _sum(values, count, BLOCK: tl.constexpr):
    total = 0.0
    for start in range(0, count, BLOCK):
        offset = start + tl.arange(0, BLOCK)
        total += tl.sum(tl.load(values + offset, mask=offset < count, other=0.0))
    return total


@triton.jit
def _merged(seen, mean, squares, count, hue, inside):
    """Mean, and sum of squared deviations from it, of `seen` pixels and a block of `count` more."""
    block_mean = tl.sum(tl.where(inside, hue, 0.0)) / count
    deviation = tl.where(inside, hue - block_mean, 0.0)
    delta = block_mean - mean
    squares += tl.sum(deviation * deviation) + delta * delta * seen * count / (seen + count)
    return mean + delta * count / (seen + count), squares


@triton.jit
def _of_image(at, count, exists, pixels):
    """Mean and sum of squared deviations of an image from those of its parts."""
    means = tl.load(at, mask=exists, other=0.0)
    mean = tl.sum(means * count) / pixels
    deviation = tl.where(exists, means - mean, 0.0)
    return mean, tl.sum(tl.load(at + 1, mask=exists, other=0.0) + count * deviation * deviation)


@triton.jit
def _atan2(y, x):
    """The angle of (x, y) in -pi..pi, signs of zeros as in IEEE 754; the arctangent is that of Cephes, to 2 ulp."""
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
