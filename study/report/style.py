"""How a report writes: the words and signs of verdicts, numbers as text."""

from __future__ import annotations

import math
from collections.abc import Iterable

# verdict -> (sign, class of the chip). Signs differ in shape, so colour is never the only carrier.
VERDICTS = {
    "better": ("▲", "better"),
    "worse": ("▼", "worse"),
    "higher": ("↑", "changed"),
    "lower": ("↓", "changed"),
    "equivalent": ("≈", "same"),
    "undecided": ("?", "open"),
}


# Other words that a chip shows: of claims, and answers to a question.
MARKS = {
    "confirmed": ("✓", "better"),
    "refuted": ("✗", "worse"),
    "not testable": ("–", "same"),
    "yes": ("✓", "better"),
    "no": ("✗", "worse"),
    "no theory": ("–", "same"),
}
CHIPS = VERDICTS | MARKS


def chip(word: str) -> tuple[str, str]:
    """Sign and class of a verdict's chip; a word that is not known gets neither sign nor colour."""
    return CHIPS.get(word, ("", "same"))


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
