"""Contrasts of claims about scores: values, differences, trends, and the hue of what is painted."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import numpy as np

from study import statistics as stats
from study.analysis.contrasts import (
    Contrast,
    NotTestable,
    Sources,
    beyond,
    contrast_of,
    inside,
    margin_of,
    not_beyond,
)
from study.config.claims import Difference, NoWorse, SameHue, Scored, Strongest, Trend, Value, Within
from study.metrics import METRICS

HUED = 5.0
"""Lab units of chroma. Where the mean colour of a region has less, its hue is nearly a tie, and theory names none."""


def value(claim: Value, sources: Sources) -> Contrast:
    """One arm's mean lies above or below a number."""
    (own,) = sources.scores(claim.metric, claim.arm)
    hypothesis = beyond(claim.direction, margin_of(claim), claim.than)
    return contrast_of(sources, own, hypothesis, **_labels(claim, f"{claim.arm} against {claim.than:g}"))


def difference(claim: Difference, sources: Sources) -> Contrast:
    """One arm lies above or below another.

    Not testable where the other arm leaves no room for the margin, and for a cast that averaging does not bring here.
    """
    own, other = sources.scores(claim.metric, claim.arm, claim.against)
    card, margin, mean = METRICS[claim.metric], margin_of(claim), float(np.mean(other))
    if sources.casts.get(claim.metric, margin) < margin:
        raise NotTestable(f"averaging has a {claim.metric} of only {sources.casts[claim.metric]:.2g} on these pictures")
    if (mean - card.low if claim.direction == "down" else card.high - mean) < margin:
        raise NotTestable(f"{claim.against} has a {claim.metric} of {mean:.2g}: no room to change by {margin:g}")
    hypothesis = beyond(claim.direction, margin)
    return contrast_of(sources, own - other, hypothesis, **_labels(claim, f"{claim.arm} − {claim.against}"))


def no_worse(claim: NoWorse, sources: Sources) -> Contrast:
    """One arm is no worse than another by more than the margin (non-inferiority)."""
    own, other = sources.scores(claim.metric, claim.arm, claim.against)
    hypothesis = not_beyond(claim.direction, margin_of(claim))
    return contrast_of(sources, own - other, hypothesis, **_labels(claim, f"{claim.arm} − {claim.against}"))


def within(claim: Within, sources: Sources) -> Contrast:
    """The difference of two arms lies in a range, +-margin where none is given (equivalence)."""
    own, other = sources.scores(claim.metric, claim.arm, claim.against)
    margin = margin_of(claim)
    low = -margin if claim.low is None else claim.low
    high = margin if claim.high is None else claim.high
    hypothesis = inside(low, high, float(np.mean(own - other)))
    return contrast_of(sources, own - other, hypothesis, **_labels(claim, f"{claim.arm} − {claim.against}"))


def strongest(claim: Strongest, sources: Sources) -> Contrast:
    """One arm changes a metric more than each of some others does, from the baseline in either direction.

    The claim needs all of the differences |change| - |rival's change|. The contrast is one that refutes it, where there
    is one, and otherwise the least sure of them.
    """
    base, own, *rivals = sources.scores(claim.metric, claim.baseline, claim.arm, *claim.against)
    change = own - base
    found = []
    for name, rival in zip(claim.against, rivals, strict=True):
        other = rival - base
        lead = np.sign(change.mean()) * change - np.sign(other.mean()) * other
        labels = _labels(claim, f"|{claim.arm} − {claim.baseline}| − |{name} − {claim.baseline}|")
        found.append(contrast_of(sources, lead, beyond("up", margin_of(claim)), **labels))
    refuting = [one for one in found if one.high < one.hypothesis.enough[0]]
    return min(refuting, key=lambda one: one.high) if refuting else max(found, key=lambda one: (one.p_t, -one.low))


def trend(claim: Trend, sources: Sources) -> Contrast:
    """A metric rises or falls with the dose: the gain of a straight line in log(dose) over the whole range.

    Where the line goes the right way, but a step from one dose to the next surely goes the other way, that step is the
    contrast, and refutes the claim.
    """
    doses = sorted(claim.doses)
    arms = [claim.doses[dose] for dose in doses]
    scores = np.stack(sources.scores(claim.metric, *arms))
    rise = np.tensordot(stats.trend_contrast(np.array(doses)), scores, axes=1)
    told = [f"{arm} ({dose:g})" for arm, dose in zip(arms, doses, strict=True)]
    hypothesis = beyond(claim.direction, margin_of(claim))
    whole = contrast_of(sources, rise, hypothesis, **_labels(claim, " → ".join(told)))
    for step in range(len(doses) - 1):
        labels = _labels(claim, " → ".join(told[step : step + 2]))
        one = contrast_of(sources, scores[step + 1] - scores[step], hypothesis, **labels)
        if (one.high < 0 < whole.low) if claim.direction == "up" else (one.low > 0 > whole.high):
            return one
    return whole


def same_hue(claim: SameHue, sources: Sources) -> Contrast:
    """The mean prediction of every kind of region has the hue of its mean colour, in degrees, weighted by its chroma.

    Regions whose mean colour has a chroma below HUED do not count. Those off by more than the margin are named. The
    interval is over seeds alone.
    """
    sources.need(claim.arm)
    if not sources.means:
        raise NotTestable("the distribution of the colours is not known here")
    rows = sources.by_region
    rows = rows[(rows["arm"] == claim.arm) & rows["metric"].isin(["a_mean", "b_mean"])]
    if not len(rows):
        raise NotTestable(f"{claim.arm} has no finished, scored and current training run")
    table = rows.groupby(["seed", "metric", "region"])["value"].mean().unstack("region")
    hued = {name: ab for name, ab in sources.means.items() if np.hypot(*ab) >= HUED and name in table.columns}
    if not hued:
        raise NotTestable("no kind of region has a mean colour with a hue")
    true_a, true_b = np.array(list(hued.values())).T
    a, b = (table.xs(name, level="metric")[list(hued)].to_numpy() for name in ("a_mean", "b_mean"))
    angle = np.degrees(np.arctan2(b, a) - np.arctan2(true_b, true_a))
    angle = np.abs((angle + 180) % 360 - 180)
    off = angle @ np.hypot(true_a, true_b) / np.hypot(true_a, true_b).sum()
    each = sorted(zip(angle.mean(0), hued, strict=True), reverse=True)
    far = ", ".join(f"{name} by {degrees:.0f} degrees" for degrees, name in each if degrees > claim.margin)
    comparison = f"{claim.arm} against the mean colours" + (f"; farther off: {far}" if far else "")
    labels = {"metric": "hue_difference", "unit": "degrees", "comparison": comparison}
    found = contrast_of(sources, off, not_beyond("down", claim.margin), **labels)
    return found if rows["image"].nunique() >= stats.FEWEST_IMAGES else replace(found, p_t=nan)


def _labels(claim: Scored, comparison: str) -> dict[str, str]:
    return {"metric": claim.metric, "unit": METRICS[claim.metric].unit, "comparison": comparison}
