"""Reads a search as the pipeline left it in results/<study>/search/: its trials, family by family."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from study.errors import StudyError
from study.tracking.readers import plain_name, reason

# Columns of trials.csv that hold what was tried: weights, options, decoding and training of a candidate.
TRIED = ("w_", "o_", "d_", "t_")


@dataclass(frozen=True)
class RecordedTrial:
    """One candidate: its number, state ("complete" or "diverged"), what was tried, its scores, and its remarks."""

    number: int
    state: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


@dataclass(frozen=True)
class RecordedSearch:
    """The search of one family.

    params: its budget. hypervolume: after every trial. recommended: scores of the recommended weights, trained again
    in full on fresh seeds. finished: ms since 1970.
    """

    family: str
    params: dict[str, str]
    hypervolume: list[float]
    recommended: dict[str, float]
    trials: list[RecordedTrial]
    finished: int


def read_search(root: Path, study: str) -> list[RecordedSearch]:
    """The families of the study's search, [] when there was none; StudyError when a file is damaged."""
    folder = root / "results" / study / "search"
    path = folder / "trials.csv"
    if not path.exists():
        return []
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        search = json.loads((folder / "search.json").read_text(encoding="utf-8"))
        finished = round(path.stat().st_mtime * 1000)
        return [_family(name, rows, search, finished) for name, rows in table.groupby("family", sort=False)]
    except (OSError, KeyError, ValueError) as error:
        raise StudyError(f"{folder} cannot be read ({reason(error)}): run `study search {study}` again") from error


def _family(name: str, rows: pd.DataFrame, search: dict[str, Any], finished: int) -> RecordedSearch:
    family = search["families"][name]
    refit = family["choices"]["recommended"]["refit"] if "recommended" in family["choices"] else {}
    return RecordedSearch(
        family=name,
        params={f"search.{key}": json.dumps(value) for key, value in search["budget"].items() if key != "says"},
        hypervolume=family["hypervolume"],
        recommended={key: value["mean"] for key, value in refit.items() if isinstance(value, dict)},
        trials=[_trial(row) for row in rows.to_dict("records")],
        finished=finished,
    )


def _trial(row: dict[str, str]) -> RecordedTrial:
    number, state = int(row["trial"]), row["state"]
    trial = RecordedTrial(number, state, params={}, metrics={}, tags={})
    for key, value in row.items():
        if key in ("family", "trial", "state") or value == "":
            continue
        if key.startswith(TRIED):
            trial.params[plain_name(key)] = value
            continue
        try:
            trial.metrics[key] = float(value)
        except ValueError:
            trial.tags[key] = value
    return trial
