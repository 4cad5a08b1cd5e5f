"""Figures on why: the predicted optimum against what the networks did, and the effect of each term."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from study.report.evidence import factorial_metrics, term_colors, theory_rows
from study.report.figures import STEPS, file_name, plain, shortened, signed_tick, unit
from study.report.result import KEY_METRICS, StudyResult
from study.report.style import interval, number
from study.report.svg import GRID, INK, MUTED, PAPER, Drawing, canvas, drawing, panels

MOST_KINDS = 9


def predicted_and_measured(result: StudyResult) -> Drawing | None:
    """Measured against predicted chroma, a panel for each kind; on the line theory is exact."""
    table = theory_rows(result)
    table = table[table["predicted_chroma"].notna()]
    if table.empty:
        return None
    kinds = list(dict.fromkeys(table["kind"]))[:MOST_KINDS]
    columns = min(3, len(kinds))
    lines = math.ceil(len(kinds) / columns)
    width, height = 70 + 235 * columns, 66 + 225 * lines
    with panels(width, height, lines, columns, left=52, right=12, top=26, bottom=44, gap=38, rows_gap=46) as drawn:
        figure, grid = drawn
        for axes, kind in zip(grid, kinds, strict=False):
            _kind_panel(axes, result, table[table["kind"] == kind], kind)
        for axes in grid[len(kinds) :]:
            axes.axis("off")
        for line in range(lines):
            grid[line * columns].set_ylabel("measured chroma")
        for axes in grid[max(0, len(kinds) - columns) : len(kinds)]:
            axes.set_xlabel("predicted chroma (Lab units)")
        told = "; ".join(
            f"{row.arm} on {row.kind} {number(row.predicted_chroma, 1)}, {number(row.chroma, 1)}"
            for row in table.head(40).itertuples()
        )
        alt = f"Predicted (across) and measured chroma (up), arm by arm and kind by kind: {told}."
        return drawing(figure, "theory", "Predicted and measured chroma", alt)


def _kind_panel(axes: Axes, result: StudyResult, rows: pd.DataFrame, kind: str) -> None:
    for row in rows.itertuples():
        look = result.looks[row.arm]
        common = {"color": look.color, "gid": f"arm-{look.index}"}
        if not (math.isnan(row.chroma_low) or math.isnan(row.chroma_high)):
            axes.plot([row.predicted_chroma] * 2, [row.chroma_low, row.chroma_high], lw=1.5, **common)
        axes.plot([row.predicted_chroma], [row.chroma], look.marker, ms=7 * look.size, mec=PAPER, mew=0.7, zorder=3,
                  **common)  # fmt: skip
    high = 1.1 * max(rows["predicted_chroma"].max(), rows["chroma"].max(), rows["true_chroma"].max(), 5.0)
    axes.plot([0, high], [0, high], color=MUTED, lw=1, zorder=1)
    truth = rows["true_chroma"].dropna()
    if len(truth):
        axes.axhline(truth.iloc[0], color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
        axes.annotate("truth", (1, truth.iloc[0]), (0, 2), xycoords=("axes fraction", "data"), fontsize=9,
                      textcoords="offset points", ha="right", va="bottom", color=MUTED)  # fmt: skip
    axes.set(xlim=(0, high), ylim=(0, high))
    axes.grid(True, color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
    axes.annotate(plain(shortened(kind)), (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points",
                  weight="bold", fontsize=11)  # fmt: skip


def effects(result: StudyResult) -> list[Drawing]:
    """Main effects and interactions of the terms on one metric, a panel each, with Shapley shares at the right."""
    table = result.tables["factorial"]
    table = table[~table["effect"].str.startswith("shapley ")]
    return [
        _effects(result, metric, table[table["metric"] == metric]) for metric in factorial_metrics(result)[:KEY_METRICS]
    ]


def _effects(result: StudyResult, metric: str, rows: pd.DataFrame) -> Drawing:
    card = result.metrics.get(metric)
    label, decimals = (card.label, card.decimals) if card else (metric, 3)
    names = [_effect_label(row.effect) for row in rows.itertuples()]
    colors = term_colors(result, [effect for effect in rows["effect"] if " " not in effect])
    left = 12 + 5.7 * max(map(len, names))
    with canvas(370, 70 + 24 * len(names), left, 46, 24, 46) as (figure, axes):
        axes.axvline(0, color=MUTED, lw=1, zorder=1)
        for place, row in enumerate(rows.itertuples()):
            color = colors.get(row.effect, MUTED)
            if not (math.isnan(row.low) or math.isnan(row.high)):
                axes.plot([row.low, row.high], [place] * 2, color=color, lw=2)
            axes.plot([row.estimate], [place], "o" if row.effect in colors else "D", color=color, ms=7, mec=PAPER,
                      mew=0.8, zorder=3)  # fmt: skip
            if not math.isnan(row.shapley):
                axes.annotate(f"{number(100 * row.shapley, 0)} %", (1, place), (42, 0), va="center", ha="right",
                              xycoords=("axes fraction", "data"), textcoords="offset points",
                              annotation_clip=False)  # fmt: skip
        axes.annotate("Shapley", (1, 1), (42, 8), xycoords="axes fraction", textcoords="offset points", ha="right",
                      color=MUTED, fontsize=9.5)  # fmt: skip
        ends = rows[["estimate", "low", "high"]].to_numpy(float)
        known = ends[~pd.isna(ends)]
        low, high = min(0, known.min()), max(0, known.max())
        pad = 0.08 * (high - low) or 1.0
        axes.set(xlim=(low - pad, high + pad), ylim=(len(names) - 0.4, -0.6))
        axes.set_yticks(range(len(names)), names, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=STEPS, min_n_ticks=2))
        axes.xaxis.set_major_formatter(FuncFormatter(signed_tick))
        axes.set_xlabel(plain(f"effect on {label}{unit(card) if card else ''}"))
        told = "; ".join(
            f"{row.effect} {number(row.estimate, decimals, True)} {interval(row.low, row.high, decimals, True)}".strip()
            for row in rows.itertuples()
        )
        return drawing(figure, file_name("factorial", metric), label, f"Effects on {label}: {told}.")


def _effect_label(effect: str) -> str:
    short = {"saturation": "sat.", "diversity": "div.", "confidence": "conf."}
    if effect == "all three":
        return "all on − all off"
    parts = effect.split(" x ")
    return plain(" × ".join(short.get(part, part) for part in parts) if len(parts) > 1 else effect)
