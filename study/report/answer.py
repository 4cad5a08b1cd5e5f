"""The answer in a few plain lines, worked out from the tables and never claiming more than their verdicts.

A line begins with what it comes to; the estimates, intervals and verdicts that say so follow.
"""

from __future__ import annotations

import math
from collections import Counter

from study.report import tuning
from study.report.costs import costs
from study.report.evidence import claims_in_short
from study.report.progress import idle_terms
from study.report.result import StudyResult
from study.report.style import VERDICTS, listed, plural
from study.report.telling import (
    AMOUNT,
    FIDELITY,
    Code,
    Line,
    against_baseline,
    joined,
    nearest,
    percent,
    published_arm,
    recommended_arm,
    told_excess,
    told_value,
    told_verdict,
    trimmed,
    why_nothing,
)

COMMITMENT = "mode_commitment"


def answer(result: StudyResult) -> list[Line]:
    """The lines in order: which loss, what it costs, what does not work, other losses, how sure, what is missing."""
    lines = [_which(result), costs(result), _fails(result), _classification(result), _others(result), _sure(result)]
    lines += [_missing(result)]
    return [line for line in lines if line]


def _which(result: StudyResult) -> Line:
    if not result.measured:
        return Line("Which loss", ("Nothing was measured: no cell of this study has scores.",))
    best = recommended_arm(result)
    if best is None:
        return Line("Which loss", ("The amount of colour was not measured.",))
    arm, own = result.arm(best), result.estimates[best, AMOUNT]
    base = result.estimates.get((result.baseline, AMOUNT)) if best != result.baseline else None
    settings = tuning.weights_in_words(arm)
    head = [Code(best), f" ({settings})" if settings else ""]
    if arm.tuned:
        head += [f", whose weights were searched, paints {percent(own.mean)} of the truth’s chroma"]
    else:
        head += [f" paints {percent(own.mean)} of the truth’s chroma"]
    detail = [f"{result.metrics[AMOUNT].label.capitalize()} {told_value(result, best, AMOUNT)}"]
    if base:
        head += ["; ", Code(result.baseline), f" paints {percent(base.mean)}"]
        detail += [f" against {told_value(result, result.baseline, AMOUNT)}"]
    if not own.has_interval:
        detail += [" (no interval)"]
    head += [".", *_standing(result, best), *_commitment(result, best)]
    return Line("Which loss", tuple(head), (*detail, *_overlapping(result, best)))


def _standing(result: StudyResult, best: str) -> list[str]:
    """Why this one, where weights were not searched."""
    if result.arm(best).tuned:
        return []
    if best == nearest(result, AMOUNT, [arm for arm in result.arms if not arm.control]):
        return [" No loss comes closer."]
    label = result.metrics[FIDELITY[0]].label
    return [f" No loss comes surely closer, and of those as close it has the smallest {label}."]


def _commitment(result: StudyResult, best: str) -> list[str]:
    """Whether vivid also means that a colour was chosen, where the possible colours are known."""
    own = result.estimates.get((best, COMMITMENT))
    if own is None:
        return []
    base = result.estimates.get((result.baseline, COMMITMENT)) if best != result.baseline else None
    told = [f" {percent(own.mean)} of its pixels come near a colour that is really possible"]
    return [*told, *(["; with ", Code(result.baseline), f" {percent(base.mean)} do"] if base else []), "."]


def _overlapping(result: StudyResult, best: str) -> list[str]:
    """The other trained arms whose interval overlaps that of the best one: no verdict, only a warning."""
    own = result.estimates[best, AMOUNT]
    near = [
        Code(arm.name)
        for arm in result.arms
        if arm.name != best
        and not arm.control
        and (other := result.estimates.get((arm.name, AMOUNT)))
        and other.low <= own.high
        and own.low <= other.high
    ]
    if not near:
        return ["."]
    if len(near) > 3:
        return [f"; the intervals of {len(near)} other arms overlap its own."]
    verb = "interval of " if len(near) == 1 else "intervals of "
    return [f"; the {verb}", *joined(near), " overlap its own." if len(near) > 1 else " overlaps its own."]


def _fails(result: StudyResult) -> Line | None:
    """The published loss, terms that are on and do nothing, and refuted claims."""
    head: list[str] = []
    detail: list[str] = []
    published = published_arm(result)
    if published and published.name != result.baseline:
        told = list(against_baseline(result, published.name))
        found = [result.comparisons[published.name, metric].verdict
                 for metric in result.key_metrics if (published.name, metric) in result.comparisons]  # fmt: skip
        if found:
            head += ["At its published weights the loss, ", Code(published.name), ", stays within the margin of "]
            head += [Code(result.baseline), f" on {found.count('equivalent')} of {len(found)} key metrics."]
            detail += told
        else:
            head += told
        idle = [(term, share) for arm, term, _, share in idle_terms(result) if arm == published.name]
        if idle:
            names = listed(f"the {term} term" for term, _ in idle)
            most = max(share for _, share in idle)
            detail += [f" Of its gradient, {names} {'has' if len(idle) == 1 else 'have'} less than "
                       f"{max(0.1, math.ceil(1000 * most) / 10):g} %{' each' if len(idle) > 1 else ''}."]  # fmt: skip
    counts = dict(claims_in_short(result))
    if counts.get("refuted"):
        total = sum(counts.values())
        table = result.tables["claims"]
        table = table[table["verdict"] == "refuted"]
        names = list(table["number"] if "number" in table else table["id"])
        verb = "is" if counts["refuted"] == 1 else "are"
        head += [f" Of {plural(total, 'check')} of claims written down before the run, {counts['refuted']} {verb} "
                 f"refuted and {counts.get('confirmed', 0)} confirmed."]  # fmt: skip
        detail += [f" Refuted: {listed(names)}."]
    return Line("What fails", trimmed(head), trimmed(detail)) if head else None


def _classification(result: StudyResult) -> Line | None:
    """The classification arms; doses and tuned ones only where there is nothing else."""
    arms = [arm.name for arm in result.shown if arm.loss == "classification" and arm.name != result.baseline]
    own = [name for name in arms if result.looks[name].family in ("main", "tuned") and name != recommended_arm(result)]
    arms = (own or arms)[:4]
    if not arms:
        return None
    head: list[str] = []
    for name in (name for name in arms if (name, AMOUNT) in result.estimates):
        excess = told_excess(result, name, FIDELITY[0])
        painted = f" paints {percent(result.estimates[name, AMOUNT].mean)} of the truth’s chroma" if not head else (
            f" {percent(result.estimates[name, AMOUNT].mean)}")  # fmt: skip
        near = result.estimates.get((name, COMMITMENT))
        close = f" ({percent(near.mean)} of the pixels near a possible colour)" if near else ""
        head += ["; " if head else "", Code(name), painted, f" for {excess}" if excess else "", close]
    head += ["."] if head else []
    if len(arms) == 1:
        detail = list(against_baseline(result, arms[0]))
    else:
        detail = []
        metrics = [name for name in (AMOUNT, *FIDELITY[:1]) if name in result.measured]
        for name in arms:
            said = [told_verdict(result, name, metric) for metric in metrics if (name, metric) in result.comparisons]
            text = "; ".join(said) if said else why_nothing(result, name)
            detail += [" " if detail else "", Code(name), f": {text}."]
    return Line("Classification", tuple(head), tuple(detail)) if head else Line("Classification", tuple(detail))


def _others(result: StudyResult) -> Line | None:
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
        head += [
            " " if head else "",
            Code(arm.name),
            f" is better than the baseline on {said}, and worse on none of the key metrics.",
        ]
    return Line("Other losses", tuple(head)) if head else None


def _sure(result: StudyResult) -> Line:
    many = len(result.seeds)
    verdicts = Counter(comparison.verdict for comparison in result.comparisons.values())
    compared = sum(verdicts.values())
    head = f"{plural(many, 'seed')} for each arm"
    if many == 1:
        head += ": how much chance matters in training cannot be seen from one run, so read every difference as a hint."
    elif compared:
        decided = compared - verdicts["undecided"]
        head += f", paired, decide {decided} of {plural(compared, 'comparison')} with the baseline."
    else:
        head += ". Nothing is compared with the baseline."
    said = []
    if compared:
        told = listed(f"{verdicts[name]} {name}" for name in VERDICTS if verdicts[name])
        said.append(f"Of {plural(compared, 'comparison')}: {told}.")
    elif many == 1:
        said.append("Nothing is compared with the baseline.")
    if not math.isnan(result.p_min):
        said.append(_significance(result))
    if not result.unmeasured and set(result.status) <= {"finished"}:
        said.append(f"All {len(result.tables['cells'])} cells finished and every metric was measured.")
    return Line("How sure", (head,), (" ".join(said),) if said else ())


def _significance(result: StudyResult) -> str:
    """What the p-values can and do say."""
    start = f"Flipping the signs of {plural(len(result.seeds), 'seed')} cannot give a p below {result.p_min:.3g}"
    rest = "the verdicts rest on intervals, corrected for the number of arms, and on declared margins instead."
    if result.p_min > 0.05:
        return f"{start}: {rest}"
    if result.holm_floor > 0.05:
        floor = f"none below {result.holm_floor:.3g} after Holm’s correction for the number of arms"
        return f"{start}, and {floor}: {rest}"
    kept = sum(comparison.p_holm < 0.05 for comparison in result.comparisons.values())
    return (
        f"{plural(kept, 'difference')} with p < 0.05 by flipping signs, after Holm’s correction for the number of arms."
    )


def _missing(result: StudyResult) -> Line | None:
    parts: list[str] = []
    for status, verb in (("diverged", "diverged"), ("missing", "missing"), ("outdated", "out of date")):
        rows = result.status.get(status, [])
        if not rows:
            continue
        by_arm = Counter(row.arm for row in rows)
        told = [(Code(arm), f" ({plural(seeds, 'seed')})") for arm, seeds in list(by_arm.items())[:4]]
        more = f" and {len(by_arm) - 4} more arms" if len(by_arm) > 4 else ""
        parts += [f"{len(rows)} of {len(result.tables['cells'])} cells {verb}: "]
        parts += [part for i, pair in enumerate(told) for part in ((", ",) if i else ()) + pair]
        parts += [f"{more}. "]
    names = result.unmeasured
    if names:
        parts += [*joined([Code(name) for name in names]), f" {'was' if len(names) == 1 else 'were'} not measured."]
    if not parts:
        return None
    reasons = [
        f"{result.metrics[name].label}: {reason}" if len(names) > 1 else reason
        for name in names
        if name.startswith("lpips") and (reason := (result.facts.get("lpips") or {}).get("reason"))
    ]
    return Line("Missing", (*parts[:-1], parts[-1].rstrip()), tuple(map(_sentence, reasons)))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")
