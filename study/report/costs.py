"""What the recommended arm costs: error, sepia, time and memory, beside the baseline, gray and a single gain."""

from __future__ import annotations

import math

import pandas as pd

from study.report.result import StudyResult
from study.report.style import amount, duration, listed, number
from study.report.telling import (
    AMOUNT,
    FIDELITY,
    Code,
    Line,
    against_gain,
    joined,
    nearest,
    percent,
    recommended_arm,
    told_change,
    told_excess,
    told_value,
    trimmed,
)

NOISE = 0.1
"""Steps that take within this share of the baseline's time take about as long: timing is not sharper than that."""

SEPIA = "sepia_cast"


def costs(result: StudyResult) -> Line | None:
    """Fidelity and hue of the recommended arm, the control that it has to beat, then time and memory."""
    best = recommended_arm(result)
    head: list[str] = []
    detail: list[str] = []
    about = (*FIDELITY, *([] if result.is_foreign(SEPIA) else [SEPIA]), "hue_diversity_gap")
    found = [name for name in about if best and (best, name) in result.comparisons]
    excess = [told for metric in FIDELITY if metric in found and (told := told_excess(result, best, metric))]
    if excess:
        said = listed(excess)
        head += [f"{said[:1].upper()}{said[1:]} than ", Code(result.baseline), "."]
        head += [*_beside_gray(result, best), *_sepia(result, best)]
    if found:
        told = []
        for metric in found:
            verdict = result.comparisons[best, metric].verdict
            start = verdict if verdict in ("worse", "better", "equivalent") else "undecided whether it differs"
            told.append(f"{start} on {result.metrics[metric].label} ({told_change(result, best, metric)})")
        detail += [Code(best), " against ", Code(result.baseline), f": {'; '.join(told)}."]
    short, long = _gain_control(result, best) if best else ([], [])
    head, detail = head + short, [*detail, *long, *_closest(result), *_time_and_memory(result, best)]
    if not head:
        head, detail = detail, []
    return Line("What it costs", trimmed(head), trimmed(detail)) if head else None


def _beside_gray(result: StudyResult, best: str) -> list[str]:
    """What of the errors is larger than with no colour at all: both differences to the baseline tell it surely."""
    gray = next((arm.name for arm in result.arms if arm.control and arm.control.get("match") == "gray"), "")
    found = _farther(result, best, gray)
    if not found:
        return []
    trained = [arm.name for arm in result.arms if not arm.control and arm.name != best]
    too = [Code(name) for name in trained if _farther(result, name, gray) == found]
    named = joined(too) if len(too) <= 3 else [f"{len(too)} other arms"]
    also = [", and so ", "is " if len(too) == 1 else "are ", *named] if too else []
    labels = listed(result.metrics[metric].label for metric in found)
    return [f" By {labels} it is farther from the truth than ", Code(gray), ", no colour at all", *also, "."]


def _farther(result: StudyResult, arm: str, gray: str) -> list[str]:
    """The errors of an arm that are surely larger than those of no colour."""
    return [
        metric
        for metric in FIDELITY
        if {(arm, metric), (gray, metric)} <= set(result.comparisons)
        and result.comparisons[arm, metric].low > result.comparisons[gray, metric].high
    ]


def _sepia(result: StudyResult, best: str) -> list[str]:
    """Whether the cure brings what it was to cure, where that can be seen."""
    if (best, SEPIA) not in result.comparisons or (result.baseline, SEPIA) not in result.estimates:
        return []
    if result.is_foreign(SEPIA):
        return [" Sepia itself cannot be tested here: no average of this world’s colours counts as brown."]
    card, baseline = result.metrics[SEPIA], Code(result.baseline)
    own, base = (number(result.estimates[arm, SEPIA].mean, card.decimals) for arm in (best, result.baseline))
    values = f" ({card.label} {own} against {base})."
    how = {"worse": "more faint brown than", "better": "less faint brown than", "equivalent": "as much faint brown as"}
    found = result.comparisons[best, SEPIA]
    if told := how.get(found.verdict):
        return [f" It paints {told} ", baseline, values]
    if found.low > 0 or found.high < 0:
        seems = "more" if found.low > 0 else "less"
        return [f" It seems to paint {seems} faint brown than ", baseline, f", not surely or not by much{values}"]
    return [" Whether it paints more or less faint brown than ", baseline, f" is undecided{values}"]


def _gain_control(result: StudyResult, best: str) -> tuple[list[str], list[str]]:
    """What one gain on another network's output reaches, the control to beat: in short, and with intervals."""
    gained = [arm for arm in result.arms if arm.control and arm.control.get("match") != "gray"]
    control, metric = nearest(result, AMOUNT, gained), FIDELITY[0]
    if control is None or (control, metric) not in result.estimates or (best, metric) not in result.estimates:
        return [], []
    label = result.metrics[metric].label
    source = Code(result.arm(control).control["of"])
    excess = told_excess(result, control, metric)
    painted = percent(result.estimates[control, AMOUNT].mean)
    head = [" One gain on the output of ", source, ", the control ", Code(control),
            f", paints {painted} of the truth’s chroma", f" for {excess}." if excess else "."]  # fmt: skip
    if control == result.gain_control:
        head += against_gain(result, best)
    detail = [" ", Code(control), f" paints {told_value(result, control, AMOUNT)} at {label} ",
              f"{told_value(result, control, metric)}; ", Code(best),
              f" has {label} {told_value(result, best, metric)}."]  # fmt: skip
    return head, detail


def _closest(result: StudyResult) -> list[str]:
    """The arm with the smallest error."""
    metric = next((name for name in FIDELITY if nearest(result, name)), None)
    if metric is None:
        return []
    placed = nearest(result, metric)
    verdict = result.comparisons[placed, metric].verdict if (placed, metric) in result.comparisons else None
    against = ["; against ", Code(result.baseline), f": {verdict}"] if verdict else []
    value = f" ({result.metrics[metric].label} {told_value(result, placed, metric)}"
    return [" Pixel by pixel the closest is ", Code(placed), value, *against, ")."]


def _time_and_memory(result: StudyResult, best: str | None) -> list[str]:
    table = result.tables["cost"]
    table = table[(table["arm"] != result.baseline) & table["step_ratio"].notna() & table["arm"].map(
        lambda name: (arm := result.arm(name)) is not None and not arm.control)]  # fmt: skip
    if table.empty:
        return []
    own = table[table["arm"] == best]
    low, high = table.loc[table["step_ratio"].idxmin()], table.loc[table["step_ratio"].idxmax()]
    parts: list[str] = [" "]
    if len(own):
        ratio = float(own["step_ratio"].iloc[0])
        about = "about as long as" if abs(ratio - 1) < NOISE else f"{number(ratio, 2)} times as long as"
        parts += [f"A training step takes {about} with ", Code(result.baseline)]
        # Named only where the rounds agree that it is quicker, or slower, than the baseline.
        told = [["the quickest, ", Code(low.arm), f", {number(low.step_ratio, 2)} times"]] if low.step_high < 1 else []
        told += (
            [["the slowest, ", Code(high.arm), f", {number(high.step_ratio, 2)} times"]] if high.step_low > 1 else []
        )
        if len(table) > 1 and told:
            parts += [" (", *(told[0] if len(told) == 1 else [*told[0], "; ", *told[1]]), ")"]
    elif len(table) == 1:
        parts += [f"A training step takes {number(high.step_ratio, 2)} times as long with ", Code(high.arm)]
        parts += [" as with ", Code(result.baseline)]
    else:
        parts += [f"A training step takes between {number(low.step_ratio, 2)} (", Code(low.arm)]
        parts += [f") and {number(high.step_ratio, 2)} (", Code(high.arm), ") times as long as with "]
        parts += [Code(result.baseline)]
    parts += _memory(table, own)
    spent = result.facts.get("provenance", {}).get("train_seconds")
    return [*parts, f". Training all networks took {duration(float(spent))} of computing." if spent else "."]


def _memory(table: pd.DataFrame, own: pd.DataFrame) -> list[str]:
    """Peak memory of the recommended loss and of the largest, beside the baseline's."""
    table = table[table["memory_ratio"].notna()]
    if table.empty:
        return []
    largest = table.loc[table["memory_ratio"].idxmax()]
    if own.empty or math.isnan(own["memory_ratio"].iloc[0]):
        return [f"; peak memory is at most {amount(largest.memory_ratio)} times that (", Code(largest.arm), ")"]
    ratio = float(own["memory_ratio"].iloc[0])
    parts = ["; peak memory is ", "the same" if abs(ratio - 1) < 0.005 else f"{amount(ratio)} times that"]
    return [
        *parts,
        *(
            [" (the largest, ", Code(largest.arm), f", {amount(largest.memory_ratio)} times)"]
            if largest.memory_ratio > 1.005 and largest.arm != own["arm"].iloc[0]
            else []
        ),
    ]
