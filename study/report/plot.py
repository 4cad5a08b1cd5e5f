"""A finished figure: the same bytes every time, real text, and colours that follow the theme of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.style
from adjustText import adjust_text
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from study.report.styles import DARK, Style

# Each tone is a colour on white paper; in a page it becomes the variable of the same name.
TONES = {"ink": "#1f2124", "muted": "#63666b", "grid": "#dcdcd8", "band": "#efeeea", "paper": "#fefefc"}
DARK_TONES = {"ink": "#e7e5e0", "muted": "#a0a3a8", "grid": "#454a51", "band": "#24282d", "paper": "#15171a"}
INK, MUTED, GRID, BAND, PAPER = TONES.values()
SANS = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
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
def drawing(width: float, height: float, rows: int = 1, columns: int = 1, **options: object) -> Iterator[tuple]:
    """A figure of width x height pixels in the style, and its axes (one, or a flat list); constrained layout."""
    with matplotlib.style.context(_STYLE):
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
        yield figure, axes[0] if rows == columns == 1 else axes


def settle(figure: Figure) -> None:
    """Lay the figure out once; it would be done anew with every drawing."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine("none")


def finish(figure: Figure, name: str, title: str, alt: str) -> Plot:
    """The figure as SVG without dates, and with ids that no other figure shares.

    What carries the id "arm-<index>" gets data-arm instead, so that a page can light up one arm.
    """
    file = io.BytesIO()
    settle(figure)
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
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


def mark_arm(artists: Artist | Iterable[Artist], style: Style) -> None:
    """Say which arm these artists belong to."""
    for artist in [artists] if isinstance(artists, Artist) else artists:
        artist.set_gid(f"arm-{style.index}")


def handle(style: Style) -> Line2D:
    """The entry of an arm in a legend."""
    made = Line2D([], [], color=style.color, marker=style.marker, ms=7 * style.size, ls="none", label=style.label)
    mark_arm(made, style)
    return made


def legend_of(figure: Figure, styles: Iterable[Style], columns: int = 5) -> None:
    """A legend of arms below the figure, where there are any."""
    if handles := [handle(style) for style in styles]:
        figure.legend(handles=handles, loc="outside lower left", ncols=columns)


def write_labels(axes: Axes, labels: list[tuple[str, float, float]], size: float = 9.5) -> None:
    """Write names beside their points (name, x, y), none over another, with a thin line where they had to move."""
    settle(axes.figure)  # the labels are placed in pixels
    texts = [axes.text(x, y, name, fontsize=size, zorder=6) for name, x, y in labels]
    if texts:
        adjust_text(texts, ax=axes, iter_lim=400, expand=(1.15, 1.5), force_text=(0.3, 0.5), force_static=(0.2, 0.4),
                    arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkA": 0, "shrinkB": 4})  # fmt: skip


def thin_ticks(axes: Axes, x: int = 5, y: int = 5) -> None:
    """Few ticks at round numbers."""
    steps = [1, 2, 2.5, 5, 10]
    axes.xaxis.set_major_locator(MaxNLocator(x, steps=steps))
    axes.yaxis.set_major_locator(MaxNLocator(y, steps=steps))


plain = FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−"))
signed = FuncFormatter(lambda value, _: "0" if abs(value) < 1e-12 else f"{value:+.6g}".replace("-", "−"))
thousands = FuncFormatter(lambda value, _: f"{value / 1000:g}k" if value else "0")
shares = FuncFormatter(lambda value, _: f"{100 * value:g} %")
