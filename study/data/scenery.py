"""The gray half of palette_world: where the regions of a scene lie, of what kind they are, how light each pixel is.

Nothing here knows a colour. palette_world.py paints these scenes from a random stream of its own, so colour depends on
the kind of a region alone. Lengths are in units of 1/32 of the picture; textures look the same at any size.

Every processor draws the same bytes. Only +, -, *, /, comparisons and rounding are used, one array operation at a time:
IEEE 754 defines their result to the last bit. NumPy's sin, cos, arctan2 and hypot differ between processors, and
Generator.uniform may on ARM (a fused multiply-add): `_sine`, `_petals` and `_uniform` stand in for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REGION_NAMES = ("sky", "grass", "flower", "car", "wall", "roof")
SKY, GRASS, FLOWER, CAR, WALL, ROOF = range(len(REGION_NAMES))
# Ranges of a region's mean L and of the amplitude of its texture; both are drawn uniformly for every region.
LIGHTNESS = np.array([(60, 66), (69, 79), (60, 62), (61.5, 63), (40, 82), (40, 58)], np.float32)
CONTRAST = np.array([(2.5, 4.5), (4, 7), (6, 8), (6, 8), (5, 9), (5, 9)], np.float32)
NOISE = 0.75  # sensor noise of L, uniform in +-NOISE

# What stands on the meadow, from back to front, and how often. A house is two regions, a wall and a roof.
COMPOSITIONS = (
    ((FLOWER,), 0.12), ((CAR,), 0.15), ((WALL,), 0.06), ((FLOWER, FLOWER), 0.13), ((CAR, FLOWER), 0.17),
    ((WALL, CAR), 0.14), ((WALL, FLOWER), 0.11), ((FLOWER, FLOWER, FLOWER), 0.12),
)  # fmt: skip
# Regions are made of cells of 2x2 pixels, because colour is predicted at half resolution. So no predicted pixel lies
# on a border, and its colour distribution is exactly that of one kind.
CELL = 2
# Of a thing of some kind where that many things stand: range of its half width, half height / half width, highest lift.
SIZES = {
    (FLOWER, 1): (9, 11, 1.0, 4.0), (FLOWER, 2): (6, 8, 1.0, 5.0), (FLOWER, 3): (4, 5, 1.0, 8.0),
    (CAR, 1): (10, 12, 0.75, 3.0), (CAR, 2): (8, 8, 0.75, 3.0),
    (WALL, 1): (8, 9, 0.6, 2.0), (WALL, 2): (6, 6, 0.67, 2.0),
}  # fmt: skip
# Region slots of a scene: sky, meadow, then three pairs of a thing and (when the thing is a house) its roof.
SLOTS = 8
FIRST_THING = 2
# sin(x) = x - x^3/3! + ...: on a quarter turn to either side these terms leave an error below 1e-11.
SINE_TERMS = (1 / 6, 1 / 20, 1 / 42, 1 / 72, 1 / 110, 1 / 156, 1 / 210)  # 1 / (2k (2k + 1))


@dataclass(frozen=True)
class Scenery:
    """Gray scenes.

    regions: uint8 (N,SLOTS), the kind of each region of a scene.
    slot, region: uint8 (N,S,S), which region of the scene a pixel belongs to, and that region's kind.
    lightness: float32 (N,S,S), L in Lab units.
    """

    regions: np.ndarray
    slot: np.ndarray
    region: np.ndarray
    lightness: np.ndarray


def draw_scenery(rng: np.random.Generator, count: int, size: int) -> Scenery:
    """`count` gray scenes of size x size pixels."""
    regions, boxes = _layout(rng, count)
    turns = _uniform(rng, 0, 2 * np.pi, (count, SLOTS)).astype(np.float32)
    cells = (np.arange(size // CELL, dtype=np.float32) + 0.5) * (32 * CELL / size)
    slot = _slots(rng, regions, boxes, turns, *np.meshgrid(cells, cells, indexing="ij"))
    slot = slot.repeat(CELL, axis=1).repeat(CELL, axis=2)
    region = np.take_along_axis(regions, slot.reshape(count, -1), axis=1).reshape(slot.shape)

    mean = _uniform(rng, *LIGHTNESS[regions].transpose(2, 0, 1), regions.shape).astype(np.float32)
    contrast = _uniform(rng, *CONTRAST[regions].transpose(2, 0, 1), regions.shape).astype(np.float32)
    middles = (np.arange(size, dtype=np.float32) + 0.5) * (32 / size)
    blades = _uniform(rng, -1, 1, (count, 10, 32)).astype(np.float32)
    lightness = rng.random(region.shape, np.float32) * (2 * NOISE) - NOISE
    for k, texture in enumerate((_sky, _grass, _flower, _car, _wall, _roof)):
        scene, row, column = np.nonzero(region == k)
        of = slot[scene, row, column]
        at_y, at_x, turn = middles[row], middles[column], turns[scene, of]
        if k == GRASS:
            tone = texture(at_y, at_x, blades, scene)
        elif k == SKY:
            tone = texture(at_y, at_x, turn)
        else:
            center, middle, half, tall = boxes[scene, of].T
            tone = texture(at_y, at_x, turn, (at_x - center) / half, (at_y - middle) / tall)
        lightness[scene, row, column] += mean[scene, of] + contrast[scene, of] * tone
    return Scenery(regions, slot, region, lightness)


def _uniform(rng: np.random.Generator, low: np.ndarray | float, high: np.ndarray | float, shape: tuple) -> np.ndarray:
    # float64 between low and high. The values of rng.uniform, but for its fused multiply-add on some processors.
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return low + (high - low) * rng.random(shape)


def _sine(angle: np.ndarray) -> np.ndarray:
    # sin(angle), float64; angle in radians. Folded to a quarter turn, then a polynomial.
    turns = angle.astype(np.float64) / (2 * np.pi) - 0.25
    folded = (0.25 - np.abs(turns - np.rint(turns))) * (2 * np.pi)
    squared = folded * folded
    sine = np.ones_like(folded)
    for term in reversed(SINE_TERMS):
        sine = 1 - squared * sine * term
    return folded * sine


def _petals(u: np.ndarray, v: np.ndarray, turn: np.ndarray) -> np.ndarray:
    # cos(6 angle + turn), float64, with the angle of (u, v): the real part of (u + iv)^6 exp(i turn) / |u + iv|^6.
    u, v = u.astype(np.float64), v.astype(np.float64)
    real, imaginary = u * u - v * v, 2 * u * v  # the square
    square = real, imaginary
    for _ in range(2):  # the cube of the square
        real, imaginary = real * square[0] - imaginary * square[1], real * square[1] + imaginary * square[0]
    radius = u * u + v * v
    cosine, sine = _sine(turn + np.float64(np.pi / 2)), _sine(turn)
    return (real * cosine - imaginary * sine) / np.maximum(radius * radius * radius, 1e-30)


def _layout(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    # regions (N,SLOTS): the kind of each, SKY in unused slots. boxes float32 (N,SLOTS,4): centre x, middle y, half
    # width, half height of things and roofs, all 0 in unused slots.
    compositions = rng.choice(len(COMPOSITIONS), count, p=[share for _, share in COMPOSITIONS])
    regions = np.full((count, SLOTS), SKY, np.uint8)
    regions[:, 1] = GRASS
    boxes = np.zeros((count, SLOTS, 4), np.float32)
    for c, (things, _) in enumerate(COMPOSITIONS):
        scenes = np.flatnonzero(compositions == c)
        places = rng.permuted(np.tile(np.arange(len(things)), (len(scenes), 1)), axis=1)
        room = 32 / len(things)
        for j, kind in enumerate(things):
            slot = FIRST_THING + 2 * j
            smallest, largest, aspect, rise = SIZES[kind, len(things)]
            half = rng.integers(smallest, largest + 1, len(scenes))
            tall = np.rint(half * aspect)
            shift = _uniform(rng, -1, 1, len(scenes)) * (8 if len(things) == 1 else 1)
            center = (places[:, j] + 0.5) * room + shift
            middle = 31 - tall - _uniform(rng, 0, rise, len(scenes)) - 3 * (kind == WALL)
            regions[scenes, slot] = kind
            boxes[scenes, slot] = _snapped(np.clip(center, half, 32 - half), middle, half, tall)
            if kind == WALL:
                center, middle = boxes[scenes, slot, :2].T
                height = half // 2
                regions[scenes, slot + 1] = ROOF
                boxes[scenes, slot + 1] = _snapped(center, middle - tall - height, half + CELL, height)
    return regions, boxes


def _snapped(center: np.ndarray, middle: np.ndarray, half: np.ndarray, tall: np.ndarray) -> np.ndarray:
    # A box whose left and upper edges lie on cell borders; half and tall are whole, so the others do too.
    left, top = (CELL * np.rint((at - reach) / CELL) for at, reach in ((center, half), (middle, tall)))
    return np.stack([left + half, top + tall, half, tall], axis=1)


def _slots(
    rng: np.random.Generator, regions: np.ndarray, boxes: np.ndarray, turns: np.ndarray, y: np.ndarray, x: np.ndarray
) -> np.ndarray:
    # The slot of every cell, uint8 (N,rows,columns).
    horizon, swell, wavelength = (
        _uniform(rng, low, high, (len(regions), 1, 1)).astype(np.float32) for low, high in ((8, 14), (0, 2), (26, 60))
    )
    hills = horizon + swell * _sine(x[:1] * (2 * np.pi / wavelength) + turns[:, 1, None, None])
    slots = (y > hills).astype(np.uint8)
    for slot in range(FIRST_THING, SLOTS):
        for kind, inside in ((FLOWER, _in_flower), (CAR, _in_car), (WALL, _in_wall), (ROOF, _in_roof)):
            scenes = np.flatnonzero(regions[:, slot] == kind)
            center, middle, half, tall = boxes[scenes, slot].T[:, :, None, None]
            u, v = (x - center) / half, (y - middle) / tall
            mask = (np.abs(u) < 1) & (np.abs(v) < 1) & inside(u, v)
            slots[scenes] = np.where(mask, np.uint8(slot), slots[scenes])
    return slots


# Shapes, in a box's own coordinates: u to the right, v down, both -1..1.


def _in_flower(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u * u + v * v < 1


def _wheel(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (np.abs(np.abs(u) - 0.5) < 0.25) & (v > 0.5)


def _cabin(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (np.abs(u) < 0.75 + 0.25 * v) & (v < 0)


def _in_car(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (np.abs(v - 0.25) < 0.4) | _wheel(u, v) | _cabin(u, v)


def _in_wall(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.ones_like(u * v, bool)


def _in_roof(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.abs(u) < 0.65 + 0.35 * v


# Textures: the tone of pixels in -1..1, which the region's contrast scales.


def _sky(y: np.ndarray, x: np.ndarray, turn: np.ndarray) -> np.ndarray:
    return np.clip(y / 9 - 0.9, -0.9, 0.9) + 0.1 * _sine(x * 0.2 + turn)


def _grass(y: np.ndarray, x: np.ndarray, blades: np.ndarray, scene: np.ndarray) -> np.ndarray:
    # One random tone for every blade; blades are 1 wide, 4 tall, and start at heights that differ between columns.
    column = x.astype(np.int32)
    return blades[scene, ((y + (column * 5) % 8 / 2) / 4).astype(np.int32), column]


def _flower(y: np.ndarray, x: np.ndarray, turn: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.where(u * u + v * v < 0.33 * 0.33, -1, _petals(u, v, turn))


def _car(y: np.ndarray, x: np.ndarray, turn: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    window = _cabin(np.abs(u) + 0.12, v) & (np.abs(v + 0.4) < 0.35) & (np.abs(u) > 0.1)
    paint = 0.45 * _sine((x + y) * (2 * np.pi / 5) + turn)
    return np.where(_wheel(u, v), -1, np.where(window, 1, paint))


def _wall(y: np.ndarray, x: np.ndarray, turn: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    boards = np.where((y + turn).astype(np.int32) % 3 == 0, -0.5, 0.5)
    return np.where((np.abs(u - 0.3) < 0.3) & (np.abs(v) < 0.4), -1, boards)


def _roof(y: np.ndarray, x: np.ndarray, turn: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    tiles = ((y + turn) / 2).astype(np.int32) + ((x + turn) / 2).astype(np.int32)
    return np.where(tiles % 2 == 0, -0.9, 0.9)
