"""The gradient ledger: which share of the pull on the colours each term of a loss has, beside its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from study.config.arms import Arm

PREFIX = "gradient_"
NEGLIGIBLE = 0.01
"""A term whose mean share is below this is on, but does nothing."""

COLUMNS = ["arm", "term", "weight", "first", "last", "mean", "seeds"]


def ledger_rows(curves: pd.DataFrame, arms: list[Arm]) -> pd.DataFrame:
    """The table ledger.csv, a row per arm and term of its loss, from the rows `gradient_<term>` of curves.csv.

    curves: arm, split, name, step, mean, seeds; the norm of every term's weighted gradient at each validation,
    averaged over seeds. A share is a term's norm divided by the sum of the norms of all terms of the arm at that
    validation, so shares add up to 1 even where gradients point against each other. first, last, mean: over the
    validations; those at which all norms are 0 do not count. weight: as the arm file has it, 0 for a term that it does
    not list, empty when it lists none (then the loss's own hold). Arms without such rows, controls among them, have
    none here.
    """
    chosen = curves[(curves["split"] == "val") & curves["name"].str.startswith(PREFIX)]
    rows = []
    for arm in arms:
        own = chosen[chosen["arm"] == arm.name]
        if arm.control is not None or not len(own):
            continue
        terms = own["name"].unique()
        norms = own.pivot(index="step", columns="name", values="mean")[terms].sort_index()
        total = norms.sum(axis=1)
        shares = norms[total > 0].div(total[total > 0], axis=0)
        for name in terms if len(shares) else ():
            term = name.removeprefix(PREFIX)
            rows.append(
                {
                    "arm": arm.name,
                    "term": term,
                    "weight": arm.loss.weights.get(term, 0.0) if arm.loss.weights else None,
                    "first": shares[name].iloc[0],
                    "last": shares[name].iloc[-1],
                    "mean": shares[name].mean(),
                    "seeds": int(own["seeds"].min()),
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)
