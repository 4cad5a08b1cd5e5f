"""Lines of the answer about the arms beside the recommended one: what costs less, classification, other losses."""

from __future__ import annotations

from study.report.costs import SEPIA
from study.report.result import StudyResult
from study.report.style import listed
from study.report.telling import (
    AMOUNT,
    FIDELITY,
    Code,
    Line,
    against_baseline,
    percent,
    published_arm,
    recommended_arm,
    told_excess,
    told_verdict,
    why_nothing,
)

COMMITMENT = "mode_commitment"
GRAY_SHARE = "gray_share"


def classification(result: StudyResult) -> Line | None:
    """The classification arms, variants after the losses themselves."""
    arms = [arm.name for arm in result.shown if arm.loss == "classification" and arm.name != result.baseline]
    own = [name for name in arms if result.looks[name].family in ("main", "tuned") and name != recommended_arm(result)]
    rest = [name for name in arms if name not in own and name != recommended_arm(result)]
    arms = (own + rest)[:4] or arms
    if not arms:
        return None
    same = {name: result.twins.get(name) for name in arms}
    head: list[str] = []
    for name in (name for name in arms if (name, AMOUNT) in result.estimates):
        if same[name]:
            head += ["; ", Code(name), " has the settings of ", Code(same[name])]
            continue
        excess = told_excess(result, name, FIDELITY[0])
        painted = f" paints {percent(result.estimates[name, AMOUNT].mean)} of the truth’s chroma" if not head else (
            f" {percent(result.estimates[name, AMOUNT].mean)}")  # fmt: skip
        near = result.estimates.get((name, COMMITMENT))
        close = [f"{percent(near.mean)} of the pixels near a possible colour"] if near else []
        notes = listed([*_regret(result, name), *_faint_brown(result, name), *close])
        head += ["; " if head else "", Code(name), painted, f" for {excess}" if excess else ""]
        head += [f", with {notes}"] if notes else []
    head += ["."] if head else []
    if len(arms) == 1:
        detail = list(against_baseline(result, arms[0]))
    else:
        detail = []
        metrics = [name for name in (AMOUNT, *FIDELITY[:1]) if name in result.measured]
        for name in (name for name in arms if not same[name]):
            said = [told_verdict(result, name, metric) for metric in metrics if (name, metric) in result.comparisons]
            text = "; ".join(said) if said else why_nothing(result, name)
            detail += [" " if detail else "", Code(name), f": {text}."]
    return Line("Classification", tuple(head), tuple(detail)) if head else Line("Classification", tuple(detail))


def _regret(result: StudyResult, arm: str) -> list[str]:
    """That an error which looks the same is larger by what the law of the colours says."""
    found, error = (result.comparisons.get((arm, metric)) for metric in ("regret", FIDELITY[0]))
    return ["more regret"] if found and found.verdict == "worse" and error and error.verdict != "worse" else []


def _faint_brown(result: StudyResult, arm: str) -> list[str]:
    """More or less sepia than the baseline, where that can be seen and told."""
    found = None if result.is_foreign(SEPIA) else result.comparisons.get((arm, SEPIA))
    how = {"worse": "more faint brown", "better": "less faint brown"}
    return [how[found.verdict]] if found and found.verdict in how else []


def in_between(result: StudyResult) -> Line | None:
    """The trained arms between the baseline and the recommended one that no other beats in chroma and error both."""
    best, card = recommended_arm(result), result.metrics.get(AMOUNT)
    if best is None or best == result.baseline or FIDELITY[0] not in result.measured:
        return None
    points = {
        arm.name: (card.badness(own.mean), error.mean)
        for arm in result.arms
        if not arm.control
        and (own := result.estimates.get((arm.name, AMOUNT)))
        and (error := result.estimates.get((arm.name, FIDELITY[0])))
    }
    if best not in points or result.baseline not in points:
        return None
    (near, dear), (far, cheap) = points[best], points[result.baseline]
    front = [
        name
        for name, (gap, error) in points.items()
        if near + card.margin < gap < far - card.margin
        and error < dear
        and not any(other[0] <= gap and other[1] <= error and other != (gap, error) for other in points.values())
    ]
    if not front or dear <= cheap:
        return None
    kept: list[str] = []  # each nearer than the next by more than the margin, from the recommended one on
    last = near
    for name in sorted(front, key=lambda name: points[name][0]):
        if points[name][0] > last + card.margin:
            kept, last = [name, *kept], points[name][0]
    head: list[str] = []
    for name in kept[-4:]:
        painted = percent(result.estimates[name, AMOUNT].mean)
        amount = f" {painted}" if head else f" paints {painted} of the truth’s chroma"
        head += ["; " if head else "", Code(name), f"{amount} for {told_excess(result, name, FIDELITY[0])}"]
    return Line("In between", (*head, ". No other is nearer in chroma at an error as small."))


def others(result: StudyResult) -> Line | None:
    """Other trained losses that beat the baseline on two key metrics or more, and lose on none."""
    published = published_arm(result)
    told = {result.baseline, recommended_arm(result), published.name if published else None}
    head: list[str] = []
    for arm in result.shown:
        if arm.name in told or arm.loss == "classification" or result.looks[arm.name].family != "main":
            continue
        verdicts = {
            metric: result.comparisons[arm.name, metric].verdict
            for metric in result.key_metrics
            if (arm.name, metric) in result.comparisons
        }
        better = [metric for metric, verdict in verdicts.items() if verdict == "better"]
        if len(better) < 2 or "worse" in verdicts.values():
            continue
        said = listed(told_verdict(result, arm.name, metric).removeprefix("better on ") for metric in better)
        worse = [
            result.metrics[metric].label
            for metric in result.measured
            if (arm.name, metric) in result.comparisons and result.comparisons[arm.name, metric].verdict == "worse"
        ]
        grays = result.comparisons.get((arm.name, GRAY_SHARE))
        grayer = f"{told_verdict(result, arm.name, GRAY_SHARE)}" if grays and grays.verdict == "higher" else ""
        but = f", but worse on {listed(worse)}" if worse else ""
        but += f"{' and' if worse else ', but'} with a {grayer}" if grayer else ""
        head += [
            " " if head else "",
            Code(arm.name),
            f" is better than the baseline on {said}, and worse on none of the key metrics{but}.",
        ]
    return Line("Other losses", tuple(head)) if head else None
