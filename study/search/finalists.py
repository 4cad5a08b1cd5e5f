"""From candidates to a recommendation: finalists, their refit scores, and the middle of the region.

The best of many candidates was partly lucky, and candidates train for a shorter time than the study's arms. So
finalists are trained again in full, on fresh seeds by which no candidate was judged. Those scores are called refit.
The middle of the region (`region`) is one more finalist. It is recommended unless the rule (`recommend`) tells it from
the best finalist on the fresh seeds. The fresh seeds choose among a few points, so a recommended point may score a
little better on them than it is. The study's own seeds and its test pictures choose nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from study import statistics as stats
from study.config.arms import Arm
from study.config.study import CompareSettings
from study.errors import StudyError
from study.metrics import METRICS as CARDS
from study.search.candidates import Candidate, Candidates
from study.search.front import knee
from study.search.objectives import METRICS, OBJECTIVES
from study.search.recommend import SCORES, best_point, passed
from study.search.region import Judged, Region, find_region
from study.search.runner import FRESH_SEEDS, Search, digest
from study.search.space import FamilySpace

Refit = dict[str, Any]
"""Refit scores of a point: every metric and objective -> {"mean", "low", "high"}, and "seconds" of training."""


def select_finalists(search: Search, family: Candidates) -> dict[str, Any]:
    """The finalists of a family with their refit scores, `recommended` among them; computed once, then remembered.

    Returns a dict with
    - choices: name -> {"trial", "weights", "options", "decode", "train", "refit"}; empty when every candidate diverged
    - region: column of trials.csv -> {"low", "high", "middle", "open_low", "open_high"}, or {"values"} of an option;
      None unless its middle is recommended
    - middle: {"recommended", "reason", "ranges", "predicted"}, None without choices. reason: why it is not
      recommended: "few candidates" for a region, "constrained" search, "diverged", or the score in which it is worse
      than the best finalist by more than tolerance and noise. ranges: as `region`, also when that is refuted.
      predicted: its scores. Both are None when no region was looked for
    - cells, seconds: how many networks were trained in full, and for how long
    """
    picked = _picked(search, family)
    return family.remembered(_memory(search, picked), lambda: _select(search, family, picked))


def finalists_known(search: Search, family: Candidates) -> bool:
    """Whether all candidates of a family are judged and its finalists remembered."""
    judged = len(family.finished(search.settings.trials)) == search.settings.trials
    return judged and family.knows(_memory(search, _picked(search, family)))


def pick(front: list[Candidate], count: int, colors: bool) -> dict[str, Candidate]:
    """Candidates for finalists by name: knee, vivid and faithful, then others up to `count` candidates.

    knee: nearest to the ideal point, with the objectives scaled to 0..1 over the front. vivid, faithful: smallest
    vividness gap and smallest ab_rmse. One candidate may be several of these. "next-1" and so on: the others in the
    order in which the rule recommends them.
    """
    values = np.array([candidate.values for candidate in front])
    named = {"knee": front[knee(values)]}
    named["vivid"] = front[int(np.argmin(values[:, OBJECTIVES.index("vividness")]))]
    named["faithful"] = front[int(np.argmin(values[:, OBJECTIVES.index("fidelity")]))]
    named = dict(list(named.items())[:count])
    rest = [candidate for candidate in front if candidate not in named.values()]
    while rest and len({candidate.index for candidate in named.values()}) < count:
        best = best_point({name: np.array([one.mean(name) for one in rest]) for name in SCORES}, colors)
        named[f"next-{sum(name.startswith('next') for name in named) + 1}"] = rest.pop(best)
    return named


def refit_scores(search: Search, arms: list[Arm]) -> list[Refit | None]:
    """Scores of arms trained in full on the fresh seeds; None where a training diverged.

    Intervals are of the two-level bootstrap over seeds and validation pictures (95 %); vividness has none.
    """
    count = search.settings.fresh_seeds
    wanted = [(arm, FRESH_SEEDS + k) for arm in arms for k in range(count)]
    seconds, scores = search.training.train_and_score(wanted, search.full)
    parts = [slice(start, start + count) for start in range(0, len(wanted), count)]
    return [None if None in scores[own] else _refit(search, sum(seconds[own]), scores[own]) for own in parts]


def _refit(search: Search, seconds: float, scores: list[dict[str, np.ndarray]]) -> Refit:
    """Refit scores of one arm from its scores per picture, a dict for each seed."""
    compare = search.project.study(search.study).compare
    refit: Refit = {"seconds": seconds}
    refit |= {name: with_interval(name, np.stack([one[name] for one in scores]), compare) for name in scores[0]}
    refit["fidelity"] = refit["ab_rmse"]
    vividness = np.mean([search.training.judge.summary(one)["vividness"] for one in scores])
    return refit | {"vividness": {"mean": float(vividness), "low": None, "high": None}}


def with_interval(name: str, scores: np.ndarray, compare: CompareSettings) -> dict[str, float]:
    """Mean of scores (seeds, pictures) of the metric `name`, or of `diversity`, with its 95 % interval.

    The interval is cut where the metric ends: with two seeds that lie apart it would reach far beyond. It begins at 0
    at least, also for the chroma ratio, whose single pictures may be below.
    """
    weights = stats.bootstrap_weights(*scores.shape, compare.resamples, np.random.default_rng(compare.seed))
    mean, low, high = (float(value[0]) for value in stats.interval(scores[None], weights))
    card = CARDS["hue_diversity_gap" if name == "diversity" else name]
    return {"mean": mean, "low": max(low, 0.0), "high": min(high, float(card.high))}


def means(refit: Refit) -> dict[str, float]:
    """The means of refit scores."""
    return {name: refit[name]["mean"] for name in (*METRICS, *OBJECTIVES)}


def refit_baseline(search: Search, family: Candidates) -> Refit:
    """Refit scores of the pipeline's baseline; computed once, then remembered beside `family`.

    StudyError when the baseline diverges.
    """
    memory = f"baseline {_key(search, {'baseline': search.baseline})}"
    (refit,) = family.remembered(memory, lambda: refit_scores(search, [search.baseline]))
    if refit is None:
        raise StudyError(f"the baseline {search.baseline.name} diverged: lower its learning rate, then search again")
    return refit


def _picked(search: Search, family: Candidates) -> dict[str, Candidate]:
    front = search.eligible(family.finished(search.settings.trials))
    return pick(front, search.settings.finalists, family.space.colors) if front else {}


def _memory(search: Search, picked: dict[str, Candidate]) -> str:
    # The region depends on all candidates, and so on how many there are.
    return f"finalists {search.settings.trials} {_key(search, {name: one.arm for name, one in picked.items()})}"


def _key(search: Search, arms: dict[str, Arm]) -> str:
    """Hash of all that decides the scores of these arms on the fresh seeds, and what is recommended by them."""
    cells = search.project.cells(search.study, list(arms.values()), [FRESH_SEEDS], search.full)
    return digest(
        {
            # Each arm's cell stands for its loss, data, training settings and the code of all these.
            "arms": {
                name: [arm.name, cell.signature, arm.decode.model_dump()]
                for (name, arm), cell in zip(arms.items(), cells, strict=True)
            },
            "fresh_seeds": search.settings.fresh_seeds,
            "compare": search.project.study(search.study).compare.model_dump(),
            "code": search.code[1],
        }
    )


def _select(search: Search, family: Candidates, picked: dict[str, Candidate]) -> dict[str, Any]:
    space, finished = family.space, family.finished(search.settings.trials)
    candidates = {candidate.index: candidate for candidate in picked.values()}
    if candidates:
        search.report(f"{space.name}: {len(candidates)} finalists, trained in full on fresh seeds")
    scores = dict(zip(candidates, refit_scores(search, [one.arm for one in candidates.values()]), strict=True))
    choices = {
        name: {"trial": one.index, **space.point(one.arm), "refit": scores[one.index]}
        for name, one in picked.items()
        if scores[one.index] is not None
    }
    if not choices:
        return {"choices": {}, "region": None, "middle": None, "cells": 0, "seconds": 0.0}
    region = None if search.slack is not None else _region(space, finished, choices)
    if region is not None:
        search.report(f"{space.name}: the middle of the region, trained in full on fresh seeds")
        arm = space.arm(region.middle, f"{space.name}-middle")
        (refit,) = refit_scores(search, [arm])
        if refit is not None:
            same = (one.index for one in finished if space.settings_of(one.arm) == region.middle)
            choices["middle"] = {"trial": next(same, None), **space.point(arm), "refit": refit}
    name, reason = _recommended(search, family, choices, region)
    choices["recommended"] = choices[name]
    networks = {digest([one["weights"], one["options"], one["train"]]): one["refit"] for one in choices.values()}
    ranges = region and {name: asdict(found) for name, found in region.ranges.items()}
    ranges = region and ranges | {name: {"values": values} for name, values in region.options.items()}
    predicted = region and region.predicted
    return {
        "choices": choices,
        "region": None if reason else ranges,
        "middle": {"recommended": not reason, "reason": reason, "ranges": ranges, "predicted": predicted},
        "cells": len(networks) * search.settings.fresh_seeds,
        "seconds": sum(refit["seconds"] for refit in networks.values()),
    }


def _region(space: FamilySpace, finished: list[Candidate], choices: dict[str, Any]) -> Region | None:
    judged = [
        Judged(
            space.settings_of(one.arm),
            None if one.diverged else np.array([[score[name] for name in SCORES] for score in one.scores]),
        )
        for one in finished
    ]
    by_index = {one.index: one for one in finished}
    refits = {choice["trial"]: choice["refit"] for choice in choices.values()}  # one for each candidate
    shift = {
        name: float(np.median([refit[name]["mean"] - by_index[trial].mean(name) for trial, refit in refits.items()]))
        for name in SCORES
    }
    return find_region(space.axes, space.options, judged, shift, space.colors)


def _recommended(search: Search, family: Candidates, choices: dict[str, Any], region: Region | None) -> tuple[str, str]:
    """The name of the recommended choice, and why it is not the middle; "" when it is."""
    if search.slack is not None:
        return _within_limits(search, family, choices), "constrained"
    names = list(choices)
    table = {name: np.array([choice["refit"][name]["mean"] for choice in choices.values()]) for name in SCORES}
    best = names[best_point(table, family.space.colors)]
    if "middle" not in choices:
        return best, "few candidates" if region is None else "diverged"
    # The standard error of a difference between two means over the same seeds.
    errors = {name: noise * np.sqrt(2 / search.settings.fresh_seeds) for name, noise in region.noise.items()}
    as_good = passed(table, family.space.colors, errors)
    worse = [name for name in SCORES if not as_good[name][names.index("middle")]]
    return (best, worse[0]) if worse else ("middle", "")


def _within_limits(search: Search, family: Candidates, choices: dict[str, Any]) -> str:
    """The most vivid choice that keeps the limits on the fresh seeds, or else the one that misses them least."""
    limit = means(refit_baseline(search, family))

    def rank(name: str) -> tuple[float, float]:
        score = means(choices[name]["refit"])
        over = max(0.0, score["fidelity"] / limit["fidelity"] - (1 + search.slack))
        return over + max(0.0, score["diversity"] - limit["diversity"]), score["vividness"]

    return min(choices, key=rank)
