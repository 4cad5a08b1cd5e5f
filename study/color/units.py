"""Wrong units: colours that cannot be raw Lab units, pictures that cannot be sRGB in 0..1. Each mistake warns once.

Functions and losses here take raw Lab units (L 0..100, a and b about -110..110) and sRGB in 0..1. Other code divides a
and b by 110, or keeps pictures in 0..255 or in -1..1. Such values raise no error: the result is just wrong. Watches
catch what cannot be meant.

What may be meant passes: black pictures, gray pictures, fewer than 64 pixels, and tensors that ask for a gradient (a
network predicts nearly gray at first). Dark or evenly gray pictures with noise of one level of 255 keep a and b within
-1..1 as well, but hold few different colours; colours that were divided are many. A gray photograph with such noise
holds many too: it is reported, though nothing but its colour is wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from study.color.dispatch import in_memory, traced

_FEWEST = 64  # pixels
_PICTURES, _LINES = 8, 16  # at most as many pictures, and rows and columns of each, are looked at
_LOOKS, _LOOKS_ELSEWHERE = 1024, 8  # calls that are looked at; on a card a look waits for all work before it
_PLAIN = 1.1  # Lab units: visible colour is above, and what was scaled to -1..1 is below
_COLOR = 0.1  # in -1..1: 11 Lab units, which a batch of colour pictures has somewhere
_MANY, _MOST = 256, 0.6  # different colours, or this share of all pixels: more than noise of a level or two makes


class UnitWarning(UserWarning):
    """Colours are in units that cannot be meant."""


class Mistake(NamedTuple):
    """The kind of a mistake, and what to say about it."""

    kind: str
    says: str


class Range(NamedTuple):
    """The smallest and the largest value of some channels."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.3g}..{self.high:.3g}"


def wrong_rgb(rgb: Tensor) -> Mistake | None:
    """The mistake in sRGB pictures, or None if they may be in 0..1.

    A mistake is a value above 10 (0..255) or below -0.5 (-1..1, or standardised).
    """
    found = _range(rgb)
    if found.high > 10:
        return Mistake("rgb in 0..255", f"sRGB must be in 0..1, but it is in {found}: divide it by 255")
    if found.low < -0.5:
        return Mistake("rgb in -1..1", f"sRGB must be in 0..1, but it is in {found}: if -1..1 is meant, (rgb + 1) / 2")
    return None


def wrong_ab(ab: Tensor) -> Mistake | None:
    """The mistake in a and b, or None if they may be raw Lab units.

    A mistake is that no |a| or |b| is above 1.1, one is above 0.1, and there are many different ones (ab / 110).
    Another is that none is negative and one is above 150 (8 bits, 128 is gray).
    """
    found = _range(ab)
    says = f"a and b must be raw Lab units (about -110..110), but they are in {found}"
    if _COLOR < _size(found) <= _PLAIN and _many_colors(ab):
        return Mistake("ab in -1..1", f"{says}: multiply them by what they were divided by, often 110 or 128")
    if found.low >= 0 and 150 < found.high <= 255:
        return Mistake("ab in 0..255", f"{says}: subtract 128")
    return None


def wrong_lightness(lab: Tensor) -> Mistake | None:
    """The mistake in the lightness of Lab pictures, or None if it may be in 0..100.

    A mistake is L in 0..1 (no L is above 1.1 beside an |a| or |b| above 25, which so dark a pixel cannot have; or none
    is above 1.1, one is above 0.5, and a and b are in -1..1), L in -50..50, or 8 bits (L in 0..255, 128 is gray).
    """
    lightness, ab = _range(lab[:, :1]), _range(lab[:, 1:])
    says = f"L must be in 0..100, but it is in {lightness} (a and b in {ab})"
    if lightness.low >= -0.1 and lightness.high <= _PLAIN:
        if _size(ab) > 25 or (lightness.high > 0.5 and wrong_ab(lab[:, 1:])):
            return Mistake("L in 0..1", f"{says}: multiply L by 100, and a and b too if they were scaled")
    elif -60 <= lightness.low < -20 and lightness.high <= 60:
        return Mistake("L in -50..50", f"{says}: add 50")
    elif lightness.low >= 0 and lightness.high <= 255 and ab.low >= 0 and 110 < ab.high <= 255:
        return Mistake("8-bit Lab", f"{says}: use L * 100 / 255, a - 128 and b - 128")
    return None


def wrong_lab(colors: Tensor) -> Mistake | None:
    """The mistake in Lab pictures (N,3,H,W) or ab (N,2,H,W), or None if they may be raw Lab units."""
    return (wrong_lightness(colors) if colors.shape[1] == 3 else None) or wrong_ab(colors[:, -2:])


class UnitWatch:
    """Looks at the colours that one function is given, and warns once per kind of mistake.

    caller: the function, for the message. judge: one of the functions above. On a processor the first 1024 calls are
    looked at, elsewhere the first 8. A look reads a grid of at most 2048 pixels; before a warning it reads all.
    """

    stacklevel = 3  # look, the function, its caller

    def __init__(self, caller: str, judge: Callable[[Tensor], Mistake | None]) -> None:
        self.caller, self.judge = caller, judge
        self.looks, self.looks_elsewhere = _LOOKS, _LOOKS_ELSEWHERE
        self.told: set[str] = set()

    def look(self, colors: Tensor) -> None:
        """Warn if `colors`, (N,C,H,W), are in wrong units. Does nothing while torch traces the call."""
        if traced() or self.looks <= 0 or not legible(colors):
            return
        if colors.device.type == "cpu":
            self.looks -= 1
        elif self.looks_elsewhere > 0:
            self.looks_elsewhere -= 1
        else:
            return
        pictures, _, rows, columns = colors.shape
        seen = colors[:: -(-pictures // _PICTURES), :, :: -(-rows // _LINES), :: -(-columns // _LINES)]
        mistake = self.judge(seen)
        if mistake is None:
            self.passed(seen)
        elif mistake.kind not in self.told and (mistake := self.judge(colors)) is not None:
            self.told.add(mistake.kind)
            warnings.warn(f"{self.caller}: {mistake.says}", UnitWarning, stacklevel=self.stacklevel)

    def passed(self, seen: Tensor) -> None:
        """Called with colours that may be right."""


class TargetWatch(UnitWatch):
    """Looks at the first targets of a loss, at most 8, until one has visible colour in raw Lab units."""

    stacklevel = 5  # look, forward, two functions of torch.nn.Module, the loss's caller

    def __init__(self, caller: str) -> None:
        super().__init__(caller, wrong_lab)
        self.looks = _LOOKS_ELSEWHERE

    def passed(self, seen: Tensor) -> None:
        """Stop looking after visible colour."""
        if _size(_range(seen[:, -2:])) > _PLAIN:
            self.looks = 0


def legible(colors: Tensor) -> bool:
    """Whether there are values to read, and enough of them, that may be data."""
    if not isinstance(colors, Tensor) or colors.requires_grad or not colors.is_floating_point() or colors.is_meta:
        return False
    if colors.ndim != 4 or colors.shape[1] not in (2, 3) or colors[:, 0].numel() < _FEWEST or not in_memory(colors):
        return False
    return not (colors.is_cuda and torch.cuda.is_current_stream_capturing())


def _many_colors(ab: Tensor) -> bool:
    colors = ab.transpose(0, 1).flatten(1).t()
    return len(colors.unique(dim=0)) > min(_MANY, _MOST * len(colors))


def _range(colors: Tensor) -> Range:
    low, high = torch.aminmax(colors)
    return Range(low.item(), high.item())


def _size(found: Range) -> float:
    """The largest absolute value."""
    return max(-found.low, found.high)
