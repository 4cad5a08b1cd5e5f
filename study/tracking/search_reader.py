"""Searches as the pipeline left them: reads the trials of results/<study>/search/, family by family."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from study.errors import StudyError
from study.tracking.readers import plain_name, reason

# The columns of trials.csv that are proposals: weights, options, decoding and training of a candidate.
PROPOSALS = ("w_", "o_", "d_", "t_")
SCORES = ("fidelity", "vividness", "diversity", "ab_rmse", "chroma_ratio", "colorfulness", "hue_diversity", "seeds")


@dataclass(frozen=True)
class RecordedTrial:
    """One candidate: number, state ("complete" or "diverged"), what was proposed, its scores, and further words."""

    number: int
    state: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


@dataclass(frozen=True)
class RecordedSearch:
    """The search of one family.

    params: its budget; history: hypervolume after every trial; recommended: honest scores of the recommended point;
    finished: ms since 1970; digest: SHA-256 (hex) of all this.
    """

    family: str
    params: dict[str, str]
    history: list[float]
    recommended: dict[str, float]
    trials: list[RecordedTrial]
    finished: int
    digest: str


def read_search(root: Path, study: str) -> list[RecordedSearch]:
    """The families of the study's search, [] when there was none; StudyError when a file is damaged."""
    folder = root / "results" / study / "search"
    path = folder / "trials.csv"
    if not path.exists():
        return []
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        facts = json.loads((folder / "search.json").read_text(encoding="utf-8"))
        finished = round(path.stat().st_mtime * 1000)
        return [_family(name, rows, facts, finished) for name, rows in table.groupby("family", sort=False)]
    except (OSError, KeyError, ValueError) as error:
        raise StudyError(f"{folder} cannot be read ({reason(error)}): run `study search {study}` again") from error


def _family(name: str, rows: pd.DataFrame, facts: dict[str, Any], finished: int) -> RecordedSearch:
    family = facts["families"][name]
    point = family["choices"].get("recommended", {"honest": {}})
    honest = {key: value["mean"] for key, value in point["honest"].items() if isinstance(value, dict)}
    budget = {plain_name(key): json.dumps(value) for key, value in facts["budget"].items() if key != "says"}
    content = json.dumps([rows.to_dict("records"), budget, family["hypervolume"], honest], sort_keys=True)
    return RecordedSearch(
        family=name,
        params={f"search.{key}": value for key, value in budget.items()},
        history=family["hypervolume"],
        recommended=honest,
        trials=[_trial(row) for row in rows.to_dict("records")],
        finished=finished,
        digest=hashlib.sha256(content.encode()).hexdigest(),
    )


def _trial(row: dict[str, str]) -> RecordedTrial:
    return RecordedTrial(
        number=int(row["trial"]),
        state=row["state"],
        params={plain_name(key): value for key, value in row.items() if key.startswith(PROPOSALS) and value != ""},
        metrics={key: float(row[key]) for key in SCORES if row[key] != ""},
        tags={key: row[key] for key in ("front", "stopped", "enqueued")},
    )
