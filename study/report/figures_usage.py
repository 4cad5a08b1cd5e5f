"""Figures on which colours each arm uses: one bar of colour an arm, ab histograms, hue roses, chroma distributions."""

from __future__ import annotations

import math
from base64 import b64encode
from functools import cache
from html import escape

import numpy as np
from skimage.color import lab2rgb

from study.report.figures import file_name, shortened
from study.report.pictures import png_rgba
from study.report.result import StudyResult, Usage
from study.report.style import number
from study.report.svg import GRID, INK, MUTED, TEXT_FONT, Drawing

REACH = 110.0  # of the histogram in a and b, Lab units
LIGHTNESS = 62.0  # at which a colour of the plane is shown
GRAY = 5.0  # chroma below which a colour counts as gray
BAR, LEVELS = 560, 8  # steps along a bar of colour, and from dull to vivid
SECTOR = 7.5  # degrees of hue that share a column
FAINTEST = 1e-4  # share of the most frequent bin of the truth that is still just visible


@cache
def _plane() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a and b of every bin, and its colour (44,44,3) uint8."""
    middles = np.linspace(-REACH, REACH, 45)[:-1] + REACH / 44
    a, b = np.meshgrid(middles, middles, indexing="ij")
    lab = np.stack([np.full_like(a, LIGHTNESS), a, b], axis=-1)
    return a, b, np.round(lab2rgb(lab).clip(0, 1) * 255).astype(np.uint8)


def bar_of_colors(counts: np.ndarray) -> np.ndarray:
    """(LEVELS,BAR,3) uint8: gray first, then by hue, each as wide as it is frequent, dull below and vivid above."""
    a, b, color = _plane()
    color = color.reshape(-1, 3)
    chroma, hue = np.hypot(a, b).ravel(), np.degrees(np.arctan2(b, a)).ravel()
    # Hues start between blue and red (-60 degrees), where few pictures have anything, so that no hue is cut in two.
    sector = np.where(chroma < GRAY, -1, np.mod(hue + 60, 360) // SECTOR).astype(int)
    mass = counts.ravel().astype(float)
    levels = (np.arange(LEVELS) + 0.5)[::-1] / LEVELS
    columns = []
    for part in np.unique(sector):
        own = np.flatnonzero((sector == part) & (mass > 0))
        if len(own):
            own = own[np.argsort(chroma[own], kind="stable")]
            ends = np.cumsum(mass[own])
            chosen = own[np.searchsorted(ends, levels * ends[-1]).clip(0, len(own) - 1)]
            columns.append((ends[-1], color[chosen]))
    widths = np.cumsum([width for width, _ in columns])
    places = (np.arange(BAR) + 0.5) / BAR * widths[-1]
    return np.stack([shades for _, shades in columns], axis=1)[:, np.searchsorted(widths, places)]


def bars(result: StudyResult) -> Drawing | None:
    """All test pixels of the truth and of every arm, sorted by colour: averaging shows as a bar without colours."""
    rows = [(name, result.usage[name]) for name in result.looks if name in result.usage]
    rows = [(name, usage) for name, usage in rows if usage.ab.sum() > 0]
    if not rows:
        return None
    left = 16 + 6.3 * max(len("truth"), *(len(result.looks[name].label) for name, _ in rows))
    width, thick, step = 620, 15, 20
    parts, y = [], 4.0
    truth = rows[0][1]
    for place, (name, counts) in enumerate([("truth", truth.true_ab), *((name, usage.ab) for name, usage in rows)]):
        high = thick + (9 if place == 0 else 0)
        picture = b64encode(png_rgba(bar_of_colors(counts))).decode()
        look = result.looks[name] if place else None
        group = f' id="arm-{look.index}"' if look else ""
        weight = "" if place else " font-weight: bold;"
        parts.append(
            f'<g{group}><text x="{left - 8:g}" y="{y + high / 2 + 4:g}" style="{TEXT_FONT}{weight} font-size: 12px; '
            f'text-anchor: end; fill: {INK}">{escape(look.label if look else name)}</text>'
            f'<image x="{left:g}" y="{y:g}" width="{width - left:g}" height="{high}" preserveAspectRatio="none" '
            f'href="data:image/png;base64,{picture}"/></g>'
        )
        y += high + step - thick
    gray = {"truth": _gray_share(truth.true_ab)} | {name: _gray_share(usage.ab) for name, usage in rows}
    told = "; ".join(f"{name} {number(100 * part, 0)} %" for name, part in gray.items())
    alt = f"All test pixels sorted by colour, a bar for the truth and for each arm. Share of gray pixels: {told}."
    return Drawing("colour-bars", "All colours, sorted", alt, width, math.ceil(y), "\n".join(parts))


def _gray_share(counts: np.ndarray) -> float:
    a, b, _ = _plane()
    return float(counts[np.hypot(a, b) < GRAY].sum() / counts.sum())


def cards(result: StudyResult) -> list[Drawing]:
    """For the truth and each arm: its ab histogram, its hue rose and its distribution of chroma, side by side."""
    names = [name for name in result.looks if name in result.usage and result.usage[name].ab.sum() > 0]
    if not names:
        return []
    first = result.usage[names[0]]
    truth = Usage(first.true_ab, first.true_ab, first.true_hue, first.true_hue, first.true_chroma, first.true_chroma)
    cards = [_card("truth", truth, None, math.nan)]
    for name in names:
        measured = result.estimates.get((name, "chroma"))
        cards.append(_card(name, result.usage[name], result.looks[name].color, measured.mean if measured else math.nan))
    return cards


def _card(name: str, usage: Usage, color: str | None, chroma: float) -> Drawing:
    shown = shortened(name)
    style = f"{TEXT_FONT} font-size: 12.5px; font-weight: bold; fill: {INK}"
    title = f'<text x="2" y="13" style="{style}">{escape(shown)}</text>'
    parts = [
        title,
        _plane_picture(usage, 4, 24, 132),
        _rose(usage, 214, 90, 64),
        _chroma(usage, 296, 24, 132, 130, color),
    ]
    own = "" if math.isnan(chroma) else f"Mean chroma {number(chroma, 1)}, that of "
    alt = (
        f"Colours of {name}: histogram over a and b, hue rose and distribution of chroma beside the truth’s. "
        f"{own or 'Mean chroma of '}the truth about {number(_mean_chroma(usage.true_chroma), 1)}."
    )
    slug = "usage-truth-of-all" if color is None else file_name("usage", name)
    return Drawing(slug, name, alt, 436, 190, "\n".join(parts))


def _mean_chroma(counts: np.ndarray) -> float:
    middles = (np.arange(len(counts)) + 0.5) * 2.5
    return float((counts * middles).sum() / max(counts.sum(), 1))


def _plane_picture(usage: Usage, x: float, y: float, side: float) -> str:
    """The ab plane: each bin in its own colour, the more opaque the more frequent (log)."""
    _, _, color = _plane()
    density = usage.ab / max(usage.ab.sum(), 1)
    top = (usage.true_ab / max(usage.true_ab.sum(), 1)).max() or 1.0
    with np.errstate(divide="ignore"):
        opacity = 1 - np.log10(np.maximum(density, 1e-30) / top) / math.log10(FAINTEST)
    opacity = np.where(density > 0, opacity.clip(0.06, 1), 0)
    picture = np.concatenate([color, np.round(255 * opacity)[..., None].astype(np.uint8)], axis=-1)
    # Rows of the histogram are a, so a goes up after the turn: swap to have a across and b up.
    picture = picture.transpose(1, 0, 2)[::-1]
    middle = side / 2
    return (
        f'<rect x="{x}" y="{y}" width="{side}" height="{side}" style="fill: none; stroke: {GRID}"/>'
        f'<path d="M{x + middle} {y}V{y + side}M{x} {y + middle}H{x + side}" style="stroke: {GRID}; fill: none"/>'
        f'<image x="{x}" y="{y}" width="{side}" height="{side}" style="image-rendering: pixelated" '
        f'href="data:image/png;base64,{b64encode(png_rgba(picture)).decode()}"/>'
        + _small("a →", x + side, y + side + 14, "end")
        + _small("b ↑", x, y + side + 14, "start")
    )


def _small(text: str, x: float, y: float, anchor: str) -> str:
    style = f"{TEXT_FONT} font-size: 11px; text-anchor: {anchor}; fill: {MUTED}"
    return f'<text x="{x:g}" y="{y:g}" style="{style}">{escape(text)}</text>'


def _rose(usage: Usage, x: float, y: float, radius: float) -> str:
    """36 sectors whose area is the chroma-weighted share of a hue, in its colour; the truth is the outline."""
    shares = [values / max(values.sum(), 1e-12) for values in (usage.hue, usage.true_hue)]
    # An even spread of hues reaches half the radius; what would leave the card is cut at its edge.
    scale = radius / 2 / math.sqrt(1 / 36)
    own, true = (np.minimum(np.sqrt(values) * scale, radius) for values in shares)
    angles = np.radians(np.arange(37) * 10 - 180)
    middles = np.degrees(angles[:-1]) + 5
    lab = np.stack([np.full(36, LIGHTNESS), 48 * np.cos(np.radians(middles)), 48 * np.sin(np.radians(middles))], -1)
    fills = np.round(lab2rgb(lab[None])[0].clip(0, 1) * 255).astype(int)
    parts = [f'<circle cx="{x}" cy="{y}" r="{radius / 2:g}" style="fill: none; stroke: {GRID}"/>']
    parts.append(f'<path d="M{x - radius} {y}H{x + radius}M{x} {y - radius}V{y + radius}" style="stroke: {GRID}"/>')

    def corner(angle: float, length: float) -> str:
        return f"{x + length * math.cos(angle):.1f} {y - length * math.sin(angle):.1f}"

    for k in range(36):
        if own[k] >= 0.4:
            r = f"{own[k]:.1f}"
            ends = corner(angles[k], own[k]), corner(angles[k + 1], own[k])
            fill = "#{:02x}{:02x}{:02x}".format(*fills[k])
            parts.append(f'<path d="M{x} {y}L{ends[0]}A{r} {r} 0 0 0 {ends[1]}z" style="fill: {fill}"/>')
    outline = "".join(f"{'L' if k else 'M'}{corner(angles[k], true[k])}L{corner(angles[k + 1], true[k])}"
                      for k in range(36))  # fmt: skip
    parts.append(f'<path d="{outline}z" style="fill: none; stroke: {INK}; stroke-width: 1.1; stroke-linejoin: round"/>')
    return "".join(parts) + _small("hue", x, y + radius + 30, "middle")


def _chroma(usage: Usage, x: float, y: float, high: float, wide: float, color: str | None) -> str:
    """Density of chroma: the arm as a filled shape, the truth as a line; square-root scale, up to chroma 100."""
    shown = 40  # bins of 2.5
    own, true = (np.sqrt(c[:shown] / max(c.sum(), 1)) for c in (usage.chroma, usage.true_chroma))
    top = max(0.3, float(true.max()), min(float(own.max()), 1.6 * float(true.max())))

    def path(values: np.ndarray) -> str:
        ys = y + high - high * np.minimum(values / top, 1)
        return "".join(f"L{x + wide * (k + e) / shown:.1f} {ys[k]:.1f}" for k in range(shown) for e in (0, 1))

    base = f"{y + high:g}"
    parts = []
    if color:
        parts.append(f'<path d="M{x} {base}{path(own)}L{x + wide} {base}z" style="fill: {color}; opacity: .55"/>')
    parts.append(f'<path d="M{x} {base}{path(true)}" style="fill: none; stroke: {INK}; stroke-width: 1.1"/>')
    parts.append(f'<path d="M{x} {base}H{x + wide}" style="stroke: {MUTED}"/>')
    for tick in (0, 50, 100):
        parts.append(_small(str(tick), x + wide * tick / 100, y + high + 14, "end" if tick == 100 else "middle"))
    return "".join(parts) + _small("chroma", x + wide / 2, y + high + 28, "middle")
