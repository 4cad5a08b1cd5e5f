"""Reads training runs as the pipeline left them in results/<study>/: run records, histories and scores."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from study.errors import StudyError
from study.files import read_json


def reason(error: BaseException) -> str:
    """First line of the error that started the chain. MLflow wraps a refused connection five times."""
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def plain_name(text: str) -> str:
    """`text` with "_" for every character that MLflow does not take in names on all platforms, and for "/"."""
    return re.sub(r"[^\w.\- ]", "_", text)


@dataclass(frozen=True)
class RecordedCell:
    """One training run as the pipeline left it.

    folder: holds record.json and history.csv. record: the content of record.json.
    scores: {"score/<metric>": mean over the test pictures}; {} before the run is evaluated.
    """

    arm: str
    seed: int
    folder: Path
    record: dict[str, Any]
    scores: dict[str, float]

    @cached_property
    def history(self) -> pd.DataFrame:
        """Columns key ("train/total"), step, value, in the order written."""
        path = self.folder / "history.csv"
        try:
            table = pd.read_csv(path, dtype={"split": str, "name": str, "step": "int64", "value": "float64"})
            return table.assign(key=table["split"] + "/" + table["name"].map(plain_name))[["key", "step", "value"]]
        except (OSError, KeyError, ValueError) as error:
            raise StudyError(f"{path} cannot be read ({reason(error)}): run `study train` again") from error

    @property
    def interval(self) -> tuple[int, int]:
        """Start and end of the training, ms since 1970."""
        ends = (datetime.fromisoformat(self.record[key]) for key in ("started", "finished"))
        started, finished = (round(end.timestamp() * 1000) for end in ends)
        return started, finished

    def milliseconds(self, step: int) -> int:
        """When `step` was reached (ms since 1970), if all steps took equally long."""
        started, finished = self.interval
        return started + round((finished - started) * min(1.0, step / max(1, self.record["steps"])))


def _read_scores(path: Path) -> dict[tuple[int, str], dict[str, float]]:
    """(seed, signature of the run) -> "score/<metric>" -> mean over whole pictures; {} before the arm is evaluated."""
    if not path.exists():
        return {}
    columns = ["seed", "signature", "metric", "value"]
    try:
        table = pd.read_parquet(path, columns=columns, filters=[("region", "==", "all")])
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read ({reason(error)}): run `study evaluate` again") from error
    means = table.astype({"metric": str, "signature": str}).groupby(["seed", "signature", "metric"])["value"].mean()
    scores: dict[tuple[int, str], dict[str, float]] = {}
    for (seed, signature, metric), value in means.items():
        scores.setdefault((int(seed), signature), {})[f"score/{plain_name(metric)}"] = float(value)
    return scores


def read_cells(root: Path, study: str, arms: list[str], seeds: list[int]) -> tuple[list[RecordedCell], tuple[str, ...]]:
    """The training runs that have a run record, in declared order, and the names of those that have none.

    Raises StudyError when there is no run record at all, or a file is damaged.
    """
    results = root / "results" / study
    cells, missing = [], []
    for arm in arms:
        scores = _read_scores(results / "scores" / f"{arm}.parquet")
        for seed in seeds:
            folder = results / "runs" / arm / f"seed-{seed}"
            path = folder / "record.json"
            if not path.exists():
                missing.append(f"{arm}/seed-{seed}")
                continue
            record = read_json(path, f"run: study train {study} {arm}")
            cells.append(RecordedCell(arm, seed, folder, record, scores.get((seed, record["signature"]), {})))
    if not cells:
        raise StudyError(f"no training run of {study} in {results / 'runs'}: run `study train {study}` first")
    return cells, tuple(missing)
