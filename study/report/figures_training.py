"""Figures on training: one quantity against the images seen, arm by arm, with the range over seeds."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from study.report.figures import LETTER, STEPS, file_name, plain, shortened, unit
from study.report.labels import draw_leader
from study.report.looks import Look
from study.report.result import Metric, StudyResult
from study.report.svg import GRID, INK, MUTED, Drawing, canvas, drawing

MOST_POINTS = 160  # of a curve
NOT_TERMS = {"total", "lr", "grad_norm", "images_per_s"}
DASHES = {"o": "-", "s": "--", "^": ":", "D": "-.", "v": (0, (7, 2, 1, 2, 1, 2))}  # marker of an arm -> its line
CROWDED = 12  # arms in one panel; more are shown family by family


def terms(result: StudyResult) -> list[str]:
    """Names of the loss terms in the training curves, in order of appearance."""
    table = result.tables["curves"]
    return [name for name in dict.fromkeys(table[table["split"] == "train"]["name"]) if name not in NOT_TERMS]


def curves(result: StudyResult, split: str, name: str) -> list[Drawing]:
    """One quantity over training: a panel, or where arms are many, one for the losses and one for what derives."""
    table = result.tables["curves"]
    table = table[(table["split"] == split) & (table["name"] == name) & table["mean"].map(math.isfinite)]
    # One point is no curve: that is how controls, which are not trained, are recorded.
    trained = table.groupby("arm")["images"].transform("nunique") > 1 if len(table) else table["mean"].notna()
    table = table[trained | (table["images"].nunique() == 1)]
    present = [arm for arm in result.looks if arm in set(table["arm"])]
    if not present:
        return []
    groups = [present]
    if len(present) > CROWDED:
        first = [arm for arm in present if result.looks[arm].family in ("main", "tuned")]
        rest = [arm for arm in present if arm not in first]
        with_baseline = [result.baseline, *rest] if result.baseline in present else rest
        groups = [group for group in (first, with_baseline) if group and (group is first or rest)]
    return [_curve(result, table, split, name, group, place) for place, group in enumerate(groups)]


def _curve(result: StudyResult, table: pd.DataFrame, split: str, name: str, arms: list[str], place: int) -> Drawing:
    """A line and the range over seeds for each arm."""
    look = result.looks
    table = table[table["arm"].isin(arms)]
    lines = {arm: rows.sort_values("images") for arm, rows in table.groupby("arm", sort=False)}
    lines = {arm: lines[arm] for arm in arms}
    card = result.metrics.get(name)
    names = [shortened(look[arm].label, 20) for arm in lines]
    height = max(300, 90 + 14 * len(lines))
    with canvas(510, height, 42, 22 + LETTER * max(map(len, names)), 28, 46) as (figure, axes):
        colors = [look[arm].color for arm in lines]
        for arm, rows in lines.items():
            many = colors.count(look[arm].color) > 1
            rows = rows.iloc[sorted({*range(0, len(rows), math.ceil(len(rows) / MOST_POINTS)), len(rows) - 1})]
            style = {"color": look[arm].color, "gid": f"arm-{look[arm].index}"}
            band = rows["low"].notna() & rows["high"].notna()
            axes.fill_between(rows["images"][band], rows["low"][band], rows["high"][band], alpha=0.14, lw=0, **style)
            marker = look[arm].marker
            line = DASHES.get(marker, "-") if many else "-"  # lines of one colour differ as their markers do
            axes.plot(rows["images"], rows["mean"], ls=line, lw=1.7, marker=marker if len(rows) < 3 else None, **style)
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
        slug = file_name("curve", split, name, *(["derived"] if place else []))
        return drawing(figure, slug, name.replace("_", " "), alt)


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
        end = axes.transData.transform(ends[arm])
        offset, gid = (box.x1 + 16 - end[0], y - wanted[arm]), f"arm-{look[arm].index}"
        axes.annotate(
            plain(shortened(look[arm].label, 20)), ends[arm], offset, textcoords="offset points", va="center",
            ha="left", fontsize=10, annotation_clip=False, gid=gid,
        )  # fmt: skip
        draw_leader(axes, end, (box.x1 + 14, y), look[arm].color, gid, gap=2)
