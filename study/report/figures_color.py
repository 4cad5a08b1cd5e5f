"""Figures on colour: sorted colours of every arm, its histogram, hues and chroma, and the regions of a known world."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.patches import Polygon
from skimage.color import lab2rgb

from study.report import plot as p
from study.report.format import number, slug
from study.report.plot import BAND, GRID, INK, MUTED, Plot
from study.report.result import ColorUse, StudyResult
from study.report.styles import Style

REACH = 110.0  # of the histogram in a and b, Lab units
LIGHTNESS = 62.0  # at which a colour of the plane is shown
GRAY = 5.0  # chroma below which a colour counts as gray
BAR, LEVELS = 560, 8  # steps along a bar of colour, and from dull to vivid
SECTOR = 7.5  # degrees of hue that share a column
FAINTEST = 1e-4  # share of the most frequent bin of the truth that is still just visible
CROWDED = 12  # arms in one panel; of more, variants and references are left out


@cache
def _plane() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a and b of every bin (44,44), and its colour (44,44,3) uint8."""
    middles = np.linspace(-REACH, REACH, 45)[:-1] + REACH / 44
    a, b = np.meshgrid(middles, middles, indexing="ij")
    return a, b, _shown(np.stack([np.full_like(a, LIGHTNESS), a, b], axis=-1))


def _shown(lab: np.ndarray) -> np.ndarray:
    return np.round(lab2rgb(lab).clip(0, 1) * 255).astype(np.uint8)


def bar_of_colors(counts: np.ndarray) -> np.ndarray:
    """(LEVELS,BAR,3) uint8: gray first, then by hue, each as wide as it is frequent, vivid above and dull below."""
    a, b, color = _plane()
    color, chroma = color.reshape(-1, 3), np.hypot(a, b).ravel()
    # Hues start between blue and red (-60 degrees), where few pictures have anything, so that no hue is cut in two.
    hue = np.mod(np.degrees(np.arctan2(b, a)).ravel() + 60, 360)
    sector = np.where(chroma < GRAY, -1, hue // SECTOR).astype(int)
    mass, columns = counts.ravel().astype(float), []
    levels = (np.arange(LEVELS) + 0.5)[::-1] / LEVELS
    for part in np.unique(sector):
        own = np.flatnonzero((sector == part) & (mass > 0))
        if len(own):
            own = own[np.argsort(chroma[own], kind="stable")]
            ends = np.cumsum(mass[own])
            columns.append((ends[-1], color[own[np.searchsorted(ends, levels * ends[-1]).clip(0, len(own) - 1)]]))
    widths = np.cumsum([width for width, _ in columns])
    places = (np.arange(BAR) + 0.5) / BAR * widths[-1]
    return np.stack([shades for _, shades in columns], axis=1)[:, np.searchsorted(widths, places)]


def _used(result: StudyResult, styles: dict[str, Style]) -> dict[str, ColorUse]:
    return {name: result.color_use[name] for name in styles
            if name in result.color_use and result.color_use[name].ab.sum() > 0}  # fmt: skip


def bars(result: StudyResult, styles: dict[str, Style]) -> Plot | None:
    """All test pixels of the truth and of every arm, sorted by colour: averaging shows as a bar without colours."""
    used = _used(result, styles)
    if not used:
        return None
    truth = next(iter(used.values())).true_ab
    rows = [("truth", truth), *((name, own.ab) for name, own in used.items())]
    names = ["truth", *(styles[name].label for name in used)]
    with p.drawing(760, 21 * len(rows), left=p.width_of(names), top=6, bottom=6) as (figure, axes):
        for place, (name, counts) in enumerate(rows):
            half = 0.44 if place == 0 else 0.36
            picture = axes.imshow(bar_of_colors(counts), extent=(0, 1, place + half, place - half), aspect="auto")
            if place:
                picture.set_gid(f"arm-{styles[name].index}")
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
        axes.set_axis_off()
        p.write_rows(axes, names)
        told = "; ".join(f"{name} {number(100 * gray_share(counts), 0)} %" for name, counts in rows)
        alt = f"All test pixels sorted by colour, a bar for the truth and for each arm. Share of gray pixels: {told}."
        return p.finish(figure, "colour-bars", "All colours, sorted", alt)


def gray_share(counts: np.ndarray) -> float:
    """Share of pixels with next to no chroma."""
    a, b, _ = _plane()
    return float(counts[np.hypot(a, b) < GRAY].sum() / counts.sum())


def cards(result: StudyResult, styles: dict[str, Style], arms: list[str]) -> list[Plot]:
    """For each of these arms: its ab histogram, its hue rose and its distribution of chroma, beside the truth's."""
    used = _used(result, styles)
    return [_card(name, used[name], styles[name]) for name in arms if name in used]


def truth_card(result: StudyResult, styles: dict[str, Style]) -> Plot | None:
    """The same of the truth."""
    for own in _used(result, styles).values():
        truth = ColorUse(own.true_ab, own.true_ab, own.true_hue, own.true_hue, own.true_chroma, own.true_chroma)
        return _card("truth", truth, None)
    return None


def _card(name: str, use: ColorUse, style: Style | None) -> Plot:
    """Three small pictures in one pair of axes that counts pixels; three pairs would take ten times as long."""
    with p.drawing(430, 150, left=6, right=6, top=26, bottom=20) as (figure, axes):
        axes.set(xlim=(0, 418), ylim=(0, 150))
        axes.set_axis_off()
        p.heading(axes, style.label if style else name)
        _plane_of(axes, use, (0, 150))
        _rose(axes, use, (216, 75), 70)
        _chroma(axes, use, style, (298, 404))
        for x, text in ((75, "a →"), (216, "hue"), (298, "0"), (351, "chroma"), (404, "100")):
            p.write(axes, x, -5, text, ha="center", va="top", color=MUTED)
        p.write(axes, 2, 148, "b ↑", va="top", color=MUTED)
        own, true = (mean_chroma(counts) for counts in (use.chroma, use.true_chroma))
        alt = (f"Colours of {name}: histogram over a and b, hue rose and distribution of chroma. "
               f"Mean chroma {number(own, 1)}, that of the truth {number(true, 1)}.")  # fmt: skip
        return p.finish(figure, slug("colours", name if style else "the truth"), name, alt)


def _plane_of(axes: Any, use: ColorUse, ends: tuple[float, float]) -> None:
    """How often each a and b occur, in their own colour; more opaque is more frequent (logarithmic)."""
    _, _, color = _plane()
    top = (use.true_ab / max(use.true_ab.sum(), 1)).max() or 1.0
    density = np.maximum(use.ab / max(use.ab.sum(), 1), 1e-30)
    opacity = np.where(use.ab > 0, (1 - np.log10(density / top) / math.log10(FAINTEST)).clip(0.06, 1), 0)
    picture = np.concatenate([color, np.round(255 * opacity)[..., None].astype(np.uint8)], axis=-1)
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(picture.transpose(1, 0, 2), origin="lower", extent=(*ends, *ends), aspect="auto", zorder=2)
    axes.set(xlim=limits[0], ylim=limits[1])
    middle = sum(ends) / 2
    p.stroke(axes, ends, [middle] * 2, color=GRID, lw=0.7)
    p.stroke(axes, [middle] * 2, ends, color=GRID, lw=0.7)


def mean_chroma(counts: np.ndarray) -> float:
    """Mean of a histogram of chroma in steps of 2.5 Lab units."""
    return float((counts * (np.arange(len(counts)) + 0.5) * 2.5).sum() / max(counts.sum(), 1))


def _rose(axes: Any, use: ColorUse, center: tuple[float, float], radius: float) -> None:
    """36 sectors whose area is the chroma-weighted share of a hue, in its colour; the truth is the outline."""
    edges = np.radians(np.arange(37) * 10 - 180)
    middles = (edges[1:] + edges[:-1]) / 2
    lab = np.stack([np.full(36, LIGHTNESS), 48 * np.cos(middles), 48 * np.sin(middles)], axis=-1)
    own, true = (np.sqrt(hue / max(hue.sum(), 1e-12)).clip(max=1 / 3) * 3 * radius for hue in (use.hue, use.true_hue))
    corners = np.stack([np.cos(edges), np.sin(edges)], axis=-1)
    pairs = np.stack([corners[:-1], corners[1:]], axis=1)  # (36,2,2): where each sector begins and ends
    sectors = [np.vstack([[0, 0], size * pair]) + center for size, pair in zip(own, pairs, strict=True) if size > 0]
    p.put(axes, PolyCollection(sectors, facecolors=_shown(lab[None])[0][own > 0] / 255, linewidths=0))
    outline = (true[:, None, None] * pairs).reshape(-1, 2) + center
    p.put(axes, Polygon(outline, fill=False, edgecolor=INK, lw=1.1, zorder=3))


def _chroma(axes: Any, use: ColorUse, style: Style | None, ends: tuple[float, float]) -> None:
    """Density of chroma (square root): the arm as a filled shape, the truth as a line; up to chroma 100."""
    own, true = (np.sqrt(counts[:40] / max(counts.sum(), 1)) for counts in (use.chroma, use.true_chroma))
    top = max(0.3, true.max(), min(own.max(), 1.6 * true.max()))
    x = np.linspace(*ends, 41).repeat(2)
    own, true = (np.concatenate([[0], heights.clip(max=top).repeat(2) / top * 140, [0]]) for heights in (own, true))
    if style:
        p.put(axes, Polygon(np.stack([x, own], axis=-1), color=style.color, alpha=0.55, lw=0))
    p.stroke(axes, x, true, color=INK, lw=1.1)
    p.stroke(axes, ends, [0, 0], color=GRID, lw=0.7)


def not_crowded(styles: dict[str, Style], arms: list[str]) -> list[str]:
    """These arms; where they are many, without variants and references."""
    return arms if len(arms) <= CROWDED else [arm for arm in arms if not styles[arm].derived]


def chroma_by_region(result: StudyResult, styles: dict[str, Style]) -> Plot | None:
    """Predicted chroma of each region beside the palette's mean chroma and the chroma of its mean colour.

    An arm that averages stands at the dashed line, one that paints the truth's amount at the solid one.
    """
    values = result.regions("chroma")
    if not values or not result.distribution:
        return None
    palettes = {one["region"]: one for one in result.distribution["regions"]}
    arms = not_crowded(styles, [arm for arm in styles if any(name == arm for name, _ in values)])
    regions = [name for name in palettes if any(region == name for _, region in values)]
    regions.sort(key=lambda name: math.hypot(*palettes[name]["mean"]) - palettes[name]["mean_chroma"])
    lane = len(arms) + 2
    key = [styles[arm] for arm in arms]
    with p.drawing(760, 8.5 * lane * len(regions), left=p.width_of(regions), key=key) as (figure, axes):
        for place, region in enumerate(regions):
            truth, mean = palettes[region]["mean_chroma"], math.hypot(*palettes[region]["mean"])
            ends = [place * lane, (place + 1) * lane - 1]
            axes.fill_betweenx(ends, mean, truth, color=BAND, lw=0, zorder=0)
            p.stroke(axes, [truth] * 2, ends, color=INK, lw=2.4, solid_capstyle="butt", zorder=2)
            p.stroke(axes, [mean] * 2, ends, color=INK, lw=1.2, ls=(0, (2, 2)), zorder=2)
            for line, arm in enumerate(arms):
                if own := values.get((arm, region)):
                    y = ends[0] + line + 0.5
                    if own.has_interval:
                        p.stroke(axes, [own.low, own.high], [y, y], styles[arm], lw=1.5)
                    p.dot(axes, own.mean, y, styles[arm], 5.5, zorder=4)
        reach = [own.mean for (arm, _), own in values.items() if arm in arms] + [
            p["mean_chroma"] for p in palettes.values()
        ]
        axes.set(ylim=(lane * len(regions), -0.5), xlim=(0, 1.06 * max(reach)))
        p.scales(axes, "mean chroma (Lab units), better: nearer the solid line", y=None)
        p.write_rows(axes, regions, [(place + 0.5) * lane for place in range(len(regions))])
        told = "; ".join(f"{name} palette {number(palettes[name]['mean_chroma'], 1)}, its average colour "
                         f"{number(math.hypot(*palettes[name]['mean']), 1)}" for name in regions)  # fmt: skip
        return p.finish(figure, "chroma-by-region", "Chroma by region", f"Mean chroma of each arm by region: {told}.")


def ab_planes(result: StudyResult, styles: dict[str, Style]) -> Plot | None:
    """The ab plane of each region: its palette, the average of it, and the mean colour of each arm."""
    a_values, b_values = result.regions("a_mean"), result.regions("b_mean")
    palettes = [one for one in (result.distribution or {}).get("regions", [])
                if any(region == one["region"] for _, region in a_values)]  # fmt: skip
    if not palettes:
        return None
    predicted = {(row.arm, row.region): (row.predicted_a, row.predicted_b) for row in result.rows("theory")
                 if not math.isnan(row.predicted_a)}  # fmt: skip
    arms = not_crowded(styles, [arm for arm in styles if any(name == arm for name, _ in a_values)])
    key = [styles[arm] for arm in arms]
    with p.panels(760, len(palettes), key=key) as (figure, made):
        for axes, one in zip(made, palettes, strict=True):
            region = one["region"]
            spots = {arm: (a_values[arm, region].mean, b_values[arm, region].mean) for arm in arms
                     if (arm, region) in a_values and (arm, region) in b_values}  # fmt: skip
            _ab_plane(axes, one, spots, predicted, styles)
        told = ", ".join(f"{one['region']} with {len(one['modes'])} colours" for one in palettes)
        alt = f"The ab plane of {told}: the palette, its average, and the mean colour that each arm paints."
        return p.finish(figure, "ab-planes", "The plane of colours by region", alt)


def _ab_plane(axes: Any, one: dict, spots: dict, predicted: dict, styles: dict[str, Style]) -> None:
    modes, chances = np.array(one["modes"], float), np.array(one["probabilities"], float)
    everything = np.vstack([modes, [one["mean"]], [[0, 0]], *[[spot] for spot in spots.values()]])
    middle = (everything.min(axis=0) + everything.max(axis=0)) / 2
    half = max(14.0, np.ptp(everything, axis=0).max() / 2 * 1.18)
    fills = _shown(np.concatenate([np.full((len(modes), 1), 65.0), modes], axis=1)[None])[0] / 255
    axes.scatter(modes[:, 0], modes[:, 1], s=40 + 420 * chances, c=fills, edgecolors=INK, linewidths=1, zorder=1)
    for arm, (a, b) in spots.items():
        if goal := predicted.get((arm, one["region"])):
            p.stroke(axes, [goal[0], a], [goal[1], b], styles[arm], lw=1.2, zorder=2)
        p.dot(axes, a, b, styles[arm])
    p.stroke(axes, *([value] for value in one["mean"]), color=INK, marker="x", ms=9, mew=2, zorder=4)
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    p.heading(axes, one["region"])
    p.scales(axes, "a", "b")
