"""What MLflow holds of a study: turns training runs and searches into records, one per MLflow run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from study.tracking.readers import RecordedCell, plain_name
from study.tracking.search_reader import RecordedSearch

LONGEST_VALUE = 6000  # characters of one MLflow parameter
LONGEST_KEY = 250
COSTS = ("seconds", "step_ms", "images_per_s", "peak_memory_mb", "parameters")  # of a run record
Point = tuple[str, float, int, int]  # key, value, ms since 1970, step
Key = tuple[str, str, str, str]  # arm, seed, search, trial; "" for those that a run does not have


def key_of(tags: dict[str, str]) -> Key:
    """What an MLflow run is about, by its tags."""
    return tags.get("arm", ""), tags.get("seed", ""), tags.get("search", ""), tags.get("trial", "")


@dataclass(frozen=True)
class Record:
    """One MLflow run as it should be.

    metrics: final values. history: gives the values by step; it is called only when the run is written.
    interval: start and end, ms since 1970.
    """

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: list[Point]
    interval: tuple[int, int]
    failed: bool = False
    history: Callable[[], list[Point]] = list

    @property
    def key(self) -> Key:
        """What the run is about."""
        return key_of(self.tags)

    @property
    def parent(self) -> Key | None:
        """The key of the run above: an arm's for a seed, a search's for a trial."""
        arm, seed, search, trial = self.key
        return (arm, "", search, "") if seed or trial else None

    @property
    def content(self) -> str:
        """SHA-256 (hex) of tags, parameters and final values, without times. The run is the same while this is."""
        values = [(key, value, step) for key, value, _, step in self.metrics]
        return hashlib.sha256(json.dumps([self.tags, self.params, values], sort_keys=True).encode()).hexdigest()


def flatten_settings(settings: dict[str, Any], prefix: str) -> dict[str, str]:
    """Nested settings as MLflow parameters: {"arm.loss.weights.lab": "1.0"}.

    Keys keep letters, digits and "_-. " (others become "_"), at most 250 characters. Strings stay as they are, other
    values are written as JSON. Values are cut at 6000 characters.
    """
    flat: dict[str, str] = {}
    for name, value in settings.items():
        key = f"{prefix}.{plain_name(str(name))}"
        if isinstance(value, dict) and value:
            flat |= flatten_settings(value, key)
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            flat[key[:LONGEST_KEY]] = text[:LONGEST_VALUE]
    return flat


def records_of_cells(study: str, cells: list[RecordedCell]) -> Iterator[Record]:
    """A record per arm, and after it one per seed."""
    for arm in dict.fromkeys(cell.arm for cell in cells):
        of_arm = [cell for cell in cells if cell.arm == arm]
        yield _arm(study, of_arm)
        yield from (_cell(study, cell) for cell in of_arm)


def _arm(study: str, cells: list[RecordedCell]) -> Record:
    settings = cells[0].record["arm_settings"]
    diverged = [str(cell.seed) for cell in cells if cell.record["status"] == "diverged"]
    start, end = min(cell.interval[0] for cell in cells), max(cell.interval[1] for cell in cells)
    means = pd.DataFrame([cell.scores for cell in cells]).mean()
    return Record(
        name=cells[0].arm,
        tags={
            "study": study,
            "arm": cells[0].arm,
            "seeds": ", ".join(str(cell.seed) for cell in cells),
            "diverged_seeds": ", ".join(diverged) or "none",
            "mlflow.note.content": settings["description"],
        },
        params=flatten_settings(settings, "arm"),
        metrics=[(key, float(value), end, 0) for key, value in means.items()],
        interval=(start, end),
        failed=len(diverged) == len(cells),
    )


def _cell(study: str, cell: RecordedCell) -> Record:
    record, end = cell.record, cell.interval[1]
    environment = {key: str(value) for key, value in record["environment"].items()}
    costs = {f"cost/{key}": float(record[key]) for key in COSTS if record.get(key) is not None}
    return Record(
        name=f"{cell.arm}/seed-{cell.seed}",
        tags={
            "study": study,
            "arm": cell.arm,
            "seed": str(cell.seed),
            "signature": record["signature"],
            "weights_sha256": record["weights_sha256"],
            "status": record["status"],
            "hardware": ", ".join(environment[key] for key in ("device", "cpu", "platform") if key in environment),
            **{f"environment.{plain_name(key)}": value for key, value in environment.items()},
            **{f"diverged_{key}": str(value) for key, value in (record["diverged"] or {}).items()},
        },
        params={"arm": cell.arm, "seed": str(cell.seed), "signature": record["signature"]}
        | flatten_settings(record["arm_settings"], "arm")
        | flatten_settings(record.get("model_settings", {}), "model")
        | flatten_settings(record["train_settings"], "train"),
        metrics=[(key, value, end, record["steps"]) for key, value in (costs | cell.scores).items()],
        interval=cell.interval,
        failed=record["status"] == "diverged",
        history=lambda: [
            (row.key, row.value, cell.milliseconds(row.step), row.step) for row in cell.history.itertuples()
        ],
    )


def records_of_search(study: str, search: RecordedSearch) -> Iterator[Record]:
    """A record of the family's search, and after it one per trial."""
    end, tags = search.finished, {"study": study, "search": search.family}
    hypervolume = [("search/hypervolume", value, end, step) for step, value in enumerate(search.hypervolume)]
    recommended = [(f"recommended/{key}", value, end, 0) for key, value in search.recommended.items()]
    name = f"search/{search.family}"
    yield Record(name, tags, search.params, hypervolume + recommended, (end, end))
    for trial in search.trials:
        yield Record(
            name=f"{name}/trial-{trial.number}",
            tags=tags | trial.tags | {"trial": str(trial.number)},
            params=trial.params,
            metrics=[(f"search/{key}", value, end, 0) for key, value in trial.metrics.items()],
            interval=(end, end),
            failed=trial.state == "diverged",
        )
