"""Figures on theory, training and the search."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from study.report import plot as p
from study.report.evidence import gradient_rows, gradient_shares, theory_rows
from study.report.format import interval, number, percent, slug
from study.report.plot import BAND, INK, MUTED, PAPER, Plot
from study.report.result import AMOUNT, ERROR, StudyResult
from study.report.search import OBJECTIVES, Family, completed, objective_label, setting_label, varied
from study.report.styles import BASELINE_COLOR, COLORS, MARKERS, Style, term_colors

MOST_POINTS, MOST_ARMS, MOST_TRIALS = 80, 16, 1500
NOT_TERMS = {"total", "lr", "grad_norm", "images_per_s"}
DASHES = {"o": "-", "s": "--", "^": ":", "D": "-.", "v": (0, (7, 2, 1, 2, 1, 2))}  # marker of an arm -> its line


def theory(result: StudyResult, styles: dict[str, Style]) -> Plot | None:
    """Predicted (across) against measured chroma (up), a panel for each region; on the diagonal theory is right."""
    rows = [row for row in theory_rows(result) if row.explained != "no theory"]
    regions = list(dict.fromkeys(row.region for row in rows))
    if not regions:
        return None
    key = [style for arm, style in styles.items() if any(row.arm == arm for row in rows)]
    with p.panels(760, len(regions), key=key) as (figure, made):
        for axes, region in zip(made, regions, strict=True):
            own = [row for row in rows if row.region == region]
            ends = [row.predicted_chroma for row in own] + [row.chroma for row in own] + [own[0].true_chroma, 5]
            top = 1.1 * np.nanmax(ends)
            p.stroke(axes, [0, top], [0, top], color=MUTED, lw=1, zorder=1)
            p.stroke(axes, [0, top], [own[0].true_chroma] * 2, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
            for row in own:
                ends = [row.chroma_low, row.chroma_high]
                p.stroke(axes, [row.predicted_chroma] * 2, ends, styles[row.arm], lw=1.5)
                p.dot(axes, row.predicted_chroma, row.chroma, styles[row.arm])
            axes.set(xlim=(0, top), ylim=(0, top))
            p.heading(axes, region)
            p.scales(axes, "predicted chroma", "measured chroma", nx=4, ny=4)
        told = "; ".join(f"{row.arm} on {row.region} {number(row.predicted_chroma, 1)}, {number(row.chroma, 1)}"
                         for row in rows[:40])  # fmt: skip
        return p.finish(figure, "theory", "Predicted and measured chroma", f"Predicted and measured chroma: {told}.")


def effects(result: StudyResult, styles: dict[str, Style]) -> list[Plot]:
    """Main effects and interactions of the terms, a figure for each key metric, with Shapley shares at the right."""
    rows = [row for row in result.rows("factorial") if not row.effect.startswith("shapley ")]
    return [_effects(result, styles, metric, [row for row in rows if row.metric == metric])
            for metric in result.key_metrics if any(row.metric == metric for row in rows)]  # fmt: skip


def _effects(result: StudyResult, styles: dict[str, Style], metric: str, rows: list[Any]) -> Plot:
    card = result.metrics[metric]
    colors = term_colors([row.effect for row in rows if " " not in row.effect], styles)
    names = ["all on − all off" if row.effect == "all three" else row.effect.replace(" x ", " × ") for row in rows]
    with p.drawing(370, 22 * len(rows), left=p.width_of(names), right=44, top=26) as (figure, axes):
        axes.axvline(0, color=MUTED, lw=1, zorder=1)
        for place, row in enumerate(rows):
            color = colors.get(row.effect, MUTED)
            if row.low == row.low:
                axes.plot([row.low, row.high], [place] * 2, color=color, lw=2)
            axes.plot(row.estimate, place, "o" if row.effect in colors else "D", color=color, ms=7, mec=PAPER, zorder=3)
            if row.shapley == row.shapley:
                p.beside(axes, place, f"{number(100 * row.shapley, 0)} %")
        axes.set(ylim=(len(rows) - 0.4, -0.6))
        p.heading(axes, card.label)
        p.scales(axes, f"effect on {card.label}{card.unit_label}", x=p.signed, y=None, nx=4)
        p.write_rows(axes, names)
        told = "; ".join(f"{row.effect} {number(row.estimate, card.decimals, True)} "
                         f"{interval(row.low, row.high, card.decimals, True)}".strip() for row in rows)  # fmt: skip
        return p.finish(figure, slug("effects", metric), card.label, f"Effects on {card.label}: {told}.")


def validation_curves(result: StudyResult, styles: dict[str, Style]) -> list[Plot]:
    """Error and amount of colour on validation pictures while training."""
    return [made for name in (ERROR, AMOUNT) if (made := _curve(result, styles, "val", name))]


def term_curves(result: StudyResult, styles: dict[str, Style]) -> list[Plot]:
    """Every loss term on training pictures while training."""
    curves = result.tables["curves"]
    names = [name for name in dict.fromkeys(curves[curves["split"] == "train"]["name"]) if name not in NOT_TERMS]
    return [made for name in names if (made := _curve(result, styles, "train", name))]


def _curve(result: StudyResult, styles: dict[str, Style], split: str, name: str) -> Plot | None:
    """A line and the range over seeds for each trained arm; the legend is in the order of the ends."""
    table = result.tables["curves"]
    table = table[(table["split"] == split) & (table["name"] == name) & table["mean"].map(math.isfinite)]
    lines = {arm: rows.sort_values("images") for arm, rows in table.groupby("arm", sort=False) if arm in result.trained}
    if not lines:
        return None
    card = result.metrics.get(name)
    order = sorted(lines, key=lambda arm: -lines[arm]["mean"].iloc[-1])
    colors = [styles[arm].color for arm in lines]
    height, room = max(230, p.LINE * len(lines)), 24 + p.width_of(styles[arm].label for arm in lines)
    with p.drawing(580, height, right=room, top=26) as (figure, axes):
        for arm in sorted(lines, key=list(styles).index):
            own, rows = styles[arm], lines[arm]
            step = math.ceil(len(rows) / MOST_POINTS)
            rows = rows.iloc[sorted({*range(0, len(rows), step), len(rows) - 1})]
            x, low, high = (rows[name].to_numpy() for name in ("images", "low", "high"))
            p.band(axes, x, low, high, own, alpha=0.14)
            p.stroke(axes, x, rows["mean"], own, ls=DASHES.get(own.marker, "-") if colors.count(own.color) > 1 else "-",
                   marker=own.marker if len(rows) < 3 else None)  # fmt: skip
        if split == "train" and (table["mean"] > 0).all() and table["mean"].max() > 20 * table["mean"].min():
            axes.set_yscale("log")
        if card and card.better == "target":
            axes.axhline(card.target, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
        axes.update_datalim(table[["images", "low"]].to_numpy())
        axes.update_datalim(table[["images", "high"]].to_numpy())
        axes.autoscale_view()
        label = card.label + card.unit_label if card else f"{name.replace('_', ' ')}, unweighted"
        axes.set(xlim=(0, table["images"].max()))
        p.heading(axes, label)
        p.scales(axes, "training pictures seen", x=p.thousands)
        p.write_key(figure, [styles[arm] for arm in order], 580 - room + 8, figure.bbox.height - 34)
        ends = "; ".join(f"{arm} {lines[arm]['mean'].iloc[-1]:.4g}".replace("-", "−") for arm in order)
        where = "validation" if split == "val" else "training"
        return p.finish(figure, slug("curve", split, name), label, f"{label} on {where} pictures; at the end: {ends}.")


def gradients(result: StudyResult, styles: dict[str, Style]) -> Plot | None:
    """Share of each term in the gradient over training, stacked, a small panel for each arm with several terms."""
    arms = dict.fromkeys(row.arm for row in gradient_rows(result))
    found = {arm: part for arm in styles if arm in arms and (part := gradient_shares(result, arm)).shape[1] > 1}
    found = dict(list(found.items())[:MOST_ARMS])
    if not found:
        return None
    colors = term_colors(list(dict.fromkeys(term for part in found.values() for term in part)), styles)
    key = [Style(-1, color, "s", term.replace("_", " ")) for term, color in colors.items()]
    with p.panels(760, len(found), 4, height=92, left=38, bottom=22, gap=(14, 50), key=key) as (figure, made):
        for place, (axes, (arm, part)) in enumerate(zip(made, found.items(), strict=True)):
            shares = part.fillna(0).to_numpy().T
            across = part.index.to_numpy(float)
            if len(across) == 1:
                across, shares = np.array([0.0, across[0]]), np.repeat(shares, 2, axis=1)
            tops = np.vstack([np.zeros(len(across)), shares.cumsum(axis=0)])
            for term, low, high in zip(part, tops, tops[1:], strict=False):
                p.band(axes, across, low, high, Style(-1, colors[term], "s", term))
            p.heading(axes, styles[arm].label)
            axes.set(ylim=(0, 1), xlim=(across[0], across[-1]))
            p.scales(axes, x=p.thousands, y=percent if place % 4 == 0 else lambda _: "", nx=3, ny=2)
        told = "; ".join(f"{arm}: " + ", ".join(f"{term} {number(100 * part[term].mean(), 1)} %" for term in part)
                         for arm, part in found.items())  # fmt: skip
        return p.finish(figure, "gradients", "Shares in the gradient", f"Mean share of each term: {told}.")


def _family_looks(families: list[Family], styles: dict[str, Style]) -> dict[str, Style]:
    """Colour and marker of each family: the colour of its tuned arm or of the arm of its name, where there is one."""
    found: dict[str, Style] = {}
    for place, family in enumerate(families):
        own = styles.get(family.arm or "") or styles.get(family.name)
        taken = {style.color for style in found.values()}
        color = own.color if own and own.color not in taken else None
        color = color or next((one for one in (*COLORS, BASELINE_COLOR) if one not in taken), BASELINE_COLOR)
        found[family.name] = Style(-1, color, MARKERS[place % len(MARKERS)], family.name)
    return found


def fronts(result: StudyResult, families: list[Family], styles: dict[str, Style]) -> Plot | None:
    """Every candidate: distance to the truth's vividness and hue diversity against error; the front is full."""
    if not families or completed(result).empty:
        return None
    trials, looks = completed(result).head(MOST_TRIALS), _family_looks(families, styles)
    with p.panels(760, 2, 2, height=280, left=40, gap=(40, 0), key=list(looks.values())) as (figure, made):
        for axes, objective in zip(made, OBJECTIVES[1:], strict=True):
            for family, rows in trials.groupby("family", sort=False):
                front, own = rows["front"], looks[family]
                common = {"marker": own.marker, "color": own.color, "ls": "none"}
                axes.plot(rows["fidelity"][~front], rows[objective][~front], ms=5, alpha=0.45, mew=0, **common)
                axes.plot(rows["fidelity"][front], rows[objective][front], ms=7.5, mec=INK, mew=0.9, zorder=3, **common)
            for values, limit in ((trials["fidelity"], axes.set_xlim), (trials[objective], axes.set_ylim)):
                # The lower nine tenths in full; what lies far outside is cut, not squeezed in.
                low, high = values.min(), min(values.max(), values.min() + 2.2 * (values.quantile(0.8) - values.min()))
                limit(low - 0.07 * (high - low or 1), (high if high > low else values.max()) + 0.07 * (high - low or 1))
            p.heading(axes, objective_label(objective, result))
            p.scales(axes, "ab RMSE (Lab units), lower is better")
            p.write_labels(axes, _chosen(trials, families, objective, axes))
        told = "; ".join(f"{family.name}: {family.candidates} candidates" for family in families)
        return p.finish(figure, "search-fronts", "Candidates of the search", f"Objectives of every candidate. {told}.")


def _chosen(trials: pd.DataFrame, families: list[Family], objective: str, axes: Any) -> list[tuple[str, float, float]]:
    """Ring the recommended candidate of each family (its knee where what is recommended was no candidate)."""
    named = []
    for family in families:
        ranked = sorted(family.finalists, key=lambda one: ("recommended" not in one.choices, "knee" not in one.choices))
        for one in ranked[:2]:
            spot = trials[(trials["family"] == family.name) & (trials["trial"] == one.trial)]
            if len(spot):
                x, y = spot["fidelity"].iloc[0], spot[objective].iloc[0]
                axes.plot(x, y, "o", ms=14, mfc="none", mec=INK, mew=1.3, zorder=4)
                named.append((f"{family.name}, {one.choices[0]}", x, y))
                break
    return named


def settings(result: StudyResult, families: list[Family], styles: dict[str, Style]) -> list[Plot]:
    """Each setting of a family (across) against each objective (up); shaded: as good as the best, line: recommended."""
    if not families:
        return []
    trials, looks = completed(result).head(MOST_TRIALS), _family_looks(families, styles)
    found = []
    for family in families:
        rows = trials[trials["family"] == family.name]
        if len(rows) > 1 and (columns := varied(rows)[:6]):
            found.append(_settings(result, family, rows, columns, looks[family.name].color))
    return found


def _settings(result: StudyResult, family: Family, rows: pd.DataFrame, columns: list[str], color: str) -> Plot:
    front = rows["front"]
    regions = {one.column: one for one in family.regions}
    many = len(columns)
    with p.drawing(74 + 176 * many, 110, 3, many, left=62, top=28, gap=(12, 12), sharey="row", sharex="col") as (
        figure, grid,
    ):  # fmt: skip
        for line, objective in enumerate(OBJECTIVES):
            for place, column in enumerate(columns):
                axes, one, x = grid[line * many + place], regions.get(column), rows[column]
                positive = x[x > 0]
                if len(positive) > 1 and positive.max() >= 20 * positive.min() and (x >= 0).all():
                    axes.set_xscale("symlog", linthresh=positive.min(), linscale=0.4)
                if one and one.low == one.low:
                    axes.axvspan(one.low, one.high, color=BAND, lw=0, zorder=0)
                if one:
                    axes.axvline(one.value, color=INK, lw=1, zorder=1)
                axes.plot(x[~front], rows[objective][~front], "o", color=color, alpha=0.5, ms=4.5, mew=0)
                axes.plot(x[front], rows[objective][front], "o", color=color, ms=6, mec=INK, mew=0.8, zorder=3)
                p.scales(axes, setting_label(column) if line == 2 else "",
                       "" if place else objective_label(objective, result), x=p.plain if line == 2 else lambda _: "",
                       y=(lambda _: "") if place else p.plain, nx=4, ny=4)  # fmt: skip
        p.heading(grid[0], family.name)
        told = ", ".join(map(setting_label, columns))
        return p.finish(figure, slug("search", "settings", family.name), family.name,
                      f"{len(rows)} candidates of {family.name}: {told} against the three objectives.")  # fmt: skip


def progress(families: list[Family], result: StudyResult, styles: dict[str, Style]) -> Plot | None:
    """Hypervolume of each family's front after every candidate."""
    told = result.search.meta.get("families") or {} if result.search else {}
    lines = {one.name: values for one in families if (values := (told.get(one.name) or {}).get("hypervolume"))}
    if not lines:
        return None
    looks = _family_looks(families, styles)
    with p.drawing(370, 210, top=26, key=[looks[name] for name in lines]) as (figure, axes):
        for name, values in lines.items():
            axes.plot(range(1, len(values) + 1), values, color=looks[name].color, marker=looks[name].marker, ms=5,
                      markevery=max(1, len(values) // 6))  # fmt: skip
        p.heading(axes, "hypervolume of the front, higher is better")
        p.scales(axes, "candidates tried")
        ends = "; ".join(f"{name} {values[-1]:.4g}" for name, values in lines.items())
        return p.finish(figure, "search-progress", "Progress of the search", f"Hypervolume at the end: {ends}.")
