"""A finished figure: the same bytes every time, real text, and colours that follow the theme of the page."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from adjustText import adjust_text
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D, IdentityTransform

from study.report.result import Estimate
from study.report.styles import DARK, Style

# Each tone is a colour on white paper; in a page it becomes the variable of the same name.
TONES = {"ink": "#1f2124", "muted": "#63666b", "grid": "#dcdcd8", "band": "#efeeea", "paper": "#fefefc"}
DARK_TONES = {"ink": "#e7e5e0", "muted": "#a0a3a8", "grid": "#454a51", "band": "#24282d", "paper": "#15171a"}
INK, MUTED, GRID, BAND, PAPER = TONES.values()
SANS = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
LINE, ROOM = 16, 46  # pixels from line to line of a legend, and for the numbers and the name of an axis
_STYLE = Path(__file__).with_name("study.mplstyle")
_SVG, _LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
_THEMED = re.compile("|".join((*TONES.values(), *DARK)))
_NAMES = {color: f"--{name}" for name, color in TONES.items()} | {color: f"--arm-{color[1:]}" for color in DARK}


def themed(text: str) -> str:
    """The text with every colour of the theme as a CSS variable that falls back to the colour itself."""
    return _THEMED.sub(lambda found: f"var({_NAMES[found.group()]}, {found.group()})", text)


def dark_rule() -> str:
    """The style rule that sets the variables where the paper is dark; paper to print on never is."""
    values = [f"--arm-{light[1:]}: {dark};" for light, dark in DARK.items()]
    values += [f"--{name}: {color};" for name, color in DARK_TONES.items()]
    return f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {' '.join(values)} }} }}\n"


def plain(value: float) -> str:
    """A number of an axis."""
    return f"{value:.6g}".replace("-", "−")


def signed(value: float) -> str:
    """A difference."""
    return "0" if abs(value) < 1e-12 else f"{value:+.6g}".replace("-", "−")


def thousands(value: float) -> str:
    """A count of pictures."""
    return f"{value / 1000:g}k" if value else "0"


@dataclass(frozen=True)
class Plot:
    """A figure as SVG text in the colours of light paper: `name` is also its file name, `alt` says what it shows."""

    name: str
    title: str
    alt: str
    width: int
    height: int
    body: str

    @property
    def inline(self) -> str:
        """For a page: colours are variables of the page."""
        return self._svg(themed(self.body), "")

    @property
    def standalone(self) -> str:
        """For a file of its own: it follows the reader's theme by itself."""
        light = " ".join(f"--{name}: {color};" for name, color in TONES.items())
        style = (f"<style>:root {{ {light} background: var(--paper) }} {dark_rule()}"
                 f"text {{ font-family: {SANS} !important }}</style>")  # fmt: skip
        return self._svg(style + themed(self.body), f' xmlns="{_SVG}" xmlns:xlink="{_LINK[1:-5]}"') + "\n"

    def _svg(self, content: str, spaces: str) -> str:
        label = ElementTree.Element("svg", {"aria-label": self.alt})
        words = ElementTree.tostring(label, encoding="unicode").removeprefix("<svg ").removesuffix(" />")
        return (f'<svg{spaces} viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}" '
                f'role="img" {words}>{content}</svg>')  # fmt: skip


@contextmanager
def drawing(
    width: float, height: float, rows: int = 1, columns: int = 1, *, left: float = ROOM, right: float = 12,
    top: float = 12, bottom: float = 42, gap: tuple[float, float] = (0, 0), key: Sequence[Style] = (), **options: Any,
) -> Iterator[tuple]:  # fmt: skip
    """A figure in the style, and its axes (one, or a flat list); all sizes in pixels.

    width: of the whole; height: of one panel; left, right, top, bottom: room around the panels for what is written
    there; gap: between panels, across and down. key: arms of the legend below, for which there is more room.
    """
    key_columns = max(1, int(width // 150))
    lines = math.ceil(len(key) / key_columns)
    bottom += LINE * lines + (6 if lines else 0)
    high = top + bottom + rows * height + (rows - 1) * gap[1]
    wide = (width - left - right - (columns - 1) * gap[0]) / columns
    # A layout that measures every text would take most of the time of a report; so the room is told.
    places = {"left": left / width, "right": 1 - right / width, "bottom": bottom / high, "top": 1 - top / high,
              "wspace": gap[0] / wide, "hspace": gap[1] / height}  # fmt: skip
    with matplotlib.rc_context(_style()):
        figure = Figure(figsize=(width / 72, high / 72))
        FigureCanvasSVG(figure)
        axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw=places, **options).ravel().tolist()
        write_key(figure, key, 6, LINE * (lines - 0.5), key_columns, (width - 6) / key_columns)
        yield figure, axes[0] if rows == columns == 1 else axes


@contextmanager
def panels(
    width: float, many: int, columns: int = 3, *, height: float = 0, left: float = ROOM, top: float = 28,
    bottom: float = 42, gap: tuple[float, float] | None = None, **options: Any,
) -> Iterator[tuple]:  # fmt: skip
    """A figure of `many` small panels, and their axes as a list. They are square unless a height is given."""
    columns = min(columns, many)
    gap = gap or (left + 8, top + bottom)
    width = min(width, left + 12 + columns * 300)
    height = height or (width - left - 12 - (columns - 1) * gap[0]) / columns
    with drawing(width, height, math.ceil(many / columns), columns, left=left, top=top, bottom=bottom, gap=gap,
                 **options) as (figure, made):  # fmt: skip
        made = made if isinstance(made, list) else [made]
        for axes in made[many:]:
            axes.remove()
        yield figure, made[:many]


@cache
def _style() -> dict[str, Any]:
    return dict(matplotlib.rc_params_from_file(_STYLE, use_default_template=False))


def finish(figure: Figure, name: str, title: str, alt: str) -> Plot:
    """The figure as SVG without dates, and with ids that no other figure shares.

    What carries the id "arm-<index>" gets data-arm instead, so that a page can light up one arm.
    """
    file = io.BytesIO()
    # Not savefig, which draws twice.
    figure.canvas.print_svg(file, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(file.getvalue())
    used = {part for node in root.iter() for value in node.attrib.values() for part in re.findall(r"#([\w-]+)", value)}
    for node in root.iter():
        node.tag = node.tag.removeprefix(f"{{{_SVG}}}")
        own = node.attrib.pop("id", "")
        if own.startswith("arm-"):
            node.set("data-arm", own.removeprefix("arm-"))
        elif own in used:
            node.set("id", f"{name}-{own}")
        for key, value in list(node.attrib.items()):
            if "#" in value and (key == _LINK or "url(" in value):
                value = value.replace("#", f"#{name}-")
            if key == _LINK:
                del node.attrib[key]
                key = "href"
            node.set(key, value)
    parts = [ElementTree.tostring(child, encoding="unicode").strip() for child in root if child.tag != "metadata"]
    width, height = (round(inches * 72) for inches in figure.get_size_inches())
    return Plot(name, title, alt, width, height, "\n".join(parts))


def put(axes: Axes, artist: Artist, style: Style | None = None) -> None:
    """Add what an arm is drawn with. It leaves the limits of the axes alone."""
    if style and style.index >= 0:
        artist.set_gid(f"arm-{style.index}")
    axes.add_artist(artist)


def stroke(axes: Axes, x: Sequence[float], y: Sequence[float], style: Style | None = None, **options: Any) -> None:
    """A line, in the colour of an arm unless told otherwise."""
    put(axes, Line2D(x, y, **({"color": style.color} if style else {}) | options), style)


def dot(axes: Axes, x: float, y: float, style: Style, size: float = 7, **options: Any) -> None:
    """The mark of an arm."""
    look = {"color": style.color, "marker": style.marker, "ms": size * style.size, "mec": PAPER, "mew": 0.8,
            "zorder": 3, "ls": "none"}  # fmt: skip
    put(axes, Line2D([x], [y], **look | options), style)


class Words(Text):
    """Text that is not measured, which is most of the work of drawing it: its baseline follows from its size alone."""

    def draw(self, renderer: Any) -> None:
        """Write it."""
        x, y = self.get_transform().transform(self.get_position())
        drop = {"center": 0.36, "top": 0.76}.get(self.get_va(), 0) * self.get_fontsize()
        gc = renderer.new_gc()
        gc.set_foreground(self.get_color())
        renderer.open_group("text", self.get_gid())
        renderer.draw_text(gc, x, renderer.height - y + drop, self.get_text(), self.get_fontproperties(),
                           self.get_rotation(), mtext=self)  # fmt: skip
        renderer.close_group("text")
        gc.restore()


def write(
    axes: Axes | Figure, x: float, y: float, text: str, style: Style | None = None, *, frame: Any = None,
    shift: tuple[float, float] = (0, 0), **options: Any,
) -> None:  # fmt: skip
    """A text at a point of the axes, or of a frame (a transform), shifted by some pixels."""
    frame = frame or axes.transData
    if not text:
        return
    put(axes, Words(x, y, text, **{"va": "center", "fontsize": 9.5} | options,
                    transform=frame + Affine2D().translate(*shift)), style)  # fmt: skip


def cross(axes: Axes, x: Estimate, y: Estimate, style: Style) -> None:
    """The mark of an arm with the intervals of both its values, where they have one."""
    if x.has_interval and y.has_interval:
        stroke(axes, [x.low, x.high], [y.mean] * 2, style, lw=1.3, alpha=0.6)
        stroke(axes, [x.mean] * 2, [y.low, y.high], style, lw=1.3, alpha=0.6)
    dot(axes, x.mean, y.mean, style, 8)


def band(axes: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, style: Style, **options: Any) -> None:
    """The area between two lines, in the colour of an arm."""
    edge = np.concatenate([np.stack([x, low], axis=-1), np.stack([x, high], axis=-1)[::-1]])
    put(axes, Polygon(edge, color=style.color, lw=0, **options), style)


def write_key(
    figure: Figure, styles: Iterable[Style], left: float, top: float, columns: int = 1, pitch: float = 0
) -> None:
    """Marks and names of arms, in pixels from the lower left corner, `columns` in a line of `pitch` pixels each."""
    for place, style in enumerate(styles):
        x, y = left + (place % columns) * pitch, top - LINE * (place // columns)
        dot(figure, x + 5, y, style, transform=IdentityTransform())
        write(figure, x + 14, y, style.label, style, frame=IdentityTransform())


def heading(axes: Axes, text: str, rise: float = 8, **options: Any) -> None:
    """A line above the axes."""
    look = {"fontsize": 10.5, "va": "baseline", "frame": axes.transAxes, "shift": (0, rise)}
    write(axes, 0, 1, text, **look | options)


def write_rows(axes: Axes, names: Sequence[str], places: Sequence[float] | None = None) -> None:
    """Names of rows at the left of the axes; the rows are 0, 1, ... unless their places are given."""
    for row, name in zip(places or range(len(names)), names, strict=True):
        write(axes, 0, row, name, frame=axes.get_yaxis_transform(), shift=(-6, 0), ha="right")


def width_of(names: Iterable[str]) -> float:
    """About as many pixels as the longest of these names takes, with a little room."""
    return 14 + 5.6 * max(map(len, names), default=0)


def beside(axes: Axes, row: float, text: str) -> None:
    """A few letters at the right of a row."""
    write(axes, 1, row, text, frame=axes.get_yaxis_transform(), shift=(7, 0))


def write_labels(axes: Axes, labels: list[tuple[str, float, float]], size: float = 9.5) -> None:
    """Write names beside their points (name, x, y), none over another, with a thin line where they had to move."""
    texts = [axes.text(x, y, name, fontsize=size, zorder=6) for name, x, y in labels]
    if texts:
        adjust_text(texts, ax=axes, iter_lim=400, expand=(1.15, 1.5), force_text=(0.3, 0.5), force_static=(0.2, 0.4),
                    arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkA": 0, "shrinkB": 4})  # fmt: skip


def scales(
    axes: Axes, across: str = "", up: str = "", x: Callable | None = plain, y: Callable | None = plain,
    nx: int = 5, ny: int = 5,
) -> None:  # fmt: skip
    """Grid, numbers and names of both axes, whose limits are set. x, y: how numbers are written; None: no such axis.

    matplotlib's own axis makes five artists for a tick, which was half the time of a figure.
    """
    axes.set_axis_off()
    left = axes.get_position().x0 * axes.figure.bbox.width  # a name stands at the edge of the figure or of the gap
    if x:
        frame = axes.get_xaxis_transform()
        for value in _lines(axes, axes.get_xscale(), axes.xaxis.get_major_locator(), axes.get_xlim(), nx, frame, False):
            write(axes, value, 0, x(value), frame=frame, shift=(0, -5), ha="center", va="top", color=MUTED)
        stroke(axes, [0, 1], [0, 0], color=GRID, lw=0.8, transform=axes.transAxes, clip_on=False)
    if y:
        frame = axes.get_yaxis_transform()
        for value in _lines(axes, axes.get_yscale(), axes.yaxis.get_major_locator(), axes.get_ylim(), ny, frame, True):
            write(axes, 0, value, y(value), frame=frame, shift=(-5, 0), ha="right", color=MUTED)
    look = {"frame": axes.transAxes, "ha": "center", "color": MUTED, "fontsize": 10}
    write(axes, 0.5, 0, across, shift=(0, -21), va="top", **look)
    write(
        axes, 0, 0.5, up, shift=(14 - min(left, ROOM), 0), rotation=90, rotation_mode="anchor", **look | {"va": "top"}
    )


def _lines(axes: Axes, scale: str, own: Any, ends: Any, most: int, place: Any, level: bool) -> list[float]:
    """Draw the lines of a grid and return where they are: at few, round numbers."""
    low, high = sorted(ends)
    locator = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]) if scale == "linear" else own
    values = [value for value in locator.tick_values(low, high) if low <= value <= high]
    lines = [[(0, value), (1, value)] if level else [(value, 0), (value, 1)] for value in values]
    put(axes, LineCollection(lines, colors=GRID, linewidths=0.7, transform=place, zorder=0.5))
    return values
