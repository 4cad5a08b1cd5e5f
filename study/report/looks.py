"""How each arm is drawn, everywhere: losses in full colours, what is derived from one in shades of its colour.

Twenty-five colours cannot be told apart, so only the losses themselves get one each. A dose (one weight changed) is a
muted shade of its loss with a small mark of its own, a tuned arm is its loss's colour as a star, and a control is gray.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Protocol

# Found by a search for the largest smallest distance: any two of these and the baseline's gray differ by more than 13
# CIEDE2000 units for full colour vision and for the three kinds of colour blindness (a test measures it), and each
# stands out on white and on near-black.
COLORS = ("#2257eb", "#f48709", "#23b890", "#7e5888", "#a84a00", "#d67ff0", "#38705d", "#8e845a")
BASELINE_COLOR = "#808790"
# Losses that several studies have, and the terms of the published one, keep their colour whatever else a study has.
NAMED = dict(
    zip(
        ("huber", "saturation", "diversity", "confidence", "anti_average", "anti_average_normalized", "zhang_plain",
         "zhang"),
        COLORS, strict=True,
    )
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v")
DOSE_MARKERS = ("v", "^", "<", ">", "d", "p", "s")
CONTROL_MARKERS = ("P", "X", "d", "p")
# The same markers as SVG paths in a box of 12 x 12, for the swatches in the page.
MARKER_PATHS = {
    "o": "M6 1.6a4.4 4.4 0 1 0 0 8.8a4.4 4.4 0 1 0 0-8.8z",
    "s": "M2 2h8v8h-8z",
    "^": "M6 1.2L10.8 10H1.2z",
    "D": "M6 .8L11.2 6L6 11.2L.8 6z",
    "v": "M6 10.8L10.8 2H1.2z",
    "<": "M1.2 6L10 1.2V10.8z",
    ">": "M10.8 6L2 1.2V10.8z",
    "d": "M6 .6L9.6 6L6 11.4L2.4 6z",
    "p": "M6 1L10.9 4.6L9 10.4H3L1.1 4.6z",
    "P": "M4 1h4v3h3v4h-3v3h-4v-3h-3v-4h3z",
    "X": "M3.4 1L6 3.6L8.6 1L11 3.4L8.4 6L11 8.6L8.6 11L6 8.4L3.4 11L1 8.6L3.6 6L1 3.4z",
    "*": "M6 .6L7.6 4.2L11.5 4.6L8.6 7.2L9.4 11L6 9L2.6 11L3.4 7.2L.5 4.6L4.4 4.2z",
}
LONGEST = 24  # letters of an arm's name that a figure shows
# family -> its heading, in the order in which families are shown
FAMILIES = {"main": "Losses", "tuned": "Tuned", "dose": "Doses and variants", "control": "Controls"}


class Described(Protocol):
    """What must be known of an arm to draw it."""

    name: str
    loss: str
    weights: dict[str, float]
    options: dict[str, Any]
    decode: dict[str, Any]
    train: dict[str, Any]
    control: dict[str, Any] | None
    tuned: dict[str, Any] | None


@dataclass(frozen=True)
class Look:
    """How one arm is drawn; `parent` is the arm from which it is derived, if any."""

    index: int
    color: str
    marker: str
    family: str = "main"
    parent: str | None = None
    label: str = ""  # the name, or what of it fits into a figure

    @property
    def path(self) -> str:
        """The marker as an SVG path in a 12 x 12 box."""
        return MARKER_PATHS[self.marker]

    @property
    def size(self) -> float:
        """How large its mark is beside a main arm's."""
        return {"main": 1.0, "tuned": 1.5, "dose": 0.85, "control": 1.0}[self.family]


def looks(arms: Sequence[Described], baseline: str) -> dict[str, Look]:
    """Colour and marker by family and declared order, families in the order of FAMILIES, doses behind their parent's.

    The baseline is a gray disc. The losses of NAMED have their own colours, the others those that are left; where
    losses share a colour they differ in the marker. A pair of both comes again after forty losses at the earliest. The
    index of an arm is its declared place.
    """
    place = {arm.name: index for index, arm in enumerate(arms)}
    origin = {arm.name: derivation(arm, arms, baseline) for arm in arms}
    result: dict[str, Look] = {}
    losses = [arm.name for arm in arms if arm.name != baseline and origin[arm.name][0] == "main"]
    free = [color for color in COLORS if color not in {NAMED[name] for name in losses if name in NAMED}]
    rest = cycle([*free, *(color for color in COLORS if color not in free)])
    colors = {name: NAMED[name] if name in NAMED else next(rest) for name in losses}
    shared: Counter[str] = Counter()
    for name in losses:
        color = colors[name]
        marker = MARKERS[(COLORS.index(color) + shared[color]) % len(MARKERS)]
        shared[color] += 1
        result[name] = Look(place[name], color, marker, label=short(name))
    if baseline in place:
        result[baseline] = Look(place[baseline], BASELINE_COLOR, MARKERS[0], label=short(baseline))
    # The baseline comes first whatever its declared place.
    result = {name: result[name] for name in sorted(result, key=lambda name: name != baseline)}
    for family in ("tuned", "dose", "control"):
        found = [arm.name for arm in arms if origin[arm.name][0] == family and arm.name != baseline]
        if family == "dose":
            found.sort(key=lambda name: (list(result).index(origin[name][1]), place[name]))
        children: dict[str | None, int] = {}
        for name in found:
            parent = origin[name][1]
            number = children.get(None if family == "control" else parent, 0)
            children[None if family == "control" else parent] = number + 1
            color = result[parent].color if parent in result else BASELINE_COLOR
            if family == "tuned":
                marker = "*"
            elif family == "dose":
                color, marker = muted(color), DOSE_MARKERS[number % len(DOSE_MARKERS)]
            else:
                color, marker = BASELINE_COLOR, CONTROL_MARKERS[number % len(CONTROL_MARKERS)]
            result[name] = Look(place[name], color, marker, family, parent, short(name, parent))
    return result


def derivation(arm: Described, arms: Sequence[Described], baseline: str) -> tuple[str, str | None]:
    """The family of an arm, and the arm it is derived from.

    A dose has the loss and the options of an earlier arm, and differs in the size of one weight (or in decoding
    alone). A parent that is a dose itself stands for its own parent.
    """
    if arm.control:
        return "control", arm.control.get("of")
    if arm.tuned:
        same = [other.name for other in arms if other.loss == arm.loss and not other.tuned and not other.control]
        family = arm.tuned.get("family")
        return "tuned", family if family in same else same[0] if same else None
    for other in arms:
        if other.name == arm.name or arm.name == baseline:
            break
        if not (other.control or other.tuned) and _is_dose(arm, other):
            kind, parent = derivation(other, arms, baseline)
            return "dose", parent if kind == "dose" else other.name
    return "main", None


def _is_dose(arm: Described, other: Described) -> bool:
    if arm.loss != other.loss or arm.options != other.options or arm.train != other.train:
        return False
    mine = {term: value for term, value in arm.weights.items() if value}
    theirs = {term: value for term, value in other.weights.items() if value}
    if mine.keys() != theirs.keys():
        return False
    changed = sum(float(mine[term]) != float(theirs[term]) for term in mine)
    return (changed == 1 and arm.decode == other.decode) or (changed == 0 and arm.decode != other.decode)


def short(name: str, parent: str | None = None) -> str:
    """A name that fits into a figure: where it is long and repeats its parent's, that part is left out."""
    if len(name) <= LONGEST:
        return name
    if parent and name.startswith(f"{parent}_"):
        name = f"…{name.removeprefix(parent)}"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}…{name[-8:]}"


def muted(color: str, share: float = 0.5) -> str:
    """A colour mixed with middle gray."""
    parts = (round((1 - share) * int(color[i : i + 2], 16) + share * 0x8C) for i in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in parts)
