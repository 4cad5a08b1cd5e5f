"""Numbers, names and verdicts as text: the same in every output."""

from __future__ import annotations

import math
import re

# verdict or status -> (sign, class of its badge). Signs differ in shape, so colour is never the only carrier.
SIGNS = {
    "better": ("▲", "good"),
    "worse": ("▼", "bad"),
    "higher": ("↑", "moved"),
    "lower": ("↓", "moved"),
    "within tolerance": ("≈", "same"),
    "inconclusive": ("?", "open"),
    "confirmed": ("✓", "good"),
    "opposite": ("✗", "bad"),
    "negligible": ("≈", "same"),
    "not testable": ("–", "same"),
    "yes": ("✓", "good"),
    "no": ("✗", "bad"),
    "no theory": ("–", "same"),
    "finished": ("✓", "good"),
    "diverged": ("✗", "bad"),
}
VERDICTS = ("better", "worse", "higher", "lower", "within tolerance", "inconclusive")
CLAIM_VERDICTS = ("confirmed", "opposite", "negligible", "inconclusive", "not testable")


def number(value: float | None, decimals: int = 2, sign: bool = False) -> str:
    """A number with fixed decimals and a real minus sign; "–" for none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:+.{decimals}f}" if sign else f"{value:.{decimals}f}"
    if float(text) == 0:
        text = f"{0:.{decimals}f}"
    return text.replace("-", "−")


def interval(low: float, high: float, decimals: int = 2, sign: bool = False) -> str:
    """An interval as "[low, high]"; empty when there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{number(low, decimals, sign)}, {number(high, decimals, sign)}]"


def percent(share: float, decimals: int = 0) -> str:
    """A share of 1 as a percentage; a tiny one that is not 0 reads as such."""
    if share is None or math.isnan(share):
        return "–"
    least = 10**-decimals
    if 0 < abs(100 * share) < least / 2:
        return f"<{least:g}\u00a0%"
    return f"{number(100 * share, decimals)}\u00a0%"


def p_value(value: float) -> str:
    """A p-value with four decimals, "–" for none."""
    if math.isnan(value):
        return "–"
    return "<0.0001" if value < 0.00005 else f"{value:.4f}"


def count(value: float) -> str:
    """A whole number with thin spaces between thousands."""
    return "–" if math.isnan(value) else f"{round(value):,}".replace(",", "\u202f")


def amount(value: float, digits: int = 3) -> str:
    """A quantity with about `digits` significant digits and no exponent."""
    if value is None or math.isnan(value):
        return "–"
    return count(value) if abs(value) >= 10 ** (digits - 1) else number(value, decimals_for(value, digits=digits))


def decimals_for(*values: float, digits: int = 3) -> int:
    """Decimals that give the largest of these numbers about `digits` significant digits."""
    known = [abs(one) for one in values if one is not None and math.isfinite(one) and one != 0]
    if not known:
        return digits - 1
    return min(6, max(0, digits - 1 - math.floor(math.log10(max(known)))))


def duration(seconds: float) -> str:
    """Seconds as "48 s", "12 min" or "3 h 20 min"."""
    if math.isnan(seconds):
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def slug(*words: str) -> str:
    """A name for a file or an id, from words that may hold anything."""
    return "-".join(re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_") or "x" for word in words)


def exact(value: float | None) -> str:
    """The shortest digits that read back as the same number; empty for none."""
    return "" if value is None or math.isnan(value) else repr(float(value)).removesuffix(".0")
