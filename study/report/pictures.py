"""Pictures for a report: which ones to show, as PNG, side by side, enlarged without smoothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from study.report.result import StudyResult

# The page may weigh 8 MB with everything; pictures get about half of that, counted as base64 text.
BUDGET = 4_000_000
SMALL = 64  # sides up to this are shown as squares of pixels, without smoothing
GRAY, TRUTH = "gray input", "truth"


@dataclass(frozen=True)
class Tile:
    """One picture in one column: PNG bytes."""

    png: bytes

    @property
    def uri(self) -> str:
        """The PNG as a data: URI."""
        return data_uri(self.png, "image/png")


@dataclass(frozen=True)
class Row:
    """One image: its name and a tile (or None) for each column of the gallery."""

    name: str
    tiles: tuple[Tile | None, ...]


@dataclass(frozen=True)
class Gallery:
    """The pictures a page shows: columns are the gray input, the truth and the arms that have predictions."""

    columns: tuple[str, ...]  # GRAY, TRUTH, then names of arms
    rows: tuple[Row, ...]
    available: int
    size: int  # side of a picture in pixels
    hero: int  # index of the row with the most colourful truth

    @property
    def small(self) -> bool:
        """Whether the pictures are enlarged as squares of pixels instead of smoothly."""
        return self.size <= SMALL

    def column_index(self, arm: str) -> int | None:
        """Where an arm stands; its column comes after the gray input and the truth, whatever its name."""
        return next((i for i, name in enumerate(self.columns) if i > 1 and name == arm), None)


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as a base64 data: URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def png(picture: np.ndarray) -> bytes:
    """uint8 (H,W,3) sRGB as PNG; stored with one channel when all three are equal."""
    picture = np.ascontiguousarray(picture)
    if (picture == picture[..., :1]).all():
        picture = picture[..., 0]
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.getvalue()


def png_rgba(picture: np.ndarray) -> bytes:
    """uint8 (H,W,3) or, with opacity, (H,W,4) as PNG."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "PNG", optimize=True)
    return file.getvalue()


def colorfulness(pictures: np.ndarray) -> np.ndarray:
    """Hasler and Suesstrunk's M3 of uint8 (P,S,S,3): sqrt(s_rg^2 + s_yb^2) + 0.3 sqrt(m_rg^2 + m_yb^2)."""
    red, green, blue = np.moveaxis(pictures.astype(np.float64), -1, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue]).reshape(2, len(pictures), -1)
    return np.hypot(*opponents.std(axis=-1)) + 0.3 * np.hypot(*opponents.mean(axis=-1))


def gallery(result: StudyResult, budget: int = BUDGET) -> Gallery | None:
    """The first pictures of every arm that fit into `budget` characters of base64; None when no arm has any."""
    if not result.pictures:
        return None
    arms = tuple(name for name in result.looks if name in result.pictures)
    positions = {arm: {name: i for i, name in enumerate(result.pictures[arm].names)} for arm in arms}
    first: dict[str, str] = {}  # image -> the first arm that has it
    for arm in arms:
        own = result.pictures[arm]
        for name in (own.names[index] for index in own.grid):
            first.setdefault(name, arm)
    rows, spent, truths = [], 0, []
    for name, owner in first.items():
        shared, at = result.pictures[owner], positions[owner][name]
        tiles = [Tile(png(shared.gray[at])), Tile(png(shared.truth[at]))]
        for arm in arms:
            index = positions[arm].get(name)
            tiles.append(None if index is None else Tile(png(result.pictures[arm].prediction[index])))
        spent += sum(len(tile.png) * 4 // 3 + 100 for tile in tiles if tile)
        if rows and spent > budget:
            break
        rows.append(Row(name, tuple(tiles)))
        truths.append(shared.truth[at])
    hero = int(colorfulness(np.stack(truths)).argmax())
    return Gallery((GRAY, TRUTH, *arms), tuple(rows), len(first), truths[0].shape[0], hero)


def contact_sheet(
    shown: Gallery, columns: Sequence[int] | None = None, rows: Sequence[int] | None = None, width: int = 1560
) -> bytes:
    """One PNG for Markdown: a row for each image (eight unless told), a labelled column for each way to colour it."""
    columns = range(len(shown.columns)) if columns is None else columns
    chosen = [shown.rows[index] for index in (range(min(8, len(shown.rows))) if rows is None else rows)]
    tiles = [[row.tiles[column] for column in columns] for row in chosen]
    return sheet_of([shown.columns[column] for column in columns], tiles, shown.size, width)


def sheet_of(labels: Sequence[str], rows: Sequence[Sequence[Tile | None]], size: int, width: int = 1560) -> bytes:
    """Tiles of `size` pixels under labels as one PNG.

    Small pictures are enlarged by a whole factor, so that every pixel stays a square of the same size.
    """
    gap, font, small = 6, ImageFont.load_default(13), size <= SMALL
    tile = max(64, min(160, width // len(labels) - gap))
    if small:
        tile = max(1, tile // size) * size
    heads = [_wrapped(label, font, tile) for label in labels]
    top = 8 + 16 * max(len(lines) for lines in heads)
    sheet = Image.new("RGB", (gap + len(labels) * (tile + gap), top + len(rows) * (tile + gap)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, lines in enumerate(heads):
        left = gap + place * (tile + gap)
        for number, line in enumerate(reversed(lines)):
            draw.text((left, top - 20 - 16 * number), line, fill="#222222", font=font)
        for number, row in enumerate(rows):
            if row[place]:
                picture = Image.open(io.BytesIO(row[place].png)).convert("RGB")
                way = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
                sheet.paste(picture.resize((tile, tile), way), (left, top + number * (tile + gap)))
    file = io.BytesIO()
    # The hardest compression would take ten times as long for a twentieth of the size.
    sheet.save(file, "PNG", compress_level=6)
    return file.getvalue()


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Lines no wider than `width`, broken after underscores and spaces where possible."""
    lines, line = [], ""
    for part in text.replace("_", "_\0").replace(" ", " \0").split("\0"):
        if line and font.getlength(line + part) > width:
            lines, line = [*lines, line], ""
        line += part
        while font.getlength(line) > width and len(line) > 1:
            fits = next(i for i in range(len(line) - 1, 0, -1) if i == 1 or font.getlength(line[:i]) <= width)
            lines, line = [*lines, line[:fits]], line[fits:]
    return [*lines, line]
