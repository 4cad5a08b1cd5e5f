"""Names beside points: placed so that no two overlap, with a thin leader where there is no room close by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import IdentityTransform

# Where a name may stand around its point: distances in pixels, the best first, and directions in degrees, of which the
# earlier are a little better.
RINGS = (13, 21, 31, 43, 57, 73, 91, 112, 136, 164)
DIRECTIONS = (90, 270, 0, 180, 30, 330, 150, 210, 60, 300, 120, 240, 15, 345, 165, 195, 75, 285, 105, 255)
# What a place costs, in pixels of distance: by pixel of area that covers another name, a mark or a line, by pixel
# beyond the axes, by mark under the leader, and by name or other leader that the leader crosses.
ON_NAME, ON_MARK, OUTSIDE, LEADER_ON_MARK, LEADER_ON_NAME = 50.0, 1.0, 60.0, 10.0, 120.0
PASSES = 8  # in which names that were placed early may move out of the way of later ones
HIGH, LETTER, SPACE = 13.5, 0.62, 8  # of a name: pixels, width of a letter as a share of the font's size, free pixels


@dataclass(frozen=True)
class Name:
    """A name for the point at `at` (data units); the leader has the colour, both have the gid."""

    text: str
    at: tuple[float, float]
    color: str
    gid: str | None = None
    far: int = RINGS[0]  # pixels from the point, at least


def write_names(axes: Axes, names: Sequence[Name], marks: np.ndarray, size: float = 10.5) -> None:
    """Write each name near its point, clear of the other names and as clear as may be of the marks.

    marks: boxes (M,4) in pixels that are better not covered: left, bottom, right, top. The same input gives the same
    places: every name takes the cheapest of a fixed list, and those placed early may move again.
    """
    if not names:
        return
    axes.get_xlim(), axes.get_ylim()  # settles the limits, which transData needs
    spots = axes.transData.transform([name.at for name in names])
    frame = axes.get_window_extent()
    wide = [LETTER * size * len(name.text) + SPACE for name in names]
    offers = [_offers(spot, width, name.far) for spot, width, name in zip(spots, wide, names, strict=True)]
    fixed = [_fixed_price(offer, marks, (frame.x0, frame.y0, frame.x1, frame.y1)) for offer in offers]
    chosen: list[int | None] = [None] * len(names)
    for _ in range(PASSES):
        before = list(chosen)
        for place, offer in enumerate(offers):
            others = [(offers[k], pick) for k, pick in enumerate(chosen) if pick is not None and k != place]
            chosen[place] = int(np.argmin(fixed[place] + _price_of_others(offer, others)))
        if chosen == before:
            break
    for name, offer, pick in zip(names, offers, chosen, strict=True):
        _write(axes, name, offer, pick, size)


@dataclass(frozen=True)
class _Offers:
    """Every place that a name may take: its box, the leader's two ends, and how it is aligned at the outer end."""

    boxes: np.ndarray  # (P,4)
    start: np.ndarray  # (P,2) at the point
    end: np.ndarray  # (P,2) at the name
    shift: np.ndarray  # (P,2) from the point
    rings: np.ndarray  # (P,)


def _offers(spot: np.ndarray, wide: float, far: int) -> _Offers:
    rings = [max(ring, far) for ring in RINGS if ring >= far or ring == RINGS[0]]
    ring, angle = (grid.ravel() for grid in np.meshgrid(rings, np.radians(DIRECTIONS), indexing="ij"))
    shift = np.stack([ring * np.cos(angle), ring * np.sin(angle)], axis=1)
    shift[np.abs(shift[:, 0]) < 1, 0] = 0
    end = spot + shift
    left = end[:, 0] - wide * (1 - np.sign(shift[:, 0])) / 2
    boxes = np.stack([left, end[:, 1] - HIGH / 2, left + wide, end[:, 1] + HIGH / 2], axis=1)
    # Where the name stands above or below its point, the leader ends at its edge, not in its middle.
    end[:, 1] -= np.where(shift[:, 0] == 0, np.sign(shift[:, 1]) * HIGH / 2, 0)
    return _Offers(boxes, np.broadcast_to(spot, end.shape), end, shift, ring)


def _fixed_price(offer: _Offers, marks: np.ndarray, frame: tuple[float, float, float, float]) -> np.ndarray:
    """What a place costs whatever the other names do: distance, marks underneath, and what sticks out of the axes."""
    rank = np.tile(np.arange(len(DIRECTIONS)), len(offer.rings) // len(DIRECTIONS))
    out = np.maximum(np.array(frame[:2]) - offer.boxes[:, :2], 0) + np.maximum(offer.boxes[:, 2:] - frame[2:], 0)
    price = offer.rings + 0.2 * rank + OUTSIDE * out.sum(axis=1)
    if len(marks):
        price = price + ON_MARK * _overlaps(offer.boxes, marks).sum(axis=1)
        price = price + LEADER_ON_MARK * np.where(_has_leader(offer.rings), _touches(offer, marks).sum(axis=1), 0)
    return price


def _price_of_others(offer: _Offers, others: list[tuple[_Offers, int]]) -> np.ndarray:
    """What each place costs because of the names that stand already."""
    if not others:
        return np.zeros(len(offer.rings))
    boxes = np.array([other.boxes[pick] for other, pick in others])
    shared = _overlaps(offer.boxes, boxes)
    price = (ON_NAME * shared + LEADER_ON_NAME * (shared > 0)).sum(axis=1)
    led = _has_leader(offer.rings)
    price = price + LEADER_ON_NAME * np.where(led, _touches(offer, boxes).sum(axis=1), 0)
    leaders = [(other.start[pick], other.end[pick]) for other, pick in others if _has_leader(other.rings[pick])]
    if leaders:
        start, end = (np.array(ends) for ends in zip(*leaders, strict=True))
        price = price + LEADER_ON_NAME * _runs_over(start[:, None], end[:, None], offer.boxes).sum(axis=0)
        price = price + LEADER_ON_NAME * np.where(led, _cross(offer.start, offer.end, start, end).sum(axis=1), 0)
    return price


def _has_leader(ring: np.ndarray) -> np.ndarray:
    return np.asarray(ring) > RINGS[1]


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(P,O) pixels of area that each box shares with each other."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=-1)


def _touches(offer: _Offers, boxes: np.ndarray) -> np.ndarray:
    """(P,B) whether the leader of each place runs over a box, its own point's left out."""
    spot = offer.start[0]
    own = ((spot >= boxes[:, :2]) & (spot <= boxes[:, 2:])).all(axis=1)
    return _runs_over(offer.start[:, None], offer.end[:, None], boxes) & ~own


def _runs_over(start: np.ndarray, end: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether segments run over boxes, of shapes (...,2) and (...,4) that fit together."""
    step = np.where(end == start, 1e-9, end - start)
    one, two = (boxes[..., :2] - start) / step, (boxes[..., 2:] - start) / step
    enters, leaves = np.minimum(one, two).max(axis=-1), np.maximum(one, two).min(axis=-1)
    return (enters <= leaves) & (leaves >= 0) & (enters <= 1)


def _cross(start: np.ndarray, end: np.ndarray, other_start: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    """(P,L) whether each of some segments crosses each of others; such that start at one point do not."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        turn = (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
        return np.sign(turn)

    one, two, three, four = start[:, None], end[:, None], other_start[None], other_end[None]
    return (side(one, two, three) * side(one, two, four) < 0) & (side(three, four, one) * side(three, four, two) < 0)


def _write(axes: Axes, name: Name, offer: _Offers, pick: int, size: float) -> None:
    shift = offer.shift[pick]
    align = {1: "left", -1: "right", 0: "center"}[int(np.sign(shift[0]))]
    axes.annotate(
        name.text.replace("$", r"\$"), name.at, tuple(shift), textcoords="offset points", ha=align, va="center",
        fontsize=size, zorder=5, annotation_clip=False, gid=name.gid,
    )  # fmt: skip
    if _has_leader(offer.rings[pick]):
        draw_leader(axes, offer.start[pick], offer.end[pick], name.color, name.gid)


def draw_leader(
    axes: Axes, start: Sequence[float], end: Sequence[float], color: str, gid: str | None, gap: float = 3
) -> None:
    """A thin line between two places in pixels, that keeps `gap` pixels from the start.

    An arrow of matplotlib's would take ten times as long.
    """
    start, end = np.asarray(start, float), np.asarray(end, float)
    start = start + (end - start) * min(1.0, gap / max(float(np.hypot(*(end - start))), 1e-9))
    axes.add_artist(Line2D(*zip(start, end, strict=True), color=color, lw=0.9, gid=gid, zorder=4.5, clip_on=False,
                           transform=IdentityTransform()))  # fmt: skip
