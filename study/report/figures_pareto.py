"""Vividness against fidelity, arm by arm, with the arms that no other beats in both."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from study.report.figures import STEPS, plain, unit
from study.report.looks import Look
from study.report.result import Estimate, Metric, StudyResult
from study.report.style import number
from study.report.svg import GRID, INK, MUTED, PAPER, Drawing, canvas, drawing

# Where a name may stand around its point: distances in pixels and directions in degrees, the best first.
RINGS, DIRECTIONS = (14, 26, 40, 56, 74), (90, 270, 0, 180, 30, 330, 150, 210, 60, 300, 120, 240)
ALL_NAMED = 14  # arms whose names all stand in the figure; of more, doses are told by colour and mark only
Points = dict[str, tuple[Estimate, Estimate]]
Limits = tuple[float, float]


def vividness(result: StudyResult, across: str = "chroma_ratio", up: str = "ab_rmse") -> Drawing | None:
    """Amount of colour against fidelity, one point with two intervals an arm; None when either was not measured.

    The line joins the arms that no other arm beats in both. A far arm stands at the edge with its values.
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
    x_ends = _around([x.mean for x, _ in shown], target)
    y_ends = _around([y.mean for _, y in shown], [])
    far = {arm for arm, (x, y) in points.items() if not (_inside(x.mean, x_ends) and _inside(y.mean, y_ends))}
    near = {arm: point for arm, point in points.items() if arm not in far}
    with canvas(760, 470, 62, 24, 24, 60) as (figure, axes):
        axes.set(xlim=x_ends, ylim=y_ends)
        if y_card.better == "lower":
            axes.invert_yaxis()
        front = [arm for arm in _front(points, x_card, y_card) if arm in near]
        corners = sorted(((points[arm][0].mean, points[arm][1].mean) for arm in front), key=lambda c: c[0])
        axes.plot(*zip(*corners, strict=True), color=MUTED, lw=1, ls=(0, (1, 2)), zorder=1)
        for arm, (x, y) in near.items():
            style = {"color": look[arm].color, "lw": 1.4, "alpha": 0.75, "zorder": 2, "gid": f"arm-{look[arm].index}"}
            if x.has_interval and y.has_interval:
                axes.plot([x.low, x.high], [y.mean] * 2, **style)
                axes.plot([x.mean] * 2, [y.low, y.high], **style)
            axes.plot([x.mean], [y.mean], look[arm].marker, color=look[arm].color, ms=8 * look[arm].size, mec=PAPER,
                      mew=1, zorder=3, gid=f"arm-{look[arm].index}")  # fmt: skip
        if target:
            axes.axvline(x_card.target, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
            axes.annotate("truth", (x_card.target, 1), (0, 4), xycoords=("data", "axes fraction"),
                          textcoords="offset points", ha="center", color=MUTED, fontsize=10)  # fmt: skip
        axes.grid(True, color=GRID, lw=0.7)
        axes.set_axisbelow(True)
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
        for arm in far:
            _at_the_edge(axes, arm, points[arm], look[arm], x_ends, y_ends, (x_card, y_card))
        named = set(near) if len(points) <= ALL_NAMED else {a for a in near if look[a].family != "dose"} | set(front)
        _name_points(axes, near, look, named)
        told = "; ".join(
            f"{arm} {number(x.mean, x_card.decimals)}, {number(y.mean, y_card.decimals)}"
            for arm, (x, y) in points.items()
        )
        alt = f"{x_card.label} (across) against {y_card.label} (up), arm by arm: {told}."
        return drawing(figure, "vividness", f"{x_card.label} against {y_card.label}", alt)


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


def _inside(value: float, ends: Limits) -> bool:
    return ends[0] < value < ends[1]


def _at_the_edge(
    axes: Axes,
    arm: str,
    point: tuple[Estimate, Estimate],
    look: Look,
    x_ends: Limits,
    y_ends: Limits,
    cards: tuple[Metric, Metric],
) -> None:
    """A far arm at the edge, with an arrow that points to where it is, and its values."""
    x, y = (float(np.clip(e.mean, *ends)) for e, ends in zip(point, (x_ends, y_ends), strict=True))
    across = "→" if point[0].mean > x_ends[1] else "←" if point[0].mean < x_ends[0] else ""
    up = ""
    if not _inside(point[1].mean, y_ends):
        up = "↓" if (point[1].mean > y_ends[1]) == (cards[1].better == "lower") else "↑"
    arrow = {"→↓": "↘", "←↓": "↙", "→↑": "↗", "←↑": "↖"}.get(across + up, across + up)
    told = ", ".join(number(e.mean, card.decimals) for e, card in zip(point, cards, strict=True))
    right = axes.transData.transform((x, y))[0] > axes.get_window_extent().x0 + axes.get_window_extent().width / 2
    low = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1] < 0.5
    axes.annotate(
        f"{arrow} {plain(look.label)} ({told})", (x, y), (-8 if right else 8, 9 if low else -9),
        textcoords="offset points", ha="right" if right else "left", va="bottom" if low else "top", fontsize=10,
        color=INK, annotation_clip=False, gid=f"arm-{look.index}", zorder=5,
    )  # fmt: skip
    axes.plot([x], [y], look.marker, color=look.color, ms=8 * look.size, clip_on=False, zorder=5, mec=PAPER,
              gid=f"arm-{look.index}")  # fmt: skip


def _name_points(axes: Axes, points: Points, look: dict[str, Look], named: set[str]) -> None:
    """Write each name near its point where it covers the least of names, points and lines; far ones get a leader."""
    axes.get_xlim(), axes.get_ylim()  # settles the limits, which transData needs
    spots = {arm: axes.transData.transform((x.mean, y.mean)) for arm, (x, y) in points.items()}
    box, taken = axes.get_window_extent(), [(x - 6, y - 6, x + 6, y + 6) for x, y in spots.values()]
    for x, y in points.values():
        if x.has_interval and y.has_interval:
            corners = [axes.transData.transform(corner) for corner in ((x.low, y.low), (x.high, y.high))]
            middle, (left, right) = axes.transData.transform((x.mean, y.mean)), sorted(corner[0] for corner in corners)
            bottom, top = sorted(corner[1] for corner in corners)
            taken += [(left, middle[1] - 1, right, middle[1] + 1), (middle[0] - 1, bottom, middle[0] + 1, top)]
    for arm, (x, y) in spots.items():
        if arm not in named:
            continue
        wide, high, best = 6.0 * len(look[arm].label), 12.0, None
        for ring in RINGS:
            for angle in map(math.radians, DIRECTIONS):
                dx, dy = ring * math.cos(angle), ring * math.sin(angle)
                align = "left" if dx > 1 else "right" if dx < -1 else "center"
                start = x + dx - {"left": 0, "right": wide, "center": wide / 2}[align]
                area = (start, y + dy - high / 2, start + wide, y + dy + high / 2)
                outside = max(0, box.x0 - area[0], area[2] - box.x1, box.y0 - area[1], area[3] - box.y1)
                price = sum(_overlap(area, other) for other in taken) + 40 * outside + ring
                if best is None or price < best[0]:
                    best = (price, ring, (dx, dy), align, area)
        _, ring, offset, align, area = best
        taken.append(area)
        leader = {"arrowstyle": "-", "color": look[arm].color, "lw": 0.8, "shrinkA": 0, "shrinkB": 3}
        where = {"left": 0, "right": 1, "center": 0.5}[align]
        x, y = points[arm]
        note = axes.annotate(
            plain(look[arm].label), (x.mean, y.mean), offset, textcoords="offset points", ha=align, va="center",
            fontsize=10.5, zorder=5, annotation_clip=False, gid=f"arm-{look[arm].index}",
            arrowprops={**leader, "relpos": (where, 0.5)} if ring > RINGS[0] else None,
        )  # fmt: skip
        if note.arrow_patch:
            note.arrow_patch.set_gid(f"arm-{look[arm].index}")


def _overlap(one: tuple, other: tuple) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0
