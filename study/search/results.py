"""What a search leaves behind: results/<study>/search/ with trials.csv, finalists.csv, best.yaml and search.json."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import yaml
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from study.files import atomic_write_json, atomic_write_text, fresh_directory
from study.search import objectives
from study.search.advice import advice, seeds_in_words
from study.search.candidates import Candidate, Candidates
from study.search.finalists import Honest, means
from study.search.front import hypervolume
from study.search.objectives import METRICS, OBJECTIVES
from study.search.runner import FRESH_SEEDS, SEARCH_SEEDS, Search

FINALIST_COLUMNS = ["family", "choice", "trial", "metric", "tuned", "honest", "low", "high", "seeds"]


def write_results(search: Search, settled: dict[str, dict[str, Any]], baseline: Honest, folder: Path) -> dict[str, Any]:
    """Write the four files of a search and return the content of search.json.

    settled: the choices of every family, as `finalists.settle` gives them. baseline: as `honest_baseline` gives it.
    """
    trials = search.settings.trials
    judged = {name: search.open(name).finished(trials) for name in settled}
    everything = _everything(search, settled, judged, baseline)
    with fresh_directory(folder) as fresh:
        _write_table(_trials(search, judged), fresh / "trials.csv")
        _write_table(_finalists(search, settled, judged), fresh / "finalists.csv")
        atomic_write_text(fresh / "best.yaml", _best(search, settled, everything))
        atomic_write_json(fresh / "search.json", everything)
    return everything


def _write_table(table: pd.DataFrame, path: Path) -> None:
    atomic_write_text(path, table.to_csv(index=False, float_format="%.8g", lineterminator="\n"))


def _trials(search: Search, judged: dict[str, list[Candidate]]) -> pd.DataFrame:
    rows = []
    for name, candidates in judged.items():
        space = search.open(name).space
        front = {candidate.index for candidate in search.eligible(candidates)}
        for candidate in candidates:
            arm = candidate.arm
            row: dict[str, Any] = {
                "family": name,
                "trial": candidate.index,
                "state": "diverged" if candidate.diverged else "complete",
            }
            row |= {f"w_{term}": arm.loss.weights.get(term, 0.0) for term in space.family.weights}
            row |= {f"o_{option}": _word(arm.loss.options[option]) for option in space.family.options}
            if space.family.decode.temperature:
                row["d_temperature"] = arm.decode.temperature
            if space.family.train.learning_rate:
                row["t_learning_rate"] = arm.train.learning_rate
            for key in (*OBJECTIVES, *METRICS):
                row[key] = candidate.mean(key) if candidate.scores and not candidate.diverged else np.nan
            stopped = not candidate.diverged and len(candidate.scores) < search.settings.seeds
            row |= {
                "seeds": len(candidate.scores),
                "front": "yes" if candidate.index in front else "no",
                "stopped": "dominated" if stopped else "",
                "enqueued": candidate.name,
            }
            rows.append(row)
    table = pd.DataFrame(rows)
    first = ["family", "trial", "state"]
    last = [*OBJECTIVES, *METRICS, "seeds", "front", "stopped", "enqueued"]
    return table[[*first, *(column for column in table.columns if column not in (*first, *last)), *last]]


def _word(option: Any) -> str:
    return "none" if option is None else str(option)


def _finalists(search: Search, settled: dict[str, dict[str, Any]], judged: dict[str, list[Candidate]]) -> pd.DataFrame:
    rows = []
    for name, found in settled.items():
        by_index = {candidate.index: candidate for candidate in judged[name]}
        for choice, point in found["choices"].items():
            candidate = by_index.get(point["trial"])
            for metric in (*OBJECTIVES, *METRICS):
                honest = point["honest"][metric]
                rows.append(
                    {
                        "family": name,
                        "choice": choice,
                        "trial": point["trial"],
                        "metric": metric,
                        "tuned": candidate.mean(metric) if candidate else None,
                        "honest": honest["mean"],
                        "low": honest["low"],
                        "high": honest["high"],
                        "seeds": search.settings.fresh_seeds,
                    }
                )
    return pd.DataFrame(rows, columns=FINALIST_COLUMNS).astype({"trial": "Int64"})


def _best(search: Search, settled: dict[str, dict[str, Any]], everything: dict[str, Any]) -> str:
    families: dict[str, Any] = {}
    for name, found in settled.items():
        families[name] = {}
        for choice, point in found["choices"].items():
            honest = {key: float(f"{value:.6g}") for key, value in means(point["honest"]).items() if key != "fidelity"}
            families[name][choice] = {**point, "honest": honest}
            ratios = _ratios(search.open(name), point)
            if ratios:
                families[name][choice]["gradient_ratios"] = ratios
    content = {
        "study": search.study,
        "data": search.prepared.manifest["data_hash"],
        "budget": everything["budget"],
        "families": families,
    }
    head = (
        f"# Written by `study search {search.study}`. Scores are those on validation pictures and fresh seeds. These\n"
        "# seeds chose what is recommended; the study's own seeds and its test pictures had no say in it.\n"
    )
    return head + yaml.dump(content, Dumper=_NoAliases, sort_keys=False, allow_unicode=True)


class _NoAliases(yaml.SafeDumper):
    """YAML that repeats what occurs twice (one point under two names), so that people can read it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _ratios(family: Candidates, point: dict[str, Any]) -> dict[str, float]:
    """The point's weights in units of the initial gradient ratio, where those were searched."""
    if family.space.family.units == "own":
        return {}
    return {term: float(f"{point['weights'][term] / scale:.4g}") for term, scale in family.space.scales.items()}


def _everything(
    search: Search, settled: dict[str, dict[str, Any]], judged: dict[str, list[Candidate]], baseline: Honest
) -> dict[str, Any]:
    settings = search.settings
    everyone = [candidate for candidates in judged.values() for candidate in candidates if search.is_full(candidate)]
    baseline_values = tuple(search.baseline_scores[key] for key in OBJECTIVES)
    points = np.array([baseline_values, *(candidate.values for candidate in everyone)])
    best, worst = points.min(0), points.max(0)
    families = {}
    for name, found in settled.items():
        family, candidates = search.open(name), judged[name]
        networks: dict[str, list[float]] = {}
        for candidate in candidates:
            networks[candidate.network] = max(networks.get(candidate.network, []), candidate.seconds, key=len)
        cells = sum(map(len, networks.values()))
        families[name] = {
            "candidates": len(candidates),
            "stopped": sum(
                not candidate.diverged and len(candidate.scores) < settings.seeds for candidate in candidates
            ),
            "diverged": sum(candidate.diverged for candidate in candidates),
            "judged_networks": cells,
            "finalist_networks": found["cells"],
            "pictures": cells * search.short.images + found["cells"] * search.full.images,
            # Not the time that the search took, which is short where the networks were there.
            "training_seconds": round(sum(map(sum, networks.values())) + found["seconds"], 1),
            "front": [candidate.index for candidate in search.eligible(candidates)],
            "hypervolume": _history([c.values if search.is_full(c) else None for c in candidates], best, worst),
            "importance": importance(candidates, family),
            "scales": family.space.scales if family.space.family.units != "own" else {},
            "choices": found["choices"],
            "steps": found["steps"],
            "step_count": len(found["steps"]),
            "outside": family.space.outside(found["choices"]["recommended"]) if found["choices"] else {},
        }
    everything = {
        "study": search.study,
        "data": search.prepared.manifest["data_hash"],
        "objective": "pareto" if search.slack is None else {"constrained": {"slack": search.slack}},
        "budget": {
            **settings.model_dump(exclude={"families"}),
            "families": list(settled),
            "images": search.short.images,
            "full_images": search.full.images,
            "search_seeds": [SEARCH_SEEDS + k for k in range(settings.seeds)],
            "fresh_seeds": [FRESH_SEEDS + k for k in range(settings.fresh_seeds)],
            "says": _budget_in_words(search, families),
        },
        "objectives": _definitions(),
        "truth": search.judge.truth,
        "baseline": {"arm": search.baseline.name, "tuned": search.baseline_scores, "honest": baseline},
        "ideal_point": dict(zip(OBJECTIVES, best.tolist(), strict=True)),
        "reference_point": dict(zip(OBJECTIVES, worst.tolist(), strict=True)),
        "families": families,
    }
    seconds = baseline["seconds"] + sum(family["training_seconds"] for family in families.values())
    return everything | {"training_seconds": round(seconds, 1)} | advice(search, everything)


def _budget_in_words(search: Search, families: dict[str, dict[str, Any]]) -> str:
    settings = search.settings
    said = (
        f"every family: {settings.trials} candidates of at most {seeds_in_words(settings.seeds)} and "
        f"{search.short.images:,} training pictures; finalists in full ({search.full.images:,} pictures) on "
        f"{seeds_in_words(settings.fresh_seeds, 'fresh ')}; by the same seeds one of them is recommended"
    )
    if any(family["step_count"] for family in families.values()):
        steps = ", ".join(f"{name} {family['step_count']}" for name, family in families.items())
        said += f", or one of the steps from there towards the truth's chroma ({steps})"
    for name, family in families.items():
        for setting, found in family["outside"].items():
            said += (
                f"; the {setting.replace('_', ' ')} of {name} has left the searched {found['low']:g} to "
                f"{found['high']:g} by such steps and is {found['value']:g}"
            )
    return said


def _definitions() -> dict[str, str]:
    """The formulas of the objectives, from the documentation of the module that computes them."""
    lines = (objectives.__doc__ or "").splitlines()
    parts = (line.split("=", 1) for line in lines if "=" in line)
    return {name.strip(): " ".join(formula.split()) for name, formula in parts}


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


def importance(candidates: list[Candidate], family: Candidates) -> dict[str, dict[str, float]]:
    """How much each parameter decides over the best quarter of each objective (PED-ANOVA, shares summing to 1).

    {} when there are too few candidates (fewer than 4) to say anything.
    """
    usable = [candidate for candidate in candidates if not candidate.diverged]
    if len(usable) < 4:
        return {}
    copy = optuna.create_study(directions=["minimize"] * len(OBJECTIVES))
    distributions = _distributions(usable, family)
    for candidate in usable:
        copy.add_trial(
            optuna.trial.create_trial(
                params=candidate.params, distributions=distributions, values=list(candidate.values)
            )
        )
    evaluator = PedAnovaImportanceEvaluator(target_quantile=0.25)
    found = {}
    for place, name in enumerate(OBJECTIVES):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that low values are the good ones, which is meant
            shares = get_param_importances(
                copy, evaluator=evaluator, target=lambda trial, place=place: trial.values[place]
            )
        found[name] = {key: float(f"{shares[key]:.8g}") for key in distributions}
    return found


def _distributions(candidates: list[Candidate], family: Candidates) -> dict[str, Any]:
    trial = optuna.trial.FixedTrial(candidates[0].params)
    family.space.suggest(trial)
    return trial.distributions
