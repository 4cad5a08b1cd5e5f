"""Fitting the control that moves a network's colours along the optimal transport to the true ones."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_array

from study.metrics.ab_distance import MOST_COLORS, ColorSet, coupling, merged
from study.models.recolor import LEVELS, NODES, Transport


def fit_transport(ab: np.ndarray, truth: np.ndarray, strength: float) -> Transport:
    """The transport from predicted colours ab (P,2) to the true ones (Q,2).

    The optimal coupling gives the colours around every node of the table a distribution of goals. The goals are put in
    order along the main axis of the true colours and cut into LEVELS equal shares, one for each draw. So a draw stands
    for cooler or warmer colours all over a picture, and all draws together use the true colours as often as the truth
    does. The mean over all goals (barycentric projection) would not.
    """
    own, true = merged(ColorSet(ab), ColorSet(truth), MOST_COLORS)
    plan, _ = coupling(*own.points, *true.points)
    start = own.points[0]
    low, high = start.min(0), np.maximum(start.max(0), start.min(0) + 1e-3)
    by_node = _around_nodes((start - low) / (high - low)) @ plan
    empty = by_node.sum(1) <= 1e-12
    table = np.zeros((NODES * NODES, LEVELS, 2))
    table[~empty] = _split(by_node[~empty], true.points[0])
    # Nodes without any colour take the goals of the nearest one that has some.
    nearest = distance_transform_edt(empty.reshape(NODES, NODES), return_distances=False, return_indices=True)
    table = table.reshape(NODES, NODES, LEVELS, 2)[tuple(nearest)].transpose(2, 3, 0, 1)
    transport = Transport()
    transport.table, transport.low, transport.high, transport.strength = (
        torch.tensor(value, dtype=torch.float32) for value in (table, low, high, float(strength))
    )
    return transport


def _around_nodes(place: np.ndarray) -> csr_array:
    """How much each colour at place (P,2) in 0..1 belongs to each node, (NODES^2,P): bilinear weights."""
    at = place * (NODES - 1)
    first = np.clip(np.floor(at).astype(int), 0, NODES - 2)
    share = at - first
    corners = [(da, db) for da in (0, 1) for db in (0, 1)]
    weights = [np.abs(1 - da - share[:, 0]) * np.abs(1 - db - share[:, 1]) for da, db in corners]
    nodes = [(first[:, 0] + da) * NODES + first[:, 1] + db for da, db in corners]
    colors = np.tile(np.arange(len(place)), len(corners))
    return csr_array((np.concatenate(weights), (np.concatenate(nodes), colors)), shape=(NODES**2, len(place)))


def _split(plan: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """Mean goal in each of LEVELS equal shares of the goals (Q,2) of every row of plan (R,Q): (R,LEVELS,2)."""
    weights = plan.sum(0)
    centered = goals - weights @ goals / weights.sum()
    axis = np.linalg.eigh((centered * weights[:, None]).T @ centered)[1][:, -1]
    order = np.argsort(goals @ (axis if axis[1] >= 0 else -axis))  # b grows: from blue to yellow
    goals, plan = goals[order], plan[:, order] / plan.sum(1, keepdims=True)
    until = np.cumsum(plan, axis=1)
    since = until - plan
    found = []
    for level in range(LEVELS):
        inside = np.maximum(np.minimum(until, (level + 1) / LEVELS) - np.maximum(since, level / LEVELS), 0)
        found.append(inside @ goals / inside.sum(1, keepdims=True))
    return np.stack(found, axis=1)
