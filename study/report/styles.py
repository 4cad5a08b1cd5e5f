"""How each arm is drawn: losses in full colours, what is derived from one in shades of its colour.

Twenty-five colours cannot be told apart, so only losses get one each. A variant (one weight changed) is a muted shade
of its loss with a small mark, a tuned arm is its loss's colour as a star, and a reference is gray.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from study.report.result import Arm

# Any two of these and the baseline's gray differ by more than 13 CIEDE2000 units for full colour vision and for three
# kinds of colour blindness, and each stands out on white and on near-black. A test measures it.
COLORS = ("#2257eb", "#f48709", "#23b890", "#7e5888", "#a84a00", "#d67ff0", "#38705d", "#8e845a")
BASELINE_COLOR = "#808790"
# The same on dark paper: ten units more L* in Lab.
ON_DARK = ("#526fff", "#ffa230", "#4bd4ab", "#9871a2", "#c7631f", "#f39aff", "#518a76", "#a99e73", "#9aa1aa")
# Losses that several studies have, and the terms of the published one, keep their colour everywhere.
NAMED = dict(
    zip(
        ("huber", "saturation", "diversity", "confidence", "anti_average", "anti_average_normalized", "zhang_plain",
         "zhang"),
        COLORS, strict=True,
    )
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v")
VARIANT_MARKERS = ("v", "^", "<", ">", "d", "p", "s")
REFERENCE_MARKERS = ("P", "X", "d", "p")
# The same markers as SVG paths in a box of 12 x 12, for the page.
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
SIZES = {"loss": 1.0, "tuned": 1.5, "variant": 0.85, "reference": 1.0}  # families in the order in which they are shown


@dataclass(frozen=True)
class Style:
    """How one arm is drawn. index: its declared place; parent: the arm that it is derived from, if any."""

    index: int
    color: str
    marker: str
    label: str
    family: str = "loss"
    parent: str | None = None

    @property
    def path(self) -> str:
        """The marker as an SVG path in a 12 x 12 box."""
        return MARKER_PATHS[self.marker]

    @property
    def size(self) -> float:
        """Size of the mark beside a loss's own."""
        return SIZES[self.family]

    @property
    def derived(self) -> bool:
        """Whether it is the first to leave where room is short."""
        return self.family in ("variant", "reference")


def arm_styles(arms: Sequence[Arm], baseline: str) -> dict[str, Style]:
    """The style of every arm, in the order in which arms are shown: baseline, losses, tuned, variants, references.

    Losses that share a colour differ in the marker. A pair of both comes again after forty losses at the earliest.
    """
    place = {arm.name: index for index, arm in enumerate(arms)}
    origin = {arm.name: derivation(arm, arms, baseline) for arm in arms}
    losses = [name for name in place if name != baseline and origin[name][0] == "loss"]
    free = [color for color in COLORS if color not in {NAMED[name] for name in losses if name in NAMED}]
    rest = cycle([*free, *(color for color in COLORS if color not in free)])
    found: dict[str, Style] = {}
    if baseline in place:
        found[baseline] = Style(place[baseline], BASELINE_COLOR, MARKERS[0], short(baseline))
    shared: Counter[str] = Counter()
    for name in losses:
        color = NAMED[name] if name in NAMED else next(rest)
        marker = MARKERS[(COLORS.index(color) + shared[color]) % len(MARKERS)]
        shared[color] += 1
        found[name] = Style(place[name], color, marker, short(name))
    for family, marks in (("tuned", "*"), ("variant", VARIANT_MARKERS), ("reference", REFERENCE_MARKERS)):
        own = [name for name in place if origin[name][0] == family and name != baseline]
        if family == "variant":
            own.sort(key=lambda name: (list(found).index(origin[name][1]), place[name]))
        siblings: Counter[str | None] = Counter()
        for name in own:
            parent = origin[name][1]
            color = found[parent].color if parent in found and family != "reference" else BASELINE_COLOR
            key = None if family == "reference" else parent
            marker = marks[siblings[key] % len(marks)]
            siblings[key] += 1
            color = muted(color) if family == "variant" else color
            found[name] = Style(place[name], color, marker, short(name, parent), family, parent)
    return found


def derivation(arm: Arm, arms: Sequence[Arm], baseline: str) -> tuple[str, str | None]:
    """The family of an arm, and the arm that it is derived from.

    A variant has the loss and options of an earlier arm; it differs in the size of one weight, or in decoding alone.
    A parent that is a variant itself stands for its own parent.
    """
    if arm.control:
        return "reference", arm.control.get("of")
    if arm.tuned:
        same = [other.name for other in arms if other.loss == arm.loss and not other.tuned and not other.control]
        family = arm.tuned.get("family")
        return "tuned", family if family in same else same[0] if same else None
    for other in arms:
        if other.name == arm.name or arm.name == baseline:
            break
        if not (other.control or other.tuned) and _is_variant(arm, other):
            family, parent = derivation(other, arms, baseline)
            return "variant", parent if family == "variant" else other.name
    return "loss", None


def _is_variant(arm: Arm, other: Arm) -> bool:
    if arm.loss != other.loss or arm.options != other.options or arm.train != other.train:
        return False
    mine, theirs = ({term: float(w) for term, w in one.weights.items() if w} for one in (arm, other))
    if mine.keys() != theirs.keys():
        return False
    changed = sum(mine[term] != theirs[term] for term in mine)
    return (changed == 1 and arm.decode == other.decode) or (changed == 0 and arm.decode != other.decode)


def short(name: str, parent: str | None = None, most: int = LONGEST) -> str:
    """A name that fits into a figure. Where it is long and repeats its parent's, that part is left out."""
    if len(name) > most and parent and name.startswith(f"{parent}_"):
        name = f"…{name.removeprefix(parent)}"
    return name if len(name) <= most else f"{name[: most - 9]}…{name[-8:]}"


def muted(color: str, share: float = 0.5) -> str:
    """A colour mixed with middle gray."""
    parts = (round((1 - share) * int(color[i : i + 2], 16) + share * 0x8C) for i in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in parts)


def term_colors(terms: Sequence[str], styles: dict[str, Style]) -> dict[str, str]:
    """A colour for each term of a loss: its own or that of the arm of the same name; gray for the first."""
    found = {term: styles[term].color if term in styles else NAMED.get(term) for term in terms}
    found |= {"lab": BASELINE_COLOR} if "lab" in found else {}
    rest = cycle([color for color in COLORS if color not in found.values()] or COLORS)
    return {term: color or next(rest) for term, color in found.items()}


_PAIRS = dict(zip((*COLORS, BASELINE_COLOR), ON_DARK, strict=True))
DARK = _PAIRS | {muted(light): muted(dark) for light, dark in _PAIRS.items()}
"""Colour of an arm on light paper -> on dark paper."""
