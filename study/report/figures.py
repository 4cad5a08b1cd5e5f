"""The figures of a report: differences, vividness against fidelity, chroma by kind, the ab plane, training curves."""

from __future__ import annotations

import math
import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from study.report.result import Comparison, Estimate, Metric, StudyResult
from study.report.style import VERDICTS, Look, interval, looks, number
from study.report.svg import BAND, GRID, INK, MUTED, PAPER, Drawing, canvas, drawing

WIDTH = 340  # of a small panel, in pixels
LETTER = 5.9  # typical width of a letter at the size of labels, in pixels
STEPS = [1, 2, 2.5, 5, 10]  # between ticks, times a power of ten
# Where a name may stand around its point: distances in pixels and directions in degrees, the best first.
RINGS, DIRECTIONS = (14, 26, 40, 56, 74), (90, 270, 0, 180, 30, 330, 150, 210, 60, 300, 120, 240)
LONGEST = 24  # letters of an arm's name that a figure shows


def file_name(*words: str) -> str:
    """A name for a figure's file and ids, from words that may hold anything."""
    return "-".join(re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_") or "x" for word in words)


def shortened(name: str, most: int = LONGEST) -> str:
    """The name, with its middle left out when it is long."""
    return name if len(name) <= most else f"{name[: most - 9]}…{name[-8:]}"


def plain(text: str) -> str:
    """Text that matplotlib shows as it is, without reading dollar signs as formulas."""
    return text.replace("$", r"\$")


def unit(metric: Metric) -> str:
    """The unit in brackets, with a space before; nothing for a pure number."""
    if metric.unit == "1" or metric.unit.lower() == metric.name:
        return ""
    return f" ({metric.unit} units)" if metric.unit == "Lab" else f" ({metric.unit})"


def forest(result: StudyResult, metric: str) -> Drawing:
    """Paired differences to the baseline on one metric, with their 95 % intervals and verdict signs.

    The shaded band is the declared margin of practical equivalence. A far arm is drawn at the edge with its value.
    """
    card, look = result.metrics[metric], looks([arm.name for arm in result.arms], result.baseline)
    rows = {arm: result.comparisons[arm, metric] for arm in result.others if (arm, metric) in result.comparisons}
    limits = _limits(card, list(rows.values()))
    names = [shortened(arm) for arm in rows]
    left = 12 + LETTER * max(map(len, names))
    height = 64 + 21 * len(rows)
    with canvas(WIDTH, height, left, 26, 8, 56) as (figure, axes):
        axes.set(xlim=limits, ylim=(len(rows) - 0.4, -0.6))
        if 0 < card.margin < math.inf:
            axes.axvspan(max(-card.margin, limits[0]), min(card.margin, limits[1]), color=BAND, lw=0, zorder=0)
        axes.axvline(0, color=MUTED, lw=1, zorder=1)
        _target_line(axes, result, card, limits)
        for place, (arm, found) in enumerate(rows.items()):
            _forest_row(axes, place, found, look[arm], card, limits)
            axes.annotate(
                VERDICTS[found.verdict][0], (1, place), (9, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="left", va="center", color=INK,
                fontsize=9.5, annotation_clip=False,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), [plain(name) for name in names], color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=STEPS, min_n_ticks=2))
        axes.xaxis.set_major_formatter(FuncFormatter(_signed_tick))
        axes.set_xlabel(plain(f"change in {card.label}{unit(card)}"))
        _better_below(axes, result, card)
        return drawing(figure, file_name("forest", metric), card.label, _forest_words(card, result.baseline, rows))


def _limits(card: Metric, rows: list[Comparison]) -> tuple[float, float]:
    """Ends of the axis: everything, unless a few arms (a quarter at most) would shrink the others to a point."""
    ends = np.array([[min(0, c.low, c.mean), max(0, c.high, c.mean)] for c in _finite_ends(rows)])
    margin = card.margin if 0 < card.margin < math.inf else 0
    low, high = min(ends[:, 0].min(), 0), max(ends[:, 1].max(), 0)
    reach = np.abs(ends).max(axis=1)
    usual = 2.5 * max(float(np.quantile(reach, 0.75)), margin / 2)
    if reach.max() > 1.5 * usual > 0:
        low, high = max(low, -usual), min(high, usual)
    if high - low > 0:
        low, high = min(low, -min(margin, (high - low) / 2)), max(high, min(margin, (high - low) / 2))
    else:
        low, high = -(margin or 1), margin or 1
    pad = 0.07 * (high - low)
    return low - pad, high + pad


def _finite_ends(rows: list[Comparison]) -> list[Comparison]:
    return [
        c if c.has_interval else Comparison(c.mean, c.mean, c.mean, c.seeds, c.p, c.p_holm, c.p_min, c.verdict)
        for c in rows
    ]


def _target_line(axes: Axes, result: StudyResult, card: Metric, limits: tuple[float, float]) -> None:
    base = result.estimates.get((result.baseline, card.name))
    if card.better == "target" and base and limits[0] < card.target - base.mean < limits[1]:
        axes.axvline(card.target - base.mean, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
        axes.annotate("truth", (card.target - base.mean, 1), (0, 0), xycoords=("data", "axes fraction"),
                      textcoords="offset points", ha="center", va="bottom", fontsize=9, color=MUTED)  # fmt: skip


def _forest_row(
    axes: Axes, place: int, found: Comparison, look: Look, card: Metric, limits: tuple[float, float]
) -> None:
    low, high = limits
    inside = low <= found.mean <= high
    if found.has_interval and found.low < high and found.high > low:
        axes.plot([max(found.low, low), min(found.high, high)], [place] * 2, color=look.color, lw=2, zorder=3,
                  gid=f"arm-{look.index}")  # fmt: skip
    face = PAPER if found.verdict in ("undecided", "equivalent") else look.color
    if inside:
        axes.plot([found.mean], [place], look.marker, ms=6.5, mec=look.color, mfc=face, mew=1.6, zorder=4,
                  gid=f"arm-{look.index}")  # fmt: skip
        return
    right = found.mean > high
    text = number(found.mean, max(0, card.decimals - 1), sign=True)
    axes.text(
        high if right else low, place, f"{text} →" if right else f"← {text}", color=INK,
        ha="right" if right else "left", va="center", fontsize=9.5, zorder=4, gid=f"arm-{look.index}",
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _signed_tick(value: float, _place: int | None = None) -> str:
    return "0" if abs(value) < 1e-12 else f"{value:+.6g}".replace("-", "−")


def _better_below(axes: Axes, result: StudyResult, card: Metric) -> None:
    """The word "better" with an arrow, under the axis, on the side where better lies."""
    better = card.better
    if better == "target":
        base = result.estimates.get((result.baseline, card.name))
        better = None if base is None else "higher" if base.mean < card.target else "lower"
    if better is None:
        return
    where, side, text = (1, "right", "better →") if better == "higher" else (0, "left", "← better")
    axes.annotate(text, (where, 0), (0, -50), xycoords="axes fraction", textcoords="offset points", ha=side,
                  va="bottom", fontsize=10, color=INK, weight="bold")  # fmt: skip


def _forest_words(card: Metric, baseline: str, rows: dict[str, Comparison]) -> str:
    told = "; ".join(
        f"{arm} {number(c.mean, card.decimals, True)} {interval(c.low, c.high, card.decimals, True)} {c.verdict}"
        for arm, c in list(rows.items())[:20]
    )
    return f"Change in {card.label}{unit(card)} from {baseline}, with 95 % intervals: {told}."


def key(result: StudyResult) -> Drawing:
    """Which colour and marker belongs to which arm (for Markdown; a page has its own)."""
    look = looks([arm.name for arm in result.arms], result.baseline)
    width, x, y, places = 700, 0.0, 0, []
    for name in look:
        wide = 34 + 6.6 * len(shortened(name))
        if x and x + wide > width:
            x, y = 0.0, y + 1
        places.append((x, y, name))
        x += wide
    height = 22 * (y + 1) + 6
    with canvas(width, height, 0, 0, 0, 0) as (figure, axes):
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        for x, y, name in places:
            axes.plot([x + 10], [14 + 22 * y], look[name].marker, ms=7.5, color=look[name].color)
            axes.text(x + 20, 14 + 22 * y, plain(shortened(name)), va="center", fontsize=11)
        return drawing(figure, "key", "key", "Key: " + ", ".join(look))


def vividness(result: StudyResult, across: str = "chroma_ratio", up: str = "ab_rmse") -> Drawing | None:
    """Amount of colour against fidelity, one point with two intervals an arm; None when either was not measured."""
    if across not in result.measured or up not in result.measured:
        return None
    x_card, y_card = result.metrics[across], result.metrics[up]
    look = looks([arm.name for arm in result.arms], result.baseline)
    points = {
        arm: (x, result.estimates[arm, up])
        for arm in look
        if (x := result.estimates.get((arm, across))) and (arm, up) in result.estimates
    }
    with canvas(720, 430, 62, 20, 24, 60) as (figure, axes):
        for arm, (x, y) in points.items():
            style = {"color": look[arm].color, "lw": 1.4, "alpha": 0.75, "zorder": 2, "gid": f"arm-{look[arm].index}"}
            if x.has_interval and y.has_interval:
                axes.plot([x.low, x.high], [y.mean] * 2, **style)
                axes.plot([x.mean] * 2, [y.low, y.high], **style)
            axes.plot([x.mean], [y.mean], look[arm].marker, color=look[arm].color, ms=8, mec=PAPER, mew=1, zorder=3,
                      gid=f"arm-{look[arm].index}")  # fmt: skip
        target = [] if x_card.target is None else [x_card.target]
        axes.set_xlim(_around([x.mean for x, _ in points.values()] + target))
        axes.set_ylim(_around([y.mean for _, y in points.values()]))
        if target:
            axes.axvline(x_card.target, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
            axes.annotate("truth", (x_card.target, 1), (0, 4), xycoords=("data", "axes fraction"),
                          textcoords="offset points", ha="center", color=MUTED, fontsize=10)  # fmt: skip
        if y_card.better == "lower":
            axes.invert_yaxis()
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
        _name_points(axes, points, look)
        told = "; ".join(
            f"{arm} {number(x.mean, x_card.decimals)}, {number(y.mean, y_card.decimals)}"
            for arm, (x, y) in points.items()
        )
        alt = f"{x_card.label} (across) against {y_card.label} (up), arm by arm: {told}."
        return drawing(figure, "vividness", f"{x_card.label} against {y_card.label}", alt)


def _around(values: list[float]) -> tuple[float, float]:
    """Ends of an axis for these means: wider intervals are cut, so that one unsure arm does not hide the others."""
    low, high = min(values), max(values)
    pad = 0.16 * (high - low) or 1.0
    return low - pad, high + pad


def _name_points(axes: Axes, points: dict[str, tuple[Estimate, Estimate]], look: dict[str, Look]) -> None:
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
        wide, high, best = 6.0 * len(shortened(arm)), 12.0, None
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
            plain(shortened(arm)), (x.mean, y.mean), offset, textcoords="offset points", ha=align, va="center",
            fontsize=10.5, zorder=5, annotation_clip=False, gid=f"arm-{look[arm].index}",
            arrowprops={**leader, "relpos": (where, 0.5)} if ring > RINGS[0] else None,
        )  # fmt: skip
        if note.arrow_patch:
            note.arrow_patch.set_gid(f"arm-{look[arm].index}")


def _overlap(one: tuple, other: tuple) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0
