"""Figures on theory, training and the search."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from study.report import plot as p
from study.report.evidence import gradient_rows, gradient_shares, theory_rows
from study.report.format import interval, number, slug
from study.report.plot import BAND, INK, MUTED, PAPER, Plot, drawing, finish, handle, legend_of, mark_arm, thin_ticks
from study.report.result import AMOUNT, ERROR, StudyResult
from study.report.search import OBJECTIVES, Family, completed, objective_label, setting_label, varied
from study.report.styles import BASELINE_COLOR, COLORS, MARKERS, Style, term_colors

MOST_POINTS, MOST_ARMS, MOST_TRIALS = 160, 16, 1500
NOT_TERMS = {"total", "lr", "grad_norm", "images_per_s"}
DASHES = {"o": "-", "s": "--", "^": ":", "D": "-.", "v": (0, (7, 2, 1, 2, 1, 2))}  # marker of an arm -> its line


def theory(result: StudyResult, styles: dict[str, Style]) -> Plot | None:
    """Predicted (across) against measured chroma (up), a panel for each region; on the diagonal theory is right."""
    rows = [row for row in theory_rows(result) if row.explained != "no theory"]
    regions = list(dict.fromkeys(row.region for row in rows))
    if not regions:
        return None
    columns = min(3, len(regions))
    lines = math.ceil(len(regions) / columns)
    with drawing(760, 60 + 240 * lines, lines, columns) as (figure, panels):
        panels = panels if isinstance(panels, list) else [panels]
        for axes, region in zip(panels, regions, strict=False):
            own = [row for row in rows if row.region == region]
            ends = [row.predicted_chroma for row in own] + [row.chroma for row in own] + [own[0].true_chroma, 5]
            top = 1.1 * np.nanmax(ends)
            axes.plot([0, top], [0, top], color=MUTED, lw=1, zorder=1)
            axes.axhline(own[0].true_chroma, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
            for row in own:
                style = styles[row.arm]
                if row.chroma_low == row.chroma_low:
                    span = [row.chroma_low, row.chroma_high]
                    mark_arm(axes.plot([row.predicted_chroma] * 2, span, color=style.color, lw=1.5), style)
                mark_arm(axes.plot(row.predicted_chroma, row.chroma, style.marker, color=style.color,
                                   ms=7 * style.size, mec=PAPER, mew=0.7, zorder=3), style)  # fmt: skip
            axes.set(xlim=(0, top), ylim=(0, top), title=region, box_aspect=1, xlabel="predicted chroma",
                     ylabel="measured chroma")  # fmt: skip
            thin_ticks(axes, 4, 4)
        for axes in panels[len(regions) :]:
            axes.axis("off")
        legend_of(figure, [styles[arm] for arm in styles if any(row.arm == arm for row in rows)])
        told = "; ".join(f"{row.arm} on {row.region} {number(row.predicted_chroma, 1)}, {number(row.chroma, 1)}"
                         for row in rows[:40])  # fmt: skip
        return finish(figure, "theory", "Predicted and measured chroma", f"Predicted and measured chroma: {told}.")


def effects(result: StudyResult, styles: dict[str, Style]) -> list[Plot]:
    """Main effects and interactions of the terms, a figure for each key metric, with Shapley shares at the right."""
    rows = [row for row in result.rows("factorial") if not row.effect.startswith("shapley ")]
    return [_effects(result, styles, metric, [row for row in rows if row.metric == metric])
            for metric in result.key_metrics if any(row.metric == metric for row in rows)]  # fmt: skip


def _effects(result: StudyResult, styles: dict[str, Style], metric: str, rows: list[Any]) -> Plot:
    card = result.metrics[metric]
    colors = term_colors([row.effect for row in rows if " " not in row.effect], styles)
    with drawing(370, 66 + 22 * len(rows)) as (figure, axes):
        axes.axvline(0, color=MUTED, lw=1, zorder=1)
        for place, row in enumerate(rows):
            color = colors.get(row.effect, MUTED)
            if row.low == row.low:
                axes.plot([row.low, row.high], [place] * 2, color=color, lw=2)
            axes.plot(row.estimate, place, "o" if row.effect in colors else "D", color=color, ms=7, mec=PAPER, zorder=3)
            if row.shapley == row.shapley:
                axes.annotate(f"{number(100 * row.shapley, 0)} %", (1, place), (4, 0), va="center",
                              xycoords=("axes fraction", "data"), textcoords="offset points",
                              annotation_clip=False)  # fmt: skip
        names = ["all on − all off" if row.effect == "all three" else row.effect.replace(" x ", " × ") for row in rows]
        axes.set(ylim=(len(rows) - 0.4, -0.6), title=card.label, xlabel=f"effect on {card.label}{card.unit_label}")
        axes.set_yticks(range(len(rows)), names, color=INK)
        axes.locator_params(axis="x", nbins=4)
        axes.xaxis.set_major_formatter(p.signed)
        told = "; ".join(f"{row.effect} {number(row.estimate, card.decimals, True)} "
                         f"{interval(row.low, row.high, card.decimals, True)}".strip() for row in rows)  # fmt: skip
        return finish(figure, slug("effects", metric), card.label, f"Effects on {card.label}: {told}.")


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
    with drawing(560, max(300, 60 + 15 * len(lines))) as (figure, axes):
        colors = [styles[arm].color for arm in lines]
        handles = {}
        for arm in sorted(lines, key=list(styles).index):
            own, rows = styles[arm], lines[arm]
            step = math.ceil(len(rows) / MOST_POINTS)
            rows = rows.iloc[sorted({*range(0, len(rows), step), len(rows) - 1})]
            line = DASHES.get(own.marker, "-") if colors.count(own.color) > 1 else "-"
            band = axes.fill_between(rows["images"], rows["low"], rows["high"], alpha=0.14, lw=0, color=own.color)
            (made,) = axes.plot(rows["images"], rows["mean"], ls=line, color=own.color, label=own.label,
                                marker=own.marker if len(rows) < 3 else None)  # fmt: skip
            mark_arm([band, made], own)
            handles[arm] = made
        if split == "train" and (table["mean"] > 0).all() and table["mean"].max() > 20 * table["mean"].min():
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(p.plain)
        if card and card.better == "target":
            axes.axhline(card.target, color=INK, lw=1, ls=(0, (3, 2.5)), zorder=1)
        axes.xaxis.set_major_formatter(p.thousands)
        label = card.label + card.unit_label if card else f"{name.replace('_', ' ')}, unweighted"
        axes.set(xlim=(0, None), xlabel="training pictures seen", title=label)
        figure.legend(handles=[handles[arm] for arm in order], loc="outside right center")
        ends = "; ".join(f"{arm} {lines[arm]['mean'].iloc[-1]:.4g}".replace("-", "−") for arm in order)
        where = "validation" if split == "val" else "training"
        return finish(figure, slug("curve", split, name), label, f"{label} on {where} pictures; at the end: {ends}.")


def gradients(result: StudyResult, styles: dict[str, Style]) -> Plot | None:
    """Share of each term in the gradient over training, stacked, a small panel for each arm with several terms."""
    arms = dict.fromkeys(row.arm for row in gradient_rows(result))
    found = {arm: part for arm in styles if arm in arms and (part := gradient_shares(result, arm)).shape[1] > 1}
    found = dict(list(found.items())[:MOST_ARMS])
    if not found:
        return None
    colors = term_colors(list(dict.fromkeys(term for part in found.values() for term in part)), styles)
    columns = min(4, len(found))
    lines = math.ceil(len(found) / columns)
    with drawing(90 + 190 * columns, 70 + 140 * lines, lines, columns, sharex=True, sharey=True) as (figure, panels):
        panels = panels if isinstance(panels, list) else [panels]
        for axes, (arm, part) in zip(panels, found.items(), strict=False):
            across = part.index.to_numpy(float) if len(part) > 1 else np.array([0.0, part.index[0]])
            heights = (
                part.fillna(0).to_numpy().T if len(part) > 1 else np.repeat(part.fillna(0).to_numpy().T, 2, axis=1)
            )
            axes.stackplot(across, heights, colors=[colors[term] for term in part], lw=0)
            axes.set(title=styles[arm].label, ylim=(0, 1), xlim=(across[0], across[-1]))
            axes.locator_params(axis="x", nbins=3)
            axes.xaxis.set_major_formatter(p.thousands)
            axes.yaxis.set_major_formatter(p.shares)
        for axes in panels[len(found) :]:
            axes.axis("off")
        patches = [handle(Style(0, color, "s", term.replace("_", " "))) for term, color in colors.items()]
        for patch in patches:
            patch.set_gid(None)
        figure.legend(handles=patches, loc="outside upper left", ncols=6)
        figure.supxlabel("training pictures seen", fontsize=10, color=MUTED)
        told = "; ".join(f"{arm}: " + ", ".join(f"{term} {number(100 * part[term].mean(), 1)} %" for term in part)
                         for arm, part in found.items())  # fmt: skip
        return finish(figure, "gradients", "Share of each term in the gradient", f"Mean share of the gradient. {told}.")


def _family_looks(families: list[Family], styles: dict[str, Style]) -> dict[str, Style]:
    """Colour and marker of each family: the colour of its tuned arm or of the arm of its name, where there is one."""
    found: dict[str, Style] = {}
    for place, family in enumerate(families):
        own = styles.get(family.arm or "") or styles.get(family.name)
        taken = {style.color for style in found.values()}
        color = own.color if own and own.color not in taken else None
        color = color or next((one for one in (*COLORS, BASELINE_COLOR) if one not in taken), BASELINE_COLOR)
        found[family.name] = Style(place, color, MARKERS[place % len(MARKERS)], family.name)
    return found


def fronts(result: StudyResult, families: list[Family], styles: dict[str, Style]) -> Plot | None:
    """Every candidate: distance to the truth's vividness and hue diversity against error; the front is full."""
    if not families or completed(result).empty:
        return None
    trials, looks = completed(result).head(MOST_TRIALS), _family_looks(families, styles)
    with drawing(760, 380, 1, 2) as (figure, panels):
        for axes, objective in zip(panels, OBJECTIVES[1:], strict=True):
            for family, rows in trials.groupby("family", sort=False):
                front, own = rows["front"], looks[family]
                common = {"marker": own.marker, "color": own.color, "ls": "none"}
                axes.plot(rows["fidelity"][~front], rows[objective][~front], ms=5, alpha=0.45, mew=0, **common)
                axes.plot(rows["fidelity"][front], rows[objective][front], ms=7.5, mec=INK, mew=0.9, zorder=3, **common)
            for values, limit in ((trials["fidelity"], axes.set_xlim), (trials[objective], axes.set_ylim)):
                # The lower nine tenths in full; what lies far outside is cut, not squeezed in.
                low, high = values.min(), min(values.max(), values.min() + 2.2 * (values.quantile(0.8) - values.min()))
                limit(low - 0.07 * (high - low or 1), (high if high > low else values.max()) + 0.07 * (high - low or 1))
            axes.set(xlabel="ab RMSE (Lab units), lower is better", title=objective_label(objective, result))
            thin_ticks(axes)
        legend = [handle(look) for look in looks.values()]
        for entry in legend:
            entry.set_gid(None)
        figure.legend(handles=legend, loc="outside lower left", ncols=5)
        for axes, objective in zip(panels, OBJECTIVES[1:], strict=True):
            p.write_labels(axes, _chosen(trials, families, objective, axes))
        told = "; ".join(f"{family.name}: {family.candidates} candidates" for family in families)
        return finish(figure, "search-fronts", "Candidates of the search", f"Objectives of every candidate. {told}.")


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
    with drawing(110 + 176 * many, 430, 3, many, sharey="row", sharex="col") as (figure, panels):
        for line, objective in enumerate(OBJECTIVES):
            for place, column in enumerate(columns):
                axes, one, x = panels[line * many + place], regions.get(column), rows[column]
                positive = x[x > 0]
                if len(positive) > 1 and positive.max() >= 20 * positive.min() and (x >= 0).all():
                    axes.set_xscale("symlog", linthresh=positive.min(), linscale=0.4)
                    axes.xaxis.set_major_formatter(p.plain)
                if one and one.low == one.low:
                    axes.axvspan(one.low, one.high, color=BAND, lw=0, zorder=0)
                if one:
                    axes.axvline(one.value, color=INK, lw=1, zorder=1)
                axes.plot(x[~front], rows[objective][~front], "o", color=color, alpha=0.5, ms=4.5, mew=0)
                axes.plot(x[front], rows[objective][front], "o", color=color, ms=6, mec=INK, mew=0.8, zorder=3)
                if not place:
                    axes.set_ylabel(objective_label(objective, result))
                if line == 2:
                    axes.set_xlabel(setting_label(column))
        figure.suptitle(family.name, x=0.01, ha="left", fontsize=10.5, color=INK, weight="bold")
        told = ", ".join(map(setting_label, columns))
        return finish(figure, slug("search", "settings", family.name), family.name,
                      f"{len(rows)} candidates of {family.name}: {told} against the three objectives.")  # fmt: skip


def progress(families: list[Family], result: StudyResult, styles: dict[str, Style]) -> Plot | None:
    """Hypervolume of each family's front after every candidate."""
    told = result.search.meta.get("families") or {} if result.search else {}
    lines = {one.name: values for one in families if (values := (told.get(one.name) or {}).get("hypervolume"))}
    if not lines:
        return None
    looks = _family_looks(families, styles)
    with drawing(370, 280) as (figure, axes):
        for name, values in lines.items():
            axes.plot(range(1, len(values) + 1), values, color=looks[name].color, marker=looks[name].marker, ms=5,
                      markevery=max(1, len(values) // 6), label=name)  # fmt: skip
        axes.set(xlabel="candidates tried", title="hypervolume of the front, higher is better")
        axes.locator_params(axis="x", integer=True)
        axes.legend()
        ends = "; ".join(f"{name} {values[-1]:.4g}" for name, values in lines.items())
        return finish(figure, "search-progress", "Progress of the search", f"Hypervolume at the end: {ends}.")
