"""The answer in a few plain lines, worked out from the tables and never claiming more than their verdicts.

A line begins with what it comes to; the estimates, intervals and verdicts that say so follow.
"""

from __future__ import annotations

import math
from collections import Counter

from study.report import tuning
from study.report.alternatives import COMMITMENT, classification, in_between, others
from study.report.costs import SEPIA, costs
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
    told_value,
    trimmed,
)

RIGHT_DIRECTION = "right in direction"  # as study.claims says why of a claim that holds, but by too little


def answer(result: StudyResult) -> list[Line]:
    """The lines in order: which loss, its costs, what costs less, what fails, others, how sure, what is missing."""
    lines = [_which(result), costs(result), in_between(result), _fails(result), classification(result)]
    lines += [others(result), _sure(result), _missing(result)]
    return [line for line in lines if line]


def _which(result: StudyResult) -> Line:
    if not result.measured:
        return Line("Which loss", ("Nothing was measured: no cell of this study has scores.",))
    best = recommended_arm(result)
    if best is None:
        return Line("Which loss", ("The amount of colour was not measured.",))
    arm, own = result.arm(best), result.estimates[best, AMOUNT]
    verdict = in_a_word(result)
    base = result.estimates.get((result.baseline, AMOUNT)) if best != result.baseline else None
    settings = tuning.weights_in_words(arm)
    first = nearest(result, AMOUNT, [arm for arm in result.arms if not arm.control])
    head = [
        verdict,
        " Nearest in chroma is " if best == first else " Practically nearest in chroma is ",
        Code(best),
        f" ({settings})" if settings else "",
    ]
    head += [", whose settings were searched" if arm.tuned else "", f": {percent(own.mean)} of the truth’s"]
    detail = [f"{result.metrics[AMOUNT].label.capitalize()} {told_value(result, best, AMOUNT)}"]
    if base:
        head += [", where ", Code(result.baseline), f" paints {percent(base.mean)}"]
        detail += [f" against {told_value(result, result.baseline, AMOUNT)}"]
    if not own.has_interval:
        detail += [" (no interval)"]
    head += [".", *_standing(result, best, first), *_commitment(result, best)]
    return Line("Which loss", tuple(head), (*detail, *_overlapping(result, best)))


def in_a_word(result: StudyResult) -> str:
    """Whether a trained loss restores the chroma, and whether one does without more error or more sepia.

    Restored: the interval of the chroma ratio holds the truth's, or its mean is within the margin of it. Without more:
    the verdicts against the baseline are equivalent or better.
    """
    card = result.metrics[AMOUNT]
    target = card.target if card.better == "target" else math.nan
    restored = [
        arm.name
        for arm in result.arms
        if not arm.control
        and (found := result.estimates.get((arm.name, AMOUNT)))
        and (found.low <= target <= found.high or abs(found.mean - target) <= card.margin)
    ]
    if not restored:
        return "No loss here restores the truth’s chroma."
    sepia = [] if result.is_foreign(SEPIA) else [SEPIA]
    prices = {
        name: [
            metric
            for metric in (*FIDELITY, *sepia)
            if (name, metric) in result.comparisons
            and result.comparisons[name, metric].verdict not in ("equivalent", "better")
        ]
        for name in restored
        if name != result.baseline
    }
    free = [name for name, price in prices.items() if not price]
    if free or result.baseline in restored:
        names = free or [result.baseline]
        return f"{listed(names)} restore{'s' * (len(names) == 1)} the truth’s chroma without more error."
    more = "more error or more sepia" if sepia and any(SEPIA in price for price in prices.values()) else "more error"
    return f"No loss here restores the truth’s chroma without {more}."


def _standing(result: StudyResult, best: str, first: str | None) -> list[str]:
    """Why this one where another comes closer, by less than matters."""
    if first is None or best == first:
        return []
    card, label = result.metrics[AMOUNT], result.metrics[FIDELITY[0]].label
    painted = percent(result.estimates[first, AMOUNT].mean)
    return [
        " ",
        Code(first),
        f" ({painted}) comes closer by less than the margin of {percent(card.margin)}, at a larger {label}.",
    ]


def _commitment(result: StudyResult, best: str) -> list[str]:
    """Whether vivid also means that a colour was chosen, where the possible colours are known."""
    own = result.estimates.get((best, COMMITMENT))
    if own is None:
        return []
    base = result.estimates.get((result.baseline, COMMITMENT)) if best != result.baseline else None
    told = [f" Where several colours are possible, {percent(own.mean)} of its pixels come near one of them"]
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
    for by, what in (("loss", "claims made for the loss"), ("study", "this study’s own against it")):
        table = result.tables["claims"]
        own = table[table["by"] == by]
        counts = own["verdict"].value_counts()
        if not len(own) or not counts.get("refuted", 0) + counts.get("confirmed", 0):
            continue
        many = counts.get("refuted", 0)
        little = own["why"].fillna("").str.startswith(RIGHT_DIRECTION) & (own["verdict"] == "refuted")
        split = f" ({little.sum()} of them right in direction, but by too little to matter)" if little.any() else ""
        counted = f"{many} {'is' if many == 1 else 'are'} refuted{split} and {counts.get('confirmed', 0)} confirmed"
        lead = " Of " if by == "loss" else "; of "
        head += [f"{lead}{plural(len(own), 'check')} of {what}, {counted}"]
        refuted = own[own["verdict"] == "refuted"]
        if by == "loss" and len(refuted):
            detail += [" Refuted: ", "; ".join(f"{row.says} ({row.number})" for row in refuted.itertuples()), "."]
    if head and not head[-1].endswith("."):
        head += ["."]
    return Line("What fails", trimmed(head), trimmed(detail)) if head else None


def _sure(result: StudyResult) -> Line:
    many = len(result.seeds)
    counted = {key: found for key, found in result.comparisons.items() if key[0] not in result.twins}
    verdicts = Counter(comparison.verdict for comparison in counted.values())
    compared = sum(verdicts.values())
    head = f"{plural(many, 'seed')} for each arm"
    if many == 1:
        head += ": how much chance matters in training cannot be seen from one run, so read every difference as a hint."
    elif compared:
        same, open_ = verdicts["equivalent"], verdicts["undecided"]
        head += f", paired: of {plural(compared, 'comparison')} with the baseline {compared - same - open_} tell a "
        head += f"difference, {same} that there is none that matters, and {open_} nothing sure."
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
