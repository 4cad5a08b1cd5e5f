"""How a report looks and writes: one colour and marker per arm, the words and signs of verdicts, numbers as text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

# Found by a search for the largest smallest distance: any two of these and the baseline's gray differ by more than 13
# CIEDE2000 units for full colour vision and for the three kinds of colour blindness (a test measures it), and each
# stands out on white and on near-black.
COLORS = ("#2257eb", "#f48709", "#23b890", "#7e5888", "#a84a00", "#d67ff0", "#38705d", "#8e845a")
BASELINE_COLOR = "#808790"
MARKERS = ("o", "s", "^", "D", "v")
# The same markers as SVG paths in a box of 12 x 12, for the swatches in the page.
MARKER_PATHS = {
    "o": "M6 1.6a4.4 4.4 0 1 0 0 8.8a4.4 4.4 0 1 0 0-8.8z",
    "s": "M2 2h8v8h-8z",
    "^": "M6 1.2L10.8 10H1.2z",
    "D": "M6 .8L11.2 6L6 11.2L.8 6z",
    "v": "M6 10.8L10.8 2H1.2z",
}

# verdict -> (sign, class of the chip). Signs differ in shape, so colour is never the only carrier.
VERDICTS = {
    "better": ("▲", "better"),
    "worse": ("▼", "worse"),
    "higher": ("↑", "changed"),
    "lower": ("↓", "changed"),
    "equivalent": ("≈", "same"),
    "undecided": ("?", "open"),
}


@dataclass(frozen=True)
class Look:
    """How one arm is drawn, everywhere."""

    index: int
    color: str
    marker: str

    @property
    def path(self) -> str:
        """The marker as an SVG path in a 12 x 12 box."""
        return MARKER_PATHS[self.marker]


def looks(arms: Iterable[str], baseline: str) -> dict[str, Look]:
    """Colour and marker by declared order: the same list of arms gives the same looks in every study.

    The baseline is a gray disc. Colour and marker change together, so either tells arms apart; a pair of both
    comes again after forty arms.
    """
    result, slot = {}, 0
    for index, name in enumerate(arms):
        if name == baseline:
            result[name] = Look(index, BASELINE_COLOR, MARKERS[0])
        else:
            result[name] = Look(index, COLORS[slot % len(COLORS)], MARKERS[slot % len(MARKERS)])
            slot += 1
    return result


def number(value: float, decimals: int, sign: bool = False) -> str:
    """A number as people read it: fixed decimals, a real minus sign, "–" for none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:+.{decimals}f}" if sign else f"{value:.{decimals}f}"
    if float(text) == 0:
        text = f"{0:.{decimals}f}"
    return text.replace("-", "−")


def interval(low: float, high: float, decimals: int, sign: bool = False) -> str:
    """An interval as "[low, high]"; empty when there is none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number(low, decimals, sign)}, {number(high, decimals, sign)}]"


def p_value(value: float) -> str:
    """A p-value with four decimals, "–" for none."""
    if math.isnan(value):
        return "–"
    return "<0.0001" if value < 0.00005 else f"{value:.4f}"


def count(value: float) -> str:
    """A whole number with thin spaces between thousands."""
    return "–" if math.isnan(value) else f"{round(value):,}".replace(",", "\u202f")


def amount(value: float, digits: int = 3) -> str:
    """A positive quantity with about `digits` significant digits and no exponent."""
    if math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - int(f"{value:.{digits - 1}e}".split("e")[1]))
    return count(value) if decimals == 0 else number(value, min(decimals, 6))


def duration(seconds: float) -> str:
    """Seconds as "48 s", "12 min 5 s" or "3 h 20 min"."""
    if math.isnan(seconds):
        return "–"
    if seconds < 100:
        return f"{amount(seconds, 2)} s"
    total = round(seconds)
    if total < 3600:
        return f"{total // 60} min {total % 60} s" if total % 60 else f"{total // 60} min"
    total = round(seconds / 60)
    return f"{total // 60} h {total % 60} min" if total % 60 else f"{total // 60} h"


def listed(words: Iterable[str]) -> str:
    """Words as "a", "a and b" or "a, b and c"."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def plural(many: int, word: str) -> str:
    """ "1 seed", "5 seeds"."""
    return f"{many} {word}" if many == 1 else f"{many} {word}s"
