"""Figures on training: one quantity against the images seen, arm by arm, with the range over seeds."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from study.report.figures import LETTER, STEPS, file_name, plain, shortened, unit
from study.report.result import Metric, StudyResult
from study.report.style import Look, looks
from study.report.svg import GRID, INK, MUTED, Drawing, canvas, drawing

MOST_POINTS = 160  # of a curve
NOT_TERMS = {"total", "lr", "grad_norm", "images_per_s"}


def terms(result: StudyResult) -> list[str]:
    """Names of the loss terms in the training curves, in order of appearance."""
    table = result.tables["curves"]
    return [name for name in dict.fromkeys(table[table["split"] == "train"]["name"]) if name not in NOT_TERMS]


def curve(result: StudyResult, split: str, name: str) -> Drawing | None:
    """One quantity against images seen, a line and the range over seeds for each arm; None when no arm has it."""
    table = result.tables["curves"]
    table = table[(table["split"] == split) & (table["name"] == name) & table["mean"].map(math.isfinite)]
    if table.empty:
        return None
    look = looks([arm.name for arm in result.arms], result.baseline)
    lines = {arm: rows.sort_values("images") for arm, rows in table.groupby("arm", sort=False) if arm in look}
    lines = {arm: lines[arm] for arm in look if arm in lines}
    card = result.metrics.get(name)
    names = [shortened(arm, 18) for arm in lines]
    height = max(300, 90 + 14 * len(lines))
    with canvas(510, height, 42, 22 + LETTER * max(map(len, names)), 28, 46) as (figure, axes):
        for arm, rows in lines.items():
            rows = rows.iloc[sorted({*range(0, len(rows), math.ceil(len(rows) / MOST_POINTS)), len(rows) - 1})]
            style = {"color": look[arm].color, "gid": f"arm-{look[arm].index}"}
            band = rows["low"].notna() & rows["high"].notna()
            axes.fill_between(rows["images"][band], rows["low"][band], rows["high"][band], alpha=0.14, lw=0, **style)
            axes.plot(rows["images"], rows["mean"], lw=1.7, marker=look[arm].marker if len(rows) < 3 else None, **style)
        if split == "train" and (table["mean"] > 0).all() and table["mean"].max() > 20 * table["mean"].min():
            axes.set_yscale("log")
            axes.yaxis.set_minor_locator(NullLocator())
        if card and card.better == "target":
            axes.axhline(card.target, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
        axes.grid(True, axis="y", color=GRID, lw=0.7)
        axes.set_axisbelow(True)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        if axes.get_yscale() == "linear":
            axes.yaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}"))
        axes.set_xlabel("images seen (thousands)")
        _name_ends(axes, lines, look)
        _quantity_on_top(axes, name, card, split)
        ends = "; ".join(f"{arm} {rows['mean'].iloc[-1]:.4g}".replace("-", "−") for arm, rows in lines.items())
        where = "validation" if split == "val" else "training"
        alt = f"{name.replace('_', ' ')} on {where} pictures during training; at the end: {ends}."
        return drawing(figure, file_name("curve", split, name), name.replace("_", " "), alt)


def _quantity_on_top(axes: Axes, name: str, card: Metric | None, split: str) -> None:
    """What the vertical axis shows, above it, with the arrow for better."""
    arrow = {"higher": "↑ better", "lower": "↓ better", "target": "better: nearer the dashed line"}
    if split == "train" and card is None:
        label, word = name.replace("_", " ") + " loss, unweighted", "↓ better"
    else:
        label = card.label + unit(card) if card else name.replace("_", " ")
        word = arrow.get(card.better or "", "") if card else ""
    axes.annotate(
        plain(label), (0, 1), (-36, 16), xycoords="axes fraction", textcoords="offset points", va="center", color=MUTED
    )
    axes.annotate(word, (0, 1), (-24 + 5.6 * len(label), 16), xycoords="axes fraction", textcoords="offset points",
                  va="center", weight="bold")  # fmt: skip


def _name_ends(axes: Axes, lines: dict[str, pd.DataFrame], look: dict[str, Look]) -> None:
    """Each arm's name at the right of its line, pushed apart so that no two overlap, with a thin leader."""
    axes.get_xlim(), axes.get_ylim()  # settles the limits, which transData needs
    box = axes.get_window_extent()
    ends = {arm: (rows["images"].iloc[-1], rows["mean"].iloc[-1]) for arm, rows in lines.items()}
    wanted = {arm: float(axes.transData.transform(end)[1]) for arm, end in ends.items()}
    order = sorted(wanted, key=wanted.get)
    step = min(13.0, box.height / max(1, len(order)))
    placed: list[float] = []
    for arm in order:
        placed.append(max(wanted[arm], placed[-1] + step) if placed else wanted[arm])
    excess = max(0.0, placed[-1] - box.y1)
    for index in range(len(placed) - 1, -1, -1):
        ceiling = box.y1 if index == len(placed) - 1 else placed[index + 1] - step
        placed[index] = min(placed[index], ceiling) if excess else placed[index]
    for arm, y in zip(order, placed, strict=True):
        offset = (box.x1 + 16 - axes.transData.transform(ends[arm])[0], y - wanted[arm])
        leader = {"arrowstyle": "-", "color": look[arm].color, "lw": 0.8, "shrinkA": 1, "shrinkB": 2}
        note = axes.annotate(
            plain(shortened(arm, 18)), ends[arm], offset, textcoords="offset points", va="center", ha="left",
            fontsize=10, annotation_clip=False, arrowprops={**leader, "relpos": (0, 0.5)}, gid=f"arm-{look[arm].index}",
        )  # fmt: skip
        note.arrow_patch.set_gid(f"arm-{look[arm].index}")
