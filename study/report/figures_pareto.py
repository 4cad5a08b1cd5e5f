"""Vividness against fidelity, arm by arm, with the arms that no other beats in both, and its densest part enlarged."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from scipy.sparse.csgraph import connected_components

from study.report.figures import STEPS, plain, unit
from study.report.labels import Name, write_names
from study.report.looks import Look
from study.report.result import Estimate, Metric, StudyResult
from study.report.style import number
from study.report.svg import GRID, INK, MUTED, PAPER, Drawing, add_axes, canvas, drawing

ALL_NAMED = 14  # arms whose names all stand in the figure; of more, doses are told by colour and mark only
ALL_NAMED_BELOW = 20  # the same for the enlarged part
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 470, 62, 24, 24, 60  # of the figure and its margins, in pixels
ZOOM_HEIGHT, ZOOM_GAP = 230, 48  # of the enlarged part, and above it
CLOSE, KNOT = 28, 5  # points less than so many pixels apart, and so many of them, are a knot to be enlarged
Points = dict[str, tuple[Estimate, Estimate]]
Limits = tuple[float, float]


def vividness(result: StudyResult, across: str = "chroma_ratio", up: str = "ab_rmse") -> Drawing | None:
    """Amount of colour against fidelity, one point with two intervals an arm; None when either was not measured.

    The line joins the arms that no other arm beats in both. A far arm stands at the edge with its values. Where many
    arms stand so close together that their names would cover them, a frame is drawn round them and enlarged below.
    """
    if across not in result.measured or up not in result.measured:
        return None
    x_card, y_card = result.metrics[across], result.metrics[up]
    look = result.looks
    points = {
        arm: (x, result.estimates[arm, up])
        for arm in look
        if (x := result.estimates.get((arm, across))) and (arm, up) in result.estimates
    }
    target = [] if x_card.target is None else [x_card.target]
    # Controls do not stretch the figure: gray output has no colour at all.
    shown = [point for arm, point in points.items() if look[arm].family != "control"]
    ends = _around([x.mean for x, _ in shown], target), _around([y.mean for _, y in shown], [])
    near = {arm: point for arm, point in points.items() if _within(point, ends)}
    front = [arm for arm in _front(points, x_card, y_card) if arm in near]
    named = set(near) if len(points) <= ALL_NAMED else {a for a in near if look[a].family != "dose"} | set(front)
    frame = _knot(near, ends)
    knot = [arm for arm, point in near.items() if frame and _within(point, frame)]
    with canvas(WIDTH, HEIGHT + (ZOOM_GAP + ZOOM_HEIGHT if frame else 0), LEFT, RIGHT, TOP,
                BOTTOM + (ZOOM_GAP + ZOOM_HEIGHT if frame else 0)) as (figure, axes):  # fmt: skip
        names = [Name(look[arm].label, _means(near[arm]), look[arm].color, f"arm-{look[arm].index}")
                 for arm in near if arm in named and arm not in knot]  # fmt: skip
        _panel(axes, near, look, front, ends, y_card)
        if target:
            axes.axvline(x_card.target, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
            axes.annotate("truth", (x_card.target, 1), (0, 4), xycoords=("data", "axes fraction"),
                          textcoords="offset points", ha="center", color=MUTED, fontsize=10)  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=STEPS))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
        axes.set_xlabel(plain(f"{x_card.label}{unit(x_card)}"))
        axes.set_ylabel(plain(f"{y_card.label}{unit(y_card)}"))
        if y_card.better in ("higher", "lower"):
            axes.annotate("↑ better", (0, 1), (-58, 12), xycoords="axes fraction", textcoords="offset points",
                          weight="bold", va="center")  # fmt: skip
        if x_card.better == "target":
            axes.annotate("better: nearer the line", (1, 0), (0, -56), xycoords="axes fraction", va="bottom",
                          textcoords="offset points", ha="right", weight="bold")  # fmt: skip
        names += [_at_the_edge(axes, points[arm], look[arm], ends, (x_card, y_card))
                  for arm in points if arm not in near]  # fmt: skip
        marks = _marks(axes, {arm: _clipped(point, ends) for arm, point in points.items()}, near)
        if frame:
            marks = np.vstack([marks, _enlarged(figure, axes, near, look, front, frame, named, y_card)])
        write_names(axes, names, marks)
        told = "; ".join(
            f"{arm} {number(x.mean, x_card.decimals)}, {number(y.mean, y_card.decimals)}"
            for arm, (x, y) in points.items()
        )
        alt = f"{x_card.label} (across) against {y_card.label} (up), arm by arm: {told}."
        return drawing(figure, "vividness", f"{x_card.label} against {y_card.label}", alt)


def _panel(
    axes: Axes, points: Points, look: dict[str, Look], front: list[str], ends: tuple[Limits, Limits], y_card: Metric,
    intervals: bool = True,
) -> None:  # fmt: skip
    """The points with their intervals, and the line that joins those of the front, inside the given ends."""
    axes.set(xlim=ends[0], ylim=ends[1])
    if y_card.better == "lower":
        axes.invert_yaxis()
    corners = sorted(_means(points[arm]) for arm in front)
    axes.plot(*zip(*corners, strict=True), color=MUTED, lw=1, ls=(0, (1, 2)), zorder=1)
    for arm, (x, y) in points.items():
        style = {"color": look[arm].color, "lw": 1.4, "alpha": 0.75, "zorder": 2, "gid": f"arm-{look[arm].index}"}
        if intervals and x.has_interval and y.has_interval:
            axes.plot([x.low, x.high], [y.mean] * 2, **style)
            axes.plot([x.mean] * 2, [y.low, y.high], **style)
        axes.plot([x.mean], [y.mean], look[arm].marker, color=look[arm].color, ms=8 * look[arm].size, mec=PAPER,
                  mew=1, zorder=3, gid=f"arm-{look[arm].index}")  # fmt: skip
    axes.grid(True, color=GRID, lw=0.7)
    axes.set_axisbelow(True)


def _enlarged(
    figure: Figure, axes: Axes, points: Points, look: dict[str, Look], front: list[str],
    frame: tuple[Limits, Limits], named: set[str], y_card: Metric,
) -> np.ndarray:  # fmt: skip
    """Draw what lies in the frame once more, larger, at the foot of the figure; returns the frame's box in pixels.

    Without intervals: those of a knot are all much wider than it, and would hide it.
    """
    wide = WIDTH - LEFT - RIGHT
    below = add_axes(figure, LEFT, HEIGHT + ZOOM_GAP, wide, ZOOM_HEIGHT - 30)
    inside = {arm: point for arm, point in points.items() if _within(point, frame)}
    _panel(below, inside, look, [arm for arm in front if arm in inside] or list(inside)[:1], frame, y_card, False)
    below.xaxis.set_major_locator(MaxNLocator(7, steps=STEPS))
    below.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
    below.annotate("the frame above, enlarged, without intervals", (0, 1), (0, 8), xycoords="axes fraction",
                   textcoords="offset points", color=MUTED)  # fmt: skip
    names = [Name(look[arm].label, _means(point), look[arm].color, f"arm-{look[arm].index}")
             for arm, point in inside.items() if arm in named or len(inside) <= ALL_NAMED_BELOW]  # fmt: skip
    write_names(below, names, _marks(below, {arm: _means(point) for arm, point in inside.items()}, {}))
    (left, right), (bottom, top) = frame
    axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False, ec=INK, lw=1, zorder=4))
    corners = axes.transData.transform([(left, bottom), (right, top)])
    return np.array([[*corners.min(axis=0), *corners.max(axis=0)]])


def _knot(points: Points, ends: tuple[Limits, Limits]) -> tuple[Limits, Limits] | None:
    """Ends, in both directions, of the largest group of points each of which is close to another; None without one."""
    if len(points) < KNOT:
        return None
    size = np.array([WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM])
    means = np.array([_means(point) for point in points.values()])
    scale = size / np.array([high - low for low, high in ends])
    linked = np.linalg.norm((means[:, None] - means) * scale, axis=-1) < CLOSE
    _, groups = connected_components(linked)
    group = groups == np.bincount(groups).argmax()
    if group.sum() < KNOT:
        return None
    low, high = means[group].min(axis=0), means[group].max(axis=0)
    pad = np.maximum(0.12 * (high - low), 10 / scale)
    return tuple(zip((low - pad).tolist(), (high + pad).tolist(), strict=True))


def _means(point: tuple[Estimate, Estimate]) -> tuple[float, float]:
    return point[0].mean, point[1].mean


def _clipped(point: tuple[Estimate, Estimate], ends: tuple[Limits, Limits]) -> tuple[float, float]:
    """Where a point stands, or would stand at the edge."""
    x, y = (float(np.clip(mean, *limits)) for mean, limits in zip(_means(point), ends, strict=True))
    return x, y


def _within(point: tuple[Estimate, Estimate], ends: tuple[Limits, Limits]) -> bool:
    return all(low < mean < high for mean, (low, high) in zip(_means(point), ends, strict=True))


def _marks(axes: Axes, spots: dict[str, tuple[float, float]], with_intervals: Points) -> np.ndarray:
    """Boxes in pixels of the marks at these spots, and of the intervals of some."""
    boxes = [[x - 6, y - 6, x + 6, y + 6] for x, y in axes.transData.transform(list(spots.values()))]
    for x, y in with_intervals.values():
        if x.has_interval and y.has_interval:
            corners = axes.transData.transform([(x.low, y.low), (x.high, y.high)])
            middle, low, high = axes.transData.transform((x.mean, y.mean)), corners.min(axis=0), corners.max(axis=0)
            boxes += [[low[0], middle[1] - 1, high[0], middle[1] + 1], [middle[0] - 1, low[1], middle[0] + 1, high[1]]]
    return np.array(boxes)


def _front(points: Points, x_card: Metric, y_card: Metric) -> list[str]:
    """Arms that no other arm beats in both."""
    worth = {arm: (x_card.badness(x.mean), y_card.badness(y.mean)) for arm, (x, y) in points.items()}
    return [
        arm
        for arm, own in worth.items()
        if not any(o[0] <= own[0] and o[1] <= own[1] and o != own for o in worth.values())
    ]


def _around(values: list[float], always: list[float]) -> Limits:
    """Ends of an axis for these means; a few arms far outside do not squeeze the others together."""
    low, high = min(values), max(values)
    inner = np.quantile(values, [0.15, 0.85])
    reach = 1.6 * (inner[1] - inner[0])
    if reach > 0 and len(values) > 4:
        low, high = max(low, inner[0] - reach), min(high, inner[1] + reach)
    low, high = min([low, *always]), max([high, *always])
    pad = 0.14 * (high - low) or 1.0
    return low - pad, high + pad


def _at_the_edge(
    axes: Axes, point: tuple[Estimate, Estimate], look: Look, ends: tuple[Limits, Limits], cards: tuple[Metric, Metric]
) -> Name:  # fmt: skip
    """A far arm at the edge; its name has an arrow that points to where it is, and its values."""
    (x_low, x_high), (y_low, y_high) = ends
    across = "→" if point[0].mean >= x_high else "←" if point[0].mean <= x_low else ""
    up = ""
    if not y_low < point[1].mean < y_high:
        up = "↓" if (point[1].mean >= y_high) == (cards[1].better == "lower") else "↑"
    arrow = {"→↓": "↘", "←↓": "↙", "→↑": "↗", "←↑": "↖"}.get(across + up, across + up)
    told = ", ".join(number(e.mean, card.decimals) for e, card in zip(point, cards, strict=True))
    x, y = _clipped(point, ends)
    axes.plot([x], [y], look.marker, color=look.color, ms=8 * look.size, clip_on=False, zorder=5, mec=PAPER,
              gid=f"arm-{look.index}")  # fmt: skip
    return Name(f"{arrow} {look.label} ({told})", (x, y), look.color, f"arm-{look.index}")
