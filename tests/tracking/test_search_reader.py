"""A search in MLflow: a run per family, below it one per trial, written once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from study.errors import StudyError
from study.tracking.mlflow import default_uri, track_mlflow
from tests.tracking.test_mlflow import write_cell

TRIALS = [
    {"family": "a", "trial": 0, "state": "complete", "w_saturation": 0.01, "o_rebalance": "", "fidelity": 20.5,
     "seeds": 2, "front": "yes", "stopped": "", "enqueued": "published weights"},
    {"family": "a", "trial": 1, "state": "diverged", "w_saturation": 8.0, "o_rebalance": "", "fidelity": "",
     "seeds": 0, "front": "no", "stopped": "", "enqueued": ""},
    {"family": "b", "trial": 0, "state": "complete", "w_saturation": "", "o_rebalance": "none", "fidelity": 21.0,
     "seeds": 1, "front": "no", "stopped": "dominated", "enqueued": ""},
]  # fmt: skip
EMPTY = dict.fromkeys(("vividness", "diversity", "ab_rmse", "chroma_ratio", "colorfulness", "hue_diversity"), "")


def write_search(root: Path, best: float = 0.5) -> None:
    folder = root / "results" / "toy" / "search"
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([EMPTY | row for row in TRIALS]).to_csv(folder / "trials.csv", index=False)
    honest = {"ab_rmse": {"mean": 19.5, "low": 19.0, "high": 20.0}, "seconds": 3.0}
    families = {
        "a": {"hypervolume": [0.25, best], "choices": {"recommended": {"honest": honest}}},
        "b": {"hypervolume": [0.0], "choices": {}},
    }
    budget = {"trials": 2, "seeds": 2, "says": "words"}
    (folder / "search.json").write_text(json.dumps({"families": families, "budget": budget}))


def runs(root: Path) -> dict[str, Any]:
    from mlflow import MlflowClient

    client = MlflowClient(default_uri(root))
    experiment = client.get_experiment_by_name("toy")
    found = client.search_runs([experiment.experiment_id])
    assert max(Counter(run.info.run_name for run in found).values()) == 1
    return {run.info.run_name: run for run in found if run.info.run_name.startswith("search/")}


def test_a_search_is_recorded_once_and_anew_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_cell(tmp_path, "mse", 0)
    write_search(tmp_path)
    assert track_mlflow(tmp_path, "toy", ["mse"], [0]).trials == 3
    first = runs(tmp_path)
    assert set(first) == {"search/a", "search/a/trial-0", "search/a/trial-1", "search/b", "search/b/trial-0"}
    parent, trial = first["search/a"], first["search/a/trial-0"]
    assert trial.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert trial.data.params == {"w_saturation": "0.01"}
    assert trial.data.metrics == {"search/fidelity": 20.5, "search/seeds": 2.0}
    assert trial.data.tags["enqueued"] == "published weights"
    assert first["search/a/trial-1"].info.status == "FAILED"
    assert first["search/a/trial-1"].data.metrics == {"search/seeds": 0.0}
    assert first["search/b/trial-0"].data.params == {"o_rebalance": "none"}
    assert parent.data.metrics == {"search/hypervolume": 0.5, "recommended/ab_rmse": 19.5}
    assert parent.data.params == {"search.trials": "2", "search.seeds": "2"}

    track_mlflow(tmp_path, "toy", ["mse"], [0])
    assert {name: run.info.run_id for name, run in runs(tmp_path).items()} == {
        name: run.info.run_id for name, run in first.items()
    }

    write_search(tmp_path, best=0.75)
    track_mlflow(tmp_path, "toy", ["mse"], [0])
    second = runs(tmp_path)
    assert set(second) == set(first)
    assert second["search/a"].data.metrics["search/hypervolume"] == 0.75
    assert second["search/b"].info.run_id == first["search/b"].info.run_id

    from mlflow import MlflowClient

    MlflowClient(default_uri(tmp_path)).update_run(second["search/a"].info.run_id, status="RUNNING")  # as if cut off
    track_mlflow(tmp_path, "toy", ["mse"], [0])
    assert set(runs(tmp_path)) == set(first)
    assert runs(tmp_path)["search/a"].info.run_id != second["search/a"].info.run_id


def test_a_damaged_search_is_told_in_one_line(tmp_path: Path) -> None:
    write_cell(tmp_path, "mse", 0)
    write_search(tmp_path)
    (tmp_path / "results" / "toy" / "search" / "search.json").write_text("{")
    with pytest.raises(StudyError, match="run `study search toy` again"):
        track_mlflow(tmp_path, "toy", ["mse"], [0])
