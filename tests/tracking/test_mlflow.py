"""What MLflow holds after a study is recorded once, again, and after it changed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from study.tracking.mlflow import track_mlflow
from tests.tracking.helpers import (
    ARMS,
    SEEDS,
    STEPS,
    TRIALS,
    live_runs,
    loss_at,
    only,
    write_cell,
    write_scores,
    write_search,
)


def test_a_training_run_can_be_read_back(project, uri, client):
    root, study = project
    summary = track_mlflow(root, study, ARMS, [*SEEDS, 7], uri)

    assert (summary.recorded, summary.replaced, summary.unchanged) == (4, 0, 0)
    assert summary.missing == ("mse/seed-7", "vivid/seed-7")
    runs = live_runs(client, study)
    assert set(runs) == {"mse", "vivid", "mse/seed-0", "mse/seed-1", "vivid/seed-0", "vivid/seed-1"}
    parent, child = only(runs["vivid"]), only(runs["vivid/seed-1"])
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.info.status == "FINISHED"
    assert child.info.end_time - child.info.start_time == 12_000
    assert child.data.params["seed"] == "1"
    assert child.data.params["signature"] == "vivid-1"
    assert child.data.params["arm.loss.weights.saturation"] == "0.01"
    assert child.data.params["arm.loss.options"] == "{}"
    assert child.data.params["train.learning_rate"] == "0.002"
    assert child.data.params["model.options.width"] == "4"
    assert child.data.tags["weights_sha256"] == "weights of vivid 1"
    assert child.data.tags["hardware"] == "cpu, two cores, Linux"
    assert child.data.metrics["score/chroma"] == 12.0
    assert child.data.metrics["score/chroma_ratio"] == 0.5
    assert child.data.metrics["cost/step_ms"] == 12.0
    assert "cost/peak_memory_mb" not in child.data.metrics
    history = client.get_metric_history(child.info.run_id, "train/total")
    assert {point.step: point.value for point in history} == {s: loss_at(s, 1) for s in range(1, STEPS + 1)}
    assert [point.value for point in client.get_metric_history(child.info.run_id, "val/ab_rmse")] == [14.0, 8.0]
    assert parent.data.metrics == {"score/chroma": 7.0, "score/chroma_ratio": 0.5}
    assert parent.data.tags["mlflow.note.content"] == "the vivid arm"
    nan, inf, last = (point.value for point in client.get_metric_history(child.info.run_id, "train/hue"))
    assert math.isnan(nan)
    assert inf == np.finfo(np.float64).max
    assert last == 0.5


def test_recording_again_changes_only_what_changed(project, uri, client):
    root, study = project
    track_mlflow(root, study, ARMS, SEEDS, uri)
    before = live_runs(client, study)

    again = track_mlflow(root, study, ARMS, SEEDS, uri)

    assert (again.recorded, again.replaced, again.unchanged) == (0, 0, 4)
    assert as_values(live_runs(client, study)) == as_values(before)

    write_cell(root, "mse", 1, study, signature="new", train_settings={"batch": 32})
    changed = track_mlflow(root, study, ARMS, SEEDS, uri)

    assert (changed.recorded, changed.replaced, changed.unchanged) == (0, 1, 3)
    after = live_runs(client, study)
    assert only(after["mse/seed-1"]).data.params["train.batch"] == "32"
    # Its scores are still those of the old network: none are recorded until it is evaluated.
    scored = {name for name, runs in after.items() if "score/chroma" in only(runs).data.metrics}
    assert {"mse/seed-0", "vivid/seed-1"} <= scored
    assert "mse/seed-1" not in scored
    old = only(before["mse/seed-1"]).info.run_id
    assert client.get_run(old).info.lifecycle_stage == "deleted"
    for name in ("mse/seed-0", "vivid", "vivid/seed-0", "vivid/seed-1"):
        assert only(after[name]).info.run_id == only(before[name]).info.run_id
    parents = {only(after[name]).data.tags["mlflow.parentRunId"] for name in ("mse/seed-0", "mse/seed-1")}
    assert parents == {only(after["mse"]).info.run_id}

    track_mlflow(root, study, ["vivid"], [1], uri)  # seed 0 is no longer declared; mse is not asked for
    assert set(live_runs(client, study)) == {"mse", "mse/seed-0", "mse/seed-1", "vivid", "vivid/seed-1"}


def as_values(runs: dict[str, list[Any]]) -> dict[str, Any]:
    """Everything that MLflow says of each run."""
    return {name: only(found).to_dictionary() for name, found in runs.items()}


def test_scores_that_arrive_or_change_later_reach_the_seeds_and_the_mean(project, uri, client):
    root, study = project
    (root / "results" / study / "scores" / "mse.parquet").unlink()
    track_mlflow(root, study, ["mse"], SEEDS, uri)
    assert only(live_runs(client, study)["mse"]).data.metrics == {}

    for shift in (0.0, 5.0):
        write_scores(root, "mse", SEEDS, study, shift)
        assert track_mlflow(root, study, ["mse"], SEEDS, uri).replaced == 2
        runs = live_runs(client, study)
        assert only(runs["mse"]).data.metrics["score/chroma"] == 7.0 + shift
        assert only(runs["mse/seed-0"]).data.metrics["score/chroma"] == 2.0 + shift


def test_a_diverged_training_run_is_a_failed_run_that_says_where(project, uri, client):
    root, study = project
    diverged = {"status": "diverged", "diverged": {"step": 1, "term": "saturation"}, "steps": 1, "step_ms": None}
    write_cell(root, "vivid", 1, study, **diverged)
    (root / "results" / study / "runs" / "vivid" / "seed-1" / "history.csv").write_text(
        "step,images,split,name,value\n"
    )
    write_scores(root, "vivid", [0], study)

    track_mlflow(root, study, ["vivid"], SEEDS, uri)

    runs = live_runs(client, study)
    child, parent = only(runs["vivid/seed-1"]), only(runs["vivid"])
    assert child.info.status == "FAILED"
    assert (child.data.tags["diverged_step"], child.data.tags["diverged_term"]) == ("1", "saturation")
    assert not [key for key in child.data.metrics if key.startswith(("score/", "train/", "val/"))]
    assert (parent.info.status, parent.data.tags["diverged_seeds"]) == ("FINISHED", "1")
    assert parent.data.metrics["score/chroma"] == 2.0
    assert track_mlflow(root, study, ["vivid"], SEEDS, uri).unchanged == 2


def test_a_deleted_experiment_is_restored(project, uri, client):
    root, study = project
    track_mlflow(root, study, ["mse"], [0], uri)
    client.delete_experiment(client.get_experiment_by_name(study).experiment_id)

    track_mlflow(root, study, ["mse"], [0], uri)

    assert client.get_experiment_by_name(study).lifecycle_stage == "active"
    assert {name: len(runs) for name, runs in live_runs(client, study).items()} == {"mse": 1, "mse/seed-0": 1}


def test_long_histories_and_many_settings_pass_the_limits_of_one_call(project, uri, client):
    root, study = project
    options = {f"option {k}": k for k in range(250)} | {"text": "x" * 7000}
    write_cell(root, "mse", 0, study, arm_settings={"description": "", "loss": {"options": options}})
    rows = [f"{step},{step},train,total,{float(step)}" for step in range(2500)]
    path = root / "results" / study / "runs" / "mse" / "seed-0" / "history.csv"
    path.write_text("\n".join(["step,images,split,name,value", *rows]) + "\n")

    track_mlflow(root, study, ["mse"], [0], uri)

    run = only(live_runs(client, study)["mse/seed-0"])
    history = client.get_metric_history(run.info.run_id, "train/total")
    assert sorted(point.step for point in history) == list(range(2500))
    assert run.data.params["arm.loss.options.option 249"] == "249"
    assert run.data.params["arm.loss.options.text"] == "x" * 6000


def test_a_search_is_a_run_with_a_run_per_trial(project, uri, client):
    root, study = project
    write_search(root, study)

    def track() -> dict[str, Any]:
        assert track_mlflow(root, study, ["mse"], [0], uri).recorded <= 1
        return {name: only(runs) for name, runs in live_runs(client, study).items() if name.startswith("search/")}

    first = track()
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

    assert ids(track()) == ids(first)

    write_search(root, study, best=0.75, trials=[TRIALS[0], TRIALS[2]])
    second = track()
    assert set(second) == set(first) - {"search/a/trial-1"}
    assert second["search/a"].data.metrics["search/hypervolume"] == 0.75
    for name in ("search/a/trial-0", "search/b", "search/b/trial-0"):
        assert ids(second)[name] == ids(first)[name]
    assert second["search/a/trial-0"].data.tags["mlflow.parentRunId"] == ids(second)["search/a"]


def ids(runs: dict[str, Any]) -> dict[str, str]:
    """Run name -> id."""
    return {name: run.info.run_id for name, run in runs.items()}


@pytest.mark.parametrize("given", ["uri", "environment"])
def test_the_summary_says_how_to_look_at_the_runs(project, uri, monkeypatch, given):
    root, study = project
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri if given == "environment" else "http://127.0.0.1:9")
    summary = track_mlflow(root, study, ["mse"], [0], uri if given == "uri" else None)
    assert summary.store == uri
    assert "mlflow ui" in summary.open_with
    assert f"'{uri}'" in summary.open_with  # quoted for the shell, as the folder has a space
