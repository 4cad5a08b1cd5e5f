"""palette_world: generated scenes in which p(ab | gray picture) is known exactly.

A scene is made of 3 to 5 regions. The *kind* of a region can be told from its gray texture. Its *colour* (a, b) is one
constant for the whole region. It is drawn from the kind's palette, independently of lightness, texture, shape and of
every other region. So a picture's lightness tells the kind of each pixel, and nothing else about its colour (up to the
rounding to 8 bits, which is finer than the sensor noise added to the lightness).

| region | gray texture                            | L      | modes: (a, b) x probability                              |
|--------|-----------------------------------------|--------|----------------------------------------------------------|
| sky    | smooth, lighter towards the horizon     | 54..72 | light blue (-16,-28) .25, dark blue (14,-44) .2,         |
|        |                                         |        | pale blue (0,-10) .2, azure (4,-33) .2, cyan (-30,-8).15 |
| grass  | blades: short vertical strokes          | 61..87 | bright green (-48,46) .3, dark green (-38,18) .3,        |
|        |                                         |        | yellow-green (-22,52) .2, olive (-6,34) .2               |
| flower | petals around a dark centre             | 51..71 | red (42,20) .25, yellow (-4,56) .25, violet (32,-34) .2, |
|        |                                         |        | blue (4,-40) .15, turquoise (-36,4) .15                  |
| car    | diagonal stripes, windows, dark wheels  | 52..72 | crimson (44,2) .35, turquoise (-36,0) .35,               |
|        |                                         |        | yellow (-2,54) .15, blue (6,-42) .15                     |
| wall   | horizontal boards, a dark window        | 30..92 | neutral (0,0): any vividness is an error                 |
| roof   | tiles in a checker                      | 30..68 | terracotta (38,32): can be learnt exactly                |

All colours are inside the sRGB gamut at every lightness of their kind, so nothing is ever clipped. The mean colour of a
flower (chroma 13) or a car (chroma 4) is far from every mode. The means of sky and grass are more than 10 Lab units
away from theirs. So averaging shows. Regions are made of cells of 2x2 pixels: where colour is predicted at half
resolution, every predicted pixel lies in one region, and the distribution above is exactly its distribution.

Every processor draws the same bytes (scenery.py says how). VERSION counts the generators that drew other bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from study.color.lab import lab_to_rgb
from study.config.data import PaletteWorldData
from study.data.color_distribution import ColorDistribution
from study.data.scenery import REGION_NAMES, draw_scenery
from study.data.source import Source, Split


class Mode(NamedTuple):
    """One colour of a palette: its probability and its a, b in Lab units."""

    name: str
    probability: float
    a: float
    b: float


PALETTES = {
    "sky": (
        Mode("light blue", 0.25, -16, -28),
        Mode("dark blue", 0.2, 14, -44),
        Mode("pale blue", 0.2, 0, -10),
        Mode("azure", 0.2, 4, -33),
        Mode("cyan", 0.15, -30, -8),
    ),
    "grass": (
        Mode("bright green", 0.3, -48, 46),
        Mode("dark green", 0.3, -38, 18),
        Mode("yellow-green", 0.2, -22, 52),
        Mode("olive", 0.2, -6, 34),
    ),
    "flower": (
        Mode("red", 0.25, 42, 20),
        Mode("yellow", 0.25, -4, 56),
        Mode("violet", 0.2, 32, -34),
        Mode("blue", 0.15, 4, -40),
        Mode("turquoise", 0.15, -36, 4),
    ),
    "car": (
        Mode("crimson", 0.35, 44, 2),
        Mode("turquoise", 0.35, -36, 0),
        Mode("yellow", 0.15, -2, 54),
        Mode("blue", 0.15, 6, -42),
    ),
    "wall": (Mode("neutral", 1.0, 0, 0),),
    "roof": (Mode("terracotta", 1.0, 38, 32),),
}
VERSION = 2
STREAMS = {"train": 0, "val": 1, "test": 2}
CHUNK = 512 * 32 * 32  # pixels drawn at a time, from streams of their own: a longer split begins with the shorter one
STEPS = 16  # tabulated colours per unit of L


@dataclass(frozen=True)
class Scenes:
    """Coloured scenes.

    images: uint8 (N,S,S,3) sRGB.
    slot, region, mode: uint8 (N,S,S), which region of the scene a pixel belongs to, that region's kind, and the colour
    drawn from the kind's palette.
    """

    images: np.ndarray
    slot: np.ndarray
    region: np.ndarray
    mode: np.ndarray


def color_distribution() -> ColorDistribution:
    """The colour distribution of each kind of region, the same for every scene."""
    most = max(len(palette) for palette in PALETTES.values())
    modes = np.full((len(REGION_NAMES), most, 2), np.nan, np.float32)
    probabilities = np.zeros((len(REGION_NAMES), most), np.float32)
    for k, region in enumerate(REGION_NAMES):
        for m, mode in enumerate(PALETTES[region]):
            modes[k, m] = mode.a, mode.b
            probabilities[k, m] = mode.probability
    return ColorDistribution(REGION_NAMES, modes, probabilities)


def load(settings: PaletteWorldData, root: Path) -> Source:
    """Generate the three splits; the same seed and size give the same test scenes whatever the other counts are.

    The source's `extra` holds region_val, region_test, mode_val, mode_test uint8 (N,S,S) and the colour distribution:
    regions (names), modes, probabilities.
    """
    declared = color_distribution()
    splits, facts, extra = {}, {"regions": list(REGION_NAMES), "reachable_mse": {}, "pixel_share": {}}, {}
    for split in STREAMS:
        scenes = draw_scenes(getattr(settings, split), settings.size, settings.seed, split)
        splits[split] = Split(scenes.images, [f"{split}-{i:06d}" for i in range(len(scenes.images))])
        facts["reachable_mse"][split] = round(declared.reachable_mse(scenes.region), 3)
        share = np.bincount(scenes.region.ravel(), minlength=len(REGION_NAMES)) / scenes.region.size
        facts["pixel_share"][split] = {name: round(float(s), 4) for name, s in zip(REGION_NAMES, share, strict=True)}
        if split != "train":
            extra |= {f"region_{split}": scenes.region, f"mode_{split}": scenes.mode}
    extra |= {"regions": np.array(REGION_NAMES), "modes": declared.modes, "probabilities": declared.probabilities}
    return Source(splits, version=VERSION, facts=facts, extra=extra)


def state(settings: PaletteWorldData, root: Path) -> str:
    """Always "": the scenes follow from settings and code alone."""
    return ""


def draw_scenes(count: int, size: int, seed: int, split: str) -> Scenes:
    """The first `count` scenes of size x size pixels of a split ("train", "val", "test")."""
    images = np.empty((count, size, size, 3), np.uint8)
    slot, region, mode = (np.empty((count, size, size), np.uint8) for _ in range(3))
    table = (color_table() * 255).round().astype(np.uint8)
    probabilities = color_distribution().probabilities
    bounds = np.where(probabilities[:, 1:] > 0, probabilities.cumsum(1)[:, :-1], 2)  # 2: the mode before is the last
    chunk = max(1, CHUNK // size**2)
    for start in tqdm(range(0, count, chunk), desc=f"{split} scenes", unit="chunk", delay=2, disable=None):
        stream = np.random.SeedSequence(seed, spawn_key=(STREAMS[split], start // chunk))
        # Two streams, one for the gray scene and one for its colours: neither can tell anything about the other.
        gray, color = (np.random.default_rng(child) for child in stream.spawn(2))
        scenery = draw_scenery(gray, chunk, size)
        drawn = (color.random(scenery.regions.shape)[..., None] >= bounds[scenery.regions]).sum(-1, dtype=np.uint8)
        modes = np.take_along_axis(drawn, scenery.slot.reshape(chunk, -1), axis=1)
        part = slice(start, min(start + chunk, count))
        keep = part.stop - start
        slot[part], region[part] = scenery.slot[:keep], scenery.region[:keep]
        mode[part] = modes.reshape(scenery.slot.shape)[:keep]
        level = np.rint(scenery.lightness[:keep] * STEPS).astype(np.int32)
        images[part] = table[region[part], mode[part], level]
    return Scenes(images, slot, region, mode)


def color_table() -> np.ndarray:
    """sRGB in 0..1 of every colour that a scene can have: float64 (K, M, L in 1/STEPS units, 3).

    There are few modes, so colours are looked up. Processors differ in the last bits of these values. Times 255, none
    lies near enough to a half for that to change its rounding.
    """
    declared = color_distribution()
    kinds, most, _ = declared.modes.shape
    lightness = torch.arange(100 * STEPS + 1, dtype=torch.float64) / STEPS
    ab = torch.from_numpy(np.nan_to_num(declared.modes)).double().reshape(kinds * most, 2, 1, 1)
    lab = torch.cat([lightness.expand(len(ab), 1, 1, -1), ab.expand(-1, -1, 1, len(lightness))], dim=1)
    return lab_to_rgb(lab).permute(0, 2, 3, 1).reshape(kinds, most, len(lightness), 3).numpy()
