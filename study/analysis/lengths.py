"""How the ranking of the arms changes with the length of training: the table lengths.csv."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from study.analysis.schemas import LENGTHS
from study.statistics import badness


def length_table(
    study: str, images: int, own: pd.DataFrame, others: Mapping[str, tuple[int, pd.DataFrame]], metrics: pd.DataFrame
) -> pd.DataFrame:
    """The table lengths.csv: every arm's mean and rank at each length of training.

    own: arms.csv of `study`, trained on `images` pictures. others: name -> (images, arms.csv) of its length variants.
    metrics: the table metrics.csv. Only arms that all lengths have are ranked. 1 is the best and equal means share a
    rank; metrics without a better direction have none. A variant that shares fewer than two arms with the study is left
    out. Of several variants of one length, the one that shares most counts.
    """
    chosen: dict[int, str] = {}
    for name, (length, table) in others.items():
        shared = _shared(own, table)
        if length != images and shared > max(1, _shared(own, others[chosen[length]][1]) if length in chosen else 1):
            chosen[length] = name
    lengths = {images: (study, own)} | {length: (name, others[name][1]) for length, name in chosen.items()}
    order = {arm: k for k, arm in enumerate(own["arm"].unique())}
    parts = []
    for card in metrics.itertuples():
        tables = {k: (name, table[table["metric"] == card.metric]) for k, (name, table) in sorted(lengths.items())}
        common = set.intersection(*(set(table["arm"]) for _, table in tables.values()))
        if len(tables) > 1 and len(common) > 1:
            for length, (name, table) in tables.items():
                rows = table[table["arm"].isin(common)].sort_values("arm", key=lambda arms: arms.map(order))
                worse = badness(rows["mean"], card.better, card.target)
                ranks = worse.rank(method="min") if card.better else None
                parts.append(rows.assign(study=name, images=length, rank=ranks)[LENGTHS.names])
    return LENGTHS.frame(pd.concat(parts, ignore_index=True) if parts else ())


def _shared(own: pd.DataFrame, other: pd.DataFrame) -> int:
    return len(set(own["arm"]) & set(other["arm"]))
