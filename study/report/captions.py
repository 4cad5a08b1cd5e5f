"""The sentences that explain a section, said once for the page and for Markdown; names are marked as Code."""

from __future__ import annotations

from study.report.answer import Code
from study.report.pictures import Gallery
from study.report.result import StudyResult

QUESTION = "My model paints sepia: which loss, at which weights, fixes that, and what does it cost?"
VIVIDNESS = (
    "Sepia is at the left: too little colour. Moving right makes pictures vivid; moving down takes them "
    "farther from the truth, pixel by pixel."
)
KINDS = (
    "The chroma that each arm paints, by kind of region. The solid line is the mean chroma of the palette, "
    "which the truth has; the dashed line is the chroma of the palette’s average colour, which is all that "
    "averaging can give. The band between them is what averaging loses."
)
PLANES = (
    "Discs are the colours a kind really has, their area the probability; the cross is their average. A mark "
    "is the mean colour that an arm paints there."
)
CUT = " Intervals that reach beyond the figure are cut at its edge."
CURVES = "The line is the mean over seeds, the tint the range from the lowest to the highest seed."
CELLS = "A cell is one trained network: study, arm and seed. The same signature means the same settings, data and code."
Parts = tuple[str, ...]


def results(result: StudyResult) -> Parts:
    """What a cell of the results table shows."""
    start = "Mean over test images and seeds with its 95 % interval, and the verdict on the paired difference to "
    return (start, Code(result.baseline), ".")


def differences(result: StudyResult) -> Parts:
    """How to read the forest plots."""
    return (
        "Arm minus ",
        Code(result.baseline),
        ", paired by seed and image, with 95 % intervals. Shaded: the margin within which a difference does "
        "not matter. Full marks are decided; hollow ones are equivalent or undecided.",
    )


def pictures(result: StudyResult, shown: Gallery) -> Parts:
    """Whose pictures these are and how they were chosen."""
    if result.facts.get("pictures") == "showcase":
        whose = "Freely usable photographs, not part of the data: the study’s own pictures may not be shown."
    else:
        whose = "Test pictures, which no arm was trained on."
    kept = ""
    if shown.available > len(shown.rows):
        kept = f"; the first {len(shown.rows)} of {shown.available}, to keep this page small"
    credited = next(iter(result.pictures.values()))
    named = [f"{name} ({credit})" for name, credit in zip(credited.names, credited.credits, strict=False)]
    thanks = f" Photographs: {'; '.join(named)}." if named else ""
    return (f"{whose} Each arm’s first finished seed. Not chosen by eye{kept}.{thanks}",)


def hero(shown: Gallery) -> str:
    """By which rule the picture under the answer was chosen."""
    return f"{shown.rows[shown.hero].name}, the most colourful of the {len(shown.rows)} pictures below."


def cost(result: StudyResult) -> Parts:
    """What the numbers of the cost table are."""
    return ("Medians over seeds; ratios are to ", Code(result.baseline), ", trained on the same machine.")
