"""Figures on the search for weights: Pareto front, progress, importance, and each setting against each objective."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from study.report import tuning
from study.report.figures import STEPS, file_name, plain, shortened
from study.report.labels import Name, write_names
from study.report.result import StudyResult
from study.report.style import number
from study.report.svg import GRID, INK, MUTED, PAPER, Drawing, canvas, drawing, legend_lines, legend_row, panels

SHAPES = ("o", "s", "^", "D", "v", "P", "X")
MOST_TRIALS = 1500  # points in a figure


def _shapes(result: StudyResult) -> dict[str, str]:
    return {family: SHAPES[i % len(SHAPES)] for i, family in enumerate(tuning.families(result.search))}


def fronts(result: StudyResult) -> list[Drawing]:
    """Every candidate: vividness and hue diversity (distance to the truth) against ab RMSE; the front is full."""
    trials = tuning.completed(result.search).head(MOST_TRIALS)
    return [_front(result, trials, objective) for objective in ("vividness", "diversity")] if len(trials) else []


def _front(result: StudyResult, trials: pd.DataFrame, objective: str) -> Drawing:
    colors, shapes = tuning.family_colors(result), _shapes(result)
    keys = legend_lines([(shortened(family), shapes[family], color) for family, color in colors.items()], 370)
    top = 46 + 18 * len(keys)
    with canvas(390, 350 + top, 58, 12, top, 52) as (figure, axes):
        for family, rows in trials.groupby("family", sort=False):
            front = rows["front"].str.lower() == "yes"
            common = {"marker": shapes[family], "color": colors[family], "ls": "none"}
            axes.plot(rows["fidelity"][~front], rows[objective][~front], ms=5, alpha=0.45, mew=0, **common)
            axes.plot(rows["fidelity"][front], rows[objective][front], ms=7.5, mec=INK, mew=0.9, zorder=3, **common)
        _limits(axes, trials["fidelity"], trials[objective])
        axes.grid(True, color=GRID, lw=0.7)
        axes.set_axisbelow(True)
        axes.set_xlabel("← better · ab RMSE (Lab units)")
        _above(axes, f"{tuning.OBJECTIVES[objective]}", "↓ better")
        _chosen(axes, result, trials, objective)
        for line, entries in enumerate(keys):
            legend_row(axes, entries, -41, 18 * (len(keys) - line) + 20)
        told = "; ".join(
            f"{family}: {len(rows)} candidates, {int((rows['front'].str.lower() == 'yes').sum())} on the front"
            for family, rows in trials.groupby("family", sort=False)
        )
        title = tuning.OBJECTIVES[objective]
        alt = f"{title[0].upper()}{title[1:]} against ab RMSE, one mark a candidate. {told}."
        return drawing(figure, file_name("search-front", objective), title, alt)


def _limits(axes: Axes, across: pd.Series, up: pd.Series) -> None:
    """Show the lower nine tenths of the values in full; what lies far outside is cut, not squeezed in."""
    for values, setter in ((across, axes.set_xlim), (up, axes.set_ylim)):
        low, high = values.min(), values.max()
        usual = low + 2.2 * (values.quantile(0.8) - low)
        high = min(high, usual) if usual > low else high
        pad = 0.07 * (high - low) or 0.5
        setter(low - pad, high + pad)


def _above(axes: Axes, label: str, better: str) -> None:
    axes.annotate(plain(label), (0, 1), (-44, 10), xycoords="axes fraction", textcoords="offset points", color=MUTED)
    axes.annotate(better, (1, 1), (0, 10), xycoords="axes fraction", textcoords="offset points", weight="bold",
                  ha="right")  # fmt: skip


def _chosen(axes: Axes, result: StudyResult, trials: pd.DataFrame, objective: str) -> None:
    """A ring and a word at the points that the search recommends."""
    finalists, colors = result.search.finalists, tuning.family_colors(result)
    chosen = finalists[finalists["choice"].isin(("recommended", "knee"))].drop_duplicates(["family", "choice"])
    names: dict[str, Name] = {}
    for row in chosen.sort_values("choice", key=lambda c: c != "recommended", kind="stable").itertuples():
        spot = trials[(trials["family"] == row.family) & (trials["trial"] == row.trial)]
        if spot.empty or row.family in names:
            continue
        x, y = spot["fidelity"].iloc[0], spot[objective].iloc[0]
        axes.plot([x], [y], "o", ms=14, mfc="none", mec=INK, mew=1.3, zorder=4)
        names[row.family] = Name(f"{shortened(row.family)}, {row.choice}", (x, y), colors[row.family], far=16)
    spots = axes.transData.transform(trials[["fidelity", objective]].to_numpy(float))
    rings = axes.transData.transform([name.at for name in names.values()]) if names else np.empty((0, 2))
    reach = np.repeat([4.0, 8.0], [len(spots), len(rings)])[:, None]
    middles = np.vstack([spots, rings])
    write_names(axes, list(names.values()), np.hstack([middles - reach, middles + reach]), size=9.5)


def history(result: StudyResult) -> Drawing | None:
    """Hypervolume of each family's front after every candidate."""
    search = result.search
    lines = {f: values for f in tuning.families(search) if (values := tuning.of_family(search, f, "hypervolume"))}
    if not lines:
        return None
    colors, shapes = tuning.family_colors(result), _shapes(result)
    with canvas(370, 290, 56, 16, 36, 46) as (figure, axes):
        for family, values in lines.items():
            steps = np.arange(1, len(values) + 1)
            axes.plot(steps, values, color=colors[family], lw=1.8, marker=shapes[family], ms=5,
                      markevery=max(1, len(values) // 6), label=plain(shortened(family)))  # fmt: skip
        axes.grid(True, axis="y", color=GRID, lw=0.7)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        axes.set_xlabel("candidates tried")
        _above(axes, "hypervolume of the front", "↑ better")
        axes.legend(frameon=False, loc="best", fontsize=9.5)
        told = "; ".join(f"{family} {values[-1]:.4g}" for family, values in lines.items())
        return drawing(figure, "search-history", "Progress of the search", f"Hypervolume at the end: {told}.")


def importances(result: StudyResult) -> list[Drawing]:
    """Importance of every setting for every objective, a panel for each family."""
    search = result.search
    found = [_importance(family, tuning.of_family(search, family, "importance")) for family in tuning.families(search)]
    return [drawn for drawn in found if drawn]


def _importance(family: str, by_objective: dict | None) -> Drawing | None:
    by_objective = {k: v for k, v in (by_objective or {}).items() if isinstance(v, dict) and v}
    names = list(dict.fromkeys(name for values in by_objective.values() for name in values))
    if len(names) < 2:
        return None  # a single setting decides everything
    names.sort(key=lambda name: -sum(values.get(name) or 0 for values in by_objective.values()))
    shades = dict(zip(by_objective, ("#2257eb", "#f48709", "#23b890", "#7e5888"), strict=False))
    labels = [shortened(tuning.parameter_label(name)) for name in names]
    band = 11 * len(by_objective) + 12
    with canvas(370, 74 + band * len(names), 14 + 6 * max(map(len, labels)), 30, 40, 28) as (figure, axes):
        for place, name in enumerate(names):
            for line, (objective, values) in enumerate(by_objective.items()):
                y = place * band + 6 + 11 * (line + 0.5)
                part = values.get(name) or 0.0
                axes.barh([y], [part], height=8, color=shades[objective])
                axes.annotate(f"{number(100 * part, 0)} %", (part, y), (4, 0), textcoords="offset points", va="center",
                              fontsize=8.5, color=MUTED, annotation_clip=False)  # fmt: skip
        axes.set(xlim=(0, 1.02), ylim=(band * len(names), 0), xticks=[])
        axes.set_yticks([(place + 0.5) * band for place in range(len(names))], [plain(one) for one in labels],
                        color=INK)  # fmt: skip
        legend_row(axes, [(objective, "s", shades[objective]) for objective in by_objective], 4, 12, 88)
        axes.annotate(plain(shortened(family)), (0, 1), (0, 26), xycoords="axes fraction", weight="bold",
                      textcoords="offset points")  # fmt: skip
        told = "; ".join(
            f"{objective}: "
            + ", ".join(f"{tuning.parameter_label(k)} {100 * (v or 0):.0f} %" for k, v in values.items())
            for objective, values in by_objective.items()
        )
        return drawing(figure, file_name("search-importance", family), family, f"Importance for {family}. {told}.")


def slices(result: StudyResult) -> list[Drawing]:
    """Each setting of a family (across) against each objective (up), one point a candidate."""
    trials = tuning.completed(result.search).head(MOST_TRIALS)
    drawn = []
    for family, rows in trials.groupby("family", sort=False):
        columns = tuning.parameters(rows)[:6]
        if columns and len(rows) > 1:
            drawn.append(_slice(result, family, rows, columns))
    return drawn


def _slice(result: StudyResult, family: str, rows: pd.DataFrame, columns: list[str]) -> Drawing:
    color, many = tuning.family_colors(result)[family], len(columns)
    objectives = list(tuning.OBJECTIVES)
    width = 96 + 176 * many
    with panels(width, 470, 3, many, left=70, right=12, top=44, bottom=50, gap=26, rows_gap=26) as (figure, grid):
        for line, objective in enumerate(objectives):
            for place, column in enumerate(columns):
                axes: Axes = grid[line * many + place]
                front = rows["front"].str.lower() == "yes"
                x = _scaled(axes, rows[column])
                axes.plot(x[~front], rows[objective][~front], "o", color=color, alpha=0.5, ms=4.5, mew=0)
                axes.plot(x[front], rows[objective][front], "o", color=color, ms=6, mec=PAPER, mew=0.8, zorder=3)
                axes.grid(True, color=GRID, lw=0.6)
                axes.set_axisbelow(True)
                axes.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
                if place:
                    axes.tick_params(labelleft=False)
                else:
                    axes.set_ylabel(f"↓ {objective}")
                if line < 2:
                    axes.tick_params(labelbottom=False)
                else:
                    axes.set_xlabel(plain(tuning.parameter_label(column)))
        for line in range(3):
            low, high = rows[objectives[line]].min(), rows[objectives[line]].max()
            for place in range(many):
                grid[line * many + place].set_ylim(low - 0.08 * (high - low or 1), high + 0.08 * (high - low or 1))
        grid[0].annotate(plain(shortened(family)), (0, 1), (-40, 14), xycoords="axes fraction", weight="bold",
                         textcoords="offset points")  # fmt: skip
        alt = (
            f"{len(rows)} candidates of {family}: {', '.join(map(tuning.parameter_label, columns))} against ab RMSE "
            "and the distances to the truth’s vividness and hue diversity."
        )
        return drawing(figure, file_name("search-slices", family), family, alt)


def _scaled(axes: Axes, values: pd.Series) -> pd.Series:
    """The values as drawn: a logarithmic axis when they span much, with a place of its own for zero."""
    positive = values[values > 0]
    if len(positive) < 2 or positive.max() < 20 * positive.min() or (values < 0).any():
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=STEPS))
        return values
    powers = np.log10(positive)
    low, high = np.floor(powers.min()), np.ceil(powers.max())
    step = max(1, round((high - low) / 3))
    ticks = list(np.arange(low, high + 0.5, step))
    zero = low - 0.25 * (high - low)
    has_zero = bool((values == 0).any())
    axes.set_xticks(([zero] if has_zero else []) + ticks, minor=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: "0" if tick < low - 1e-9 else f"{10**tick:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim((zero if has_zero else low) - 0.08 * (high - low), high + 0.08 * (high - low))
    return pd.Series(np.where(values > 0, np.log10(values.where(values > 0, 1.0)), zero), index=values.index)
