"""Contrasts of claims about training and cost: curves of loss terms, what they tell, and what a loss costs."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import numpy as np
import pandas as pd
from scipy import stats as distributions

from study import statistics as stats
from study.analysis.contrasts import (
    Contrast,
    Hypothesis,
    NotTestable,
    Sources,
    beyond,
    contrast_of,
    not_beyond,
)
from study.analysis.source_lines import own_lines
from study.config.claims import Correlation, Cost, Training

FEWEST_ARMS = 4
"""With fewer arms a correlation over training runs says nothing."""


def training(claim: Training, sources: Sources) -> Contrast:
    """A term of the loss falls, or stays bounded, over training; in % of its beginning, one value per seed.

    Beginning: the first row of the training history, a mean over the first steps. falls: the mean of the last quarter
    of the rows is lower. bounded: no later row is more than the margin higher.
    """
    changes = []
    for seed in sources.seeds(sources.histories, claim.arm):
        history = sources.histories[claim.arm, seed]
        rows = history.loc[(history["split"] == "train") & (history["name"] == claim.term), "value"].to_numpy()
        if len(rows) < 4:
            raise NotTestable(f"the history of {claim.arm} has no curve of {claim.term}")
        end = rows[-(len(rows) // 4) :].mean() if claim.behaviour == "falls" else rows[1:].max()
        changes.append(100 * (end / rows[0] - 1))
    falls = claim.behaviour == "falls"
    hypothesis = beyond("down", claim.margin) if falls else not_beyond("down", claim.margin)
    which = "end against beginning" if falls else "highest against beginning"
    labels = {"metric": f"{claim.term}_loss", "unit": "%", "comparison": f"{claim.arm}, {which}"}
    return contrast_of(sources, np.array(changes), hypothesis, **labels)


def correlation(claim: Correlation, sources: Sources) -> Contrast:
    """Over training runs, a term's final validation value goes with the chroma that is missing to the truth.

    Spearman's rank correlation. Runs of one arm are not independent: the interval comes from resampling arms, and p
    from Student's t of the correlation of the arms' means. Arms that share a network count once.
    """
    rows, known = [], set()
    for (arm, seed), history in sources.histories.items():
        signature = sources.records.get((arm, seed), {}).get("signature", (arm, seed))
        if signature in known:
            continue
        known.add(signature)
        last = history[history["split"] == "val"].groupby("name", sort=False)["value"].agg(["last", "size"])
        # A control is not trained, and has a single validation.
        if {claim.term, "chroma", "chroma_ratio"} <= set(last.index) and last["size"].max() > 1:
            chroma, ratio = last.loc["chroma", "last"], last.loc["chroma_ratio", "last"]
            rows.append((arm, last.loc[claim.term, "last"], chroma / max(ratio, 1e-9) - chroma))
    cells = pd.DataFrame(rows, columns=["arm", "x", "y"])
    arms = cells["arm"].nunique()
    if arms < FEWEST_ARMS:
        raise NotTestable(f"only {arms} arms have a validation curve of {claim.term}; {FEWEST_ARMS} are the least")
    x, y = (distributions.rankdata(cells[column]) for column in ("x", "y"))
    moments = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)
    by_arm = np.stack([moments[(cells["arm"] == arm).to_numpy()].sum(axis=0) for arm in cells["arm"].unique()])
    estimate = float(_correlation(by_arm.sum(axis=0)))
    resampled = _correlation(sources.weights(arms, 1).seeds @ by_arm)
    low, high = np.nanquantile(resampled, [(1 - stats.LEVEL) / 2, (1 + stats.LEVEL) / 2])
    p_t = float(distributions.spearmanr(*cells.groupby("arm")[["x", "y"]].mean().to_numpy().T).pvalue)
    return Contrast(
        metric="rank_correlation", unit="1",
        comparison=f"{claim.term} and missing chroma over {len(cells)} training runs",
        estimate=estimate, low=float(low), high=float(high), hypothesis=beyond("up", claim.margin), p_t=p_t,
    )  # fmt: skip


def _correlation(moments: np.ndarray) -> np.ndarray:
    count, x, y, xx, yy, xy = np.moveaxis(moments, -1, 0)
    spread = np.maximum((xx - x * x / count) * (yy - y * y / count), 0)
    return np.divide(xy - x * y / count, np.sqrt(spread), out=np.full_like(spread, nan), where=spread > 0)


def cost(claim: Cost, sources: Sources) -> Contrast:
    """One arm costs less than another, in %: time and memory on a logarithmic scale, the rest as it is.

    Memory is compared seed by seed. For the time of a step, each process gives one value, the median ratio of its
    rounds: seeds play no part, but a process has luck of its own.
    code_lines: of the loss and the modules that it alone needs, without comments and docstrings.
    """
    comparison = f"{claim.arm} against {claim.against}"
    hypothesis = beyond("down", claim.margin)
    if claim.what == "step_ms":
        return _step_time(claim, sources, comparison, hypothesis)
    seeds = sources.seeds(sources.records, claim.arm, claim.against)
    if claim.what in ("code_lines", "parameters"):
        if claim.what == "code_lines":
            files = sources.loss_files[claim.arm], sources.loss_files[claim.against]
            own, other = own_lines(*files), own_lines(*files[::-1])
        else:
            own, other = (sources.records[arm, seeds[0]]["parameters"] for arm in (claim.arm, claim.against))
        percent = 100 * (own / other - 1)
        comparison += f": {own:,} and {other:,}"
        return Contrast(claim.what, "%", comparison, percent, percent, percent, hypothesis, exact=True)
    own, other = (
        np.array([sources.records[arm, seed][claim.what] for seed in seeds], float)
        for arm in (claim.arm, claim.against)
    )
    if min(own.min(), other.min()) <= 0:
        raise NotTestable(f"{claim.what} is too small to be measured here")
    return _in_percent(sources, np.log(own / other), hypothesis, claim.what, comparison)


def _step_time(claim: Cost, sources: Sources, comparison: str, hypothesis: Hypothesis) -> Contrast:
    for arm in (claim.arm, claim.against):
        sources.need(arm)
        if arm not in sources.step_times:
            raise NotTestable(f"the steps of {arm} are not timed: run study time")
    ratios = np.median(sources.step_times[claim.arm] / sources.step_times[claim.against], axis=1)
    if len(ratios) < 2:
        raise NotTestable("steps are timed in a single process: set timing.processes in params.yaml to 2 or more")
    comparison += f", {len(ratios)} processes"
    # p and p_min are about signs of seeds; these are signs of processes.
    return replace(_in_percent(sources, np.log(ratios), hypothesis, "step_ms", comparison), p=nan, p_min=nan)


def _in_percent(sources: Sources, logs: np.ndarray, hypothesis: Hypothesis, metric: str, comparison: str) -> Contrast:
    found = contrast_of(sources, logs, hypothesis, metric=metric, unit="%", comparison=comparison)
    return replace(found, **{name: 100 * float(np.expm1(getattr(found, name))) for name in ("estimate", "low", "high")})
