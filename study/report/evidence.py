"""Claims, theory and the contribution of each term: rows and sentences made from their tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from study.report import sheet as s
from study.report.looks import BASELINE_COLOR, COLORS, NAMED
from study.report.result import StudyResult
from study.report.style import amount, interval, listed, number, p_value, plural

COST_LABELS = {"step_ms": "time of a step", "peak_memory_mb": "peak memory"}
TELLING = 3.0
"""Lab units of chroma: where theory predicts less of a change against plain squared error, it says nothing special."""

VERDICTS_OF_CLAIMS = ("confirmed", "refuted", "undecided", "not testable")


@dataclass(frozen=True)
class Claim:
    """One row of the ledger of claims, as text."""

    id: str
    says: str
    verdict: str
    estimate: str
    interval: str
    p: str  # of the interval, corrected over all claims of a difference; what the verdict rests on
    p_signs: str  # exact, of flipping the seeds' signs, uncorrected
    metric: str
    comparison: str
    predicted: str
    why: str
    number: str  # where it stands in the list of claims
    sort: float  # the estimate
    p_sort: float

    @property
    def theory(self) -> str:
        """How the verdict compares with what theory predicted, where both say something."""
        if self.predicted not in ("confirmed", "refuted"):
            return "no prediction"
        if self.verdict not in ("confirmed", "refuted"):
            return f"predicts: {self.predicted}"
        return "as predicted" if self.predicted == self.verdict else "not as predicted"

    @property
    def measured(self) -> str:
        """Estimate, unit and interval; empty when nothing was measured."""
        return f"{self.estimate} {self.interval}".strip() if self.estimate != "–" else ""


def claims(result: StudyResult) -> list[Claim]:
    """The claims in their declared order."""
    return [_claim(result, row) for row in result.tables["claims"].itertuples()]


def _claim(result: StudyResult, row: object) -> Claim:
    card = result.metrics.get(row.metric)
    decimals = card.decimals if card else s.enough_decimals(row.estimate, row.low, row.high)
    metric = card.label if card else COST_LABELS.get(row.metric, row.metric.replace("_", " "))
    unit = "" if row.unit in ("", "1") else f" {row.unit}"
    margin = "" if math.isnan(row.margin) or not row.comparison else f", margin {row.margin:g}"
    return Claim(
        row.id, row.says, row.verdict,
        f"{number(row.estimate, decimals)}{unit if not math.isnan(row.estimate) else ''}",
        interval(row.low, row.high, decimals) if row.low != row.high else "",  # a fact has none
        p_value(row.p_t_holm), p_value(row.p), metric,
        f"{row.comparison}{margin}", row.predicted, row.why, row.number, row.estimate, row.p_t_holm,
    )  # fmt: skip


def claims_sheet(result: StudyResult) -> s.Sheet:
    """The ledger of claims as a table."""
    table = result.tables["claims"]
    rows = [
        [
            s.chip(claim.verdict),
            s.Field(claim.number, claim.number, "words"),
            s.words(claim.says),
            s.Field(claim.estimate, row.estimate, "number", claim.interval),
            s.Field(claim.p, row.p_t_holm),
            s.Field(claim.p_signs, row.p),
            s.words(claim.comparison),
            s.words(claim.predicted),
            s.words(claim.why),
        ]
        for claim, row in zip(claims(result), table.itertuples(), strict=True)
    ]
    head = [s.Column("verdict", words=True), s.Column("number", words=True), s.Column("claim", words=True),
            s.Column("measured"),
            s.Column("p (interval, Holm)"), s.Column("p (signs)"), s.Column("comparison", words=True),
            s.Column("theory predicted", words=True),
            s.Column("why", words=True)]  # fmt: skip
    return s.sheet("claims", "Claims written down before the run", head, rows, "claims")


def claims_in_short(result: StudyResult) -> list[tuple[str, int]]:
    """(verdict, how many claims), in a fixed order, without those that do not occur."""
    counts = result.tables["claims"]["verdict"].value_counts()
    order = [*VERDICTS_OF_CLAIMS, *(name for name in counts.index if name not in VERDICTS_OF_CLAIMS)]
    return [(name, int(counts[name])) for name in order if name in counts]


def theory_rows(result: StudyResult) -> pd.DataFrame:
    """Rows of theory.csv of declared arms with a measured colour, in the order in which arms are shown."""
    table = result.tables["theory"]
    order = {name: place for place, name in enumerate(result.looks)}
    table = table[table["arm"].isin(order) & table["chroma"].notna()]
    return table.sort_values("arm", key=lambda names: names.map(order), kind="stable")


def theory_sheet(result: StudyResult) -> s.Sheet:
    """Predicted and measured colour of every arm and kind."""
    rows = [
        [
            s.arm_field(row.arm),
            s.words(row.kind),
            s.value(row.predicted_chroma, 1),
            s.value(row.chroma, 1, row.chroma_low, row.chroma_high),
            s.value(row.true_chroma, 1),
            _pair(row.predicted_a, row.predicted_b),
            _pair(row.a, row.b),
            s.value(row.distance, 1),
            s.chip(row.explained),
            *(s.value(change, 1, sign=True) for change in (row.predicted_change, row.change)),
            s.words(row.note),
        ]
        for row in theory_rows(result).itertuples()
    ]
    head = [s.Column("arm", words=True), s.Column("kind", words=True), s.Column("predicted chroma"),
            s.Column("measured chroma"), s.Column("true chroma"), s.Column("predicted a, b"),
            s.Column("measured a, b"), s.Column("distance", "Lab"), s.Column("explained", words=True),
            s.Column("predicted change"), s.Column("change"), s.Column("note", words=True)]  # fmt: skip
    return s.sheet("theory", "What theory predicts and what the networks did", head, rows, "theory")


def _pair(a: float, b: float) -> s.Field:
    if math.isnan(a) or math.isnan(b):
        return s.Field("–", math.nan)
    return s.Field(f"{number(a, 1)}, {number(b, 1)}", math.hypot(a, b))


def theory_matrix(result: StudyResult) -> tuple[list[str], dict[str, dict[str, tuple[str, str, str]]]]:
    """Kinds, and for each arm with a prediction: kind -> (measured chroma, predicted chroma, explained)."""
    table = theory_rows(result)
    table = table[table["explained"] != "no theory"]
    kinds = list(dict.fromkeys(table["kind"]))
    matrix: dict[str, dict[str, tuple[str, str, str]]] = {}
    for row in table.itertuples():
        told = (number(row.chroma, 1), number(row.predicted_chroma, 1), row.explained)
        matrix.setdefault(row.arm, {})[row.kind] = told
    return kinds, matrix


def theory_sentences(result: StudyResult) -> list[str]:
    """Where theory explains the outcome, where it does not, and where there is none."""
    table = theory_rows(result)
    if table.empty:
        return []
    controls = {arm.name for arm in result.arms if arm.control}
    told = table[(table["explained"] != "no theory") & ~table["arm"].isin(controls)]
    said = []
    if len(told):
        good = int((told["explained"] == "yes").sum())
        distances = told["distance"].dropna()
        middle = f"; the median distance between the two is {amount(distances.median())} Lab units" if len(
            distances) else ""  # fmt: skip
        outcomes = plural(len(told), "outcome")
        said.append(f"Theory explains {good} of {outcomes} (a trained arm on a kind of region){middle}.{_null(told)}")
        bad = told[told["explained"] == "no"]
        if len(bad):
            by_arm = bad.groupby("arm", sort=False)["kind"].agg(list)
            parts = [f"{arm} on {listed(kinds)}" for arm, kinds in by_arm.items()]
            shown = parts[:6] + ([f"{len(parts) - 6} more arms on some kinds"] if len(parts) > 6 else [])
            said.append(f"It does not explain {listed(shown)}: there the network, its training or what theory leaves "
                        "out (the diversity term, neighbouring pixels) decides.")  # fmt: skip
    without = list(dict.fromkeys(table["arm"][table["explained"] == "no theory"]))
    if without:
        names = without[:8] + ([f"{len(without) - 8} more"] if len(without) > 8 else [])
        said.append(f"No exact optimum is known for {listed(names)}.")
    return said


def _null(told: pd.DataFrame) -> str:
    """How much of that the optimum of plain squared error would explain by itself: many arms hardly leave it."""
    same = int((told["mse_explains"] == "yes").sum())
    far = told[told["predicted_change"].abs() > TELLING]
    text = f" The optimum of plain squared error, predicted for every arm, would explain {same} of them"
    if not len(far):
        return f"{text}."
    good, by_mse = (int((far[column] == "yes").sum()) for column in ("explained", "mse_explains"))
    return (
        f"{text}. Where theory predicts that the chroma changes by more than {TELLING:g} Lab units, it explains {good} "
        f"of {len(far)}, and that optimum {by_mse}."
    )


def term_colors(result: StudyResult, terms: Sequence[str]) -> dict[str, str]:
    """A colour for each term: its own, or that of the arm of the same name, gray for the first term."""
    found = {term: result.looks[term].color for term in terms if term in result.looks}
    found |= {term: NAMED[term] for term in terms if term in NAMED}
    found |= {"lab": BASELINE_COLOR} if "lab" in terms else {}
    rest = iter([color for color in COLORS if color not in found.values()] * 4)
    return {term: found.get(term) or next(rest) for term in terms}


def factorial_metrics(result: StudyResult) -> list[str]:
    """Metrics of the factorial, those of the question first."""
    present = list(dict.fromkeys(result.tables["factorial"]["metric"]))
    keys = [name for name in result.key_metrics if name in present]
    return keys + [name for name in present if name not in keys]


def factorial_sheet(result: StudyResult) -> s.Sheet:
    """Effects of every term and interaction on every metric, with Shapley shares."""
    table, rows = result.tables["factorial"], []
    for metric in factorial_metrics(result):
        card = result.metrics.get(metric)
        for row in table[table["metric"] == metric].itertuples():
            decimals = card.decimals if card else s.enough_decimals(row.estimate)
            rows.append(
                [
                    s.words(card.label if card else metric),
                    s.words(effect_label(row.effect)),
                    s.value(row.estimate, decimals, row.low, row.high, sign=True),
                    _shapley(row.shapley),
                ]
            )
    head = [s.Column("metric", words=True), s.Column("effect of", words=True), s.Column("change"),
            s.Column("Shapley share")]  # fmt: skip
    return s.sheet("factorial", "What each term contributes", head, rows, "factorial")


def effect_label(effect: str) -> str:
    """An effect as people read it."""
    if effect.startswith("shapley "):
        return f"{effect.removeprefix('shapley ')} (Shapley value)"
    return "all three together" if effect == "all three" else effect.replace(" x ", " × ")


def _shapley(part: float) -> s.Field:
    return s.Field("" if math.isnan(part) else f"{number(100 * part, 0)} %", part)
