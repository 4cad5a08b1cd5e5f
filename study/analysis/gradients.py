"""The share of each loss term in the gradient on the colours, beside its weight."""

from __future__ import annotations

from typing import Any

import pandas as pd

from study.config.arms import Arm

PREFIX = "gradient_"


def gradient_rows(curves: pd.DataFrame, arms: list[Arm]) -> list[dict[str, Any]]:
    """Rows of gradients.csv, one per arm and term of its loss.

    curves: arm, split, name, step, mean, seeds. Its rows `gradient_<term>` have the norm of the term's weighted
    gradient at each validation, averaged over seeds. A share is that norm divided by the sum of the norms of all terms
    of the arm. Shares add up to 1 even where gradients point against each other. first, last and mean leave out
    validations at which all norms are 0.
    weight: as the arm file has it, 0 for a term that it does not list, empty when it lists none (the loss's own then).
    Controls, and arms without such curves, have no rows.
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
    return rows
