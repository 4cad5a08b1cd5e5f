"""The answer in a few plain lines, worked out from the tables and never claiming more than their verdicts."""

from __future__ import annotations

import math
from collections import Counter

from study.report import tuning
from study.report.evidence import claims_in_short
from study.report.progress import idle_terms
from study.report.result import StudyResult
from study.report.style import VERDICTS, amount, duration, listed, plural
from study.report.telling import (
    AMOUNT,
    FIDELITY,
    Code,
    Line,
    against_baseline,
    joined,
    nearest,
    published_arm,
    recommended_arm,
    told_change,
    told_value,
    told_verdict,
    why_nothing,
)


def answer(result: StudyResult) -> list[Line]:
    """The lines in order: which loss, what it costs, what does not work, classification, how sure, what is missing."""
    lines = [_which(result), _costs(result), _fails(result), _classification(result), _sure(result), _missing(result)]
    return [line for line in lines if line]


def _which(result: StudyResult) -> Line:
    if not result.measured:
        return Line("Which loss", ("Nothing was measured: no cell of this study has scores.",))
    best = recommended_arm(result)
    parts: list[str] = []
    if best is None:
        parts = ["The amount of colour was not measured."]
    else:
        arm = result.arm(best)
        settings = tuning.weights_in_words(arm)
        told = [Code(best), f" ({settings})" if settings else ""]
        if arm.tuned:
            parts += [*told, ", whose weights were searched, paints ", told_value(result, best, AMOUNT)]
            parts += [" of the truth’s chroma"]
        else:
            parts += [*told, " comes closest to the truth’s amount of colour: ", told_value(result, best, AMOUNT)]
            parts += [" of its chroma"]
        if best != result.baseline and (result.baseline, AMOUNT) in result.estimates:
            parts += [", where ", Code(result.baseline), f" paints {told_value(result, result.baseline, AMOUNT)}"]
        parts += _overlapping(result, best)
        if not result.estimates[best, AMOUNT].has_interval:
            parts += [" (no interval)"]
    return Line("Which loss", tuple(parts))


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


def _closest(result: StudyResult) -> list[str]:
    """The arm with the smallest error."""
    parts: list[str] = []
    metric = next((name for name in FIDELITY if nearest(result, name)), None)
    if metric:
        placed = nearest(result, metric)
        verdict = result.comparisons[placed, metric].verdict if (placed, metric) in result.comparisons else None
        parts += [" Pixel by pixel the closest is ", Code(placed)]
        parts += [f" ({result.metrics[metric].label} {told_value(result, placed, metric)}"]
        parts += ["; against ", Code(result.baseline), f": {verdict}"] if verdict else []
        parts += [")."]
    return parts


def _gain_control(result: StudyResult, best: str) -> list[str]:
    """What one gain on another network's output reaches, when that is as near to the truth's amount of colour."""
    gained = [arm for arm in result.arms if arm.control and arm.control.get("match") != "gray"]
    control, metric = nearest(result, AMOUNT, gained), FIDELITY[0]
    if control is None or (control, metric) not in result.estimates or (best, metric) not in result.estimates:
        return []
    label = result.metrics[metric].label
    return [
        " The control to beat, ", Code(control), ", only a gain on the output of ",
        Code(result.arm(control).control["of"]), ", "
        f"paints {told_value(result, control, AMOUNT)} at {label} {told_value(result, control, metric)}, and ",
        Code(best), f" has {label} {told_value(result, best, metric)}.",
    ]  # fmt: skip


def _costs(result: StudyResult) -> Line | None:
    """Fidelity and hue of the recommended arm, then time and memory."""
    best, parts = recommended_arm(result), []
    metrics = [*FIDELITY, "hue_diversity_gap"]
    found = [metric for metric in metrics if best and (best, metric) in result.comparisons]
    if found:
        words = {"worse": "worse", "better": "better", "equivalent": "equivalent"}
        told = []
        for metric in found:
            verdict = result.comparisons[best, metric].verdict
            start = words.get(verdict, "undecided whether it differs")
            told.append(f"{start} on {result.metrics[metric].label} ({told_change(result, best, metric)})")
        parts += [Code(best), " against ", Code(result.baseline), f": {'; '.join(told)}."]
    parts += _gain_control(result, best) if best else []
    parts += _closest(result)
    table = result.tables["cost"]
    table = table[(table["arm"] != result.baseline) & table["step_ratio"].notna() & table["arm"].map(
        lambda name: (arm := result.arm(name)) is not None and not arm.control)]  # fmt: skip
    if table.empty:
        return Line("What it costs", tuple(parts)) if parts else None
    parts += [" "] if parts else []
    own = table[table["arm"] == best]
    low, high = table.loc[table["step_ratio"].idxmin()], table.loc[table["step_ratio"].idxmax()]
    if len(own):
        parts += [f"A training step takes {amount(own['step_ratio'].iloc[0])} times as long as with "]
        parts += [Code(result.baseline)]
        if len(table) > 1:
            parts += [f" (the quickest loss {amount(low.step_ratio)}, ", Code(low.arm)]
            parts += [f"; the slowest {amount(high.step_ratio)}, ", Code(high.arm), ")"]
    elif len(table) == 1:
        parts += [f"A training step takes {amount(high.step_ratio)} times as long with ", Code(high.arm)]
        parts += [" as with ", Code(result.baseline)]
    else:
        parts += [f"A training step takes between {amount(low.step_ratio)} (", Code(low.arm)]
        parts += [f") and {amount(high.step_ratio)} (", Code(high.arm), ") times as long as with "]
        parts += [Code(result.baseline)]
    memory = table["memory_ratio"].max()
    if not math.isnan(memory):
        parts += [f"; peak memory is at most {amount(memory)} times its own"]
    spent = result.facts.get("provenance", {}).get("train_seconds")
    parts += [f". Training all cells took {duration(float(spent))} of computing."] if spent else ["."]
    return Line("What it costs", tuple(parts))


def _fails(result: StudyResult) -> Line | None:
    """The published loss, terms that are on and do nothing, and refuted claims."""
    parts: list[str] = []
    published = published_arm(result)
    if published and published.name != result.baseline:
        parts += against_baseline(result, published.name)
        idle = [(term, share) for arm, term, _, share in idle_terms(result) if arm == published.name]
        if idle:
            told = listed(f"the {term} term" for term, _ in idle)
            most = max(share for _, share in idle)
            parts += [f" Of its gradient, {told} {'has' if len(idle) == 1 else 'have'} less than "
                      f"{max(0.1, math.ceil(1000 * most) / 10):g} %{' each' if len(idle) > 1 else ''}."]  # fmt: skip
    counts = dict(claims_in_short(result))
    if counts.get("refuted"):
        total = sum(counts.values())
        names = list(result.tables["claims"]["id"][result.tables["claims"]["verdict"] == "refuted"])
        shown = [Code(name) for name in names[:6]] + ([f"{len(names) - 6} more"] if len(names) > 6 else [])
        parts += [f" Of {plural(total, 'claim')} written down before the run, {counts['refuted']} "
                  f"{'is' if counts['refuted'] == 1 else 'are'} refuted (", *joined(shown),
                  f") and {counts.get('confirmed', 0)} confirmed."]  # fmt: skip
    return Line("What fails", tuple(parts)) if parts else None


def _classification(result: StudyResult) -> Line | None:
    """The classification arms; doses and tuned ones only where there is nothing else."""
    arms = [arm.name for arm in result.shown if arm.loss == "classification" and arm.name != result.baseline]
    own = [name for name in arms if result.looks[name].family in ("main", "tuned") and name != recommended_arm(result)]
    arms = own or arms
    if not arms:
        return None
    if len(arms) == 1:
        return Line("Classification", against_baseline(result, arms[0]))
    parts: list[str] = []
    metrics = [name for name in (AMOUNT, *FIDELITY[:1]) if name in result.measured]
    for name in arms[:4]:
        said = [told_verdict(result, name, metric) for metric in metrics if (name, metric) in result.comparisons]
        text = "; ".join(said) if said else why_nothing(result, name)
        parts += [" " if parts else "", Code(name), f": {text}."]
    return Line("Classification", tuple(parts))


def _sure(result: StudyResult) -> Line:
    many = len(result.seeds)
    text = f"{plural(many, 'seed')} for each arm"
    if many == 1:
        text += ": how much chance matters in training cannot be seen from one run, so read every difference as a hint"
    verdicts = Counter(comparison.verdict for comparison in result.comparisons.values())
    if verdicts:
        told = listed(f"{verdicts[name]} {name}" for name in VERDICTS if verdicts[name])
        text += f", paired. Of {plural(sum(verdicts.values()), 'comparison')} with the baseline: {told}."
    else:
        text += ". Nothing is compared with the baseline."
    if not math.isnan(result.p_min):
        text += f" {_significance(result)}"
    if not result.unmeasured and set(result.status) <= {"finished"}:
        text += f" All {len(result.tables['cells'])} cells finished and every metric was measured."
    return Line("How sure", (text,))


def _significance(result: StudyResult) -> str:
    """What the p-values can and do say."""
    start = f"With {plural(len(result.seeds), 'seed')} no p below {result.p_min:.3g} is possible"
    rest = "the verdicts rest on intervals, corrected for the number of arms, and on declared margins instead."
    if result.p_min > 0.05:
        return f"{start}: {rest}"
    if result.holm_floor > 0.05:
        floor = f"none below {result.holm_floor:.3g} after Holm’s correction for the number of arms"
        return f"{start}, and {floor}: {rest}"
    kept = sum(comparison.p_holm < 0.05 for comparison in result.comparisons.values())
    return f"{plural(kept, 'difference')} with p < 0.05 after Holm’s correction for the number of arms."


def _missing(result: StudyResult) -> Line | None:
    parts: list[str] = []
    for status, verb in (("diverged", "diverged"), ("missing", "missing"), ("outdated", "out of date")):
        rows = result.status.get(status, [])
        if not rows:
            continue
        by_arm = Counter(row.arm for row in rows)
        names = [(Code(arm), f" ({plural(seeds, 'seed')})") for arm, seeds in list(by_arm.items())[:4]]
        more = f" and {len(by_arm) - 4} more arms" if len(by_arm) > 4 else ""
        parts += [f"{len(rows)} of {len(result.tables['cells'])} cells {verb}: "]
        parts += [part for i, pair in enumerate(names) for part in ((", ",) if i else ()) + pair]
        parts += [f"{more}. "]
    lpips = result.facts.get("lpips") or {}
    for name in result.unmeasured:
        reason = lpips.get("reason") if name.startswith("lpips") else None
        parts += [Code(name), f" was not measured{': ' + _sentence(reason) if reason else '.'} "]
    return Line("Missing", (*parts[:-1], parts[-1].rstrip())) if parts else None


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
