"""Figures on colour where the palettes are known: chroma by kind of region, and the ab plane."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from skimage.color import lab2rgb

from study.report.figures import STEPS, file_name, plain, shortened
from study.report.result import StudyResult
from study.report.style import number
from study.report.svg import BAND, GRID, INK, MUTED, PAPER, Drawing, canvas, drawing

CROWDED = 12  # arms in one panel; of more, those derived from others are left out


def not_derived(result: StudyResult, arms: list[str]) -> list[str]:
    """These arms, or where they are many, only the losses, the tuned ones and the gain that those have to beat."""
    return arms if len(arms) <= CROWDED else [arm for arm in arms if not result.is_derived(arm)]


def chroma_by_kind(result: StudyResult, metric: str = "chroma") -> Drawing | None:
    """Predicted chroma of each kind of region beside its palette's mean chroma and the chroma of its mean colour.

    An arm that averages stands at the dashed line (the length of the mean vector), one that paints the truth's amount
    at the solid one; kinds with the widest gap between the two come first. None when kinds.csv has no chroma.
    """
    values = result.kind_values(metric)
    if not values:
        return None
    laws = {law["kind"]: law for law in (result.facts.get("law") or {}).get("kinds", [])}
    look = result.looks
    arms = not_derived(result, [arm for arm in look if any(name == arm for name, _ in values)])
    kinds = list(dict.fromkeys(kind for _, kind in values))
    kinds.sort(key=lambda kind: math.hypot(*laws[kind]["mean"]) - laws[kind]["mean_chroma"] if kind in laws else 0.0)
    lane, gap = 8, 16
    band = lane * len(arms) + gap
    left = 14 + 6.6 * max(len(shortened(kind)) for kind in kinds)
    with canvas(760, 94 + band * len(kinds), left, 18, 28, 64) as (figure, axes):
        axes.set_ylim(band * len(kinds), 0)
        for place, kind in enumerate(kinds):
            top, bottom = place * band + gap / 2 - 3, (place + 1) * band - gap / 2 + 3
            if place:
                axes.axhline(place * band, color=GRID, lw=0.8, zorder=0)
            if kind in laws:
                truth, mean = laws[kind]["mean_chroma"], math.hypot(*laws[kind]["mean"])
                axes.fill_between([mean, truth], top, bottom, color=BAND, lw=0, zorder=0)
                axes.plot([truth] * 2, [top, bottom], color=INK, lw=2.4, solid_capstyle="butt", zorder=2)
                axes.plot([mean] * 2, [top, bottom], color=INK, lw=1.2, ls=(0, (2, 2)), zorder=2)
                if place == 0:
                    _kind_captions(axes, truth, mean)
            for number_, arm in enumerate(arms):
                if (arm, kind) not in values:
                    continue
                found, y = values[arm, kind], place * band + gap / 2 + lane * (number_ + 0.5)
                if found.has_interval:
                    axes.plot(
                        [found.low, found.high], [y] * 2, color=look[arm].color, lw=1.6, gid=f"arm-{look[arm].index}"
                    )
                axes.plot([found.mean], [y], look[arm].marker, color=look[arm].color, ms=5.5 * look[arm].size,
                          mec=PAPER, mew=0.6, zorder=4, gid=f"arm-{look[arm].index}")  # fmt: skip
        marks = [found.mean for found in values.values()] + [law["mean_chroma"] for law in laws.values()]
        axes.set_xlim(-0.03 * max(marks), 1.06 * max(marks))
        axes.set_yticks(
            [(place + 0.5) * band for place in range(len(kinds))], [plain(shortened(k)) for k in kinds], color=INK
        )
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=STEPS))
        axes.set_xlabel("mean chroma (Lab units)")
        if laws:
            axes.annotate("better: nearer the solid line", (1, 0), (0, -58), xycoords="axes fraction", va="bottom",
                          textcoords="offset points", ha="right", weight="bold")  # fmt: skip
        alt = "Mean chroma of each arm by kind of region" + _kind_words(kinds, laws) + "."
        return drawing(figure, "chroma-by-kind", "Chroma by kind of region", alt)


def _kind_captions(axes: Axes, truth: float, mean: float) -> None:
    close = abs(truth - mean) < 8
    for x, text, side in ((mean, "the average colour", "right" if close else "center"),
                          (truth, "truth", "left" if close else "center")):  # fmt: skip
        axes.annotate(text, (x, 1), (0, 5), xycoords=("data", "axes fraction"), textcoords="offset points", ha=side,
                      color=MUTED, fontsize=9.5)  # fmt: skip


def _kind_words(kinds: list[str], laws: dict) -> str:
    told = [
        f"{kind} palette {number(laws[kind]['mean_chroma'], 1)}, "
        f"its average colour {number(math.hypot(*laws[kind]['mean']), 1)}"
        for kind in kinds
        if kind in laws
    ]
    return f" beside its palette: {'; '.join(told)}" if told else ""


def ab_planes(result: StudyResult) -> list[Drawing]:
    """The ab plane of each kind with a known palette: its modes, their mean and the mean colour each arm predicts."""
    a_values, b_values = result.kind_values("a_mean"), result.kind_values("b_mean")
    laws = (result.facts.get("law") or {}).get("kinds", [])
    predicted = {
        (row.arm, row.kind): (row.predicted_a, row.predicted_b)
        for row in result.tables["theory"].itertuples()
        if not (math.isnan(row.predicted_a) or math.isnan(row.predicted_b))
    }
    return [
        _ab_plane(result, law, a_values, b_values, predicted)
        for law in laws
        if any(kind == law["kind"] for _, kind in a_values)
    ]


def _ab_plane(result: StudyResult, law: dict, a_values: dict, b_values: dict, predicted: dict) -> Drawing:
    look = result.looks
    modes, chances, mean = np.array(law["modes"], float), np.array(law["probabilities"], float), law["mean"]
    spots = {
        arm: (a_values[arm, law["kind"]].mean, b_values[arm, law["kind"]].mean)
        for arm in not_derived(result, list(look))
        if (arm, law["kind"]) in a_values and (arm, law["kind"]) in b_values
    }
    everything = np.vstack([modes, [mean], [[0, 0]], *[[spot] for spot in spots.values()]])
    middle = (everything.min(axis=0) + everything.max(axis=0)) / 2
    half = max(14.0, (everything.max(axis=0) - everything.min(axis=0)).max() / 2 * 1.18)
    with canvas(300, 300, 44, 10, 10, 44) as (figure, axes):
        axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
        axes.axhline(0, color=GRID, lw=1, zorder=0)
        axes.axvline(0, color=GRID, lw=1, zorder=0)
        fills = lab2rgb(np.concatenate([np.full((len(modes), 1), 65.0), modes], axis=1)[None])[0].clip(0, 1)
        axes.scatter(modes[:, 0], modes[:, 1], s=40 + 460 * chances, c=fills, edgecolors=INK, linewidths=1, zorder=1)
        for arm, (a, b) in spots.items():
            if (arm, law["kind"]) in predicted:
                expected = predicted[arm, law["kind"]]
                axes.plot([expected[0], a], [expected[1], b], color=look[arm].color, lw=1.2, zorder=2,
                          gid=f"arm-{look[arm].index}")  # fmt: skip
            axes.plot([a], [b], look[arm].marker, color=look[arm].color, ms=7 * look[arm].size, mec=PAPER,
                      mew=0.8, zorder=3, gid=f"arm-{look[arm].index}")  # fmt: skip
        axes.plot([mean[0]], [mean[1]], "x", color=INK, ms=9, mew=2, zorder=4)
        axes.text(
            0.03, 0.97, plain(shortened(law["kind"])), transform=axes.transAxes, va="top", weight="bold", fontsize=11
        )
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        axes.set_xlabel("green ←  a (Lab units)  → red")
        axes.set_ylabel("blue ←  b (Lab units)  → yellow")
        told = "; ".join(f"{arm} ({number(a, 0)}, {number(b, 0)})" for arm, (a, b) in spots.items())
        alt = (
            f"The ab plane for {law['kind']}: {len(modes)} palette colours, their average "
            f"({number(mean[0], 0)}, {number(mean[1], 0)}), and the mean prediction of {told}."
        )
        return drawing(figure, file_name("ab", law["kind"]), law["kind"], alt)
