"""Training in tables: each term's share of the gradient, whether curves had flattened, how length moves the ranking."""

from __future__ import annotations

import math

import pandas as pd

from study.analysis.lengths import rank_agreement
from study.report import sheet as s
from study.report.result import StudyResult
from study.report.style import count, listed, number, plural
from study.report.telling import published_arm

NOTHING = 0.01  # a term with a smaller share of the gradient does next to nothing
GRADIENT = "gradient_"
LENGTH_METRICS = ("ab_rmse", "chroma_ratio", "hue_diversity_gap")  # whose ranks are followed over lengths


def ledger_rows(result: StudyResult) -> pd.DataFrame:
    """Rows of ledger.csv of declared arms with more than one term, in the order in which arms are shown."""
    table = result.tables["ledger"]
    order = {name: place for place, name in enumerate(result.looks)}
    table = table[table["arm"].isin(order)]
    many = table.groupby("arm")["term"].transform("size") > 1
    return table[many].sort_values("arm", key=lambda names: names.map(order), kind="stable")


def ledger_sheet(result: StudyResult) -> s.Sheet:
    """Each term's weight and its share of the summed gradient norms."""
    rows = [
        [
            s.arm_field(row.arm),
            s.words(row.term),
            s.Field("–" if math.isnan(row.weight) else f"{row.weight:g}", row.weight),
            s.share(row.first),
            s.share(row.last),
            s.share(row.mean),
            s.words("on, but does next to nothing" if idle(row) else ""),
        ]
        for row in ledger_rows(result).itertuples()
    ]
    head = [s.Column("arm", words=True), s.Column("term", words=True), s.Column("weight"), s.Column("at first"),
            s.Column("at last"), s.Column("on average"), s.Column("remark", words=True)]  # fmt: skip
    return s.sheet("ledger", "Each term’s share of the gradient", head, rows, "ledger")


def idle(row: object) -> bool:
    """Whether a term is switched on and yet moves next to nothing."""
    return not row.weight <= 0 and row.mean < NOTHING


def idle_terms(result: StudyResult) -> list[tuple[str, str, float, float]]:
    """(arm, term, weight, mean share) of every term that is on and does next to nothing."""
    return [(row.arm, row.term, row.weight, row.mean) for row in ledger_rows(result).itertuples() if idle(row)]


def ledger_sentence(result: StudyResult) -> str:
    """Which terms are on but do nothing."""
    if ledger_rows(result).empty:
        return ""
    found: dict[str, list[str]] = {}
    for arm, term, _, part in idle_terms(result):
        found.setdefault(term, []).append(f"{arm} ({s.share(part).text})")
    limit = f"{100 * NOTHING:g} %"
    if not found:
        return f"{_published_shares(result)}Every term that is on has more than {limit} of the gradient."
    told = [f"{term} in {listed(_few(arms, 4))}" for term, arms in found.items()]  # fmt: skip
    return (
        f"{_published_shares(result)}On, but with less than {limit} of the gradient over training: {'; '.join(told)}."
    )


def _published_shares(result: StudyResult) -> str:
    """What each term of the published loss has of the gradient, the largest first; empty without it."""
    published = published_arm(result)
    rows = [row for row in ledger_rows(result).itertuples() if published and row.arm == published.name]
    if not rows:
        return ""
    told = listed(f"{row.term} {s.share(row.mean).text}" for row in sorted(rows, key=lambda row: -row.mean))
    return f"At the published weights ({published.name}) the gradient is: {told}. "


def shares(result: StudyResult, arm: str) -> pd.DataFrame:
    """Share of every term in the summed gradient norms over training: images seen x term; empty when not recorded."""
    table = result.tables["curves"]
    table = table[(table["arm"] == arm) & (table["split"] == "val") & table["name"].str.startswith(GRADIENT)]
    if table.empty:
        return pd.DataFrame()
    order = list(dict.fromkeys(table["name"]))
    wide = table.pivot_table(index="images", columns="name", values="mean", aggfunc="mean")[order]
    wide.columns = [name.removeprefix(GRADIENT) for name in wide.columns]
    wide = wide[[term for term in wide.columns if term != "total"]]
    total = wide.sum(axis=1)
    return wide[total > 0].div(total[total > 0], axis=0)


def convergence_sheet(result: StudyResult) -> s.Sheet:
    """Whether each arm's validation curves had flattened at the end of training."""
    table, rows = result.tables["convergence"], []
    order = {name: place for place, name in enumerate(result.looks)}
    table = table[table["arm"].isin(order)].sort_values("arm", key=lambda names: names.map(order), kind="stable")
    for row in table.itertuples():
        card = result.metrics.get(row.metric)
        decimals = card.decimals if card else s.enough_decimals(row.end)
        rows.append(
            [
                s.arm_field(row.arm),
                s.words(card.label if card else row.metric),
                s.value(row.end, decimals),
                s.value(row.change, decimals, row.low, row.high, sign=True),
                s.Field(f"±{row.margin:g}" if math.isfinite(row.margin) else "–", row.margin),
                s.chip(row.flattened),
            ]
        )
    head = [s.Column("arm", words=True), s.Column("metric", words=True), s.Column("at the end"),
            s.Column("change in the last quarter"), s.Column("margin"), s.Column("flattened", words=True)]  # fmt: skip
    return s.sheet("convergence", "Had the curves flattened?", head, rows, "convergence")


def convergence_sentence(result: StudyResult) -> str:
    """How many curves had flattened, and which had not."""
    table = result.tables["convergence"]
    table = table[table["arm"].isin(result.looks)]
    if table.empty:
        return ""
    counts = table["flattened"].value_counts()
    said = (
        f"{int(counts.get('yes', 0))} of {plural(len(table), 'validation curve')} had flattened by the end of training"
    )
    if open_ := int(counts.get("undecided", 0)):
        said += f", {open_} {'is' if open_ == 1 else 'are'} undecided"
    moving = table[table["flattened"] == "no"]
    if len(moving):
        labels = {name: card.label for name, card in result.metrics.items()}
        parts = [f"{labels.get(metric, metric)} of {listed(_few(list(rows['arm'])))}"
                 for metric, rows in moving.groupby("metric", sort=False)]  # fmt: skip
        said += f"; still moving: {'; '.join(parts)}"
    return said + "."


def _few(names: list[str], most: int = 6) -> list[str]:
    return names[:most] + ([f"{len(names) - most} more"] if len(names) > most else [])


def lengths_sheet(result: StudyResult) -> s.Sheet:
    """Means and ranks of every arm at each length of training."""
    table, rows = result.tables["lengths"], []
    images = sorted(table["images"].unique())
    order = [name for name in result.looks if name in set(table["arm"])]
    for metric in [name for name in LENGTH_METRICS if name in set(table["metric"])]:
        card = result.metrics.get(metric)
        part = table[table["metric"] == metric]
        for arm in order:
            own = part[part["arm"] == arm].drop_duplicates("images").set_index("images")
            if own.empty:
                continue
            fields = []
            for length in images:
                if length not in own.index:
                    fields += [s.Field("–", math.nan), s.Field("–", math.nan)]
                    continue
                found = own.loc[length]
                decimals = card.decimals if card else s.enough_decimals(found["mean"])
                fields += [s.value(found["mean"], decimals), s.Field(number(found["rank"], 0), float(found["rank"]))]
            rows.append([s.words(card.label if card else metric), s.arm_field(arm), *fields])
    head = [s.Column("metric", words=True), s.Column("arm", words=True)]
    for length in images:
        head += [s.Column(f"{count(length)} images"), s.Column("rank")]
    return s.sheet("lengths", "The ranking at other lengths of training", head, rows, "lengths")


def lengths_sentence(result: StudyResult) -> str:
    """How far the ranking moves between the shortest and the longest training, metric by metric."""
    table, said = result.tables["lengths"], []
    for metric, part in table[table["metric"].isin(LENGTH_METRICS)].groupby("metric", sort=False):
        wide = part.pivot_table(index="arm", columns="images", values="rank", aggfunc="first").dropna()
        if wide.shape[1] < 2 or len(wide) < 2:
            continue
        moved = (wide.iloc[:, -1] - wide.iloc[:, 0]).abs()
        label = result.metrics[metric].label if metric in result.metrics else metric
        far = [f"{arm} (from {number(wide.loc[arm].iloc[0], 0)} to {number(wide.loc[arm].iloc[-1], 0)})"
               for arm in wide.index if moved[arm] >= 2]  # fmt: skip
        first, last = wide.columns[[0, -1]]
        taus = rank_agreement(part).set_index(["images", "other_images"])["tau"]
        tail = f"; two places or more: {listed(_few(far))}" if far else "; no arm moves two places"
        tau = number(taus[first, last], 2)
        said.append(f"{label}: the order of the {len(wide)} arms after {count(first)} and {count(last)} images "
                    f"agrees to {tau}{'' if said else ' (Kendall’s tau: 1 the same, 0 unrelated)'}{tail}.")  # fmt: skip
    return " ".join(said)
