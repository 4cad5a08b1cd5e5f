"""Colours of arms on light and on dark paper: the same hues, lighter where the paper is dark.

On light paper a colour is itself. On dark paper the page gives it a variable with ten units more L* in Lab, so that
thin lines and small marks stand out from the ground as they do on white.
"""

from __future__ import annotations

import re

from study.report.looks import BASELINE_COLOR, COLORS, muted

# Of COLORS and then the baseline's; a test measures contrast and the distances between them.
ON_DARK = ("#526fff", "#ffa230", "#4bd4ab", "#9871a2", "#c7631f", "#f39aff", "#518a76", "#a99e73", "#9aa1aa")
_PAIRS = dict(zip((*COLORS, BASELINE_COLOR), ON_DARK, strict=True))
DARK = _PAIRS | {muted(light): muted(dark) for light, dark in _PAIRS.items()}
_KNOWN = re.compile("|".join(DARK))


def themed(text: str) -> str:
    """The text with every colour of an arm as a CSS variable that falls back to the colour itself."""
    return _KNOWN.sub(lambda found: f"var(--arm-{found.group()[1:]}, {found.group()})", text)


def dark_rule() -> str:
    """The style sheet's rule that sets the variables where the paper is dark; paper to print on never is."""
    values = " ".join(f"--arm-{light[1:]}: {dark};" for light, dark in DARK.items())
    return f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {values} }} }}\n"
