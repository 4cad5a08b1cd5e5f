"""A matplotlib figure as SVG text: the same bytes every time, real text, and colours that follow the page's theme."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from study.report.theme import themed

# Each tone is a colour on white paper; in a page it becomes the CSS variable of the same name.
TONES = {"ink": "#1f2124", "muted": "#6a6d72", "grid": "#dcdcd8", "band": "#efeeea", "paper": "#fefefc"}
INK, MUTED, GRID, BAND, PAPER = TONES.values()
FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
TEXT_FONT = "font-family: font-family-here;"  # of text that is written as SVG by hand
LEGEND_GAP, LEGEND_LETTER = 32, 5.6  # pixels from one entry of a legend to the next, besides those of its letters
ARM = re.compile(r"arm-\d+")  # the gid of whatever belongs to one arm
STYLE = {
    "svg.hashsalt": "study.report",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.linewidth": 1.0,
    "axes.labelsize": 10.5,
    "axes.labelpad": 5,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "xtick.major.size": 3.5,
    "ytick.major.size": 0,
    "ytick.left": False,  # a mark of no length would still be drawn
    "ytick.labelleft": True,
    "lines.solid_capstyle": "round",
    "lines.linewidth": 1.8,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "path.simplify": True,
}


@dataclass(frozen=True)
class Drawing:
    """A finished figure: `name` is also its file name, `alt` says in words what it shows."""

    name: str
    title: str
    alt: str
    width: int
    height: int
    body: str

    @property
    def inline(self) -> str:
        """For a page: no size of its own, ids that no other figure shares, tones and arms' colours as CSS variables."""
        body = re.sub(r'(\bid="|url\(#|href="#)', lambda m: f"{m.group(1)}{self.name}-", self.body)
        body = re.sub(r'id="[^"]*-arm-(\d+)"', r'data-arm="\1"', body)
        for tone, color in TONES.items():
            body = body.replace(color, f"var(--{tone})")
        body = themed(body).replace("font-family-here", "var(--sans)")
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}" role="img" '
            f'aria-label="{escape(self.alt)}">{body}</svg>'
        )

    @property
    def standalone(self) -> str:
        """For a file of its own: on white paper, with its size and a title."""
        body = re.sub(r'id="arm-(\d+)"', r'class="arm-\1"', self.body).replace("font-family-here", FONT)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}" role="img">\n'
            f"<title>{escape(self.alt)}</title>\n"
            "<style>text { paint-order: stroke; stroke: #fff; stroke-width: 3px; stroke-linejoin: round }</style>\n"
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
        )


@contextmanager
def canvas(width: int, height: int, left: float, right: float, top: float, bottom: float) -> Iterator[tuple]:
    """A figure of width x height pixels and one pair of axes inside the given margins (pixels), in the style."""
    with panels(width, height, 1, 1, left, right, top, bottom) as (figure, (axes,)):
        yield figure, axes


@contextmanager
def panels(
    width: int,
    height: int,
    rows: int,
    columns: int,
    left: float,
    right: float,
    top: float,
    bottom: float,
    gap: float = 30,
    rows_gap: float = 30,
) -> Iterator[tuple]:
    """A figure with a grid of axes, row by row, inside the given margins and gaps (pixels), in the style."""
    wide = (width - left - right - gap * (columns - 1)) / columns
    high = (height - top - bottom - rows_gap * (rows - 1)) / rows
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasSVG(figure)
        yield (
            figure,
            [
                add_axes(figure, left + column * (wide + gap), top + row * (high + rows_gap), wide, high)
                for row in range(rows)
                for column in range(columns)
            ],
        )


def add_axes(figure: Figure, left: float, top: float, wide: float, high: float) -> Axes:
    """Axes of wide x high pixels, `left` and `top` pixels from the corner of the figure."""
    width, height = figure.get_size_inches() * 72
    return figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height))


def legend_lines(entries: Sequence[tuple[str, str, str]], wide: float) -> list[list[tuple[str, str, str]]]:
    """The entries of a legend in lines of at most `wide` pixels, as legend_row sets them."""
    lines, used = [[]], 0.0
    for entry in entries:
        own = LEGEND_GAP + LEGEND_LETTER * len(entry[0])
        if lines[-1] and used + own > wide:
            lines, used = [*lines, []], 0.0
        lines[-1].append(entry)
        used += own
    return lines


def legend_row(axes: Any, entries: Sequence[tuple[str, str, str]], left: float, above: float, step: float = 0) -> None:
    """Label, marker and colour of each entry side by side, starting `left` and `above` the axes' top left (pixels).

    step: pixels from one to the next; 0 leaves as much as the label needs.
    """
    corner = offset_copy(axes.transAxes, axes.figure, 0, above, units="points")
    for label, marker, color in entries:
        spot = offset_copy(corner, axes.figure, left, 0, units="points")
        axes.plot([0], [1], marker, color=color, ms=7, transform=spot, clip_on=False)
        axes.annotate(label.replace("$", r"\$"), (0, 1), (left + 9, above), xycoords="axes fraction", va="center",
                      textcoords="offset points", annotation_clip=False, fontsize=10)  # fmt: skip
        left += step or LEGEND_GAP + LEGEND_LETTER * len(label)


def drawing(figure: Figure, name: str, title: str, alt: str) -> Drawing:
    """The figure as SVG, without dates, programme names, needless digits and fixed fonts."""
    file = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\b(d|x|y|points|transform|width|height)="[^"]*"', _short, text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: font-family-here", text)
    text = re.sub(r' transform="rotate\(-?0 [^"]*"', "", text)
    used = set(re.findall(r'(?:url\(|href=")#([^)"]*)', text))
    text = re.sub(r' id="([^"]*)"', lambda m: m.group() if m[1] in used or ARM.fullmatch(m[1]) else "", text)
    text = re.sub(r"\s*\n\s*", "\n", text).strip()
    width, height = (round(inches * 72) for inches in figure.get_size_inches())
    return Drawing(name, title, alt, width, height, text)


def _short(found: re.Match) -> str:
    text = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m.group()):.2f}".rstrip("0").rstrip("."), found.group())
    return text.replace(" \n", " ").replace("\n", " ")
