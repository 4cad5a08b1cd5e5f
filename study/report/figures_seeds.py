"""The figure of single seeds: every trained network as a dot, arm by arm, on the metrics shown at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn
from matplotlib.ticker import MaxNLocator

from study.report.figures import LETTER, STEPS, file_name, plain, unit
from study.report.result import Metric, StudyResult
from study.report.style import number
from study.report.svg import GRID, INK, Drawing, canvas, drawing

WIDTH = 340


def seeds(result: StudyResult) -> list[tuple[Metric, Drawing]]:
    """A panel for each key metric that seeds.csv has."""
    table = result.tables["seeds"]
    table = table[table["arm"].isin(result.looks) & table["value"].notna()]
    found = []
    for metric in result.key_metrics:
        rows = table[table["metric"] == metric]
        if len(rows):
            found.append((result.metrics[metric], _strip(result, result.metrics[metric], rows)))
    return found


def _strip(result: StudyResult, card: Metric, rows: pd.DataFrame) -> Drawing:
    arms = [name for name in result.looks if name in set(rows["arm"])]
    labels = {name: result.looks[name].label for name in arms}
    height = 56 + 21 * len(arms)
    with canvas(WIDTH, height, 12 + LETTER * max(map(len, labels.values())), 26, 8, 48) as (figure, axes):
        if card.better == "target":
            axes.axvline(card.target, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
        elif result.baseline in arms:
            base = rows[rows["arm"] == result.baseline]["value"].mean()
            axes.axvline(base, color=GRID, lw=1.2, zorder=1)
        drawn = len(axes.collections)
        # Without jitter, which would draw random places and other bytes each time.
        seaborn.stripplot(
            data=rows, x="value", y="arm", order=arms, hue="arm", hue_order=arms, legend=False, jitter=False, size=4.6,
            palette={name: result.looks[name].color for name in arms}, alpha=0.6, linewidth=0, ax=axes,
        )  # fmt: skip
        for name, dots in zip(arms, axes.collections[drawn:], strict=False):
            dots.set_gid(f"arm-{result.looks[name].index}")
        means = rows.groupby("arm")["value"].mean()
        places = np.arange(len(arms))
        axes.vlines([means[name] for name in arms], places - 0.34, places + 0.34, color=INK, lw=1.6, zorder=4,
                    capstyle="round")  # fmt: skip
        low, high = _limits(rows[rows["arm"].map(lambda name: result.looks[name].family != "control")])
        if card.better == "target":
            low, high = min(low, card.target), max(high, card.target)
        pad = 0.06 * (high - low) or 1.0
        axes.set(xlim=(low - pad, high + pad), ylim=(len(arms) - 0.4, -0.6), ylabel="")
        axes.set_yticks(range(len(arms)), [plain(labels[name]) for name in arms], color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=STEPS, min_n_ticks=2))
        axes.set_xlabel(plain(f"{card.label}{unit(card)}"))
        told = "; ".join(
            f"{name} {number(part.min(), card.decimals)} to {number(part.max(), card.decimals)}"
            for name, part in rows.groupby("arm", sort=False)["value"]
        )
        return drawing(figure, file_name("seeds", card.name), card.label, f"{card.label} of every seed: {told}.")


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """All values, unless a few arms would squeeze the others into a point."""
    low, high = rows["value"].min(), rows["value"].max()
    inner = rows["value"].quantile([0.1, 0.9])
    reach = 3 * (inner.iloc[1] - inner.iloc[0])
    if reach > 0:
        low, high = max(low, inner.iloc[0] - reach), min(high, inner.iloc[1] + reach)
    return low, high
