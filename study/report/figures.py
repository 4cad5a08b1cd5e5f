"""The figures of a report: differences, vividness against fidelity, chroma by kind, the ab plane, training curves."""

from __future__ import annotations

import math
import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from study.report.result import Comparison, Metric, StudyResult
from study.report.style import VERDICTS, Look, interval, looks, number
from study.report.svg import BAND, GRID, INK, MUTED, PAPER, Drawing, canvas, drawing

WIDTH = 340  # of a small panel, in pixels
LETTER = 5.9  # typical width of a letter at the size of labels, in pixels
STEPS = [1, 2, 2.5, 5, 10]  # between ticks, times a power of ten
# Where a name may stand beside its point, in pixels, the best place first.
OFFSETS = ((14, 0, "left"), (-14, 0, "right"), (0, 13, "center"), (0, -13, "center"), (8, 12, "left"), (8, -12, "left"),
           (-8, 12, "right"), (-8, -12, "right"), (12, 24, "left"), (12, -24, "left"), (-12, 24, "right"),
           (-12, -24, "right"))  # fmt: skip
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
    return f" ({metric.unit} units)" if metric.unit == "Lab" else f" ({metric.unit})" if metric.unit != "1" else ""


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
    """Ends of the axis: everything, unless a few arms are so far out that the others would shrink to a point."""
    ends = np.array([[min(0, c.low, c.mean), max(0, c.high, c.mean)] for c in _finite_ends(rows)])
    margin = card.margin if 0 < card.margin < math.inf else 0
    low, high = min(ends[:, 0].min(), 0), max(ends[:, 1].max(), 0)
    reach = np.abs(ends).max(axis=1)
    usual = 4 * max(float(np.median(reach)), margin / 2)
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
    side, arrow = (high, "{} →") if found.mean > high else (low, "← {}")
    axes.text(side, place, arrow.format(number(found.mean, max(0, card.decimals - 1), sign=True)), color=INK,
              ha="right" if found.mean > high else "left", va="center", fontsize=9.5, zorder=4,
              gid=f"arm-{look.index}")  # fmt: skip


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
        axes.margins(0.12, 0.1)
        if x_card.target is not None:
            axes.set_xlim(*_including(axes.get_xlim(), x_card.target))
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
        _name_points(axes, {arm: (x.mean, y.mean) for arm, (x, y) in points.items()}, look)
        told = "; ".join(
            f"{arm} {number(x.mean, x_card.decimals)}, {number(y.mean, y_card.decimals)}"
            for arm, (x, y) in points.items()
        )
        alt = f"{x_card.label} (across) against {y_card.label} (up), arm by arm: {told}."
        return drawing(figure, "vividness", f"{x_card.label} against {y_card.label}", alt)


def _including(limits: tuple[float, float], value: float) -> tuple[float, float]:
    low, high = min(limits[0], value), max(limits[1], value)
    pad = 0.04 * (high - low)
    return (low - pad if low == value else low), (high + pad if high == value else high)


def _name_points(axes: Axes, points: dict[str, tuple[float, float]], look: dict[str, Look]) -> None:
    """Write each name beside its point where it covers the fewest other names and points."""
    axes.figure.canvas.draw()
    spots = {arm: axes.transData.transform(point) for arm, point in points.items()}
    box, taken = axes.get_window_extent(), []
    for arm, (x, y) in spots.items():
        name = shortened(arm)
        wide, high = 6.3 * len(name), 12.0
        best = None
        for dx, dy, align in OFFSETS:
            start = x + dx - {"left": 0, "right": wide, "center": wide / 2}[align]
            area = (start, y + dy - high / 2, start + wide, y + dy + high / 2)
            outside = (
                max(0, box.x0 - area[0])
                + max(0, area[2] - box.x1)
                + max(0, box.y0 - area[1])
                + max(0, area[3] - box.y1)
            )
            hit = sum(_overlap(area, other) for other in taken)
            hit += sum(
                _overlap(area, (px - 6, py - 6, px + 6, py + 6)) for other, (px, py) in spots.items() if other != arm
            )
            price = hit + 40 * outside + 0.01 * (abs(dx) + abs(dy))
            if best is None or price < best[0]:
                best = (price, dx, dy, align, area)
        _, dx, dy, align, area = best
        taken.append(area)
        axes.annotate(plain(name), points[arm], (dx, dy), textcoords="offset points", ha=align, va="center",
                      fontsize=10.5, zorder=5, annotation_clip=False, gid=f"arm-{look[arm].index}")  # fmt: skip


def _overlap(one: tuple, other: tuple) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0
