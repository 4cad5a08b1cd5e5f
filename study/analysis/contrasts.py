"""What speaks for and against a claim: an estimate with its interval, and the values that would confirm or refute it.

Every claim about scores comes down to a contrast of arms, a weighted sum of their scores on the same seeds and
images, so that all of them share the two-level interval and the tests of study/stats.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats as distributions

from study import statistics as stats
from study.analysis.source_lines import own_lines
from study.metrics import METRICS

if TYPE_CHECKING:
    from study.analysis import claims as kinds

HUED = 5.0
"""Lab units: where the mean colour of a kind is less colourful than this its hue is a tie, and theory names none."""

FEWEST_ARMS = 4
"""Arms below which a correlation over cells says nothing."""

Span = tuple[float, float]


class NotTestable(Exception):
    """This study cannot judge the claim; the message says why."""


@dataclass(frozen=True)
class Sources:
    """All that claims are judged on.

    declared: arms of the study. matrices: metric -> arm -> scores, seeds x images. by_kind: scores per kind of region
    (arm, seed, image, kind, metric, value). records, histories: (arm, seed) -> run record, and table split, name,
    step, value. step_times: arm -> milliseconds of a training step by process and round, in which the arms took turns.
    means: kind -> (a, b), the mean of its colour law, empty where no law is known. loss_files: arm ->
    the file of its loss. weights: bootstrap weights for (seeds, images). unmeasured: metric -> why there is none.
    elsewhere: arm -> other studies that have it. casts: of a known law, metric -> the cast that averaging brings.
    """

    declared: list[str]
    matrices: dict[str, dict[str, pd.DataFrame]]
    by_kind: pd.DataFrame
    records: dict[tuple[str, int], dict[str, Any]]
    histories: dict[tuple[str, int], pd.DataFrame]
    step_times: Mapping[str, np.ndarray]
    means: dict[str, tuple[float, float]]
    loss_files: dict[str, Path]
    weights: Callable[[int, int], stats.Weights]
    unmeasured: dict[str, str] = field(default_factory=dict)
    elsewhere: dict[str, list[str]] = field(default_factory=dict)
    casts: dict[str, float] = field(default_factory=dict)

    def scores(self, metric: str, *arms: str) -> list[np.ndarray]:
        """Scores (S, I) of the arms on the seeds that all of them have. NotTestable when something is missing."""
        for arm in arms:
            self.need(arm)
        known = self.matrices.get(metric, {})
        if not known:
            raise NotTestable(f"{metric} is not measured here{self._because(metric)}")
        for arm in arms:
            if arm not in known or not known[arm].size:
                raise NotTestable(f"no finished, scored and current cell of {arm}")
        shared = sorted(set.intersection(*(set(known[arm].index) for arm in arms)))
        if not shared:
            raise NotTestable(f"{' and '.join(arms)} have no seed in common")
        return [known[arm].loc[shared].to_numpy() for arm in arms]

    def need(self, arm: str) -> None:
        """NotTestable unless `arm` is one of the study's."""
        if arm not in self.declared:
            others = self.elsewhere.get(arm)
            but = f" (it is in {', '.join(others)})" if others else ""
            raise NotTestable(f"the arm {arm} is not part of this study{but}")

    def seeds(self, table: dict[tuple[str, int], Any], *arms: str) -> list[int]:
        """Seeds of which all the arms have an entry in `table`. NotTestable when there is none."""
        for arm in arms:
            self.need(arm)
        shared = sorted(set.intersection(*({seed for own, seed in table if own == arm} for arm in arms)))
        if not shared:
            raise NotTestable(f"no finished, scored and current cell of {' or '.join(arms)}")
        return shared

    def _because(self, metric: str) -> str:
        return f": {self.unmeasured[metric]}" if metric in self.unmeasured else ""


@dataclass(frozen=True)
class Question:
    """What a claim asks of an interval: inside `holds` confirms it, inside one of `fails` refutes it.

    null: the border of `holds`, at which p is taken. difference: the claim is that something differs, and not that
    it is the same or no worse. enough: where the estimate must lie beside, so that more seeds do not turn "confirmed"
    into "refuted" while the estimate stays.
    """

    holds: Span
    fails: tuple[Span, ...]
    null: float
    difference: bool
    enough: Span = (-inf, inf)


def beyond(direction: str, margin: float, null: float = 0.0) -> Question:
    """The claim "it differs from `null` in this direction"; doing so by less than the margin refutes it."""
    if direction == "up":
        return Question((null, inf), ((-inf, null + margin),), null, True, enough=(null + margin, inf))
    return Question((-inf, null), ((null - margin, inf),), null, True, enough=(-inf, null - margin))


def not_beyond(direction: str, margin: float) -> Question:
    """The claim "no worse by more than the margin", where `direction` is the good one (non-inferiority)."""
    if direction == "up":
        return Question((-margin, inf), ((-inf, -margin),), -margin, difference=False)
    return Question((-inf, margin), ((margin, inf),), margin, difference=False)


def inside(low: float, high: float, estimate: float) -> Question:
    """The claim "it lies in low..high" (equivalence); p is taken at the border nearer to `estimate`."""
    nearest = low if abs(estimate - low) < abs(estimate - high) else high
    return Question((low, high), ((-inf, low), (high, inf)), nearest, difference=False)


@dataclass(frozen=True)
class Evidence:
    """An estimate with its 95 % interval, and the question that it answers.

    p: exact sign-flip p over seeds, p_min: the smallest one attainable, p_t: of the two-level interval, all that the
    truth is the question's null; NaN where seeds play no part. exact: a fact, without any uncertainty.
    """

    metric: str
    unit: str
    comparison: str
    estimate: float
    low: float
    high: float
    question: Question
    p: float = nan
    p_min: float = nan
    p_t: float = nan
    exact: bool = False


def _from_scores(sources: Sources, scores: np.ndarray, question: Question, **labels: str) -> Evidence:
    """Evidence from a contrast (S, I), or (S, 1) where a seed has one value."""
    mean, low, high = (float(part[0]) for part in stats.interval(scores[None], sources.weights(*scores.shape)))
    p, p_min = stats.sign_flip_p(scores.mean(axis=1) - question.null)
    return Evidence(
        estimate=mean, low=low, high=high, question=question,
        p=p, p_min=p_min, p_t=float(stats.interval_p(scores[None], question.null)[0]), **labels,
    )  # fmt: skip


def margin_of(claim: Any) -> float:
    """What is too little to matter for a claim, in the unit of its estimate: its own, else that of its metric."""
    return METRICS[claim.metric].margin if claim.margin is None else claim.margin


def _labels(claim: kinds.Scored, comparison: str) -> dict[str, str]:
    return {"metric": claim.metric, "unit": METRICS[claim.metric].unit, "comparison": comparison}


# -- claims about scores ----------------------------------------------------------------------------------------------


def value(claim: kinds.Value, sources: Sources) -> Evidence:
    """One arm's mean lies above or below a number."""
    (own,) = sources.scores(claim.metric, claim.arm)
    question = beyond(claim.direction, margin_of(claim), claim.than)
    return _from_scores(sources, own, question, **_labels(claim, f"{claim.arm} against {claim.than:g}"))


def difference(claim: kinds.Difference, sources: Sources) -> Evidence:
    """One arm lies above or below another.

    Not testable where the other leaves no room for the margin, and for a cast that averaging does not bring here.
    """
    own, other = sources.scores(claim.metric, claim.arm, claim.against)
    card, margin, mean = METRICS[claim.metric], margin_of(claim), float(np.mean(other))
    if sources.casts.get(claim.metric, margin) < margin:
        raise NotTestable(
            f"averaging without a flaw would have a {claim.metric} of {sources.casts[claim.metric]:.2g} here: "
            "its colours are others"
        )
    if (mean - card.low if claim.direction == "down" else card.high - mean) < margin:
        raise NotTestable(f"{claim.against} has a {claim.metric} of {mean:.2g}: no room to change by {margin:g}")
    question = beyond(claim.direction, margin)
    return _from_scores(sources, own - other, question, **_labels(claim, f"{claim.arm} − {claim.against}"))


def no_worse(claim: kinds.NoWorse, sources: Sources) -> Evidence:
    """One arm is no worse than another by more than the margin (non-inferiority)."""
    own, other = sources.scores(claim.metric, claim.arm, claim.against)
    question = not_beyond(claim.direction, margin_of(claim))
    return _from_scores(sources, own - other, question, **_labels(claim, f"{claim.arm} − {claim.against}"))


def within(claim: kinds.Within, sources: Sources) -> Evidence:
    """The difference of two arms lies in a range, +-margin where none is given (equivalence)."""
    own, other = sources.scores(claim.metric, claim.arm, claim.against)
    margin = margin_of(claim)
    low = -margin if claim.low is None else claim.low
    high = margin if claim.high is None else claim.high
    question = inside(low, high, float(np.mean(own - other)))
    return _from_scores(sources, own - other, question, **_labels(claim, f"{claim.arm} − {claim.against}"))


def strongest(claim: kinds.Strongest, sources: Sources) -> Evidence:
    """One arm changes a metric more than each of some others does, counted from the baseline in either direction.

    The claim needs all of the differences |change| - |rival's change|. The evidence is one that refutes it, where there
    is one, and otherwise the least sure of them.
    """
    base, own, *rivals = sources.scores(claim.metric, claim.baseline, claim.arm, *claim.against)
    change = own - base
    found = []
    for name, rival in zip(claim.against, rivals, strict=True):
        other = rival - base
        lead = np.sign(change.mean()) * change - np.sign(other.mean()) * other
        labels = _labels(claim, f"|{claim.arm} − {claim.baseline}| − |{name} − {claim.baseline}|")
        found.append(_from_scores(sources, lead, beyond("up", margin_of(claim)), **labels))
    refuting = [one for one in found if one.high < one.question.enough[0]]
    return min(refuting, key=lambda one: one.high) if refuting else max(found, key=lambda one: (one.p_t, -one.low))


def trend(claim: kinds.Trend, sources: Sources) -> Evidence:
    """A metric rises or falls from dose to dose: what a straight line in log(dose) gains over their whole range.

    Where the line goes the right way and a step from one dose to the next goes the other way for sure, that step is
    the evidence, and refutes the claim.
    """
    doses = sorted(claim.doses)
    arms = [claim.doses[dose] for dose in doses]
    scores = np.stack(sources.scores(claim.metric, *arms))
    rise = np.tensordot(stats.trend_contrast(np.array(doses)), scores, axes=1)
    told = [f"{arm} ({dose:g})" for arm, dose in zip(arms, doses, strict=True)]
    question = beyond(claim.direction, margin_of(claim))
    whole = _from_scores(sources, rise, question, **_labels(claim, " → ".join(told)))
    for step in range(len(doses) - 1):
        labels = _labels(claim, " → ".join(told[step : step + 2]))
        one = _from_scores(sources, scores[step + 1] - scores[step], question, **labels)
        if (one.high < 0 < whole.low) if claim.direction == "up" else (one.low > 0 > whole.high):
            return one
    return whole


def same_hue(claim: kinds.SameHue, sources: Sources) -> Evidence:
    """The mean prediction of every kind has the hue of the kind's mean colour, degrees, weighted by its chroma.

    Kinds whose mean colour has a chroma below HUED have no hue to compare with. Interval over the seeds alone. Kinds
    that are off by more than the margin are named.
    """
    sources.need(claim.arm)
    if not sources.means:
        raise NotTestable("the law of the colours is not known here")
    rows = sources.by_kind[(sources.by_kind["arm"] == claim.arm) & sources.by_kind["metric"].isin(["a_mean", "b_mean"])]
    if not len(rows):
        raise NotTestable(f"no finished, scored and current cell of {claim.arm}")
    table = rows.groupby(["seed", "metric", "kind"])["value"].mean().unstack("kind")
    hued = {kind: ab for kind, ab in sources.means.items() if np.hypot(*ab) >= HUED and kind in table.columns}
    if not hued:
        raise NotTestable("no kind of region has a mean colour with a hue")
    true_a, true_b = np.array(list(hued.values())).T
    a, b = (table.xs(name, level="metric")[list(hued)].to_numpy() for name in ("a_mean", "b_mean"))
    angle = np.degrees(np.arctan2(b, a) - np.arctan2(true_b, true_a))
    angle = np.abs((angle + 180) % 360 - 180)
    off = angle @ np.hypot(true_a, true_b) / np.hypot(true_a, true_b).sum()
    each = sorted(zip(angle.mean(0), hued, strict=True), reverse=True)
    far = ", ".join(f"{kind} by {degrees:.0f} degrees" for degrees, kind in each if degrees > claim.margin)
    labels = {
        "metric": "hue_difference",
        "unit": "degrees",
        "comparison": f"{claim.arm} against the mean of the law, weighted by its chroma"
        + (f"; farther off alone: {far}" if far else ""),
    }
    return _from_scores(sources, off[:, None], not_beyond("down", claim.margin), **labels)


# -- claims about training and cost -----------------------------------------------------------------------------------


def training(claim: kinds.Training, sources: Sources) -> Evidence:
    """A term of the loss falls, or stays bounded, over training; % of where it begins, a value per seed.

    Begins: the first row of the training history, the mean over the first steps. falls: the mean of the last quarter
    of the rows; bounded: the highest row after the first, which must not lie more than the margin above.
    """
    changes = []
    for seed in sources.seeds(sources.histories, claim.arm):
        history = sources.histories[claim.arm, seed]
        rows = history.loc[(history["split"] == "train") & (history["name"] == claim.term), "value"].to_numpy()
        if len(rows) < 4:
            raise NotTestable(f"the history of {claim.arm} has no curve of {claim.term}")
        end = rows[-(len(rows) // 4) :].mean() if claim.behaviour == "falls" else rows[1:].max()
        changes.append(100 * (end / rows[0] - 1))
    falls = claim.behaviour == "falls"
    question = beyond("down", claim.margin) if falls else not_beyond("down", claim.margin)
    which = "end against beginning" if falls else "highest against beginning"
    labels = {"metric": f"{claim.term}_loss", "unit": "%", "comparison": f"{claim.arm}, {which}"}
    return _from_scores(sources, np.array(changes)[:, None], question, **labels)


def correlation(claim: kinds.Correlation, sources: Sources) -> Evidence:
    """Over cells, a term's final validation value goes with the chroma that is missing to the truth.

    Spearman's rank correlation. Cells of one arm are no independent cases: the interval comes from resampling arms,
    and p from Student's t of the correlation of the arms' means. Arms that share a cell, and differ in decoding alone,
    count once.
    """
    rows, known = [], set()
    for (arm, seed), history in sources.histories.items():
        signature = sources.records.get((arm, seed), {}).get("signature", (arm, seed))
        if signature in known:
            continue
        known.add(signature)
        last = history[history["split"] == "val"].groupby("name", sort=False)["value"].agg(["last", "size"])
        # A control has a single validation: it is no training of its own.
        if {claim.term, "chroma", "chroma_ratio"} <= set(last.index) and last["size"].max() > 1:
            chroma, ratio = last.loc["chroma", "last"], last.loc["chroma_ratio", "last"]
            rows.append((arm, last.loc[claim.term, "last"], chroma / max(ratio, 1e-9) - chroma))
    cells = pd.DataFrame(rows, columns=["arm", "x", "y"])
    arms = cells["arm"].nunique()
    if arms < FEWEST_ARMS:
        raise NotTestable(f"only {arms} arms have a validation curve of {claim.term}; {FEWEST_ARMS} are the least")
    x, y = (distributions.rankdata(cells[column]) for column in ("x", "y"))
    moments = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)
    by_arm = np.stack([moments[(cells["arm"] == arm).to_numpy()].sum(axis=0) for arm in cells["arm"].unique()])
    estimate = float(_correlation(by_arm.sum(axis=0)))
    resampled = _correlation(sources.weights(arms, 1).seeds @ by_arm)
    low, high = np.nanquantile(resampled, [(1 - stats.LEVEL) / 2, (1 + stats.LEVEL) / 2])
    p_t = float(distributions.spearmanr(*cells.groupby("arm")[["x", "y"]].mean().to_numpy().T).pvalue)
    return Evidence(
        metric="rank_correlation", unit="1", comparison=f"{claim.term} and missing chroma over {len(cells)} cells",
        estimate=estimate, low=float(low), high=float(high), question=beyond("up", claim.margin), p_t=p_t,
    )  # fmt: skip


def _correlation(moments: np.ndarray) -> np.ndarray:
    count, x, y, xx, yy, xy = np.moveaxis(moments, -1, 0)
    spread = np.maximum((xx - x * x / count) * (yy - y * y / count), 0)
    return np.divide(xy - x * y / count, np.sqrt(spread), out=np.full_like(spread, nan), where=spread > 0)


def cost(claim: kinds.Cost, sources: Sources) -> Evidence:
    """One arm costs less than another, in %: time and memory on a logarithmic scale, the rest as it is.

    Memory is compared seed by seed. Of the time of a step, the median ratio of the rounds of each process is one value:
    seeds play no part there, and a process has luck of its own.
    code_lines: of the loss and the modules that it alone needs, without comments and docstrings.
    """
    comparison = f"{claim.arm} against {claim.against}"
    question = beyond("down", claim.margin)
    if claim.what == "step_ms":
        return _step_time(claim, sources, comparison, question)
    seeds = sources.seeds(sources.records, claim.arm, claim.against)
    if claim.what in ("code_lines", "parameters"):
        if claim.what == "code_lines":
            files = sources.loss_files[claim.arm], sources.loss_files[claim.against]
            own, other = own_lines(*files), own_lines(*files[::-1])
        else:
            own, other = (sources.records[arm, seeds[0]]["parameters"] for arm in (claim.arm, claim.against))
        percent = 100 * (own / other - 1)
        comparison += f": {own:,} and {other:,}"
        return Evidence(claim.what, "%", comparison, percent, percent, percent, question, exact=True)
    own, other = (
        np.array([sources.records[arm, seed][claim.what] for seed in seeds], float)
        for arm in (claim.arm, claim.against)
    )
    if min(own.min(), other.min()) <= 0:
        raise NotTestable(f"{claim.what} is too small to be measured here")
    return _in_percent(sources, np.log(own / other), question, claim.what, comparison)


def _step_time(claim: kinds.Cost, sources: Sources, comparison: str, question: Question) -> Evidence:
    for arm in (claim.arm, claim.against):
        sources.need(arm)
        if arm not in sources.step_times:
            raise NotTestable(f"the steps of {arm} are not timed: study time does that")
    ratios = np.median(sources.step_times[claim.arm] / sources.step_times[claim.against], axis=1)
    if len(ratios) < 2:
        raise NotTestable("steps are timed in a single process: timing.processes of params.yaml")
    comparison += f", {len(ratios)} processes"
    # The signs of processes are no signs of seeds, on which p and its smallest value are told.
    return replace(_in_percent(sources, np.log(ratios), question, "step_ms", comparison), p=nan, p_min=nan)


def _in_percent(sources: Sources, logs: np.ndarray, question: Question, metric: str, comparison: str) -> Evidence:
    found = _from_scores(sources, logs[:, None], question, metric=metric, unit="%", comparison=comparison)
    return replace(found, **{name: 100 * float(np.expm1(getattr(found, name))) for name in ("estimate", "low", "high")})
