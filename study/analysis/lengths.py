"""How the ranking of the arms moves with the length of training: one study beside others that differ in it alone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd
from scipy.stats import kendalltau

from study.errors import StudyError

if TYPE_CHECKING:
    from study.config.params import Params
    from study.metrics import Metric

COLUMNS = ["study", "arm", "metric", "images", "mean", "low", "high", "rank"]

# Settings of training that change how it is watched or run, but not the network that comes out.
_WATCHING = {"validations", "log_every", "checkpoint_seconds", "device"}


def companion_studies(params: Params, study: str) -> list[str]:
    """Studies that differ from `study` in the length of training alone, the shortest first.

    The same data and the same settings of training but for `images`, and for what does not change a network.
    """
    if study not in params.studies:
        raise StudyError(f"unknown study {study!r}: params.yaml has {', '.join(params.studies)}")
    own = params.studies[study]

    def facts(name: str) -> tuple:
        other = params.studies[name]
        return other.data.model_dump(), other.train.model_dump(exclude={"images", *_WATCHING})

    found = [
        name
        for name, other in params.studies.items()
        if facts(name) == facts(study) and other.train.images != own.train.images
    ]
    return sorted(found, key=lambda name: params.studies[name].train.images)


def length_rows(
    study: str,
    images: int,
    own: pd.DataFrame,
    others: Mapping[str, tuple[int, pd.DataFrame]],
    metrics: Mapping[str, Metric],
) -> pd.DataFrame:
    """The table lengths.csv: every arm's mean and rank at each length of training; the column `study` is in it.

    own: the table arms.csv (arm, metric, mean, low, high) of `study`, trained on `images` pictures; others: name ->
    (images, arms.csv) of its companions. Only arms that all lengths have are ranked, 1 the best, equal means alike, by
    the metric's declared direction; rank is empty for metrics without one. A companion that shares fewer than two arms
    with the study is left out, and of several of one length the one that shares most counts. Without any: only the
    header.
    """
    chosen: dict[int, str] = {}
    for name, (length, table) in others.items():
        shared = _shared(own, table)
        if length != images and shared > max(1, _shared(own, others[chosen[length]][1]) if length in chosen else 1):
            chosen[length] = name
    lengths = {images: (study, own)} | {length: (name, others[name][1]) for length, name in chosen.items()}
    parts = [pd.DataFrame(columns=COLUMNS)]
    for metric in metrics.values():
        tables = {k: (name, table[table["metric"] == metric.name]) for k, (name, table) in sorted(lengths.items())}
        common = set.intersection(*(set(table["arm"]) for _, table in tables.values()))
        if len(tables) > 1 and len(common) > 1:
            for length, (name, table) in tables.items():
                rows = table[table["arm"].isin(common)]
                ranks = _badness(metric, rows["mean"]).rank(method="min")
                parts.append(rows.assign(study=name, images=length, rank=ranks)[COLUMNS])
    order = {arm: k for k, arm in enumerate(own["arm"].unique())}
    kept = [part.sort_values("arm", key=lambda arms: arms.map(order)) for part in parts if len(part)]
    return pd.concat(kept or parts, ignore_index=True)


def rank_agreement(lengths: pd.DataFrame) -> pd.DataFrame:
    """Kendall's tau (tau-b) between the rankings of every two lengths in a table of `length_rows`.

    Columns metric, images, other_images, arms (how many are ranked), tau: 1 the same order, -1 the reverse, empty
    where all arms are equal. Metrics without ranks are left out.
    """
    rows = []
    for metric, table in lengths.dropna(subset=["rank"]).groupby("metric", sort=False):
        ranks = table.pivot(index="arm", columns="images", values="rank").dropna()
        for first, second in combinations(ranks.columns, 2):
            tau = kendalltau(ranks[first], ranks[second]).statistic
            rows.append({"metric": metric, "images": first, "other_images": second, "arms": len(ranks), "tau": tau})
    return pd.DataFrame(rows, columns=["metric", "images", "other_images", "arms", "tau"])


def _shared(own: pd.DataFrame, other: pd.DataFrame) -> int:
    return len(set(own["arm"]) & set(other["arm"]))


def _badness(metric: Metric, means: pd.Series) -> pd.Series:
    """Means turned so that less is better; empty for a metric without a better direction."""
    if metric.better == "target":
        return (means - metric.target).abs()
    if metric.better is None:
        return means * float("nan")
    return -means if metric.better == "higher" else means
