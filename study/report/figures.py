"""What all figures share, the forest plots of differences, and the key of the arms."""

from __future__ import annotations

import math
import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from study.report.looks import LONGEST, Look
from study.report.result import Comparison, Metric, StudyResult
from study.report.style import VERDICTS, interval, number
from study.report.svg import BAND, INK, MUTED, PAPER, Drawing, canvas, drawing

WIDTH = 340  # of a small panel, in pixels
LETTER = 5.9  # typical width of a letter at the size of labels, in pixels
STEPS = [1, 2, 2.5, 5, 10]  # between ticks, times a power of ten


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
    card, look = result.metrics[metric], result.looks
    rows = {arm: result.comparisons[arm, metric] for arm in look if (arm, metric) in result.comparisons}
    limits = _limits(card, list(rows.values()))
    places = _places(result, list(rows))
    names = [look[arm].label for arm in rows]
    left = 12 + LETTER * max(map(len, names))
    last = max(places.values())
    single = _seed_differences(result, metric)
    with canvas(WIDTH, 64 + 21 * (last + 1), left, 26, 8, 56) as (figure, axes):
        axes.set(xlim=limits, ylim=(last + 0.6, -0.6))
        if 0 < card.margin < math.inf:
            axes.axvspan(max(-card.margin, limits[0]), min(card.margin, limits[1]), color=BAND, lw=0, zorder=0)
        axes.axvline(0, color=MUTED, lw=1, zorder=1)
        _target_line(axes, result, card, limits)
        for arm, found in rows.items():
            place = places[arm]
            dots = [delta for delta in single.get(arm, []) if limits[0] < delta < limits[1]]
            if dots:
                axes.plot(dots, [place + 0.3] * len(dots), "|", color=look[arm].color, ms=4, mew=1, alpha=0.75,
                          zorder=2, gid=f"arm-{look[arm].index}")  # fmt: skip
            _forest_row(axes, place, found, look[arm], card, limits)
            axes.annotate(
                VERDICTS[found.verdict][0], (1, place), (9, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="left", va="center", color=INK,
                fontsize=9.5, annotation_clip=False,
            )  # fmt: skip
        axes.set_yticks(list(places.values()), [plain(name) for name in names], color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=STEPS, min_n_ticks=2))
        axes.xaxis.set_major_formatter(FuncFormatter(signed_tick))
        axes.set_xlabel(plain(f"change in {card.label}{unit(card)}"))
        _better_below(axes, result, card)
        return drawing(figure, file_name("forest", metric), card.label, _forest_words(card, result.baseline, rows))


def _places(result: StudyResult, arms: list[str]) -> dict[str, float]:
    """Where each arm's row stands: a little room between families."""
    places, place, before = {}, 0.0, None
    for arm in arms:
        family = result.looks[arm].family
        place += 0.55 if before not in (None, family) else 0
        places[arm], before = place, family
        place += 1
    return places


def _seed_differences(result: StudyResult, metric: str) -> dict[str, list[float]]:
    """Arm -> difference to the baseline of every seed that both have."""
    table = result.tables["seeds"]
    wide = table[table["metric"] == metric].pivot_table(index="seed", columns="arm", values="value", aggfunc="first")
    if result.baseline not in wide:
        return {}
    return {arm: (wide[arm] - wide[result.baseline]).dropna().tolist() for arm in wide.columns}


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
    axes: Axes, place: float, found: Comparison, look: Look, card: Metric, limits: tuple[float, float]
) -> None:
    low, high = limits
    # A mark at the very edge would be cut, too.
    pad = 0.02 * (high - low)
    inside = low + pad <= found.mean <= high - pad
    if inside and found.has_interval:
        axes.plot([max(found.low, low), min(found.high, high)], [place] * 2, color=look.color, lw=2, zorder=3,
                  gid=f"arm-{look.index}")  # fmt: skip
    face = PAPER if found.verdict in ("undecided", "equivalent") else look.color
    if inside:
        axes.plot([found.mean], [place], look.marker, ms=6.5 * look.size, mec=look.color, mfc=face, mew=1.6, zorder=4,
                  gid=f"arm-{look.index}")  # fmt: skip
        return
    right = found.mean > high - pad
    text = number(found.mean, max(0, card.decimals - 1), sign=True)
    axes.text(
        high if right else low, place, f"{text} →" if right else f"← {text}", color=INK,
        ha="right" if right else "left", va="center", fontsize=9.5, zorder=4, gid=f"arm-{look.index}",
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def signed_tick(value: float, _place: int | None = None) -> str:
    """A number with its sign and six digits, for an axis of changes."""
    return "0" if abs(value) < 1e-12 else f"{value:+.6g}".replace("-", "−")


def _better_below(axes: Axes, result: StudyResult, card: Metric) -> None:
    """The word "better" with an arrow, under the axis, on the side where better lies."""
    if card.better is None:
        return
    where, side, text = (1, "right", "better →") if card.better == "higher" else (0, "left", "← better")
    if card.better == "target":
        where, side, text = 1, "right", "better: nearer the truth"
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
    look = result.looks
    width, x, y, places = 700, 0.0, 0, []
    for name in look:
        wide = 34 + 6.6 * len(look[name].label)
        if x and x + wide > width:
            x, y = 0.0, y + 1
        places.append((x, y, name))
        x += wide
    height = 22 * (y + 1) + 6
    with canvas(width, height, 0, 0, 0, 0) as (figure, axes):
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        for x, y, name in places:
            axes.plot([x + 10], [14 + 22 * y], look[name].marker, ms=7.5 * look[name].size, color=look[name].color)
            axes.text(x + 20, 14 + 22 * y, plain(look[name].label), va="center", fontsize=11)
        return drawing(figure, "key", "key", "Key: " + ", ".join(look))
