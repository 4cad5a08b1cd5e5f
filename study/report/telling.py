"""Pieces of sentences about arms: their values, their differences to the baseline, which arm is which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from study.report.result import Arm, Comparison, StudyResult
from study.report.style import VERDICTS, interval, listed, number

# The weights that were published with the anti-average loss, in raw Lab units.
PUBLISHED = {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}
FIDELITY = ("ab_rmse", "ciede2000")
AMOUNT = "chroma_ratio"


class Code(str):
    """A name that is shown as code: an arm, a metric, a command."""


@dataclass(frozen=True)
class Line:
    """One line of the answer: a label of one or two words, what it comes to, and the numbers behind; names as Code."""

    label: str
    head: tuple[str, ...]
    detail: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """What it comes to, without markup."""
        return "".join(self.head)

    @property
    def text(self) -> str:
        """The whole line without markup."""
        return f"{self.headline} {''.join(self.detail)}".strip()


def published_arm(result: StudyResult) -> Arm | None:
    """The arm with the published weights in raw units: the one with the fewest options when there are several."""
    found = [
        arm
        for arm in result.arms
        if arm.loss == "anti_average"
        and {name: float(value) for name, value in arm.weights.items()} == PUBLISHED
        and arm.options.get("units", "raw") == "raw"
        and not arm.control
    ]
    return min(found, key=lambda arm: len(arm.options), default=None)


def nearest(result: StudyResult, metric: str, among: Sequence[Arm] | None = None) -> str | None:
    """The arm with the best mean of a metric (the earlier one in a tie), None when nothing was measured."""
    card = result.metrics.get(metric)
    arms = result.arms if among is None else among
    means = {arm.name: e.mean for arm in arms if (e := result.estimates.get((arm.name, metric)))}
    if card is None or card.better is None or not means:
        return None
    return min(means, key=lambda name: card.badness(means[name]))


def recommended_arm(result: StudyResult) -> str | None:
    """The arm that the answer is about.

    Of those that are trained the one whose amount of colour is nearest to the truth's; where others come as near but
    for less than the margin, the one of them with the smallest error.
    """
    among = [arm for arm in result.arms if not arm.control]
    best = nearest(result, AMOUNT, among)
    if best is None:
        return None
    card = result.metrics[AMOUNT]
    bound = card.badness(result.estimates[best, AMOUNT].mean) + card.margin
    alike = [arm for arm in among
             if (own := result.estimates.get((arm.name, AMOUNT))) and card.badness(own.mean) <= bound]  # fmt: skip
    return nearest(result, FIDELITY[0], alike) or best


def trimmed(parts: list[str]) -> tuple[str, ...]:
    """The parts without a blank at the beginning."""
    return (parts[0].lstrip() if type(parts[0]) is str else parts[0], *parts[1:]) if parts else ()


def percent(share: float) -> str:
    """A share as a whole percentage."""
    return f"{number(100 * share, 0)}\u00a0%"


def told_excess(result: StudyResult, arm: str, metric: str) -> str:
    """ "8 % more ab RMSE" than the baseline; "no more ab RMSE" where that rounds to nothing. Empty without both.

    What is not told from zero, or not from too little to matter, is marked as undecided.
    """
    own, base = result.estimates.get((arm, metric)), result.estimates.get((result.baseline, metric))
    if own is None or base is None or not base.mean:
        return ""
    change = own.mean / base.mean - 1
    label = result.metrics[metric].label
    found = result.comparisons.get((arm, metric))
    open_ = " (undecided)" if found and found.verdict == "undecided" else ""
    if abs(change) < 0.005:
        return f"no more {label}{open_}"
    return f"{percent(abs(change))} {'more' if change > 0 else 'less'} {label}{open_}"


def told_value(result: StudyResult, arm: str, metric: str) -> str:
    """Mean and interval of an arm."""
    estimate, card = result.estimates[arm, metric], result.metrics[metric]
    return " ".join(
        [number(estimate.mean, card.decimals), interval(estimate.low, estimate.high, card.decimals)]
    ).strip()


def told_change(result: StudyResult, arm: str, metric: str) -> str:
    """Difference to the baseline and its interval."""
    found, card = result.comparisons[arm, metric], result.metrics[metric]
    return (
        f"{number(found.mean, card.decimals, sign=True)} {interval(found.low, found.high, card.decimals, True)}".strip()
    )


def told_verdict(result: StudyResult, arm: str, metric: str) -> str:
    """ "worse on ab RMSE (+0.47 [+0.21, +0.73])"."""
    label, verdict = result.metrics[metric].label, result.comparisons[arm, metric].verdict
    first = {"higher": f"higher {label}", "lower": f"lower {label}"}.get(verdict, f"{verdict} on {label}")
    return f"{first} ({told_change(result, arm, metric)})"


def why_nothing(result: StudyResult, arm: str) -> str:
    """Why there is nothing to say about an arm."""
    if (arm, result.measured[0] if result.measured else "") in result.estimates:
        return "measured, but not compared with the baseline"
    states = Counter(row.status for row in result.tables["cells"].itertuples() if row.arm == arm)
    return "no scores (" + listed(f"{many} {state}" for state, many in states.items()) + ")" if states else "no scores"


def against_baseline(result: StudyResult, arm: str) -> tuple[str, ...]:
    """All verdicts of an arm on the key metrics, grouped by verdict."""
    start = (Code(arm), " against ", Code(result.baseline), ": ")
    found = {
        metric: result.comparisons[arm, metric] for metric in result.key_metrics if (arm, metric) in result.comparisons
    }
    if not found:
        return (*start, why_nothing(result, arm) + ".")
    groups = []
    for verdict in VERDICTS:
        names = [metric for metric, comparison in found.items() if comparison.verdict == verdict]
        if not names:
            continue
        said = [f"{result.metrics[name].label} {_in_brackets(result, arm, name)}" for name in names]
        groups.append({"higher": "higher ", "lower": "lower "}.get(verdict, f"{verdict} on ") + listed(said))
    ending = ""
    if {comparison.verdict for comparison in found.values()} == {"undecided"}:
        ending = " Nothing that this study can tell from chance."
    elif {comparison.verdict for comparison in found.values()} <= {"equivalent", "undecided"}:
        ending = " No key metric changed by more than its margin as far as this study can tell."
    return (*start, "; ".join(groups) + ".", ending)


def _in_brackets(result: StudyResult, arm: str, metric: str) -> str:
    """The change alone when the verdict says it all, with its interval when the verdict rests on it."""
    found: Comparison = result.comparisons[arm, metric]
    if found.verdict in ("equivalent", "undecided"):
        return f"({told_change(result, arm, metric)})"
    return f"({number(found.mean, result.metrics[metric].decimals, sign=True)})"


def against_gain(result: StudyResult, arm: str) -> tuple[str, ...]:
    """Verdicts of an arm against the gain control, "against it ... is equivalent on ab RMSE, ...", on the key metrics;
    where one has no better direction, on its distance to the truth."""
    about = [gap if (arm, gap := f"{metric}_gap") in result.against_gain else metric for metric in result.key_metrics]
    found = {
        verdict: [
            result.metrics[metric].label
            for metric in about
            if (arm, metric) in result.against_gain and result.against_gain[arm, metric].verdict == verdict
        ]
        for verdict in VERDICTS
    }
    judged = [f"{verdict} on {listed(found[verdict])}" for verdict in VERDICTS
              if found[verdict] and verdict not in ("higher", "lower")]  # fmt: skip
    moved = [f"{verdict} {listed(found[verdict])}" for verdict in ("higher", "lower") if found[verdict]]
    told = [f"is {'; '.join(judged)}"] * bool(judged) + [f"has {' and '.join(moved)}"] * bool(moved)
    return (" Against it ", Code(arm), f" {'; it '.join(told)}.") if told else ()


def joined(names: Sequence[str]) -> list[str]:
    """Names as parts of a line: "a", "a and b" or "a, b and c"."""
    parts: list[str] = []
    for index, name in enumerate(names):
        joint = "" if index == 0 else " and " if index == len(names) - 1 else ", "
        parts += [joint, name]
    return [part for part in parts if part]
