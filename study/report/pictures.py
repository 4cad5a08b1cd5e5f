"""Pictures of a report: a gallery, example pairs chosen by score, and contact sheets for Markdown."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.color import rgb2lab

from study.report.findings import Findings
from study.report.result import StudyResult

BUDGET = 4_000_000  # characters of base64 that the gallery may take
SMALL = 64  # pictures of sides up to this are shown as squares of pixels, without smoothing
GRAY, TRUTH = "gray input", "truth"
EACH = 4  # pictures each way in a pair
FEWEST = 8  # kept pictures below which choosing by score says nothing
STRIP = 6  # pictures on the first screen


@dataclass(frozen=True)
class Row:
    """One picture: its name and a PNG (or None) for each column; errors: ab RMSE of the arms where that is told."""

    name: str
    tiles: tuple[bytes | None, ...]
    errors: tuple[float, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side: columns are the gray input, the truth and arms.

    available: pictures there are to show; size: side of one in pixels; hero: the row with the most colourful truth;
    credits: (name, credit) of the rows whose makers must be named.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    available: int
    size: int
    hero: int
    credits: tuple[tuple[str, str], ...] = ()

    @property
    def small(self) -> bool:
        """Whether the pictures are enlarged as squares of pixels."""
        return self.size <= SMALL

    def only(self, columns: Sequence[int], rows: Sequence[int]) -> Gallery:
        """A part of the gallery."""
        kept = tuple(Row(self.rows[r].name, tuple(self.rows[r].tiles[c] for c in columns)) for r in rows)
        return Gallery(tuple(self.columns[c] for c in columns), kept, len(kept), self.size, 0, self.credits)


@dataclass(frozen=True)
class ExamplePair:
    """Two arms: the pictures on which the first is nearer to the truth by most, and those on which the second is."""

    first: str
    second: str
    for_first: tuple[Row, ...]
    for_second: tuple[Row, ...]
    wins: int  # pictures on which the first is nearer
    of: int


@dataclass(frozen=True)
class Spread:
    """Best, median and worst picture of one arm."""

    arm: str
    rows: tuple[Row, Row, Row]


def png(picture: np.ndarray) -> bytes:
    """uint8 (H,W,3) sRGB as PNG; stored with one channel when all three are equal."""
    picture = np.ascontiguousarray(picture)
    if (picture == picture[..., :1]).all():
        picture = picture[..., 0]
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.getvalue()


def colorfulness(pictures: np.ndarray) -> np.ndarray:
    """Hasler and Suesstrunk's M3 of uint8 (P,S,S,3): sqrt(s_rg^2 + s_yb^2) + 0.3 sqrt(m_rg^2 + m_yb^2)."""
    red, green, blue = np.moveaxis(pictures.astype(np.float64), -1, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue]).reshape(2, len(pictures), -1)
    return np.hypot(*opponents.std(axis=-1)) + 0.3 * np.hypot(*opponents.mean(axis=-1))


def gallery(result: StudyResult, order: Sequence[str], budget: int = BUDGET) -> Gallery | None:
    """The first pictures of every arm that fit into `budget` characters of base64; None when no arm has any."""
    arms = [name for name in order if name in result.pictures]
    first: dict[str, str] = {}  # picture -> the first arm that has it
    for arm in arms:
        own = result.pictures[arm]
        for index in own.grid:
            first.setdefault(own.names[index], arm)
    rows, truths, spent = [], [], 0
    for name, owner in first.items():
        shared = result.pictures[owner]
        at = shared.names.index(name)
        tiles = [png(shared.gray[at]), png(shared.truth[at])]
        for arm in arms:
            own = result.pictures[arm]
            tiles.append(png(own.prediction[own.names.index(name)]) if name in own.names else None)
        spent += sum(len(tile) * 4 // 3 + 100 for tile in tiles if tile)
        if rows and spent > budget:
            break
        rows.append(Row(name, tuple(tiles)))
        truths.append(shared.truth[at])
    if not rows:
        return None
    shown, known = {row.name for row in rows}, result.pictures[arms[0]]
    credits = tuple(pair for pair in zip(known.names, known.credits, strict=False) if pair[0] in shown)
    hero = int(colorfulness(np.stack(truths)).argmax())
    return Gallery((GRAY, TRUTH, *arms), tuple(rows), len(first), truths[0].shape[0], hero, credits)


def strip(shown: Gallery, found: Findings) -> Gallery:
    """The hero picture in a few ways: gray, truth, baseline, recommended, the reference to beat, published."""
    wanted = [
        found.baseline,
        found.recommended,
        found.rival and found.rival.candidate,
        found.published,
        found.committed,
    ]
    names = [one.arm for one in wanted if one]
    places = [2 + shown.columns[2:].index(name) for name in names if name in shown.columns[2:]]
    return shown.only([0, 1, *list(dict.fromkeys(places or range(2, len(shown.columns))))[: STRIP - 2]], [shown.hero])


def _ab(pictures: np.ndarray) -> np.ndarray:
    """a and b of uint8 (P,S,S,3): in single precision and a few at a time, which takes a third of the time."""
    few = np.array_split(pictures, max(1, len(pictures) // 16))
    return np.concatenate([rgb2lab(part.astype(np.float32) / np.float32(255))[..., 1:] for part in few])


class Chooser:
    """Chooses pictures by their ab RMSE, which it works out arm by arm when asked for."""

    def __init__(self, result: StudyResult, order: Sequence[str]) -> None:
        known = {} if result.meta["pictures"] == "showcase" else result.pictures
        self.pictures = {name: known[name] for name in order if name in known and len(known[name].names) >= FEWEST}
        self._errors: dict[str, dict[str, float]] = {}
        self._truths: dict[int, np.ndarray] = {}

    def errors(self, arm: str) -> dict[str, float]:
        """Picture -> ab RMSE of an arm in Lab units, over pixels and both channels."""
        if arm not in self._errors:
            own = self.pictures[arm]
            if id(own.truth) not in self._truths:  # arms share the truth
                self._truths[id(own.truth)] = _ab(own.truth)
            values = np.sqrt(np.square(_ab(own.prediction) - self._truths[id(own.truth)]).mean(axis=(1, 2, 3)))
            self._errors[arm] = dict(zip(own.names, values.tolist(), strict=True))
        return self._errors[arm]

    def row(self, name: str, arms: Sequence[str]) -> Row:
        """The truth and what each arm made of one picture."""
        first = self.pictures[arms[0]]
        tiles = [png(first.truth[first.names.index(name)])]
        tiles += [png(self.pictures[arm].prediction[self.pictures[arm].names.index(name)]) for arm in arms]
        return Row(name, tuple(tiles), tuple(self.errors(arm)[name] for arm in arms))

    def pair(self, first: str, second: str) -> ExamplePair | None:
        """The pictures on which two arms differ most, both ways; None when they share too few."""
        one, other = self.errors(first), self.errors(second)
        gain = {name: other[name] - one[name] for name in one if name in other}
        if len(gain) < FEWEST:
            return None
        order = sorted(gain, key=lambda name: (-gain[name], name))
        wins = [name for name in order if gain[name] > 0]
        losses = [name for name in reversed(order) if gain[name] < 0]
        rows = (tuple(self.row(name, (first, second)) for name in some[:EACH]) for some in (wins, losses))
        return ExamplePair(first, second, *rows, len(wins), len(gain))

    def spread(self, arm: str) -> Spread:
        """Best, median and worst picture of an arm."""
        errors = self.errors(arm)
        order = sorted(errors, key=lambda name: (errors[name], name))
        return Spread(arm, tuple(self.row(name, (arm,)) for name in (order[0], order[len(order) // 2], order[-1])))


def example_pairs(result: StudyResult, found: Findings, chooser: Chooser) -> list[ExamplePair]:
    """Recommended and published against the baseline, recommended against its rival and against classification."""
    best = found.recommended.arm if found.recommended else None
    classes = [name for name in result.trained if result.arms[name].loss == "classification"]
    classifier = classes[0] if classes else None
    wanted = [(best, result.baseline), (result.published, result.baseline),
              (best, found.rival.candidate.arm if found.rival else None), (best, classifier)]  # fmt: skip
    known = [(one, other) for one, other in dict.fromkeys(wanted)
             if one in chooser.pictures and other in chooser.pictures and one != other]  # fmt: skip
    return [made for one, other in known if (made := chooser.pair(one, other))]


def contact_sheet(labels: Sequence[str], rows: Sequence[Row], size: int, width: int = 1560) -> bytes:
    """Rows of tiles under labels as one PNG. Small pictures grow by a whole factor, so that pixels stay square."""
    gap, font, small = 6, ImageFont.load_default(13), size <= SMALL
    tile = max(64, min(160, width // len(labels) - gap))
    tile = max(1, tile // size) * size if small else tile
    heads = [_wrapped(label, font, tile) for label in labels]
    top = 8 + 16 * max(map(len, heads))
    sheet = Image.new("RGB", (gap + len(labels) * (tile + gap), top + len(rows) * (tile + gap)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, lines in enumerate(heads):
        left = gap + place * (tile + gap)
        for number, line in enumerate(reversed(lines)):
            draw.text((left, top - 20 - 16 * number), line, fill="#222222", font=font)
        for number, row in enumerate(rows):
            if row.tiles[place]:
                picture = Image.open(io.BytesIO(row.tiles[place])).convert("RGB")
                way = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
                sheet.paste(picture.resize((tile, tile), way), (left, top + number * (tile + gap)))
    file = io.BytesIO()
    sheet.save(file, "PNG", compress_level=6)
    return file.getvalue()


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Lines no wider than `width`, broken after underscores and spaces, or anywhere where a part is too long."""
    lines, line = [], ""
    for letter in text:
        if line and font.getlength(line + letter) > width:
            at = max(line.rfind("_"), line.rfind(" ")) + 1 or len(line)
            lines, line = [*lines, line[:at]], line[at:]
        line += letter
    return [*lines, line]
