"""The sentences that explain a section, said once for the page and for Markdown; names are marked as Code."""

from __future__ import annotations

from study.report.pictures import Gallery
from study.report.result import StudyResult
from study.report.style import p_value
from study.report.telling import Code

QUESTION = "My model paints sepia: which loss, at which weights, fixes that, and what does it cost?"
VIVIDNESS = (
    "Dull is at the left: too little colour. Moving right makes pictures vivid; moving down takes them "
    "farther from the truth, pixel by pixel. The dotted line joins the arms that no other one beats in both."
)
KINDS = (
    "The chroma that each arm paints, by kind of region. The solid line is the mean chroma of the palette, "
    "which the truth has; the dashed line is the chroma of the palette’s average colour, which perfect "
    "averaging gives. The band between them is what averaging loses."
)
PLANES = (
    "Discs are the colours a kind really has, their area the probability; the cross is their average. A mark "
    "is the mean colour that an arm paints there; the line at it comes from the colour that theory predicts."
)
BARS = (
    "Every pixel of the test pictures, sorted by colour: gray at the left, then round the circle of hues, vivid above "
    "and dull below. The truth is on top. An arm that averages has a long dull or sepia stretch and lacks whole hues."
)
USAGE = (
    "Over all test pictures. Left: how often each a and b occur, every bin in its own colour, the more opaque the more "
    "frequent (logarithmic, faintest at a ten-thousandth of the truth’s most frequent bin). Middle: share of each hue, "
    "weighted by chroma, as an area; the outline is the truth, the circle an even spread. Right: density of chroma "
    "(square root), the outline is the truth."
)
SEEDS = (
    "Each dot is one trained network, its mean over the test images; the bar is the mean over seeds. The dashed line "
    "is the truth, the gray one the baseline. Dots far outside are cut."
)
DUELS = (
    "Chosen by score among all kept test pictures: the largest difference in ab RMSE, both ways. The number under a "
    "picture is its ab RMSE in Lab units."
)
SPREADS = (
    "Smallest, middle and largest ab RMSE (the number, Lab units) among all kept test pictures, truth at the left."
)
THEORY = (
    "For a known law of colours, the optimum of the per-pixel terms can be worked out exactly. On the diagonal the "
    "networks do what theory predicts; the dashed line is the truth’s mean chroma. Explained (✓): the mean colour, in "
    "a and b, lies within 3 Lab units of the predicted one, or within 15 % of its chroma where that is more, and the "
    "pixels scatter around it by no more than 5. The tick judges a and b, the number beside it is the chroma. For "
    "effects as small as the published weights’, read the paired change in the table instead."
)
FACTORIAL = (
    "The three terms switched on and off in all eight combinations, at weights that matter. A main effect is the mean "
    "change from off to on; an interaction (×) is half of what one "
    "term’s being on adds to the effect of the other. The Shapley share "
    "divides the total change among the three terms."
)
FRONTS = (
    "One mark for each candidate, scored on validation pictures. Full, outlined marks are on the front of their "
    "family: no other candidate is better in all three objectives. Candidates far outside are cut off. Ringed is the "
    "recommended candidate of each family; its knee where what is recommended was no candidate."
)
FINALISTS = (
    "The best of many looks better than it is: each finalist was trained again in full on seeds that the search had "
    "not seen. First stands the honest score with its interval, behind it (tuned) the score it was chosen by. Faithful "
    "is the smallest error, vivid the nearest to the truth’s vividness, knee the bend of the front. A finalist without "
    "a trial was no candidate: its strength was stepped until the mean chroma was the truth’s, beyond the searched "
    "range where need be. Recommended is, of the finalists whose chroma is within 3 % of the truth’s (or the nearest), "
    "the one with the smallest ab RMSE, and of those within 1 % of that the one whose hue diversity is least off: "
    "chosen by these same scores, so the results on the test pictures above are the untouched judge. The vividness gap "
    "is the mean of |chroma ratio − 1| and |colorfulness / the truth’s − 1|. A point is dominated by another that is "
    "as good in all three objectives (ab RMSE and the two gaps) and better in one."
)
IMPORTANCE = (
    "Hypervolume is the share of the box of objectives that the front dominates; a flat end means that the last "
    "candidates did not help. Importance is each setting’s share of what decides over the best quarter (PED-ANOVA)."
)
LEDGER = (
    "The share of each term, weight included, in the sum of the gradient norms at the network’s output, on the same "
    "validation pictures all through training."
)
CONVERGENCE = (
    "Change over the last quarter of training with its 95\u00a0% interval: flattened when all of it lies within the "
    "margin. The learning rate falls to zero at the end, which flattens every curve: ‘no’ proves that training was "
    "too short, ‘yes’ does not prove that more would change nothing."
)
CUT = " Intervals that reach beyond the figure are cut at its edge."
CURVES = (
    "The line is the mean over seeds, the tint the range from the lowest to the highest seed. On the way, "
    "classification is decoded at the published temperature whatever the arm’s own, so arms that differ in it alone "
    "have one curve."
)
CELLS = (
    "A cell is an arm with a seed. The same signature means the same network: same settings, data and code; arms that "
    "differ in decoding alone share theirs, and controls are made from networks of other arms."
)
Parts = tuple[str, ...]


def results(result: StudyResult) -> Parts:
    """What a cell of the results table shows."""
    start = "Mean over test images and seeds with its 95\u00a0% interval, and the verdict on the paired difference to "
    return (start, Code(result.baseline), ".")


def claims(result: StudyResult) -> Parts:
    """How the claims were judged."""
    said = (
        "Written down before the first run, judged by the tables; what was changed after it stands beside the verdict. "
        "Confirmed and refuted need an interval that says so: a "
        "claim that something differs is refuted where the interval excludes a change as large as the margin beside "
        "it, even if there is a smaller one; undecided does not mean wrong. The p of the interval, for claims that "
        "something differs, is corrected (Holm) for the number of such claims; that something is the same is judged by "
        "the interval and its margin alone."
    )
    smallest = result.tables["claims"]["p_min"].dropna()
    if len(smallest):
        said += (
            " Below it stands the exact p of flipping the signs of the seeds’ differences, uncorrected; no verdict "
            f"rests on it. The smallest possible here is {p_value(smallest.min())}"
        )
        hopeless = smallest.min() * len(smallest) > 0.05
        said += ", which the correction for this many claims lifts above 0.05 whatever the effect." if hopeless else "."
    return (said,)


DIFFERENCES = (
    "Effect size: the mean of the seeds’ differences over their standard deviation. Better pairs: the share of pairs "
    "of seed and picture in which the arm is better. Detectable: the smallest true difference that this design would "
    "tell from zero four times in five. Seeds needed: about how many would decide what is undecided. Variance from "
    "seeds: their share in the variance of the mean difference; the rest is the choice of pictures and noise."
)


def differences(result: StudyResult) -> Parts:
    """How to read the forest plots."""
    return (
        "Arm minus ",
        Code(result.baseline),
        ", paired by seed and image, with 95\u00a0% intervals. Shaded: the margin within which a difference does "
        "not matter. Full marks are decided; hollow ones are equivalent or undecided. Small ticks are single seeds.",
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
    rows = {row.name for row in shown.rows}
    named = [
        f"{name} ({credit})" for name, credit in zip(credited.names, credited.credits, strict=False) if name in rows
    ]
    thanks = f" Photographs: {'; '.join(named)}." if named else ""
    return (f"{whose} Each arm’s first finished seed. Not chosen by eye{kept}.{thanks}",)


def hero(shown: Gallery) -> str:
    """By which rule the picture under the answer was chosen."""
    return f"{shown.rows[shown.hero].name}, the most colourful of the {len(shown.rows)} pictures below."


def cost(result: StudyResult) -> Parts:
    """What the numbers of the cost table are."""
    timing = result.facts.get("timing") or {}
    command = Code(f"study time {result.study}")
    parts: list[str] = ["Steps are not timed here: ", command, " does that. "]
    if timing.get("rounds"):
        where = timing["device"] if timing["device"] != "cpu" else f"one thread of {timing['cpu']}"
        several = f" in each of {timing['processes']} processes" if timing["processes"] > 1 else " in one process"
        parts = [
            f"The losses took turns on {where}, {timing['rounds']} rounds{several}: a step is the median over rounds, "
            "its ratio the median of the ratios to ", Code(result.baseline),
            " in the same round, in brackets the middle half of them. ",
        ]  # fmt: skip
        cost = result.tables["cost"]
        if untimed := cost.loc[cost["step_ms"].isna(), "arm"].tolist():
            names = [part for name in untimed for part in (", ", Code(name))][1:]
            parts += ["Without times, as they have been trained anew since or are not finite: ", *names, " (", command]
            parts += [" tells). "]
    return (
        *parts,
        "Memory is the peak of what torch allocates during one step, from pictures to gradients, the median over "
        "seeds; weights and optimiser state, alike for all but the last layer, do not count. The time of a whole cell "
        "is the median over seeds of what its training took; what else the machine did meanwhile is in it.",
    )
