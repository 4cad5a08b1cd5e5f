"""All tables of a report as sheets, for LaTeX and for the sections that show them as they are."""

from __future__ import annotations

import math

from study.report import evidence, finalists, progress, tuning
from study.report import sheet as s
from study.report.result import Metric, StudyResult
from study.report.scores import Score
from study.report.style import VERDICTS, amount, count, duration, p_value


def all_sheets(result: StudyResult, columns: list[Metric], scores: dict[tuple[str, str], Score]) -> dict[str, s.Sheet]:
    """Name -> sheet of every table that has rows."""
    keys = [card for card in columns if card.name in result.key_metrics]
    rest = [card for card in columns if card.name not in result.key_metrics]
    found = [
        evidence.claims_sheet(result),
        results_sheet("results", "Results", result, keys, scores),
        results_sheet("results_more", "The other metrics", result, rest, scores),
        differences_sheet(result, columns),
        evidence.theory_sheet(result),
        evidence.factorial_sheet(result),
        *([tuning.choices_sheet(result), finalists.finalists_sheet(result)] if result.search else []),
        progress.ledger_sheet(result),
        progress.convergence_sheet(result),
        progress.lengths_sheet(result),
        cost_sheet(result),
    ]
    return {one.name: one for one in found if one}


def results_sheet(
    name: str, title: str, result: StudyResult, cards: list[Metric], scores: dict[tuple[str, str], Score]
) -> s.Sheet:
    """Mean, interval and sign of the verdict of every arm on some metrics."""
    rows = []
    for arm in result.shown if cards else ():
        fields = []
        for card in cards:
            score = scores.get((arm.name, card.name))
            if score is None:
                fields.append(s.Field("–", math.nan))
                continue
            sign = f"{VERDICTS[score.comparison.verdict][0]} " if score.comparison else ""
            fields.append(s.Field(f"{sign}{score.text}", score.badness, "number", score.interval))
        rows.append([s.arm_field(arm.name), *fields])
    head = [
        s.Column("arm", words=True),
        *(s.Column(card.label, "" if card.unit == "1" else card.unit) for card in cards),
    ]
    return s.sheet(name, title, head, rows, "arms")


def differences_sheet(result: StudyResult, columns: list[Metric]) -> s.Sheet:
    """Every paired difference to the baseline, with effect size and power where the table has them."""
    extra = [
        name
        for name in ("effect", "improved", "detectable", "seeds_needed", "seed_share")
        if name in result.tables["paired"]
    ]
    more = {
        (row.arm, row.metric): [getattr(row, name) for name in extra]
        for row in result.tables["paired"].itertuples()
        if row.baseline == result.baseline
    }
    rows = []
    for card in columns:
        for arm in result.looks:
            found = result.comparisons.get((arm, card.name))
            if found is None:
                continue
            rows.append(
                [
                    s.Field(card.label, card.name, "words"),
                    s.arm_field(arm),
                    s.value(found.mean, card.decimals, sign=True),
                    s.Field(s.value(found.mean, card.decimals, found.low, found.high, True).detail, "", "number"),
                    *(s.Field(p_value(p), p) for p in (found.p_interval, found.p, found.p_holm, found.p_min)),
                    s.Field(str(found.seeds), float(found.seeds)),
                    s.chip(found.verdict),
                    *(_extra(name, value, card) for name, value in zip(extra, more[arm, card.name], strict=True)),
                ]
            )
    titles = {"effect": "effect size", "improved": "better pairs", "detectable": "detectable",
              "seeds_needed": "seeds needed", "seed_share": "variance from seeds"}  # fmt: skip
    head = [s.Column("metric", words=True), s.Column("arm", words=True), s.Column("difference"),
            s.Column("95 % interval"), s.Column("p (interval, Holm)"), s.Column("p (signs)"),
            s.Column("p (signs, Holm)"), s.Column("smallest p (signs)"), s.Column("seeds"),
            s.Column("verdict", words=True), *(s.Column(titles[name]) for name in extra)]  # fmt: skip
    return s.sheet("differences", "Differences to the baseline", head, rows, "paired")


def _extra(name: str, value: float | str, card: Metric) -> s.Field:
    if name == "seeds_needed":  # a number, ">100", or empty
        return s.Field(str(value) or "–", float(str(value).lstrip(">") or "nan"))
    if math.isnan(value):
        return s.Field("–", value)
    if name == "effect":
        return s.value(value, 1, sign=True)
    if name in ("improved", "seed_share"):
        return s.Field(f"{100 * value:.0f} %", value)
    return s.value(value, card.decimals)


def cost_sheet(result: StudyResult) -> s.Sheet:
    """Time and memory of every arm, as ratios to the baseline and in units."""
    known = {row.arm: row for row in result.tables["cost"].itertuples()}
    rows = []
    for arm in result.looks:
        if arm not in known:
            continue
        row = known[arm]
        amounts = (row.memory_ratio, row.step_ms, row.images_per_s, row.peak_memory_mb)
        rows.append(
            [
                s.arm_field(arm),
                s.value(row.step_ratio, 2, row.step_low, row.step_high),
                *(s.Field(amount(value), value) for value in amounts),
                s.Field(duration(row.seconds), row.seconds),
                s.Field(count(row.parameters), row.parameters),
            ]
        )
    head = [s.Column("arm", words=True), s.Column("time of a step", "ratio"), s.Column("peak memory", "ratio"),
            s.Column("step", "ms"), s.Column("speed", "images/s"), s.Column("memory", "MB"),
            s.Column("whole cell", "time"), s.Column("network", "parameters")]  # fmt: skip
    return s.sheet("cost", "Cost", head, rows, "cost")
