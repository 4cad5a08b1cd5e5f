"""soft_encode beside the released code's ball tree, scipy's k-d tree and all pairwise distances."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks import naive
from benchmarks.measure import Comparison
from study.color.bins import soft_encode
from study.color.lab import rgb_to_lab
from study.color.nearest_bins import candidates

TOLERANCE = 1e-5  # of a weight
ALL_PAIRS_TOLERANCE = {"cpu": 1e-3, "cuda": 0.05}  # the error of torch.cdist, which is coarser on a graphics card
MEMORY_LIMIT = 5e6  # bytes, the result included


def comparisons(device: torch.device, quick: bool) -> Iterator[Comparison]:
    """The rows of this subject, one after the other; small inputs if `quick`."""
    n, side = (2, 12) if quick else (40, 44)
    levels = torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ab = rgb_to_lab(levels)[:, 1:].to(device)
    what = f"soft_encode of {n * side * side:,} pixels, 5 neighbours"

    def ours_dense() -> Tensor:
        return naive.dense(*soft_encode(ab)).permute(0, 2, 3, 1).reshape(n * side * side, -1)

    def candidates_alone() -> None:
        # Of every bin that can be among the nearest: a fetch, a difference and a square of a and of b.
        near = candidates(5, ab.device)
        cell = torch.zeros(16_384, dtype=torch.int32)
        for piece in ab.transpose(0, 1).reshape(2, -1).split(len(cell), dim=1):
            for tables, channel in zip((near.a, near.b), piece.double(), strict=True):
                for table in tables:
                    table.index_select(0, cell[: len(channel)]).sub_(channel).square_()

    def all_pairs_dense() -> Tensor:
        indices, weights = naive.all_pairs_encode(ab)
        return torch.zeros_like(ours_dense()).scatter_(1, indices, weights)

    if device.type == "cpu":
        points = ab.permute(0, 2, 3, 1).reshape(-1, 2).double().numpy()
        encode = naive.NNEncode()
        yield Comparison(
            what=what,
            against="ball tree as released",
            goal=10,
            ours=lambda: soft_encode(ab),
            theirs=lambda: encode(points),
            difference=lambda: (ours_dense() - torch.from_numpy(encode(points))).abs().max().item(),
            tolerance=TOLERANCE,
            bounds=[("the squared differences to the candidates of every pixel, nothing sorted", candidates_alone)],
        )
        yield Comparison(
            what=what,
            against="scipy's k-d tree",
            goal=2,
            ours=lambda: soft_encode(ab),
            theirs=lambda: naive.kd_tree_encode(points),
            difference=lambda: _difference_of_sparse(ours_dense(), *naive.kd_tree_encode(points)),
            tolerance=TOLERANCE,
        )
        # On CUDA larger pieces are encoded at a time: the limit is for the CPU.
        indices, weights = soft_encode(ab)
        yield Comparison(
            what=f"memory of soft_encode of {n * side * side:,} pixels, 5 neighbours",
            against="5 MB",
            goal=1,
            ours=lambda: soft_encode(ab),
            theirs=MEMORY_LIMIT,
            difference=lambda: (ours_dense() - torch.from_numpy(encode(points))).abs().max().item(),
            tolerance=TOLERANCE,
            bounds=[("the result alone: indices in int64, weights in float32", indices.nbytes + weights.nbytes)],
            memory=True,
        )
    yield Comparison(
        what=what,
        against="cdist and topk",
        goal=10 if device.type == "cpu" else 1,
        ours=lambda: soft_encode(ab),
        theirs=lambda: naive.all_pairs_encode(ab),
        difference=lambda: (ours_dense() - all_pairs_dense()).abs().max().item(),
        tolerance=ALL_PAIRS_TOLERANCE[device.type],
    )


def _difference_of_sparse(ours: Tensor, indices: object, weights: object) -> float:
    theirs = torch.zeros(ours.shape, dtype=torch.float64)
    theirs.scatter_(1, torch.as_tensor(indices), torch.as_tensor(weights))
    return (ours - theirs).abs().max().item()
