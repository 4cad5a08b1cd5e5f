"""What a search leaves behind: results/<study>/search/ with trials.csv, finalists.csv, best.yaml and search.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from study.files import atomic_write_json, atomic_write_text, fresh_directory
from study.search.advice import advice, count_of_seeds
from study.search.candidates import Candidate
from study.search.finalists import Refit, means
from study.search.fingerprints import made_from
from study.search.front import hypervolume
from study.search.objectives import FORMULAS, METRICS, OBJECTIVES
from study.search.runner import FRESH_SEEDS, SEARCH_SEEDS, Search
from study.search.schemas import FILES, FINALISTS, TRIALS
from study.search.space import FamilySpace
from study.tables import write_table


def write_results(search: Search, selected: dict[str, dict[str, Any]], baseline: Refit, folder: Path) -> dict[str, Any]:
    """Write the four files of a search and return the content of search.json.

    selected: what `select_finalists` found for every family. baseline: refit scores of the baseline.
    """
    judged = {name: search.open(name).finished(search.settings.trials) for name in selected}
    content = _content(search, selected, judged, baseline)
    trials = [row for name, candidates in judged.items() for row in _trials(search, name, candidates)]
    finalists = [row for name, found in selected.items() for row in _finalists(search, name, found, judged[name])]
    with fresh_directory(folder, FILES) as fresh:
        write_table(fresh / "trials.csv", TRIALS, pd.DataFrame(trials))
        write_table(fresh / "finalists.csv", FINALISTS, FINALISTS.frame(finalists))
        atomic_write_text(fresh / "best.yaml", _best(search, selected, content))
        atomic_write_json(fresh / "search.json", content)
    return content


def _trials(search: Search, family: str, candidates: list[Candidate]) -> Iterator[dict[str, Any]]:
    front = search.eligible(candidates)
    for one in candidates:
        settings = search.open(family).space.settings_of(one.arm)
        scored = bool(one.scores) and not one.diverged
        yield {
            "family": family,
            "trial": one.index,
            "state": "diverged" if one.diverged else "complete",
            **{key: "none" if value is None else value for key, value in settings.items()},
            **{key: one.mean(key) if scored else np.nan for key in (*OBJECTIVES, *METRICS)},
            "seeds": len(one.scores),
            "front": one in front,
            "stopped": "dominated" if search.stopped(one) else "",
            "enqueued": one.name,
        }


def _finalists(
    search: Search, family: str, found: dict[str, Any], candidates: list[Candidate]
) -> Iterator[dict[str, Any]]:
    by_index = {one.index: one for one in candidates if not one.diverged}
    for choice, point in found["choices"].items():
        one = by_index.get(point["trial"])
        for metric in (*OBJECTIVES, *METRICS):
            refit = point["refit"][metric]
            yield {
                "family": family,
                "choice": choice,
                "trial": point["trial"],
                "metric": metric,
                "searched": one.mean(metric) if one else None,
                "refit": refit["mean"],
                "low": refit["low"],
                "high": refit["high"],
                "seeds": search.settings.fresh_seeds,
            }


def _best(search: Search, selected: dict[str, dict[str, Any]], content: dict[str, Any]) -> str:
    best = {
        **{key: content[key] for key in ("study", "data", "budget")},
        "families": {
            name: {choice: _short(search.open(name).space, point) for choice, point in found["choices"].items()}
            for name, found in selected.items()
        },
        "regions": {name: found["region"] for name, found in selected.items()},
    }
    head = (
        f"# Written by `study search {search.study}`. Refit scores are those on validation pictures and fresh seeds,\n"
        "# which chose what is recommended. The study's own seeds and its test pictures chose nothing.\n"
        "# regions: the range of each setting that cannot be told from the best, and its value at the middle.\n"
        "# null: there were too few candidates, or full training refuted it.\n"
    )
    return head + yaml.dump(best, Dumper=_NoAliases, sort_keys=False, allow_unicode=True)


class _NoAliases(yaml.SafeDumper):
    """YAML that repeats what occurs twice (one point under two names), so that people can read it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _short(space: FamilySpace, point: dict[str, Any]) -> dict[str, Any]:
    """A point with the means of its scores, and its weights in gradient ratios where those were searched."""
    refit = {key: float(f"{value:.6g}") for key, value in means(point["refit"]).items() if key != "fidelity"}
    if space.family.units == "own":
        return {**point, "refit": refit}
    ratios = {term: float(f"{point['weights'][term] / scale:.4g}") for term, scale in space.scales.items()}
    return {**point, "refit": refit, "gradient_ratios": ratios}


def _content(
    search: Search, selected: dict[str, dict[str, Any]], judged: dict[str, list[Candidate]], baseline: Refit
) -> dict[str, Any]:
    settings = search.settings
    full = [candidate for candidates in judged.values() for candidate in candidates if search.is_full(candidate)]
    points = np.array([[search.baseline_scores[key] for key in OBJECTIVES], *(one.values for one in full)])
    families = {name: _family(search, name, judged[name], found, points) for name, found in selected.items()}
    seconds = baseline["seconds"] + sum(family["training_seconds"] for family in families.values())
    made = made_from(search.project, search.study, settings, selected, search.slack)
    content = {
        "study": search.study,
        "data": made["data"],
        "objective": "pareto" if search.slack is None else {"constrained": {"slack": search.slack}},
        "budget": {
            **settings.model_dump(exclude={"families"}),
            "families": list(selected),
            "images": search.short.images,
            "full_images": search.full.images,
            "search_seeds": [SEARCH_SEEDS + k for k in range(settings.seeds)],
            "fresh_seeds": [FRESH_SEEDS + k for k in range(settings.fresh_seeds)],
            "says": (
                f"every family: {settings.trials} candidates, each trained on at most {count_of_seeds(settings.seeds)} "
                f"with {search.short.images:,} pictures; finalists and the middle of the region are trained in full "
                f"({search.full.images:,} pictures) on {count_of_seeds(settings.fresh_seeds, 'fresh ')}, which choose "
                "what is recommended"
            ),
        },
        "objectives": FORMULAS,
        "truth": search.training.judge.truth,
        "baseline": {"arm": search.baseline.name, "searched": search.baseline_scores, "refit": baseline},
        "families": families,
        "training_seconds": round(seconds, 1),
    }
    return content | advice(search, content) | {"made_from": made}


def _family(
    search: Search, name: str, candidates: list[Candidate], found: dict[str, Any], points: np.ndarray
) -> dict[str, Any]:
    """What search.json says of one family. points: objectives of all families' candidates and of the baseline."""
    networks: dict[str, list[float]] = {}
    for one in candidates:
        networks[one.network] = max(networks.get(one.network, []), one.seconds, key=len)
    cells = sum(map(len, networks.values()))
    return {
        "candidates": len(candidates),
        "stopped": sum(map(search.stopped, candidates)),
        "diverged": sum(one.diverged for one in candidates),
        "judged_networks": cells,
        "finalist_networks": found["cells"],
        "pictures": cells * search.short.images + found["cells"] * search.full.images,
        # Of all its networks, also of those that an earlier search had trained.
        "training_seconds": round(sum(map(sum, networks.values())) + found["seconds"], 1),
        "front": [one.index for one in search.eligible(candidates)],
        "hypervolume": _history([one.values if search.is_full(one) else None for one in candidates], points),
        **{key: found[key] for key in ("choices", "region", "middle")},
    }


def _history(values: list[tuple[float, ...] | None], points: np.ndarray) -> list[float]:
    """Hypervolume of the first 1, 2, 3 ... candidates, as a share of the box around `points`.

    The box is that of all families and the baseline, so that families can be compared. None, for a candidate that
    diverged or was not judged on all seeds, adds nothing.
    """
    best, worst = points.min(0), points.max(0)
    size = np.where(worst > best, worst - best, 1.0)
    history = []
    for count in range(1, len(values) + 1):
        table = np.array([row for row in values[:count] if row is not None]).reshape(-1, len(best))
        history.append(float(f"{hypervolume((table - best) / size, np.ones(len(best))):.8g}"))
    return history
