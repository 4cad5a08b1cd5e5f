"""From the files of results/<study>/ to the one result object of a report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from study import files
from study.errors import StudyError
from study.report.result import Pictures, Search, StudyResult, Usage

# Columns that hold words; every other column of a table holds numbers. An arm may be called "nan" or "1e3".
WORDS = {"study", "arm", "baseline", "metric", "kind", "split", "name", "status", "detail", "signature", "command",
         "verdict", "unit", "better", "says", "weakness", "id", "comparison", "why", "explained", "term",
         "flattened", "family", "state", "front", "choice", "note", "stopped", "enqueued", "number", "by",
         "mse_explains"}  # fmt: skip
# Columns that hold words in one table and numbers in another.
OWN_WORDS = {"claims": {"predicted"}, "factorial": {"effect"}, "paired": {"seeds_needed"}}
NEEDED = {
    "arms": ("study", "arm", "metric", "mean", "low", "high", "seeds"),
    "paired": ("arm", "baseline", "metric", "delta", "low", "high", "p", "p_holm", "p_min", "p_t_holm",
               "verdict"),
    "kinds": ("arm", "kind", "metric", "mean", "low", "high"),
    "curves": ("arm", "split", "name", "images", "mean", "low", "high"),
    "cells": ("arm", "seed", "status", "detail", "signature", "steps", "seconds", "images_per_s", "command"),
    "cost": ("arm", "parameters", "step_ms", "images_per_s", "peak_memory_mb", "seconds", "step_ratio",
             "step_low", "step_high", "memory_ratio"),
    "metrics": ("metric", "unit", "low", "high", "better", "target", "margin", "says", "weakness"),
}  # fmt: skip
# Tables that a study may lack: the report is silent on what they would have said.
OPTIONAL = {
    "claims": ("id", "says", "verdict", "estimate", "low", "high", "p", "p_min", "p_t_holm", "metric",
               "comparison", "unit", "predicted", "why", "number", "by", "margin"),
    "theory": ("arm", "kind", "predicted_a", "predicted_b", "predicted_chroma", "a", "b", "chroma", "chroma_low",
               "chroma_high", "true_chroma", "distance", "explained", "predicted_change", "change", "note",
               "mse_explains"),
    "ledger": ("arm", "term", "weight", "first", "last", "mean", "seeds"),
    "factorial": ("metric", "effect", "estimate", "low", "high", "shapley"),
    "convergence": ("arm", "metric", "end", "change", "low", "high", "margin", "flattened"),
    "lengths": ("study", "arm", "metric", "images", "mean", "low", "high", "rank"),
    "seeds": ("arm", "metric", "seed", "value"),
}  # fmt: skip
SEARCH_TABLES = {
    "trials": ("family", "trial", "state", "fidelity", "vividness", "diversity", "front"),
    "finalists": ("family", "choice", "trial", "metric", "tuned", "honest", "low", "high", "seeds"),
}


def load_result(results: Path) -> StudyResult:
    """Read results/<study>/ (tables/*.csv, tables/study.json, search/, predictions/*.npz).

    Raises StudyError when a table that every study has is missing, or when one cannot be read or lacks a column.
    """
    results = Path(results)
    folder = results / "tables"
    facts = read_json(folder / "study.json", ("study", "baseline", "seeds", "arms"), "study compare")
    tables = {name: read_table(folder / f"{name}.csv", needed) for name, needed in NEEDED.items()}
    for name, needed in OPTIONAL.items():
        path = folder / f"{name}.csv"
        tables[name] = read_table(path, needed) if path.is_file() else pd.DataFrame(columns=list(needed))
    prefix = "showcase_" if facts.get("pictures") == "showcase" else ""
    found = {arm["name"]: read_predictions(results, arm["name"], prefix) for arm in facts["arms"]}
    pictures = {name: one[0] for name, one in found.items() if one and one[0]}
    usage = {name: one[1] for name, one in found.items() if one and one[1]}
    return StudyResult(facts, tables, pictures, usage, read_search(results / "search"))


def read_table(path: Path, needed: Iterable[str], command: str = "study compare") -> pd.DataFrame:
    """One CSV: columns of words stay text as written, the others become floats (an empty field is NaN)."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist: run `{command}` first") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read as a table ({error}): run `{command}` again") from error
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise StudyError(f"{path} has no column {', '.join(missing)}: run `{command}` again")
    words = WORDS | OWN_WORDS.get(path.stem, set())
    for name in table.columns:
        # What the report does not ask for may hold anything.
        if name in words or (name not in needed and not all(map(_is_number, table[name]))):
            table[name] = table[name].astype(object)
            continue
        try:
            table[name] = [math.nan if text == "" else float(text) for text in table[name]]
        except ValueError as error:
            raise StudyError(f"{path}: column {name}: {error}") from None
    return table


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def read_json(path: Path, needed: Iterable[str], command: str) -> dict[str, Any]:
    """A JSON object with these keys."""
    try:
        facts = files.read_json(path, f"run `{command}` again")
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist: run `{command}` first") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error}): run `{command}` again") from error
    missing = [key for key in needed if key not in facts]
    if missing:
        raise StudyError(f"{path} does not name {', '.join(missing)}: run `{command}` again")
    return facts


def read_search(folder: Path) -> Search | None:
    """What `study search` left, or None before a search."""
    if not (folder / "trials.csv").is_file():
        return None
    trials, finalists = (
        read_table(folder / f"{name}.csv", needed, "study search")
        if (folder / f"{name}.csv").is_file()
        else pd.DataFrame(columns=list(needed))
        for name, needed in SEARCH_TABLES.items()
    )
    facts = read_json(folder / "search.json", (), "study search") if (folder / "search.json").is_file() else {}
    best: dict[str, Any] = {}
    if (folder / "best.yaml").is_file():
        try:
            best = yaml.safe_load((folder / "best.yaml").read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise StudyError(f"{folder / 'best.yaml'} cannot be read: run `study search` again") from error
    return Search(trials, finalists, facts, best)


def read_predictions(results: Path, arm: str, prefix: str) -> tuple[Pictures | None, Usage | None] | None:
    """Pictures that may be shown, and how the arm uses colour over the whole test set; None when it has no file."""
    path = results / "predictions" / f"{arm}.npz"
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            return _pictures(archive, prefix), _usage(archive)
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"{path} cannot be read ({error}): run `study evaluate` again") from error


def _pictures(archive: Any, prefix: str) -> Pictures | None:
    if f"{prefix}prediction" not in archive or len(archive[f"{prefix}prediction"]) == 0:
        return None
    gray, truth, prediction = (archive[prefix + part] for part in ("gray", "truth", "prediction"))
    names = tuple(str(name) for name in archive[f"{prefix}names"])
    credited = tuple(str(credit) for credit in archive.get(f"{prefix}credits", ()))
    whole = range(len(names))
    grid = tuple(int(index) for index in archive["grid"]) if not prefix and "grid" in archive else tuple(whole)
    return Pictures(names, gray, truth, prediction, credited, grid)


def _usage(archive: Any) -> Usage | None:
    if "histogram_ab" not in archive:
        return None
    return Usage(*(archive[f"{side}histogram_{what}"] for what in ("ab", "hue", "chroma") for side in ("", "true_")))
