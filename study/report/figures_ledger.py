"""The gradient ledger and the lengths of training as figures."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from study.report.evidence import term_colors
from study.report.figures import LETTER, STEPS, file_name, plain
from study.report.progress import LENGTH_METRICS, ledger_rows, shares
from study.report.result import StudyResult
from study.report.style import count, number
from study.report.svg import GRID, INK, MUTED, PAPER, Drawing, canvas, drawing, legend_row, panels

MOST_ARMS = 16
COLUMNS = 4


def ledger(result: StudyResult) -> Drawing | None:
    """Share of each term in the gradient over training, stacked, a small panel for each arm with several terms."""
    arms = list(dict.fromkeys(ledger_rows(result)["arm"]))
    found = {name: table for name in arms if len(table := shares(result, name)) and table.shape[1] > 1}
    found = dict(list(found.items())[:MOST_ARMS])
    if not found:
        return None
    terms = list(dict.fromkeys(term for table in found.values() for term in table.columns))
    colors = term_colors(result, terms)
    columns = min(COLUMNS, len(found))
    lines = math.ceil(len(found) / columns)
    width, height = max(420, 40 + 190 * columns), 96 + 140 * lines
    with panels(width, height, lines, columns, left=44, right=8, top=52, bottom=44, gap=20, rows_gap=34) as drawn:
        figure, grid = drawn
        for axes, (name, table) in zip(grid, found.items(), strict=False):
            _stack(axes, table, colors)
            axes.annotate(plain(result.looks[name].label), (0, 1), (0, 5), xycoords="axes fraction", fontsize=10,
                          textcoords="offset points")  # fmt: skip
        for place, axes in enumerate(grid):
            if place >= len(found):
                axes.axis("off")
            axes.tick_params(labelleft=place % columns == 0, labelbottom=place + columns >= len(found))
            if place + columns >= len(found) and place < len(found):
                axes.set_xlabel("images (thousands)", fontsize=9.5)
        legend_row(grid[0], [(term.replace("_", " "), "s", colors[term]) for term in terms], 4, 33)
        told = "; ".join(
            f"{name}: " + ", ".join(f"{term} {number(100 * table[term].mean(), 1)} %" for term in table.columns)
            for name, table in found.items()
        )
        return drawing(figure, "ledger", "Share of each term in the gradient", f"Mean share of the gradient. {told}.")


def _stack(axes: Axes, table: pd.DataFrame, colors: dict[str, str]) -> None:
    table = table.fillna(0.0)
    edges = [(0, 1)] if len(table) == 1 else None
    across = table.index.to_numpy(float) if edges is None else [0, table.index[0]]
    below = [0.0] * len(across)
    for term in table.columns:
        values = list(table[term]) if edges is None else [table[term].iloc[0]] * 2
        top = [low + part for low, part in zip(below, values, strict=True)]
        axes.fill_between(across, below, top, color=colors[term], lw=0)
        below = top
    axes.set(xlim=(across[0], across[-1]), ylim=(0, 1), yticks=[0, 0.5, 1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}"))


def lengths(result: StudyResult) -> list[Drawing]:
    """Rank of every arm after each length of training, a panel for each metric."""
    table, drawn = result.tables["lengths"], []
    for metric in LENGTH_METRICS:
        part = table[(table["metric"] == metric) & table["arm"].isin(result.looks)]
        wide = part.pivot_table(index="arm", columns="images", values="rank", aggfunc="first")
        if wide.shape[1] > 1 and len(wide) > 1:
            drawn.append(_slopes(result, metric, wide))
    return drawn


def _slopes(result: StudyResult, metric: str, wide: pd.DataFrame) -> Drawing:
    arms = [name for name in result.looks if name in wide.index]
    label = result.metrics[metric].label if metric in result.metrics else metric.replace("_", " ")
    longest = max(len(result.looks[name].label) for name in arms)
    with canvas(370, 106 + 19 * len(arms), 40, 22 + LETTER * longest, 42, 46) as (figure, axes):
        for name in arms:
            look, ranks = result.looks[name], wide.loc[name].dropna()
            places = [list(wide.columns).index(length) for length in ranks.index]
            axes.plot(places, ranks, color=look.color, lw=1.8, marker=look.marker, ms=7 * look.size, mec=PAPER,
                      mew=0.8, gid=f"arm-{look.index}")  # fmt: skip
            axes.annotate(plain(look.label), (places[-1], ranks.iloc[-1]), (11, 0), textcoords="offset points",
                          va="center", annotation_clip=False, gid=f"arm-{look.index}", fontsize=10)  # fmt: skip
        axes.set(xlim=(-0.12, len(wide.columns) - 0.9), ylim=(wide.max().max() + 0.6, 0.4))
        axes.set_xticks(range(len(wide.columns)), [f"{count(length)}" for length in wide.columns])
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(True, axis="x", color=GRID)
        axes.annotate(plain(f"rank on {label}"), (0, 1), (-28, 20), xycoords="axes fraction", color=MUTED,
                      textcoords="offset points")  # fmt: skip
        axes.annotate("↑ better", (1, 1), (0, 20), xycoords="axes fraction", textcoords="offset points", weight="bold",
                      ha="right", color=INK)  # fmt: skip
        axes.set_xlabel("images seen in training")
        told = "; ".join(
            f"{name} " + ", ".join("–" if math.isnan(rank) else f"{rank:g}" for rank in wide.loc[name]) for name in arms
        )
        alt = f"Rank on {label} after {', '.join(count(length) for length in wide.columns)} images: {told}."
        return drawing(figure, file_name("lengths", metric), label, alt)
