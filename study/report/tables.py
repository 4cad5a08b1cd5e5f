"""The tables of a report, made from the tables of results/."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from study.analysis.schemas import TABLES
from study.report.evidence import gradient_rows, theory_rows
from study.report.findings import Findings
from study.report.format import VERDICTS, amount, count, decimals_for, duration, number, p_value, percent
from study.report.limits import MEASURES, Limits
from study.report.result import AMOUNT, ERROR, SEPIA, Metric, StudyResult
from study.report.search import Family, objective_label
from study.report.styles import arm_styles
from study.report.table import Cell, Column, Table, arm_cell, badge, code, share, table, value, words

COST_LABELS = {"step_ms": "time of a step", "peak_memory_mb": "peak memory"}
DETAILS = {
    "paired": ("Differences to the baseline",
               "metric arm delta+ verdict p_t_holm effect improved% detectable seeds_needed seed_share%"),
    "cost": ("Cost", "arm step_ratio+ step_ms images_per_s memory_ratio peak_memory_mb parameters"),
    "theory": ("What theory predicts and what the networks did",
               "arm region predicted_chroma chroma+ true_chroma predicted_a predicted_b a b distance explained "
               "predicted_change change note"),
    "factorial": ("What each term contributes", "metric effect estimate+ shapley%"),
    "gradients": ("Each term’s share of the gradient", "arm term weight first% last% mean%"),
    "convergence": ("Had the curves flattened?", "arm metric end change+ margin flattened"),
    "lengths": ("Other lengths of training", "metric arm images mean+"),
    "metrics": ("The metrics", "metric unit low high better target margin says weakness"),
    "cells": ("Training runs", "arm seed status detail seconds signature command"),
}  # fmt: skip
"""Table of results/ -> heading, and the columns shown: + with its interval, % as a percentage."""
HEADS = {
    "delta": "difference", "p_t_holm": "p (Holm)", "paired.effect": "effect size", "improved": "better pairs",
    "seed_share": "variance from seeds", "step_ratio": "time of a step, ratio", "step_ms": "ms",
    "images_per_s": "images/s", "memory_ratio": "peak memory, ratio", "peak_memory_mb": "MB",
    "predicted_change": "predicted change against MSE",
    "theory.change": "change against MSE", "estimate": "change", "shapley": "Shapley share", "first": "share at first",
    "last": "share at last", "gradients.mean": "share on average", "end": "at the end", "images": "pictures seen",
    "convergence.change": "change in the last quarter", "says": "what it is", "weakness": "how it misleads",
    "seconds": "time",
}  # fmt: skip
SIGNED = ("delta", "estimate", "change", "predicted_change")
WRITTEN = {"p_t_holm": p_value, "seconds": duration, "seed": str, "weight": lambda own: amount(own, 2),
           "effect": lambda own: number(own, 1, sign=True), "seeds_needed": lambda own: number(own, 0)}  # fmt: skip
VERDICT_COLUMNS = ("verdict", "explained", "flattened", "status")
OF_METRIC = ("delta", "detectable", "end", "change", "margin", "mean", "estimate")


def answer_table(result: StudyResult, found: Findings) -> Table:
    """The arms that the answer names, the best of each column marked."""
    sepia = SEPIA in result.measured and not result.is_foreign(SEPIA)
    chosen = found.committed is not None
    head = [Column("arm", words=True), Column("truth’s chroma"), Column("value", spanner="ab RMSE"),
            Column("extra", spanner="ab RMSE"), *([Column("faint brown", "sepia cast")] if sepia else []),
            *([Column("chosen colours", "of pixels")] if chosen else []), Column("step time")]  # fmt: skip
    rows = []
    for one in found.rows:
        base = one.arm == result.baseline
        rows.append([
            Cell(one.arm, one.arm, "arm", ", ".join(_roles(found, one.arm, result.baseline))),
            Cell(percent(one.chroma), one.gap, verdict=one.verdicts.get(AMOUNT, "")),
            _measured(result, one.arm, ERROR),
            Cell("" if base else percent(one.excess), one.excess, verdict="" if base else one.verdicts.get(ERROR, "")),
            *([_measured(result, one.arm, SEPIA)] if sepia else []),
            *([Cell(percent(one.commitment), -one.commitment)] if chosen else []),
            Cell("none", 0.0) if one.reference else Cell("–", math.nan) if math.isnan(one.step_ratio) else
            Cell(f"× {number(one.step_ratio, 2)}", one.step_ratio),
        ])  # fmt: skip
    made = table("answer", "What to use", head, rows, "")
    for place in (1, 2, *range(4, len(head) - 1)):
        if known := [row[place].sort for row in rows if not math.isnan(row[place].sort)]:
            made = made.marked(place, min(known))
    return made


def _roles(found: Findings, arm: str, baseline: str) -> list[str]:
    roles = {"baseline": arm == baseline,
             "nearest chroma of a loss": found.recommended and arm == found.recommended.arm,
             "published weights": found.published and arm == found.published.arm,
             "nearest chroma of all": found.closest and arm == found.closest.arm != found.recommended.arm,
             "smallest error": found.most_faithful and arm == found.most_faithful.arm,
             "compromise": found.compromise and arm == found.compromise.arm,
             "chooses most": found.committed and arm == found.committed.arm,
             "reference": any(one.arm == arm and one.reference for one in found.rows)}  # fmt: skip
    return [role for role, holds in roles.items() if holds]


def _measured(result: StudyResult, arm: str, metric: str) -> Cell:
    own, card = result.estimates.get((arm, metric)), result.metrics[metric]
    if own is None:
        return Cell("–", math.nan)
    return Cell(number(own.mean, card.decimals), card.badness(own.mean))


def results_table(result: StudyResult, key: bool = True) -> Table:
    """Mean, interval and sign of the verdict of every arm on the key metrics, or on all others."""
    cards = [result.metrics[name] for name in result.measured if (name in result.key_metrics) == key]
    rows = []
    for arm in arms_of(result) if cards else ():
        cells = []
        for card in cards:
            own, against = result.estimates.get((arm, card.name)), result.comparisons.get((arm, card.name))
            made = value(own.mean, card.decimals, own.low, own.high) if own else Cell("–", math.nan)
            cells.append(Cell(made.text, card.badness(made.sort), "number", made.detail, against.verdict if against
                              else ""))  # fmt: skip
        rows.append([arm_cell(arm), *cells])
    head = [Column("arm", words=True), *(Column(card.label, _goal(card), metric=card.name) for card in cards)]
    name, heading = ("results", "Results") if key else ("results_more", "The other metrics")
    return table(name, heading, head, rows, "arms", tex=key)


def _goal(card: Metric) -> str:
    """Unit and direction of a metric in two or three words."""
    ways = {"higher": "↑ better", "lower": "↓ better", "": "no better way", "target": f"truth = {card.target:g}"}
    told = card.unit == "1" or card.unit.lower() == card.name or len(card.unit) > 12
    return ways[card.better] if told else f"{card.unit} · {ways[card.better]}"


def arms_of(result: StudyResult) -> list[str]:
    """Names of the arms in the order in which they are shown."""
    return list(arm_styles(list(result.arms.values()), result.baseline))


def in_order(result: StudyResult, rows: list[Any]) -> list[Any]:
    """Rows of declared arms, in the order in which arms are shown."""
    place = {arm: index for index, arm in enumerate(arms_of(result))}
    return sorted((row for row in rows if row.arm in place), key=lambda row: place[row.arm])


def detail_table(result: StudyResult, name: str) -> Table:
    """The rows of a table of results/ as DETAILS says."""
    heading, wanted = DETAILS[name]
    chosen = {"theory": theory_rows, "gradients": gradient_rows}.get(name, lambda result: result.rows(name))(result)
    if name == "paired":
        chosen = [row for row in chosen if row.baseline == result.baseline]
    arms, measured = arms_of(result), [*result.key_metrics, *result.metrics]
    columns = [column.rstrip("+%") for column in wanted.split()]
    chosen = [row for row in chosen if getattr(row, "arm", None) in (*arms, None)]
    places = {"arm": arms, "metric": measured}
    chosen.sort(key=lambda row: [places[column].index(getattr(row, column)) for column in columns[:2]
                                 if column in places and getattr(row, column) in places[column]])  # fmt: skip
    types = {column.name: column.type for column in TABLES[name].columns}
    head = [Column(HEADS.get(f"{name}.{column}") or HEADS.get(column) or column.replace("_", " "),
                   words=types[column] == "text") for column in columns]  # fmt: skip
    digits = {column: decimals_for(*(getattr(row, column) for row in chosen)) for column in columns
              if types[column] in ("number", "integer")}  # fmt: skip
    rows = [[_detail(result, row, column, digits) for column in wanted.split()] for row in chosen]
    return table(name, heading, head, rows, name, tex=name == "paired")


def _detail(result: StudyResult, row: Any, column: str, digits: dict[str, int]) -> Cell:
    """One field: words by what they are, numbers with the digits of their metric or of their column."""
    name = column.rstrip("+%")
    own, card = getattr(row, name), result.metrics.get(getattr(row, "metric", ""))
    if isinstance(own, str):
        if name == "metric":
            return words(card.label if card else own)
        kinds = {"arm": arm_cell, "signature": code, "command": code} | dict.fromkeys(VERDICT_COLUMNS, badge)
        told = {"signature": own[:10], "effect": own.replace(" x ", " × ")}.get(name, own)
        return kinds.get(name, words)(told)
    if column.endswith("%"):
        return share(own, 1 if name in ("first", "last", "mean") else 0)
    if name in WRITTEN:
        return Cell(WRITTEN[name](own), own)
    decimals = card.decimals if card and name in OF_METRIC else digits[name]
    ends = (math.nan, math.nan)
    if column.endswith("+"):
        starts = (f"{name}_", f"{name.split('_')[0]}_", "")
        ends = next((getattr(row, f"{start}low"), getattr(row, f"{start}high")) for start in starts
                    if hasattr(row, f"{start}low"))  # fmt: skip
    if decimals == 0 and math.isfinite(own):
        return Cell(count(own), own)
    return value(own, decimals, *ends, sign=name in SIGNED)


def margins_table(result: StudyResult, found: Findings) -> Table:
    """Verdicts on key metrics and claims that change with the margin, or that hang on little."""
    close = {(one.arm, one.metric) for one in found.close}
    rows = []
    for (arm, metric), one in result.comparisons.items():
        changes = metric in result.key_metrics and len({one.verdict, one.half, one.double}) > 1
        if changes or (arm, metric) in close:
            rows.append([words(arm), words(result.metrics[metric].label), badge(one.half), badge(one.verdict),
                         badge(one.double), words("yes" if (arm, metric) in close else "")])  # fmt: skip
    for row in result.rows("claims"):
        said = [row.verdict_half_margin, row.verdict, row.verdict_double_margin]
        if len(set(said)) > 1:
            rows.append([words(f"claim {row.number}"), words(row.says), *map(badge, said), words("")])
    head = [Column("arm or claim", words=True), Column("metric or statement", words=True),
            Column("half", words=True, spanner="verdict at this margin"),
            Column("declared", words=True, spanner="verdict at this margin"),
            Column("double", words=True, spanner="verdict at this margin"), Column("close", words=True)]  # fmt: skip
    return table("margins", "Verdicts that hang on the margin", head, rows)


def limits_table(result: StudyResult, found: Limits) -> Table:
    """Where every arm lies, and how far above the least error at its amount and at its spread of colour."""
    rows = []
    for arm in (arm for arm in arms_of(result) if arm in found.spots):
        spot, cells = found.spots[arm], []
        for measure in MEASURES:
            own = found.excess.get((arm, measure))
            text = [percent(end, 1) for end in (own.low, own.high)] if own and own.has_interval else []
            cells.append(Cell(percent(own.mean, 1), own.mean, detail=f"[{', '.join(text)}]" if text else "") if own
                         else Cell("–", math.nan))  # fmt: skip
        rows.append([arm_cell(arm), value(spot.error.mean, 2), value(spot.chroma.mean, 1),
                     value(spot.ab_distance.mean, 1), *cells])  # fmt: skip
    above = "excess over the least error"
    head = [Column("arm", words=True), Column("error", "pooled root"), Column("chroma"), Column("distance"),
            Column("at its chroma", spanner=above), Column("at its distance", spanner=above)]  # fmt: skip
    return table("limits", "Arms beside the limits", head, rows, "limits")


def claims_table(result: StudyResult) -> Table:
    """The claims in their declared order, with verdict, estimate and amendments."""
    rows = []
    for row in result.rows("claims"):
        card = result.metrics.get(row.metric)
        decimals = card.decimals if card else decimals_for(row.estimate, row.low, row.high)
        label = card.label if card else COST_LABELS.get(row.metric, row.metric.replace("_", " "))
        made = value(row.estimate, decimals, row.low, row.high)
        unit = "" if row.unit in ("", "1") or math.isnan(row.estimate) else f" {row.unit}"
        margin = "" if math.isnan(row.margin) or not row.comparison else f"margin {row.margin:g}"
        about = "; ".join(part for part in (label, row.comparison, margin) if part)
        rows.append([
            words(f"{row.number} {row.says}".strip()), badge(row.verdict),
            Cell(f"{made.text}{unit}", made.sort, detail=made.detail if row.low != row.high else ""),
            words(about), Cell(p_value(row.p_t_holm), row.p_t_holm),
            words({"yes": "as predicted", "no": "not as predicted"}.get(row.as_predicted, "")),
            words({"loss": "for the loss", "study": "this study’s own"}[row.by]), words(row.why),
        ])  # fmt: skip
    head = [Column("claim", words=True), Column("verdict", words=True), Column("measured", "95 % interval"),
            Column("what was compared", words=True), Column("p", "Holm"), Column("theory", words=True),
            Column("whose", words=True), Column("why, and amendments", words=True)]  # fmt: skip
    return table("claims", "Claims written down before the run", head, rows, "claims", tex=True)


def theory_matrix(result: StudyResult) -> Table:
    """Measured chroma with the predicted one behind it, arm by region, and whether theory explains it."""
    told = in_order(result, [row for row in theory_rows(result) if row.explained != "no theory"])
    regions = list(dict.fromkeys(row.region for row in told))
    cells = {
        (row.arm, row.region): Cell(number(row.chroma, 1), row.chroma, "number",
                                    f"({number(row.predicted_chroma, 1)})", row.explained)
        for row in told
    }  # fmt: skip
    rows = [[arm_cell(arm), *(cells.get((arm, region), Cell("–", math.nan)) for region in regions)]
            for arm in dict.fromkeys(row.arm for row in told)]  # fmt: skip
    head = [Column("arm", words=True), *(Column(region, spanner="measured chroma (predicted)") for region in regions)]
    return table("theory_matrix", "Measured and predicted chroma", head, rows)


def weights_table(families: Iterable[Family]) -> Table:
    """Recommended settings of every family, each with the range that the data cannot tell from the best."""
    rows = [
        [code(family.name), words(one.label), Cell(f"{one.value:g}", one.value), Cell(one.low_text, one.low),
         Cell(one.high_text, one.high)]
        for family in families for one in family.regions
    ]  # fmt: skip
    span = "as good, as far as the data tell"
    head = [Column("family", words=True), Column("setting", words=True), Column("recommended"),
            Column("from", spanner=span), Column("to", spanner=span)]  # fmt: skip
    return table("weights", "Recommended settings and their range", head, rows)


def finalists_table(result: StudyResult, families: Iterable[Family]) -> Table:
    """Every finalist trained again in full on fresh seeds: refit score, interval, and the score it was chosen by."""
    metrics = list(dict.fromkeys(metric for family in families for one in family.finalists for metric in one.scores))
    metrics = [metric for metric in metrics if metric != "fidelity" or ERROR not in metrics]
    rows = []
    for family in families:
        for one in family.finalists:
            cells = []
            for metric in metrics:
                row = one.scores.get(metric)
                card = result.metrics.get(metric)
                decimals = card.decimals if card else decimals_for(row.refit) if row else 2
                made = value(row.refit, decimals, row.low, row.high) if row else Cell("–", math.nan)
                searched = f"searched {number(row.searched, decimals)}" if row and row.searched == row.searched else ""
                cells.append(Cell(made.text, made.sort, detail=" ".join(filter(None, (made.detail, searched)))))
            trial = Cell("–" if math.isnan(one.trial) else f"{one.trial:g}", one.trial)
            rows.append([code(family.name), words(", ".join(one.choices)), trial, *cells])
    head = [Column("family", words=True), Column("finalist", words=True), Column("trial"),
            *(Column(objective_label(metric, result)) for metric in metrics)]  # fmt: skip
    return table("finalists", "Finalists on fresh seeds", head, rows, "finalists")


def arms_table(result: StudyResult) -> Table:
    """What every arm is."""
    rows = [[arm_cell(name), words(settings(result.arms[name])), words(result.arms[name].description)]
            for name in arms_of(result)]  # fmt: skip
    head = [Column("arm", words=True), Column("loss and settings", words=True), Column("in words", words=True)]
    return table("settings", "The arms", head, rows)


def settings(arm: Any) -> str:
    """Loss, weights, options and decoding of an arm in one line; of a reference, whose networks it uses."""
    if arm.control:
        by, strength = arm.control.get("by", "gain"), arm.control.get("strength", 1.0)
        how = f"one {by}, fitted to {arm.control.get('match')}{f', strength {strength:g}' if strength != 1 else ''}"
        return f"networks of {arm.control['of']}; {'no colour' if arm.is_gray else how}"
    decode = arm.decode if arm.loss == "classification" else {}
    return "; ".join([arm.loss, *_parts({**arm.weights, **arm.options, **arm.train, **decode})])


def weights(arm: Any) -> str:
    """The weights and the learning rate of an arm; of classification, its options and decoding."""
    chosen = {**arm.options, **arm.decode} if arm.loss == "classification" else arm.weights
    return ", ".join(_parts({name: one for name, one in {**chosen, **arm.train}.items() if name != "lab"}))


def _parts(values: dict[str, Any]) -> list[str]:
    return [f"{name.replace('_', ' ')} {_short(one)}" for name, one in values.items()]


def _short(one: Any) -> str:
    return "none" if one is None else f"{one:g}" if isinstance(one, float) else str(one)


def pairs_table(name: str, heading: str, values: Any) -> Table:
    """Nested settings as rows of name and value."""
    head = [Column("setting", words=True), Column("value", words=True)]
    return table(name, heading, head, [[words(key), words(text)] for key, text in _flat("", values)])


def _flat(prefix: str, value_: Any) -> list[tuple[str, str]]:
    if isinstance(value_, dict):
        return [pair for key, inner in value_.items() for pair in _flat(f"{prefix} {key}".strip(), inner)]
    if isinstance(value_, list):
        return [(prefix.replace("_", " "), ", ".join(map(str, value_)))]
    return [(prefix.replace("_", " "), f"{value_:g}" if isinstance(value_, float) else str(value_))]


def verdict_counts(counts: dict[str, int]) -> list[tuple[str, int]]:
    """(verdict, how many) in a fixed order, without those that do not occur."""
    return [(verdict, counts[verdict]) for verdict in VERDICTS if counts.get(verdict)]
