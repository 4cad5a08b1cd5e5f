"""Sheets as LaTeX tables with booktabs: \\input{...} them, with \\usepackage{booktabs} in the preamble."""

from __future__ import annotations

import re

from study.report.sheet import Column, Field, Sheet
from study.report.style import chip

ESCAPES = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
           "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
           ">": r"\textgreater{}", "|": r"\textbar{}"}  # fmt: skip
SIGNS = {"−": "$-$", "±": r"$\pm$", "×": r"$\times$", "≈": r"$\approx$", "∞": r"$\infty$", "↑": r"$\uparrow$",
         "↓": r"$\downarrow$", "→": r"$\rightarrow$", "▲": r"$\blacktriangle$", "▼": r"$\blacktriangledown$",
         "✓": r"\checkmark{}", "✗": r"$\times$", "–": "--", "’": "'", "…": r"\dots{}", "\u202f": r"\,", "²": "$^2$",
         "Δ": r"$\Delta$", "\u00a0": "~", "‘": "`"}  # fmt: skip


def escaped(text: str) -> str:
    """Text that LaTeX prints as it stands, on one line."""
    text = " ".join(text.split(" "))
    text = re.sub(r"\s*[\n\r\t]\s*", " ", text)
    return "".join(ESCAPES.get(letter) or SIGNS.get(letter) or letter for letter in text)


def render_tex(sheet: Sheet) -> str:
    """One tabular with a rule above, below and under the head; long words get a column that breaks lines."""
    spec = "".join(_column(column, place, sheet) for place, column in enumerate(sheet.head))
    head = " & ".join(escaped(f"{column.label} ({column.unit})" if column.unit else column.label)
                      for column in sheet.head)  # fmt: skip
    lines = [" & ".join(map(_field, row)) + r" \\" for row in sheet.rows]
    return "\n".join(
        [
            f"% {sheet.title}. Needs \\usepackage{{booktabs,amssymb}}.",
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            head + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _column(column: Column, place: int, sheet: Sheet) -> str:
    if not column.words:
        return "r"
    longest = max((len(row[place].text) for row in sheet.rows), default=0)
    return r"p{0.28\linewidth}" if longest > 45 else "l"


def _field(field: Field) -> str:
    if field.kind in ("arm", "code"):
        return rf"\texttt{{{escaped(field.text)}}}"
    if field.kind == "chip":
        sign = chip(field.text)[0]
        return escaped(f"{sign} {field.text}".strip())
    return escaped(field.whole)
