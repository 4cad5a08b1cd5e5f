"""What a user would write instead: straight transcriptions of the formulas, and the released code's encoder."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.nn.functional import mse_loss

from study.color.bins import AB_BINS


class NNEncode:
    """Soft targets as in the released code of Zhang et al. 2016: a ball tree, and a dense matrix in float64."""

    def __init__(self, neighbors: int = 5, sigma: float = 5.0) -> None:
        self.sigma = sigma
        self.tree = NearestNeighbors(n_neighbors=neighbors, algorithm="ball_tree").fit(AB_BINS.numpy())

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """ab (P,2) to (P,313)."""
        distances, indices = self.tree.kneighbors(points)
        weights = np.exp(-(distances**2) / (2 * self.sigma**2))
        weights /= weights.sum(axis=1, keepdims=True)
        encoded = np.zeros((len(points), len(AB_BINS)))
        encoded[np.arange(len(points))[:, None], indices] = weights
        return encoded


def kd_tree_encode(points: np.ndarray, neighbors: int = 5, sigma: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """Soft targets with scipy's k-d tree, sparse, on as many threads as torch uses."""
    tree = cKDTree(AB_BINS.numpy())
    distances, indices = tree.query(points, k=neighbors, workers=torch.get_num_threads())
    weights = np.exp(-(distances**2) / (2 * sigma**2))
    return indices, weights / weights.sum(axis=1, keepdims=True)


def all_pairs_encode(ab: Tensor, neighbors: int = 5, sigma: float = 5.0) -> tuple[Tensor, Tensor]:
    """Soft targets from the distances to all bins: ab (N,2,H,W) to indices and weights (P,K)."""
    points = ab.permute(0, 2, 3, 1).reshape(-1, 2)
    distances, indices = torch.cdist(points, AB_BINS.to(points)).topk(neighbors, largest=False)
    weights = torch.exp(-distances.square() / (2 * sigma**2))
    return indices, weights / weights.sum(1, keepdim=True)


def dense(indices: Tensor, weights: Tensor) -> Tensor:
    """A soft target (N,K,H,W) laid out over all bins, (N,313,H,W)."""
    n, _, height, width = indices.shape
    target = torch.zeros(n, len(AB_BINS), height, width, dtype=weights.dtype, device=weights.device)
    return target.scatter_(1, indices, weights)


def dense_classification(logits: Tensor, target: Tensor, ab: Tensor, class_weights: Tensor) -> Tensor:
    """Rebalanced cross-entropy with a dense soft target; images without colour count nothing."""
    cross_entropy = -(target * torch.log_softmax(logits, dim=1)).sum(1)
    colored = ab.abs().amax((1, 2, 3)) > 5
    weight = class_weights[target.argmax(1)] * colored[:, None, None]
    return (weight * cross_entropy).mean()


def anti_average(
    pred: Tensor, target: Tensor, weights: tuple[float, float, float, float] = (1.0, 0.01, 0.5, 1.0)
) -> Tensor:
    """The four terms of the published loss as its document writes them, ab (N,2,H,W)."""
    (a, b), (true_a, true_b) = pred.unbind(1), target.unbind(1)
    chroma, true_chroma = torch.sqrt(a**2 + b**2 + 1e-12), torch.sqrt(true_a**2 + true_b**2 + 1e-12)
    hue, true_hue = torch.atan2(b, a), torch.atan2(true_b, true_a)
    terms = (
        mse_loss(pred, target),
        mse_loss(chroma, true_chroma),
        mse_loss(hue.var(dim=(1, 2)), true_hue.var(dim=(1, 2))),
        torch.relu(true_chroma - chroma).mean(),
    )
    return sum((weight * term for weight, term in zip(weights, terms, strict=True)), pred.new_zeros(()))


def auc_by_thresholds(pred: Tensor, target: Tensor) -> Tensor:
    """Area under 'share of pixels whose ab distance is at most t' over t = 0, 1, ..., 150, trapezoids; (N,)."""
    distance = torch.sqrt(((pred - target) ** 2).sum(1))
    shares = torch.stack([(distance <= t).float().mean((1, 2)) for t in range(151)])
    return torch.trapezoid(shares, dim=0) / 150


def colorfulness(image: np.ndarray) -> float:
    """M3 of Hasler and Suesstrunk of an image (H,W,3) of bytes."""
    red, green, blue = np.moveaxis(image.astype(float), -1, 0)
    rg, yb = red - green, (red + green) / 2 - blue
    return np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)


def hue_diversity(ab: np.ndarray) -> float:
    """Chroma-weighted circular variance of hue, 1 - |sum C e^(ih)| / sum C, of an image (H,W,2)."""
    hue = np.arctan2(ab[..., 1], ab[..., 0])
    chroma = np.hypot(ab[..., 0], ab[..., 1])
    return 1 - np.hypot((chroma * np.cos(hue)).sum(), (chroma * np.sin(hue)).sum()) / chroma.sum()
