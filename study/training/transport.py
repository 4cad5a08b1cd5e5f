"""Fitting the control that moves a network's colours along the optimal transport to the true ones."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from study.metrics.ab_distance import MOST_COLORS, ColorSet, coupling, merged
from study.models.recolor import LEVELS, NODES, Transport


def fit_transport(ab: np.ndarray, truth: np.ndarray, strength: float) -> Transport:
    """The transport from predicted colours ab (P,2) to the true ones (Q,2).

    The optimal coupling gives every colour a distribution of goals. They are put in order along the main axis of the
    true colours and cut into LEVELS equal shares, one for each draw. So a draw stands for cooler or warmer colours all
    over a picture, and all draws together use the true colours as often as the truth does. The mean over all goals
    (barycentric projection) would not.
    """
    own, true = merged(ColorSet(ab), ColorSet(truth), MOST_COLORS)
    plan, _ = coupling(*own.points, *true.points)
    (start, shares), (goals, _) = own.points, true.points
    goals_by_level = _split(plan, goals)
    transport = Transport()
    low, high = start.min(0), np.maximum(start.max(0), start.min(0) + 1e-3)
    transport.low, transport.high = (torch.tensor(edge, dtype=torch.float32) for edge in (low, high))
    transport.strength = torch.tensor(float(strength))
    transport.table = torch.tensor(_on_grid((start - low) / (high - low), shares, goals_by_level), dtype=torch.float32)
    return transport


def _split(plan: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """Mean goal of each colour in each of LEVELS equal shares of its goals, (P,LEVELS,2)."""
    weights = plan.sum(0)
    centered = goals - weights @ goals / weights.sum()
    axis = np.linalg.eigh((centered * weights[:, None]).T @ centered)[1][:, -1]
    order = np.argsort(goals @ (axis if axis[1] >= 0 else -axis))  # b grows: from blue to yellow
    goals, plan = goals[order], plan[:, order] / plan.sum(1, keepdims=True)
    until = np.cumsum(plan, axis=1)
    since = until - plan
    found = []
    for level in range(LEVELS):
        inside = np.minimum(until, (level + 1) / LEVELS) - np.maximum(since, level / LEVELS)
        inside = np.maximum(inside, 0)
        found.append(inside @ goals / np.maximum(inside.sum(1, keepdims=True), 1e-12))
    return np.stack(found, axis=1)


def _on_grid(place: np.ndarray, shares: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """Goals (P,LEVELS,2) of colours at place (P,2) in 0..1 as a table (LEVELS,2,NODES,NODES).

    A node takes the mean of the colours around it, each with its share. Nodes without any take the nearest one's.
    """
    at = place * (NODES - 1)
    first = np.clip(np.floor(at).astype(int), 0, NODES - 2)
    share = at - first
    mass = np.zeros((NODES, NODES))
    total = np.zeros((NODES, NODES, *goals.shape[1:]))
    for da in (0, 1):
        for db in (0, 1):
            weight = shares * np.abs(1 - da - share[:, 0]) * np.abs(1 - db - share[:, 1])
            node = first[:, 0] + da, first[:, 1] + db
            np.add.at(mass, node, weight)
            np.add.at(total, node, weight[:, None, None] * goals)
    empty = mass <= 1e-12
    total /= np.where(empty, 1, mass)[..., None, None]
    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    return total[tuple(nearest)].transpose(2, 3, 0, 1)
