"""The tables of a report, made from the tables of results/."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from study.report.evidence import gradient_rows, length_metrics, theory_rows
from study.report.findings import Findings
from study.report.format import VERDICTS, amount, count, decimals_for, duration, number, p_value, percent
from study.report.result import AMOUNT, ERROR, SEPIA, Metric, StudyResult
from study.report.search import Family, objective_label
from study.report.styles import arm_styles
from study.report.table import Cell, Column, Table, arm_cell, badge, code, share, table, value, words

COST_LABELS = {"step_ms": "time of a step", "peak_memory_mb": "peak memory"}


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


def paired_table(result: StudyResult) -> Table:
    """Every paired difference to the baseline, with effect size and power."""
    place = {arm: index for index, arm in enumerate(arms_of(result))}
    measured = [*result.key_metrics, *(name for name in result.measured if name not in result.key_metrics)]
    rows = [row for row in result.rows("paired") if row.baseline == result.baseline and row.metric in measured]
    rows.sort(key=lambda row: (measured.index(row.metric), place[row.arm]))
    made = []
    for row in rows:
        card = result.metrics[row.metric]
        needed = "more than 100" if math.isinf(row.seeds_needed) else number(row.seeds_needed, 0)
        made.append([
            words(card.label), arm_cell(row.arm), value(row.delta, card.decimals, row.low, row.high, sign=True),
            badge(row.verdict), Cell(p_value(row.p_t_holm), row.p_t_holm), value(row.effect, 1, sign=True),
            share(row.improved), value(row.detectable, card.decimals), Cell(needed, row.seeds_needed),
            share(row.seed_share),
        ])  # fmt: skip
    head = [Column("metric", words=True), Column("arm", words=True), Column("difference", "95 % interval"),
            Column("verdict", words=True), Column("p", "Holm"), Column("effect size"), Column("better pairs"),
            Column("detectable"), Column("seeds needed"), Column("variance from seeds")]  # fmt: skip
    return table("paired", "Differences to the baseline", head, made, "paired", tex=True)


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


def cost_table(result: StudyResult) -> Table:
    """Time and memory of a training step of every trained arm."""
    known = {row.arm: row for row in result.rows("cost")}
    rows = [
        [
            arm_cell(arm), value(row.step_ratio, 2, row.step_low, row.step_high),
            Cell(amount(row.step_ms), row.step_ms), Cell(amount(row.images_per_s), row.images_per_s),
            Cell(amount(row.memory_ratio), row.memory_ratio), Cell(amount(row.peak_memory_mb), row.peak_memory_mb),
            Cell(count(row.parameters), row.parameters),
        ]
        for arm in arms_of(result) if (row := known.get(arm)) and arm in result.trained
    ]  # fmt: skip
    step, memory = "time of a step", "peak memory"
    head = [Column("arm", words=True), Column("ratio", spanner=step), Column("ms", spanner=step),
            Column("images/s", spanner=step), Column("ratio", spanner=memory), Column("MB", spanner=memory),
            Column("parameters", spanner="network")]  # fmt: skip
    return table("cost", "Cost", head, rows, "cost")


def theory_table(result: StudyResult) -> Table:
    """Predicted and measured colour of every arm and region."""
    rows = [
        [
            arm_cell(row.arm), words(row.region), value(row.predicted_chroma, 1),
            value(row.chroma, 1, row.chroma_low, row.chroma_high), value(row.true_chroma, 1),
            _pair(row.predicted_a, row.predicted_b), _pair(row.a, row.b), value(row.distance, 1), badge(row.explained),
            value(row.predicted_change, 1, sign=True), value(row.change, 1, sign=True), words(row.note),
        ]
        for row in in_order(result, theory_rows(result))
    ]  # fmt: skip
    chroma, ab, change = "chroma (Lab units)", "a, b", "chroma against plain squared error"
    head = [Column("arm", words=True), Column("region", words=True), Column("predicted", spanner=chroma),
            Column("measured", spanner=chroma), Column("true", spanner=chroma), Column("predicted", spanner=ab),
            Column("measured", spanner=ab), Column("distance"), Column("explained", words=True),
            Column("predicted", spanner=change), Column("measured", spanner=change),
            Column("note", words=True)]  # fmt: skip
    return table("theory", "What theory predicts and what the networks did", head, rows, "theory")


def _pair(a: float, b: float) -> Cell:
    return Cell("–", math.nan) if math.isnan(a + b) else Cell(f"{number(a, 1)}, {number(b, 1)}", math.hypot(a, b))


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


def factorial_table(result: StudyResult) -> Table:
    """Effects of every term and interaction on every metric, with Shapley shares."""
    rows = []
    for row in result.rows("factorial"):
        card = result.metrics.get(row.metric)
        decimals = card.decimals if card else decimals_for(row.estimate)
        rows.append([words(card.label if card else row.metric), words(effect_label(row.effect)),
                     value(row.estimate, decimals, row.low, row.high, sign=True), share(row.shapley)])  # fmt: skip
    head = [Column("metric", words=True), Column("effect of", words=True), Column("change"), Column("Shapley share")]
    return table("factorial", "What each term contributes", head, rows, "factorial")


def effect_label(effect: str) -> str:
    """An effect as people read it."""
    if effect.startswith("shapley "):
        return f"{effect.removeprefix('shapley ')} (Shapley value)"
    return "all three together" if effect == "all three" else effect.replace(" x ", " × ")


def gradients_table(result: StudyResult) -> Table:
    """Each term's weight and its share of the gradient."""
    rows = [[arm_cell(row.arm), words(row.term), Cell("–" if math.isnan(row.weight) else f"{row.weight:g}", row.weight),
             share(row.first, 1), share(row.last, 1), share(row.mean, 1)]
            for row in in_order(result, gradient_rows(result))]  # fmt: skip
    part = "share of the gradient"
    head = [Column("arm", words=True), Column("term", words=True), Column("weight"), Column("at first", spanner=part),
            Column("at last", spanner=part), Column("on average", spanner=part)]  # fmt: skip
    return table("gradients", "Each term’s share of the gradient", head, rows, "gradients")


def convergence_table(result: StudyResult) -> Table:
    """Whether each validation curve had flattened at the end of training."""
    rows = []
    for row in in_order(result, result.rows("convergence")):
        card = result.metrics.get(row.metric)
        decimals = card.decimals if card else decimals_for(row.end)
        rows.append([arm_cell(row.arm), words(card.label if card else row.metric), value(row.end, decimals),
                     value(row.change, decimals, row.low, row.high, sign=True), value(row.margin, decimals),
                     badge(row.flattened)])  # fmt: skip
    head = [Column("arm", words=True), Column("metric", words=True), Column("at the end"),
            Column("change in the last quarter"), Column("margin"), Column("flattened", words=True)]  # fmt: skip
    return table("convergence", "Had the curves flattened?", head, rows, "convergence")


def lengths_table(result: StudyResult) -> Table:
    """Means of every arm at each length of training."""
    found = {(row.metric, row.arm, row.images): row for row in result.rows("lengths")}
    images, rows = sorted({key[2] for key in found}), []
    for metric in length_metrics(result):
        card = result.metrics[metric]
        for arm in (arm for arm in arms_of(result) if any((metric, arm, many) in found for many in images)):
            cells = [value(own.mean, card.decimals, own.low, own.high) if (own := found.get((metric, arm, many)))
                     else Cell("–", math.nan) for many in images]  # fmt: skip
            rows.append([words(card.label), arm_cell(arm), *cells])
    head = [Column("metric", words=True), Column("arm", words=True),
            *(Column(count(many), spanner="training pictures seen") for many in images)]  # fmt: skip
    return table("lengths", "Other lengths of training", head, rows, "lengths")


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
        gain = "no colour" if arm.is_gray else f"one gain, fitted to {arm.control.get('match')}"
        return f"networks of {arm.control['of']}; {gain}"
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


def metrics_table(result: StudyResult) -> Table:
    """What every metric declares about itself."""
    rows = []
    for card in result.metrics.values():
        ends = [f"{end:g}".replace("-", "−") if math.isfinite(end) else "∞" for end in (card.low, card.high)]
        rows.append([words(card.label), words("" if card.unit == "1" else card.unit), words(" to ".join(ends)),
                     words({"target": f"nearer {card.target:g}", "": "none"}.get(card.better, card.better)),
                     Cell(f"±{card.margin:g}", card.margin), words(card.says), words(card.weakness)])  # fmt: skip
    head = [Column("metric", words=True), Column("unit", words=True), Column("range", words=True),
            Column("better", words=True), Column("margin"), Column("what it is", words=True),
            Column("how it misleads", words=True)]  # fmt: skip
    return table("metrics", "The metrics", head, rows, "metrics")


def runs_table(result: StudyResult) -> Table:
    """Every training run with the line that repeats it."""
    rows = [[words(row.arm), Cell(str(row.seed), row.seed), badge(row.status), words(row.detail),
             Cell(duration(row.seconds), row.seconds), code(row.signature[:10]), code(row.command)]
            for row in result.rows("cells")]  # fmt: skip
    head = [Column("arm", words=True), Column("seed"), Column("status", words=True), Column("detail", words=True),
            Column("time"), Column("signature", words=True), Column("command", words=True)]  # fmt: skip
    return table("cells", "Training runs", head, rows, "cells")


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
