"""What a search leaves behind: results/<study>/search/ with trials.csv, finalists.csv, best.yaml and search.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from study.files import atomic_write_json, atomic_write_text, fresh_directory
from study.search.advice import advice, count_of_seeds
from study.search.candidates import Candidate, Candidates
from study.search.finalists import Refit, means
from study.search.fingerprints import made_from
from study.search.front import hypervolume
from study.search.objectives import FORMULAS, METRICS, OBJECTIVES
from study.search.runner import FRESH_SEEDS, SEARCH_SEEDS, Search
from study.search.schemas import FILES, FINALISTS, TRIALS
from study.tables import write_table


def write_results(search: Search, selected: dict[str, dict[str, Any]], baseline: Refit, folder: Path) -> dict[str, Any]:
    """Write the four files of a search and return the content of search.json.

    selected: what `select_finalists` found for every family. baseline: refit scores of the baseline.
    """
    judged = {name: search.open(name).finished(search.settings.trials) for name in selected}
    content = _content(search, selected, judged, baseline)
    with fresh_directory(folder, FILES) as fresh:
        write_table(fresh / "trials.csv", TRIALS, pd.DataFrame(_trials(search, judged)))
        write_table(fresh / "finalists.csv", FINALISTS, FINALISTS.frame(_finalists(search, selected, judged)))
        atomic_write_text(fresh / "best.yaml", _best(search, selected, content))
        atomic_write_json(fresh / "search.json", content)
    return content


def _trials(search: Search, judged: dict[str, list[Candidate]]) -> list[dict[str, Any]]:
    rows = []
    for name, candidates in judged.items():
        space = search.open(name).space
        front = {candidate.index for candidate in search.eligible(candidates)}
        for one in candidates:
            scored = bool(one.scores) and not one.diverged
            settings = space.settings_of(one.arm)
            rows.append(
                {
                    "family": name,
                    "trial": one.index,
                    "state": "diverged" if one.diverged else "complete",
                    **{key: "none" if value is None else value for key, value in settings.items()},
                    **{key: one.mean(key) if scored else np.nan for key in (*OBJECTIVES, *METRICS)},
                    "seeds": len(one.scores),
                    "front": one.index in front,
                    "stopped": "dominated" if not one.diverged and len(one.scores) < search.settings.seeds else "",
                    "enqueued": one.name,
                }
            )
    return rows


def _finalists(
    search: Search, selected: dict[str, dict[str, Any]], judged: dict[str, list[Candidate]]
) -> list[dict[str, Any]]:
    rows = []
    for name, found in selected.items():
        by_index = {candidate.index: candidate for candidate in judged[name]}
        for choice, point in found["choices"].items():
            one = by_index.get(point["trial"])
            for metric in (*OBJECTIVES, *METRICS):
                refit = point["refit"][metric]
                rows.append(
                    {
                        "family": name,
                        "choice": choice,
                        "trial": point["trial"],
                        "metric": metric,
                        "searched": one.mean(metric) if one and not one.diverged else None,
                        "refit": refit["mean"],
                        "low": refit["low"],
                        "high": refit["high"],
                        "seeds": search.settings.fresh_seeds,
                    }
                )
    return rows


def _best(search: Search, selected: dict[str, dict[str, Any]], content: dict[str, Any]) -> str:
    families: dict[str, Any] = {}
    for name, found in selected.items():
        families[name] = {}
        for choice, point in found["choices"].items():
            refit = {key: float(f"{value:.6g}") for key, value in means(point["refit"]).items() if key != "fidelity"}
            families[name][choice] = {**point, "refit": refit}
            if ratios := _ratios(search.open(name), point):
                families[name][choice]["gradient_ratios"] = ratios
    best = {
        "study": content["study"],
        "data": content["data"],
        "budget": content["budget"],
        "families": families,
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


def _ratios(family: Candidates, point: dict[str, Any]) -> dict[str, float]:
    """The point's weights in units of the initial gradient ratio, where those were searched."""
    if family.space.family.units == "own":
        return {}
    return {term: float(f"{point['weights'][term] / scale:.4g}") for term, scale in family.space.scales.items()}


def _content(
    search: Search, selected: dict[str, dict[str, Any]], judged: dict[str, list[Candidate]], baseline: Refit
) -> dict[str, Any]:
    settings = search.settings
    full = [candidate for candidates in judged.values() for candidate in candidates if search.is_full(candidate)]
    points = np.array([[search.baseline_scores[key] for key in OBJECTIVES], *(one.values for one in full)])
    best, worst = points.min(0), points.max(0)
    families = {
        name: _family(search, search.open(name), judged[name], found, best, worst) for name, found in selected.items()
    }
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
            "says": _budget_in_words(search),
        },
        "objectives": FORMULAS,
        "truth": search.training.judge.truth,
        "baseline": {"arm": search.baseline.name, "searched": search.baseline_scores, "refit": baseline},
        "ideal_point": dict(zip(OBJECTIVES, best.tolist(), strict=True)),
        "reference_point": dict(zip(OBJECTIVES, worst.tolist(), strict=True)),
        "families": families,
        "training_seconds": round(seconds, 1),
    }
    return content | advice(search, content) | {"made_from": made}


def _family(
    search: Search,
    family: Candidates,
    candidates: list[Candidate],
    found: dict[str, Any],
    best: np.ndarray,
    worst: np.ndarray,
) -> dict[str, Any]:
    """What search.json says of one family. best, worst: of each objective, over all families and the baseline."""
    networks: dict[str, list[float]] = {}
    for one in candidates:
        networks[one.network] = max(networks.get(one.network, []), one.seconds, key=len)
    cells = sum(map(len, networks.values()))
    return {
        "candidates": len(candidates),
        "stopped": sum(not one.diverged and len(one.scores) < search.settings.seeds for one in candidates),
        "diverged": sum(one.diverged for one in candidates),
        "judged_networks": cells,
        "finalist_networks": found["cells"],
        "pictures": cells * search.short.images + found["cells"] * search.full.images,
        # Of all its networks, also of those that an earlier search had trained.
        "training_seconds": round(sum(map(sum, networks.values())) + found["seconds"], 1),
        "front": [one.index for one in search.eligible(candidates)],
        "hypervolume": _history([one.values if search.is_full(one) else None for one in candidates], best, worst),
        "scales": family.space.scales if family.space.family.units != "own" else {},
        "choices": found["choices"],
        "region": found["region"],
        "middle": found["middle"],
    }


def _budget_in_words(search: Search) -> str:
    settings = search.settings
    return (
        f"every family: {settings.trials} candidates, each trained on at most {count_of_seeds(settings.seeds)} with "
        f"{search.short.images:,} pictures; finalists and the middle of the region are trained in full "
        f"({search.full.images:,} pictures) on {count_of_seeds(settings.fresh_seeds, 'fresh ')}, which choose what is "
        "recommended"
    )


def _history(values: list[tuple[float, ...] | None], best: np.ndarray, worst: np.ndarray) -> list[float]:
    """Hypervolume of the first 1, 2, 3 ... candidates, as a share of the box between the best and the worst values.

    The box is that of all families and the baseline, so that families can be compared. None, for a candidate that
    diverged or was not judged on all seeds, adds nothing.
    """
    size = np.where(worst > best, worst - best, 1.0)
    history = []
    for count in range(1, len(values) + 1):
        table = np.array([row for row in values[:count] if row is not None]).reshape(-1, len(OBJECTIVES))
        history.append(float(f"{hypervolume((table - best) / size, np.ones(len(OBJECTIVES))):.8g}"))
    return history
