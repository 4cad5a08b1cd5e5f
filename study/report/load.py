"""From the files of results/<study>/ to the result object of a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from study import files
from study.analysis.schemas import STUDY_KEYS, TABLES
from study.errors import StudyError
from study.report.result import ColorUse, Pictures, Search, StudyResult
from study.search.schemas import FINALISTS, TRIALS
from study.tables import read_table

OPTIONAL = ("calibration", "limits", "limits_arms", "limit_curves")
"""Tables without which there is a report, because an earlier `study compare` did not write them."""


def load_result(results: Path) -> StudyResult:
    """Read results/<study>/: tables/*.csv, tables/study.json, search/, predictions/*.npz.

    Raises StudyError when a table is missing, cannot be read or lacks a column.
    """
    results = Path(results)
    meta = read_metadata(results / "tables" / "study.json")
    tables = {
        name: read_table(path, schema) for name, schema in TABLES.items()
        if (path := results / "tables" / f"{name}.csv").is_file() or name not in OPTIONAL
    }  # fmt: skip
    prefix = "showcase_" if meta["pictures"] == "showcase" else ""
    pictures: dict[str, Pictures] = {}
    color_use: dict[str, ColorUse] = {}
    for arm in (arm["name"] for arm in meta["arms"]):
        shown, used = read_predictions(results, arm, prefix, next(iter(pictures.values()), None))
        pictures |= {arm: shown} if shown else {}
        color_use |= {arm: used} if used else {}
    return StudyResult(meta, tables, pictures, color_use, read_search(results / "search"))


def read_metadata(path: Path) -> dict[str, Any]:
    """study.json. Raises StudyError when it is missing, damaged or lacks a key."""
    again = f"run: study compare {path.parents[1].name}"
    try:
        meta = files.read_json(path, again)
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist: {again}") from None
    if missing := [key for key in STUDY_KEYS if key not in meta]:
        raise StudyError(f"{path} has no key {', '.join(missing)}: {again}")
    return meta


def read_search(folder: Path) -> Search | None:
    """What `study search` left; None before a search. Raises StudyError when one of its files is missing or damaged."""
    if not (folder / "trials.csv").is_file():
        return None
    again = f"run: study search {folder.parent.name}"
    trials, finalists = (read_table(folder / f"{schema.name}.csv", schema) for schema in (TRIALS, FINALISTS))
    try:
        best = yaml.safe_load((folder / "best.yaml").read_text(encoding="utf-8")) or {}
        meta = files.read_json(folder / "search.json", again)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise StudyError(f"{folder} is incomplete ({' '.join(str(error).split())}): {again}") from error
    return Search(trials, finalists, meta, best)


def read_predictions(
    results: Path, arm: str, prefix: str, known: Pictures | None = None
) -> tuple[Pictures | None, ColorUse | None]:
    """Pictures that may be shown, and how the arm uses colour over the whole test set; None for what it lacks.

    known: pictures of another arm. Where the names are the same, so are the gray input and the truth.
    """
    path = results / "predictions" / f"{arm}.npz"
    if not path.is_file():
        return None, None
    with files.explain_damage(path, f"run: study evaluate {results.name} {arm}"), np.load(path) as archive:
        return _pictures(archive, prefix, known), _color_use(archive)


def _pictures(archive: Any, prefix: str, known: Pictures | None) -> Pictures | None:
    if f"{prefix}prediction" not in archive or not len(prediction := archive[f"{prefix}prediction"]):
        return None
    names = tuple(str(name) for name in archive[f"{prefix}names"])
    if known is None or known.names != names:
        credited = tuple(str(credit) for credit in archive[f"{prefix}credits"]) if prefix else ()
        chosen = archive["grid"] if not prefix and "grid" in archive else range(len(names))
        gray, truth = (archive[prefix + part] for part in ("gray", "truth"))
        known = Pictures(names, gray, truth, prediction, credited, tuple(int(index) for index in chosen))
    return replace(known, prediction=prediction)


def _color_use(archive: Any) -> ColorUse | None:
    if "histogram_ab" not in archive:
        return None
    return ColorUse(*(archive[f"{side}histogram_{what}"] for what in ("ab", "hue", "chroma") for side in ("", "true_")))
