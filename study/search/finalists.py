"""From a front to a recommendation: the finalists, their honest scores, and steps towards the truth's chroma.

The best of many candidates was partly lucky, and candidates are trained for a shorter time than the study's arms. So
the finalists are trained again in full on fresh seeds, by which no candidate was judged. Those scores, called honest
in the files, are free of that luck. But they choose among a few finalists and steps, so that a recommended point may
score a little better on them than it is. The study's own seeds and test pictures choose nothing: they are the judge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from study import statistics as stats
from study.config.arms import Arm, DecodeSettings
from study.config.study import CompareSettings
from study.errors import StudyError
from study.metrics import METRICS as CARDS
from study.search.candidates import Candidate, Candidates
from study.search.fingerprints import finalists_digest
from study.search.front import knee
from study.search.objectives import METRICS, OBJECTIVES
from study.search.runner import FRESH_SEEDS, Search, digest
from study.search.space import FamilySpace, rounded

# Chroma ratios this near to 1 count as the truth's: nearer than the 5 % that are asked for, as the cheapest point among
# those is usually the dullest, and the fresh seeds and the validation pictures have their own error.
CLOSE = 0.03
ALIKE = 0.01  # ab_rmse of points that differ by less than this share are taken as equal
WEIGHT_STEPS, DECODE_STEPS = 2, 6  # of refinement: the first are trained, the second only decoded
LARGEST_STEP = math.log(4.0)

Honest = dict[str, Any]


def choose(front: list[Candidate], count: int, colors: bool) -> dict[str, Candidate]:
    """The finalists by name: knee, vivid and faithful (one candidate may be several), then others up to `count`.

    knee: nearest to the ideal point with the objectives scaled to 0..1 over the front. vivid, faithful: the ends with
    the smallest vividness gap and the smallest ab_rmse. The others, "next-1" and so on, are those that would be
    recommended if the search's own scores were free of luck.
    """
    values = np.array([candidate.values for candidate in front])
    named = {"knee": front[knee(values)]}
    named["vivid"] = front[int(np.argmin(values[:, OBJECTIVES.index("vividness")]))]
    named["faithful"] = front[int(np.argmin(values[:, OBJECTIVES.index("fidelity")]))]
    named = dict(list(named.items())[:count])
    rest = [candidate for candidate in front if candidate not in named.values()]
    while rest and len({candidate.index for candidate in named.values()}) < count:
        keys = ("chroma_ratio", "ab_rmse", "diversity")
        best = recommend({str(place): {key: one.mean(key) for key in keys} for place, one in enumerate(rest)}, colors)
        named[f"next-{sum(name.startswith('next') for name in named) + 1}"] = rest.pop(int(best))
    return named


def recommend(scores: dict[str, dict[str, float]], colors: bool) -> str:
    """Which of several points to recommend, from their chroma_ratio, ab_rmse and diversity (gap of hue diversity).

    Of those whose chroma is within 3 % of the truth's, or else of the one that comes nearest, the one with the
    smallest ab_rmse; of those that are within 1 % of it, the one whose hue diversity is least off.
    colors: whether the family searches anything that is meant to change the colours. Where it does not, as for plain
    MSE and its learning rate, chroma tells nothing and the smallest ab_rmse decides.
    """
    gaps = {name: abs(score["chroma_ratio"] - 1) for name, score in scores.items()}
    close = [name for name in scores if not colors or gaps[name] <= max(CLOSE, min(gaps.values()))]
    smallest = min(scores[name]["ab_rmse"] for name in close)
    alike = [name for name in close if scores[name]["ab_rmse"] <= smallest * (1 + ALIKE)]
    return min(alike, key=lambda name: scores[name]["diversity"])


def honest_scores(search: Search, arms: list[Arm]) -> list[Honest | None]:
    """Scores of arms trained in full on the fresh seeds, with intervals; None where a training diverged.

    Each: metrics and objectives -> {"mean", "low", "high"} (two-level bootstrap over seeds and validation pictures,
    95 %), `vividness` without an interval; and "seconds" of training.
    """
    seeds = [FRESH_SEEDS + k for k in range(search.settings.fresh_seeds)]
    seconds, scores = search.train_and_score([(arm, seed) for arm in arms for seed in seeds], search.full)
    results: list[Honest | None] = []
    for start in range(0, len(scores), len(seeds)):
        of_arm = scores[start : start + len(seeds)]
        if None in of_arm:
            results.append(None)
            continue
        honest: Honest = {"seconds": sum(seconds[start : start + len(seeds)])}
        for name in of_arm[0]:
            table = np.stack([score[name] for score in of_arm])
            honest[name] = with_interval(name, table, search.project.study(search.study).compare)
        honest["fidelity"] = honest["ab_rmse"]
        by_seed = [search.judge.summary(score)["vividness"] for score in of_arm]
        honest["vividness"] = {"mean": float(np.mean(by_seed)), "low": None, "high": None}
        results.append(honest)
    return results


def with_interval(name: str, scores: np.ndarray, compare: CompareSettings) -> dict[str, float]:
    """Mean of scores (seeds, pictures) of the metric `name` (or of `diversity`) with its 95 % interval.

    The interval ends where the metric does: two seeds that lie apart would have it reach far beyond. No mean of these
    is below 0, not even that of the chroma ratio, whose pictures may be.
    """
    weights = stats.bootstrap_weights(*scores.shape, compare.resamples, np.random.default_rng(compare.seed))
    mean, low, high = (float(value[0]) for value in stats.interval(scores[None], weights))
    card = CARDS["hue_diversity_gap" if name == "diversity" else name]
    return {"mean": mean, "low": max(low, 0.0), "high": min(high, float(card.high))}


def means(honest: Honest) -> dict[str, float]:
    """The means of honest scores."""
    return {name: honest[name]["mean"] for name in (*METRICS, *OBJECTIVES)}


def settle(search: Search, family: Candidates) -> dict[str, Any]:
    """The choices of a family with their honest scores, `recommended` among them; computed once, then remembered.

    Returns {"choices": {name: {"trial", "weights", "options", "decode", "train", "honest"}}, "steps": the steps of
    refinement, "cells": how many networks were trained in full, "seconds": of their training}. Empty choices when no
    candidate came through.
    """
    picked = _picked(search, family)
    return family.remembered(_memory(search, picked), lambda: _settle(search, family.space, picked))


def is_settled(search: Search, family: Candidates) -> bool:
    """Whether all candidates of a family are judged and its choices remembered."""
    judged = len(family.finished(search.settings.trials)) == search.settings.trials
    return judged and family.knows(_memory(search, _picked(search, family)))


def _picked(search: Search, family: Candidates) -> dict[str, Candidate]:
    front = search.eligible(family.finished(search.settings.trials))
    return choose(front, search.settings.finalists, family.space.colors) if front else {}


def _memory(search: Search, picked: dict[str, Candidate]) -> str:
    return f"finalists {_key(search, {name: candidate.arm for name, candidate in picked.items()})}"


def honest_baseline(search: Search, family: Candidates) -> Honest:
    """The baseline's honest scores; remembered with `family`."""
    key = _key(search, {"baseline": search.baseline})
    return family.remembered(f"baseline {key}", lambda: _known(search, search.baseline))


def _known(search: Search, arm: Arm) -> Honest:
    (honest,) = honest_scores(search, [arm])
    if honest is None:
        raise StudyError(f"the baseline {arm.name} diverges: nothing can be compared with it")
    return honest


def _key(search: Search, arms: dict[str, Arm]) -> str:
    """Short hash of all that decides the scores of these arms on the fresh seeds, and what is chosen by them."""
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
            "code": finalists_digest(search.device),
        }
    )


def _settle(search: Search, space: FamilySpace, picked: dict[str, Candidate]) -> dict[str, Any]:
    candidates = list({candidate.index: candidate for candidate in picked.values()}.values())
    if candidates:
        search.report(f"{space.name}: {len(candidates)} finalists, trained in full on fresh seeds")
    scores = dict(zip([c.index for c in candidates], honest_scores(search, [c.arm for c in candidates]), strict=True))
    choices = {
        name: {"trial": candidate.index, **space.point(candidate.arm), "honest": scores[candidate.index]}
        for name, candidate in picked.items()
        if scores[candidate.index] is not None
    }
    if not choices:
        return {"choices": {}, "steps": [], "cells": 0, "seconds": 0.0}
    arms = {name: picked[name].arm for name in choices}
    steps: list[dict[str, Any]] = []
    best = recommend({name: means(choice["honest"]) for name, choice in choices.items()}, space.colors)
    if space.colors and search.slack is None and _gap(choices[best]["honest"]) > CLOSE:
        refined = _refine(search, space, arms[best], choices[best]["honest"], steps)
        if refined is not None:
            choices["recommended"] = refined
    choices.setdefault("recommended", choices[best])
    if search.slack is not None:
        choices["recommended"] = _within_limits(search, choices)
    trained = {
        digest(point["weights"] | point["options"] | point["train"]): point["honest"]["seconds"]
        for point in (*choices.values(), *steps)
    }
    cells = len(trained) * search.settings.fresh_seeds
    return {"choices": choices, "steps": steps, "cells": cells, "seconds": sum(trained.values())}


def _gap(honest: Honest) -> float:
    return abs(honest["chroma_ratio"]["mean"] - 1)


def _within_limits(search: Search, choices: dict[str, Any]) -> dict[str, Any]:
    """The most vivid choice that keeps the limits on the fresh seeds, or else the one that misses them least."""
    baseline = _known(search, search.baseline)

    def rank(choice: dict[str, Any]) -> tuple[float, float]:
        score, limit = means(choice["honest"]), means(baseline)
        over = max(0.0, score["fidelity"] / limit["fidelity"] - (1 + search.slack))
        return over + max(0.0, score["diversity"] - limit["diversity"]), score["vividness"]

    return min(choices.values(), key=rank)


def _knob(space: FamilySpace, arm: Arm) -> tuple[int, int, Callable[[float], Arm]] | None:
    """One number by which an arm's chroma can be moved: allowed steps, sign of its effect, and the arm at log scale x.

    A common factor of the searched weights (more of them: more chroma) or the temperature (less: more chroma).
    """
    strong = {term: weight for term, weight in arm.loss.weights.items() if term in space.family.weights}
    if any(strong.values()):

        def scaled(x: float) -> Arm:
            weights = {term: rounded(weight * math.exp(x)) for term, weight in strong.items()}
            return arm.model_copy(update={"loss": arm.loss.model_copy(update={"weights": arm.loss.weights | weights})})

        return WEIGHT_STEPS, 1, scaled
    if space.family.decode.temperature:

        def cooled(x: float) -> Arm:
            temperature = min(rounded(arm.decode.temperature * math.exp(x)), 10.0)
            return arm.model_copy(update={"decode": DecodeSettings(temperature=temperature)})

        return DECODE_STEPS, -1, cooled
    return None


def _refine(
    search: Search, space: FamilySpace, arm: Arm, honest: Honest, steps: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """Move `arm` along its knob towards the truth's chroma by secant steps; None when no step comes nearer.

    The first step doubles or halves; the later ones go where the line through the last two points meets a chroma
    ratio of 1, inside the searched range or not. Every step is trained in full on the fresh seeds, or only decoded
    anew where that is all it takes, which then may be done more often, and noted in `steps`. The nearest point wins,
    by the same fresh seeds.
    """
    knob = _knob(space, arm)
    if knob is None:
        return None
    allowed, sign, at = knob
    points = [(0.0, honest["chroma_ratio"]["mean"] - 1)]
    best, x = None, math.copysign(math.log(2.0), -sign * points[0][1])
    for _ in range(allowed):
        moved = at(x)
        (score,) = honest_scores(search, [moved])
        if score is None:
            break
        choice = {"trial": None, **space.point(moved), "honest": score}
        steps.append(choice)
        search.report(f"{space.name}: a step towards the truth's chroma: {score['chroma_ratio']['mean']:.3f} of it")
        if _gap(score) < (_gap(best["honest"]) if best else _gap(honest)):
            best = choice
        points.append((x, score["chroma_ratio"]["mean"] - 1))
        (x0, y0), (x1, y1) = points[-2:]
        if abs(y1) <= CLOSE or (y1 - y0) * sign * (x1 - x0) <= 0:  # there, or the knob has no such effect
            break
        x = float(np.clip(x1 - y1 * (x1 - x0) / (y1 - y0), x1 - LARGEST_STEP, x1 + LARGEST_STEP))
    return best
