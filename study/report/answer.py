"""The answer in a few plain lines, worked out from the tables and never claiming more than their verdicts."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from study.report.result import Arm, Comparison, StudyResult
from study.report.style import VERDICTS, amount, duration, interval, listed, number, plural

# The weights that were published with the anti-average loss, in raw Lab units.
PUBLISHED = {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}
FIDELITY = ("ab_rmse", "ciede2000")
AMOUNT = "chroma_ratio"


class Code(str):
    """A name that is shown as code: an arm, a metric, a command."""


@dataclass(frozen=True)
class Line:
    """One line of the answer: a label of one or two words, and its text with names marked as Code."""

    label: str
    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        """The line without markup."""
        return "".join(self.parts)


def answer(result: StudyResult) -> list[Line]:
    """The lines in order: colour, the published loss, classification, cost, how sure, what is missing."""
    lines = [_colour(result), _published(result), _classification(result), _cost(result), _sure(result)]
    return [line for line in lines if line] + [_missing(result)]


def published_arm(result: StudyResult) -> Arm | None:
    """The arm with the published weights in raw units: the one with the fewest options when there are several."""
    found = [
        arm
        for arm in result.arms
        if arm.loss == "anti_average"
        and {name: float(value) for name, value in arm.weights.items()} == PUBLISHED
        and arm.options.get("units", "raw") == "raw"
    ]
    return min(found, key=lambda arm: len(arm.options), default=None)


def nearest(result: StudyResult, metric: str) -> str | None:
    """The arm with the best mean of a metric (the earlier one in a tie), None when nothing was measured."""
    card = result.metrics.get(metric)
    means = {arm.name: e.mean for arm in result.arms if (e := result.estimates.get((arm.name, metric)))}
    if card is None or card.better is None or not means:
        return None
    return min(means, key=lambda name: card.badness(means[name]))


def _value(result: StudyResult, arm: str, metric: str) -> str:
    estimate, card = result.estimates[arm, metric], result.metrics[metric]
    return " ".join(
        [number(estimate.mean, card.decimals), interval(estimate.low, estimate.high, card.decimals)]
    ).strip()


def _change(result: StudyResult, arm: str, metric: str) -> str:
    found, card = result.comparisons[arm, metric], result.metrics[metric]
    return (
        f"{number(found.mean, card.decimals, sign=True)} {interval(found.low, found.high, card.decimals, True)}".strip()
    )


def _colour(result: StudyResult) -> Line | None:
    if not result.measured:
        return Line("Colour", ("Nothing was measured: no cell of this study has scores.",))
    parts: list[str] = []
    best = nearest(result, AMOUNT)
    if best:
        parts += [
            Code(best),
            f" comes closest to the truth’s amount of colour: {_value(result, best, AMOUNT)} of its chroma",
        ]
        if best != result.baseline and (result.baseline, AMOUNT) in result.estimates:
            parts += [", where ", Code(result.baseline), f" paints {_value(result, result.baseline, AMOUNT)}"]
        parts += _overlapping(result, best)
        if not result.estimates[best, AMOUNT].has_interval:
            parts += [" (no interval)"]
        parts += _price_in_fidelity(result, best)
    metric = next((name for name in FIDELITY if nearest(result, name)), None)
    if metric:
        placed = nearest(result, metric)
        parts += [" Pixel by pixel the closest is ", Code(placed)]
        verdict = result.comparisons[placed, metric].verdict if (placed, metric) in result.comparisons else None
        parts += [f" ({result.metrics[metric].label} {_value(result, placed, metric)}"]
        parts += ["; against ", Code(result.baseline), f": {verdict}"] if verdict else []
        parts += [")."]
    return Line("Colour", tuple(parts)) if parts else None


def _overlapping(result: StudyResult, best: str) -> list[str]:
    """The other arms whose interval overlaps that of the best one: no verdict, only a warning."""
    own = result.estimates[best, AMOUNT]
    near = [
        Code(arm.name)
        for arm in result.arms
        if arm.name != best
        and (other := result.estimates.get((arm.name, AMOUNT)))
        and other.low <= own.high
        and own.low <= other.high
    ]
    if not near:
        return ["."]
    if len(near) > 3:
        return [f"; the intervals of {len(near)} other arms overlap its own."]
    verb = "interval of " if len(near) == 1 else "intervals of "
    return [f"; the {verb}", *_joined(near), " overlap its own." if len(near) > 1 else " overlaps its own."]


def _price_in_fidelity(result: StudyResult, best: str) -> list[str]:
    found = [(metric, result.comparisons[best, metric]) for metric in FIDELITY if (best, metric) in result.comparisons]
    if not found:
        return []
    metric, comparison = found[0]
    words = {"worse": "It is worse", "better": "It is also better", "equivalent": "It is equivalent"}
    start = words.get(comparison.verdict, "It is undecided whether it differs")
    label = result.metrics[metric].label
    return [f" {start} on {label} ({_change(result, best, metric)} against ", Code(result.baseline), ")."]


def _published(result: StudyResult) -> Line | None:
    arm = published_arm(result)
    if arm is None or arm.name == result.baseline:
        return None
    return _against_baseline(result, "Published loss", arm.name)


def _classification(result: StudyResult) -> Line | None:
    arms = [arm.name for arm in result.arms if arm.loss == "classification" and arm.name != result.baseline]
    if not arms:
        return None
    if len(arms) == 1:
        return _against_baseline(result, "Classification", arms[0])
    parts: list[str] = []
    metrics = [name for name in (AMOUNT, *FIDELITY[:1]) if name in result.measured]
    for name in arms:
        said = [_told(result, name, metric) for metric in metrics if (name, metric) in result.comparisons]
        text = "; ".join(said) if said else _why_nothing(result, name)
        parts += [" " if parts else "", Code(name), f": {text}."]
    return Line("Classification", tuple(parts))


def _told(result: StudyResult, arm: str, metric: str) -> str:
    label, verdict = result.metrics[metric].label, result.comparisons[arm, metric].verdict
    first = {"higher": f"higher {label}", "lower": f"lower {label}"}.get(verdict, f"{verdict} on {label}")
    return f"{first} ({_change(result, arm, metric)})"


def _why_nothing(result: StudyResult, arm: str) -> str:
    if (arm, result.measured[0] if result.measured else "") in result.estimates:
        return "measured, but not compared with the baseline"
    states = Counter(row.status for row in result.tables["cells"].itertuples() if row.arm == arm)
    return "no scores (" + listed(f"{many} {state}" for state, many in states.items()) + ")" if states else "no scores"


def _against_baseline(result: StudyResult, label: str, arm: str) -> Line:
    start = (Code(arm), " against ", Code(result.baseline), ": ")
    found = {
        metric: result.comparisons[arm, metric] for metric in result.key_metrics if (arm, metric) in result.comparisons
    }
    if not found:
        return Line(label, (*start, _why_nothing(result, arm) + "."))
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
    return Line(label, (*start, "; ".join(groups) + ".", ending))


def _in_brackets(result: StudyResult, arm: str, metric: str) -> str:
    """The change alone when the verdict says it all, with its interval when the verdict rests on it."""
    found: Comparison = result.comparisons[arm, metric]
    if found.verdict in ("equivalent", "undecided"):
        return f"({_change(result, arm, metric)})"
    return f"({number(found.mean, result.metrics[metric].decimals, sign=True)})"


def _cost(result: StudyResult) -> Line | None:
    table = result.tables["cost"]
    table = table[(table["arm"] != result.baseline) & table["step_ratio"].notna()]
    if table.empty:
        return None
    low, high = table.loc[table["step_ratio"].idxmin()], table.loc[table["step_ratio"].idxmax()]
    parts: list[str] = ["A training step takes "]
    if len(table) == 1:
        parts += [f"{amount(high.step_ratio)} times as long with ", Code(high.arm), " as with ", Code(result.baseline)]
    else:
        parts += [
            f"between {amount(low.step_ratio)} (",
            Code(low.arm),
            f") and {amount(high.step_ratio)} (",
            Code(high.arm),
        ]
        parts += [") times as long as with ", Code(result.baseline)]
    memory = table["memory_ratio"].max()
    if not math.isnan(memory):
        parts += [f"; peak memory is at most {amount(memory)} times its own"]
    spent = result.facts.get("provenance", {}).get("train_seconds")
    parts += [f". Training all cells took {duration(float(spent))} of computing."] if spent else ["."]
    return Line("Cost", tuple(parts))


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
    return Line("How sure", (text,))


def _significance(result: StudyResult) -> str:
    """What the p-values can and do say."""
    start = f"With {plural(len(result.seeds), 'seed')} no p below {result.p_min:.3g} is possible"
    rest = "the verdicts rest on 95 % intervals and declared margins, not on significance."
    if result.p_min > 0.05:
        return f"{start}: {rest}"
    if result.holm_floor > 0.05:
        floor = f"none below {result.holm_floor:.3g} after Holm’s correction for the number of arms"
        return f"{start}, and {floor}: {rest}"
    kept = sum(comparison.p_holm < 0.05 for comparison in result.comparisons.values())
    return f"{plural(kept, 'difference')} with p < 0.05 after Holm’s correction for the number of arms."


def _missing(result: StudyResult) -> Line:
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
    if not parts:
        parts = [f"Nothing: all {len(result.tables['cells'])} cells finished and every metric was measured."]
    return Line("Missing", (*parts[:-1], parts[-1].rstrip()))


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _joined(names: list[Code]) -> list[str]:
    parts: list[str] = []
    for index, name in enumerate(names):
        joint = "" if index == 0 else " and " if index == len(names) - 1 else ", "
        parts += [joint, name]
    return [part for part in parts if part]
