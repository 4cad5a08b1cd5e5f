"""AuC, CIEDE2000, colorfulness and hue diversity beside a loop, scikit-image and numpy image by image."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from skimage import color as skimage_color
from torch import Tensor

from benchmarks import naive
from benchmarks.measure import Comparison
from study.color.lab import rgb_to_lab
from study.metrics import auc, ciede2000_map, colorfulness, hue_diversity

AUC_TOLERANCE = 1e-4  # trapezoids between 151 thresholds are not the exact area
CIEDE2000_TOLERANCE = 1e-3  # float32 against float64, the worst of a million pixels
COLORFULNESS_TOLERANCE = 1e-3  # on a scale of 0..109
DIVERSITY_TOLERANCE = 1e-5


def comparisons(device: torch.device, quick: bool) -> Iterator[Comparison]:
    """The rows of this subject, one after the other; small inputs if `quick`."""
    yield from _auc(device, quick)
    if device.type == "cpu":  # the others are compared with libraries that have no other device
        yield from _ciede2000(quick)
        yield from _vividness(quick)


def _auc(device: torch.device, quick: bool) -> Iterator[Comparison]:
    n, side = (2, 64) if quick else (8, 256)
    generator = torch.Generator().manual_seed(0)
    target = rgb_to_lab(_levels(n, side, generator))[:, 1:].to(device).contiguous()
    pred = target + 20 * torch.randn(target.shape, generator=generator).to(device)
    yield Comparison(
        what=f"AuC of {n * side * side:,} pixels",
        against="loop over 151 thresholds",
        goal=25,
        ours=lambda: auc(pred, target),
        theirs=lambda: naive.auc_by_thresholds(pred, target),
        difference=lambda: _largest(auc(pred, target), naive.auc_by_thresholds(pred, target)),
        tolerance=AUC_TOLERANCE if not quick else 10 * AUC_TOLERANCE,
        bounds=[("subtracting the two pictures and nothing else", lambda: pred - target)],
    )


def _ciede2000(quick: bool) -> Iterator[Comparison]:
    n, side = (2, 32) if quick else (16, 256)
    generator = torch.Generator().manual_seed(0)
    one, other = (rgb_to_lab(_levels(n, side, generator)) for _ in range(2))
    pictures = [np.ascontiguousarray(lab.permute(0, 2, 3, 1).numpy()) for lab in (one, other)]
    exact = [picture.astype(np.float64) for picture in pictures]
    plane = torch.ones(1, side, side)

    def arctangent_and_roots() -> None:
        for image in one.split(1):
            torch.atan2(image[:, 2], image[:, 1])
            for _ in range(6):
                plane.sqrt_()

    # scikit-image's own rgb2lab hands over float64; ours, float32.
    for against, given, goal in (("scikit-image", exact, 8), ("scikit-image, given float32", pictures, 4)):
        yield Comparison(
            what=f"CIEDE2000 of {n * side * side:,} pixels, float32",
            against=against,
            goal=goal,
            ours=lambda: ciede2000_map(one, other),
            theirs=lambda given=given: skimage_color.deltaE_ciede2000(*given),
            difference=lambda: _largest(ciede2000_map(one, other), skimage_color.deltaE_ciede2000(*exact)),
            tolerance=CIEDE2000_TOLERANCE,
            bounds=[("one atan2 and six square roots per pixel and nothing else", arctangent_and_roots)],
        )


def _vividness(quick: bool) -> Iterator[Comparison]:
    n, side = (5, 64) if quick else (1000, 64)
    levels = _levels(n, side, torch.Generator().manual_seed(0))
    ab = rgb_to_lab(levels)[:, 1:].contiguous()
    pictures, planes = (np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy()) for x in (levels, ab))

    def each(images: np.ndarray, function: Callable[[np.ndarray], float]) -> Tensor:
        return torch.tensor([function(image) for image in images])

    def opponents(*summed: Callable[[Tensor], Tensor]) -> None:
        for images in levels.split(32):
            red, green, blue = images.short().unbind(1)
            for plane in ((red - green).float(), (red + green).sub_(blue, alpha=2).float()):
                for function in summed:
                    function(plane.flatten(1))

    def opponents_summed() -> None:
        opponents(lambda plane: plane.sum(1), lambda plane: torch.linalg.vector_norm(plane, dim=1))

    step = min(n, 64)
    plane, spare = torch.ones(step, side, side), torch.empty(step, side, side)
    values = torch.ones(2 * step, side * side)

    def opponents_centred() -> None:
        opponents()
        for _ in levels.split(step):
            values.sub_(values.sum(1, keepdim=True))
            torch.linalg.vector_norm(values, dim=1)

    def sums_and_chroma() -> None:
        for images in ab.split(step):
            images.flatten(2).sum(2)
            a, b = images.unbind(1)
            torch.mul(a, a, out=spare[: len(a)]).addcmul_(b, b).sqrt_().flatten(1).sum(1)

    def root_alone() -> None:
        for _ in ab.split(step):
            plane.sqrt_()

    yield Comparison(
        what=f"colorfulness of {n} images of {side}x{side}, uint8",
        against="numpy image by image",
        goal=10,
        ours=lambda: colorfulness(levels),
        theirs=lambda: each(pictures, naive.colorfulness),
        difference=lambda: _largest(colorfulness(levels), each(pictures, naive.colorfulness)),
        tolerance=COLORFULNESS_TOLERANCE,
        bounds=[
            ("turning the bytes into float32 and nothing else", lambda: [x.float() for x in levels.split(32)]),
            ("the two opponents of every pixel, nothing summed", opponents),
            ("those, their sums and sums of squares, nothing centred", opponents_summed),
            ("the same with the mean taken out in between, in memory at hand", opponents_centred),
        ],
    )
    yield Comparison(
        what=f"hue diversity of {n} images of {side}x{side}, float32",
        against="numpy image by image",
        goal=10,
        ours=lambda: hue_diversity(ab),
        theirs=lambda: each(planes, naive.hue_diversity),
        difference=lambda: _largest(hue_diversity(ab), each(planes, naive.hue_diversity)),
        tolerance=DIVERSITY_TOLERANCE,
        bounds=[
            ("the sums of a and b and nothing else", lambda: ab.flatten(2).sum(2)),
            ("a square root per pixel and nothing else, in cache", root_alone),
            ("those sums, the chroma of every pixel and its sum, in memory at hand", sums_and_chroma),
        ],
    )


def _levels(n: int, side: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=generator)


def _largest(one: Tensor, other: Tensor | np.ndarray) -> float:
    return (one.double() - torch.as_tensor(other, dtype=torch.float64, device=one.device)).abs().max().item()
