"""Figures of the results: error against amount of colour, and paired differences with every seed."""

from __future__ import annotations

import math

import numpy as np

from study.report import plot as p
from study.report.format import SIGNS, interval, number, slug
from study.report.plot import BAND, INK, MUTED, PAPER, Plot
from study.report.result import AMOUNT, ERROR, Comparison, Metric, StudyResult
from study.report.styles import Style

ALL_NAMED = 12
"""Arms whose names all stand in the figure; of more, only those that the answer names or that stand apart."""


def tradeoff(result: StudyResult, styles: dict[str, Style], named: list[str]) -> Plot | None:
    """Amount of colour (across) against error (up), a point with two intervals for each arm; the front joined.

    named: arms whose names stand beside their points, besides those that stand apart. None without measurements.
    """
    known = result.estimates
    points = {arm: (known[arm, AMOUNT], known[arm, ERROR]) for arm in styles
              if (arm, AMOUNT) in known and (arm, ERROR) in known}  # fmt: skip
    if not points:
        return None
    across, up = result.metrics[AMOUNT], result.metrics[ERROR]
    # Gray and arms far outside stay beyond the edge, so that the others do not shrink to a point.
    colored = [point for arm, point in points.items() if not result.arms[arm].is_gray] or list(points.values())
    x_ends = _around([x.mean for x, _ in colored], [across.target])
    y_ends = _around([y.mean for _, y in colored], [])
    inside = {arm: (x, y) for arm, (x, y) in points.items()
              if x_ends[0] < x.mean < x_ends[1] and y_ends[0] < y.mean < y_ends[1]}  # fmt: skip
    worth = {arm: (across.badness(x.mean), y.mean) for arm, (x, y) in inside.items()}
    front = [arm for arm, own in worth.items()
             if not any(o[0] <= own[0] and o[1] <= own[1] and o != own for o in worth.values())]  # fmt: skip
    base = result.estimates.get((result.baseline, AMOUNT))
    far = [arm for arm, (x, _) in inside.items() if base and abs(x.mean - base.mean) > 2 * across.margin]
    shown = [arm for arm in inside if len(inside) <= ALL_NAMED or arm in named or arm in far]
    others = [style for arm, style in styles.items() if arm in inside and arm not in shown]
    outside = [f"{styles[arm].label} ({number(x.mean, 2)}, {number(y.mean, 1)})"
               for arm, (x, y) in points.items() if arm not in inside]  # fmt: skip
    with p.drawing(760, 360, top=44 if outside else 24, key=others) as (figure, axes):
        axes.axvline(across.target, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
        frame = axes.get_xaxis_transform()
        p.write(axes, across.target, 1, "truth", frame=frame, shift=(0, 10), ha="center", color=MUTED)
        corners = sorted((inside[arm][0].mean, inside[arm][1].mean) for arm in front)
        p.stroke(axes, *zip(*corners, strict=True), color=MUTED, lw=1, ls=(0, (1, 2)), zorder=1)
        for arm, (x, y) in inside.items():
            p.cross(axes, x, y, styles[arm])
        axes.set(xlim=x_ends, ylim=y_ends)
        error = f"error: {up.label}{up.unit_label}, lower is better"
        p.scales(axes, "share of the truth’s chroma (chroma ratio)", error, nx=7, ny=6)
        p.write_labels(axes, [(styles[arm].label, inside[arm][0].mean, inside[arm][1].mean) for arm in shown])
        if outside:
            p.heading(axes, "Outside: " + ", ".join(outside), 24, fontsize=9.5, color=MUTED)
        told = "; ".join(f"{arm} {number(x.mean, across.decimals)}, {number(y.mean, up.decimals)}"
                         for arm, (x, y) in points.items())  # fmt: skip
        alt = f"Share of the truth's chroma (across) against {up.label} (up) of every arm: {told}."
        return p.finish(figure, "tradeoff", "Error against amount of colour", alt)


def _around(values: list[float], always: list[float]) -> tuple[float, float]:
    """Ends of an axis for these means; a few arms far outside do not squeeze the others together."""
    low, high = min(values), max(values)
    inner = np.quantile(values, [0.15, 0.85])
    reach = 1.6 * (inner[1] - inner[0])
    if reach > 0 and len(values) > 4:
        low, high = max(low, inner[0] - reach), min(high, inner[1] + reach)
    low, high = min([low, *always]), max([high, *always])
    pad = 0.14 * (high - low) or 1.0
    return low - pad, high + pad


def differences(result: StudyResult, styles: dict[str, Style]) -> list[Plot]:
    """Paired differences to the baseline with every seed as a dot, a figure for each key metric."""
    compared = {metric for _, metric in result.comparisons}
    return [_forest(result, styles, result.metrics[name]) for name in result.key_metrics if name in compared]


def _forest(result: StudyResult, styles: dict[str, Style], card: Metric) -> Plot:
    rows = {arm: result.comparisons[arm, card.name] for arm in styles if (arm, card.name) in result.comparisons}
    seeds = _seed_differences(result, card.name)
    low, high = _limits(card, list(rows.values()))
    names = [styles[arm].label for arm in rows]
    with p.drawing(370, 20 * len(rows), left=p.width_of(names), right=26, top=26) as (figure, axes):
        if 0 < card.margin < math.inf:
            axes.axvspan(max(-card.margin, low), min(card.margin, high), color=BAND, lw=0, zorder=0)
        ends = [-0.6, len(rows) - 0.4]
        p.stroke(axes, [0, 0], ends, color=MUTED, lw=1, zorder=1)
        base = result.estimates.get((result.baseline, card.name))
        if card.better == "target" and base and low < card.target - base.mean < high:
            p.stroke(axes, [card.target - base.mean] * 2, ends, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
        for place, (arm, found) in enumerate(rows.items()):
            _row(axes, place, found, styles[arm], (low, high), card, seeds.get(arm, []))
            p.beside(axes, place, SIGNS[found.verdict][0])
        axes.set(xlim=(low, high), ylim=ends[::-1])
        p.scales(axes, f"change in {card.label}{card.unit_label}", x=p.signed, y=None, nx=4)
        p.write_rows(axes, names)
        where = {"higher": "right is better", "lower": "left is better", "target": "better: nearer the dashed line"}
        p.heading(axes, f"{card.label}  ·  {where[card.better]}" if card.better else card.label)
        told = "; ".join(
            f"{arm} {number(c.mean, card.decimals, True)} {interval(c.low, c.high, card.decimals, True)} {c.verdict}"
            for arm, c in rows.items()
        )
        alt = f"Change in {card.label} from {result.baseline}, with 95 % intervals: {told}."
        return p.finish(figure, slug("difference", card.name), card.label, alt)


def _row(axes, place: int, found: Comparison, own: Style, ends: tuple[float, float], card: Metric, seeds: list) -> None:
    """One arm: its interval, its mean (hollow where not decided) and its seeds; a far one as its value at the edge."""
    low, high = ends
    if not low < found.mean < high:
        right = found.mean >= high
        text = number(found.mean, max(0, card.decimals - 1), sign=True)
        edge, side = (high, "right") if right else (low, "left")
        p.write(axes, edge, place, f"{text} →" if right else f"← {text}", own, ha=side)
        return
    dots = [one for one in seeds if low < one < high]
    p.stroke(axes, dots, [place + 0.26] * len(dots), own, ls="none", marker="o", ms=2.6, mew=0, alpha=0.7)
    if found.has_interval:
        p.stroke(axes, [max(found.low, low), min(found.high, high)], [place] * 2, own, lw=2, zorder=3)
    undecided = found.verdict in ("inconclusive", "within tolerance")
    p.dot(axes, found.mean, place, own, 6.5, mec=own.color, mew=1.5, zorder=4, mfc=PAPER if undecided else own.color)


def _seed_differences(result: StudyResult, metric: str) -> dict[str, list[float]]:
    """Arm -> difference to the baseline of every seed that both have."""
    table = result.tables["seeds"]
    wide = table[table["metric"] == metric].pivot_table(index="seed", columns="arm", values="value")
    if result.baseline not in wide:
        return {}
    return {arm: (wide[arm] - wide[result.baseline]).dropna().tolist() for arm in wide.columns}


def _limits(card: Metric, rows: list[Comparison]) -> tuple[float, float]:
    """Ends of the axis: everything, unless a few arms (a quarter at most) would shrink the others to a point."""
    ends = np.array([[c.low, c.high] if c.has_interval else [c.mean, c.mean] for c in rows])
    margin = card.margin if 0 < card.margin < math.inf else 0
    low, high, reach = min(ends.min(), 0), max(ends.max(), 0), np.abs(ends).max(axis=1)
    usual = 2.5 * max(float(np.quantile(reach, 0.75)), margin / 2)
    if reach.max() > 1.5 * usual > 0:
        low, high = max(low, -usual), min(high, usual)
    room = min(margin, (high - low) / 2) if high > low else margin or 1
    low, high = min(low, -room), max(high, room)
    return low - 0.07 * (high - low), high + 0.07 * (high - low)
