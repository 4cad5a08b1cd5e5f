"""Tracking: what MLflow and TensorBoard hold after a study is recorded, and what happens when they do not answer."""

from __future__ import annotations

import io
import json
import math
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.errors import StudyError
from study.tracking.mlflow import default_uri, flatten_settings, track_mlflow, track_tensorboard

ARMS, SEEDS = ["mse", "vivid"], [0, 1]
STEPS = 12


def write_cell(root: Path, arm: str, seed: int, study: str = "toy", **changes) -> None:
    """One cell as the pipeline leaves it: record.json and history.csv."""
    folder = root / "results" / study / "runs" / arm / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "study": study,
        "arm": arm,
        "seed": seed,
        "signature": f"{arm}-{seed}",
        "status": "finished",
        "diverged": None,
        "steps": STEPS,
        "images": STEPS * 64,
        "seconds": 3.25,
        "images_per_s": 200.5,
        "step_ms": 12.0,
        "parameters": 1234,
        "peak_memory_mb": None,
        "weights_sha256": f"weights of {arm} {seed}",
        "arm_settings": {
            "name": arm,
            "description": f"the {arm} arm",
            "loss": {"name": arm, "weights": {"lab": 1.0, "saturation": 0.01}, "options": {}, "file": None},
        },
        "train_settings": {"images": STEPS * 64, "batch": 64, "learning_rate": 0.002, "flip": True},
        "environment": {"python": "3.11", "torch": "2", "device": "cpu", "cpu": "two cores", "platform": "Linux"},
        "started": "2026-01-02T03:04:00+00:00",
        "finished": "2026-01-02T03:04:12+00:00",
    }
    (folder / "record.json").write_text(json.dumps(record | changes))
    rows = [(step, "train", name, loss_at(step, seed)) for step in range(1, STEPS + 1) for name in ("total", "lab")]
    rows += [(step, "val", "ab_rmse", 20.0 - step) for step in (6, 12)]
    rows += [(3, "train", "hue", math.nan), (4, "train", "hue", math.inf), (5, "train", "hue", 0.5)]
    text = "".join(f"{step},{64 * step},{split},{name},{value!r}\n" for step, split, name, value in rows)
    (folder / "history.csv").write_text(f"step,images,split,name,value\n{text}")


def loss_at(step: int, seed: int) -> float:
    return 100.0 / step + seed


def write_scores(root: Path, arm: str, seeds: list[int], study: str = "toy", shift: float = 0.0) -> None:
    """Two test images; chroma of seed k is 10k + 1 and 10k + 3; values of a palette kind must not be counted."""
    rows = [
        (study, arm, seed, f"{arm}-{seed}", image, kind, metric, value + (100.0 if kind == "sky" else 0.0))
        for seed in seeds
        for kind in ("all", "sky")
        for image, metric, value in [
            ("a.png", "chroma", 10.0 * seed + 1 + shift),
            ("b.png", "chroma", 10.0 * seed + 3 + shift),
            ("a.png", "chroma_ratio", 0.5),
            ("b.png", "chroma_ratio", math.nan),
        ]
    ]
    path = root / "results" / study / "scores" / f"{arm}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ["study", "arm", "seed", "signature", "image", "kind", "metric", "value"]
    pd.DataFrame(rows, columns=columns).to_parquet(path)


def write_study(root: Path, study: str) -> Path:
    for arm in ARMS:
        for seed in SEEDS:
            write_cell(root, arm, seed, study)
        write_scores(root, arm, SEEDS, study)
    return root


def live_runs(client, study: str) -> dict[str, list]:
    """Run name -> the runs of that name in the study's experiment."""
    experiment = client.get_experiment_by_name(study)
    named: dict[str, list] = {}
    for run in client.search_runs([experiment.experiment_id]):
        named.setdefault(run.info.run_name, []).append(run)
    return named


def only(runs: list):
    (run,) = runs
    return run


@pytest.fixture(scope="module")
def uri(tmp_path_factory) -> str:
    """One real sqlite store for the whole module (its migrations take seconds), in a folder with odd characters."""
    return default_uri(tmp_path_factory.mktemp("a store, 100 %"))


@pytest.fixture(scope="module")
def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(uri)


@pytest.fixture
def project(tmp_path, request) -> tuple[Path, str]:
    """A folder with a study of its own name, so that tests can share the store."""
    return write_study(tmp_path, request.node.name), request.node.name


def test_a_recorded_cell_can_be_read_back_from_mlflow(project, uri, client):
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


def test_values_that_are_not_finite_are_kept_as_far_as_mlflow_can(project, uri, client):
    root, study = project
    track_mlflow(root, study, ["mse"], [0], uri)

    run = only(live_runs(client, study)["mse/seed-0"])
    nan, inf, last = (point.value for point in client.get_metric_history(run.info.run_id, "train/hue"))
    assert math.isnan(nan)
    assert inf == np.finfo(np.float64).max
    assert last == 0.5


def test_recording_again_changes_nothing(project, uri, client):
    root, study = project
    track_mlflow(root, study, ARMS, SEEDS, uri)
    before = {name: only(runs).to_dictionary() for name, runs in live_runs(client, study).items()}

    again = track_mlflow(root, study, ARMS, SEEDS, uri)

    assert (again.recorded, again.replaced, again.unchanged) == (0, 0, 4)
    assert {name: only(runs).to_dictionary() for name, runs in live_runs(client, study).items()} == before


def test_a_cell_with_a_new_signature_replaces_the_old_one_and_leaves_the_others(project, uri, client):
    root, study = project
    track_mlflow(root, study, ARMS, SEEDS, uri)
    before = live_runs(client, study)
    write_cell(root, "mse", 1, study, signature="new", train_settings={"batch": 32})

    summary = track_mlflow(root, study, ARMS, SEEDS, uri)

    assert (summary.recorded, summary.replaced, summary.unchanged) == (0, 1, 3)
    after = live_runs(client, study)
    assert only(after["mse/seed-1"]).data.params["train.batch"] == "32"
    # Its scores are still those of the old network: none are recorded until it is evaluated.
    scored = {name for name, runs in after.items() if "score/chroma" in only(runs).data.metrics}
    assert {"mse/seed-0", "vivid/seed-1"} <= scored
    assert "mse/seed-1" not in scored
    old = only(before["mse/seed-1"]).info.run_id
    assert client.get_run(old).info.lifecycle_stage == "deleted"
    assert only(after["mse/seed-0"]).info.run_id == only(before["mse/seed-0"]).info.run_id
    assert only(after["vivid"]).info.run_id == only(before["vivid"]).info.run_id
    parents = {only(after[name]).data.tags["mlflow.parentRunId"] for name in ("mse/seed-0", "mse/seed-1")}
    assert parents == {only(after["mse"]).info.run_id}


def test_scores_that_arrive_or_change_later_reach_the_cells_and_the_mean(project, uri, client):
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


def test_a_diverged_cell_is_a_failed_run_that_says_where(project, uri, client):
    root, study = project
    diverged = {"status": "diverged", "diverged": {"step": 5, "term": "saturation"}, "steps": 0}
    write_cell(root, "vivid", 1, study, **diverged)
    write_scores(root, "vivid", [0], study)

    track_mlflow(root, study, ["vivid"], SEEDS, uri)

    runs = live_runs(client, study)
    child, parent = only(runs["vivid/seed-1"]), only(runs["vivid"])
    assert child.info.status == "FAILED"
    assert (child.data.tags["diverged_step"], child.data.tags["diverged_term"]) == ("5", "saturation")
    assert not [key for key in child.data.metrics if key.startswith("score/")]
    assert (parent.info.status, parent.data.tags["diverged_seeds"]) == ("FINISHED", "1")
    assert parent.data.metrics["score/chroma"] == 2.0
    assert track_mlflow(root, study, ["vivid"], SEEDS, uri).unchanged == 2


def test_a_cell_that_diverged_before_its_first_row_is_recorded_without_history(project, uri, client):
    root, study = project
    write_cell(root, "mse", 0, study, status="diverged", diverged={"step": 1, "term": "lab"}, steps=1, step_ms=None)
    path = root / "results" / study / "runs" / "mse" / "seed-0" / "history.csv"
    path.write_text("step,images,split,name,value\n")

    track_mlflow(root, study, ["mse"], [0], uri)
    track_tensorboard(root, study, ["mse"], [0], root / "tb")

    runs = live_runs(client, study)
    assert only(runs["mse/seed-0"]).info.status == only(runs["mse"]).info.status == "FAILED"
    assert not [key for key in only(runs["mse/seed-0"]).data.metrics if key.startswith(("train/", "val/"))]
    assert events_of(root / "tb" / study / "mse" / "seed-0").Tags()["scalars"] == ["score/chroma", "score/chroma_ratio"]


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


settings_trees = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers()),
    lambda inner: st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), settings_trees, max_size=4))
def test_any_settings_become_parameters_that_mlflow_accepts(settings):
    from mlflow.utils.validation import _validate_param

    for key, value in flatten_settings(settings, "arm").items():
        _validate_param(key, value)
        assert len(value) <= 6000


@contextmanager
def serve(uri: str, deaf_from: tuple[str, int] | None = None, lost: int = 10_000):
    """MLflow's own server on `uri`, in this process.

    From the n-th request to an endpoint on (`deaf_from`), `lost` requests are carried out but their answers never
    arrive: the harder half of dying, as what was cut off exists and the client's retry makes it twice.
    """
    from mlflow.server import app, handlers
    from werkzeug.serving import WSGIRequestHandler, make_server

    handlers._tracking_store = None
    handlers.initialize_backend_stores(uri, default_artifact_root="mlflow-artifacts:/")
    requests: Counter[str] = Counter()
    to_lose = 0

    class Handler(WSGIRequestHandler):
        def run_wsgi(self):
            nonlocal to_lose
            endpoint = self.path.partition("?")[0].removeprefix("/api/2.0/mlflow/")
            requests[endpoint] += 1
            if (endpoint, requests[endpoint]) == deaf_from:
                to_lose = lost
            if to_lose > 0:
                to_lose -= 1
                self.wfile = io.BytesIO()
                self.close_connection = True
            super().run_wsgi()

        def log(self, *_):
            pass

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# MLflow's server warns of its own use of another package.
server_may_warn = pytest.mark.filterwarnings("ignore:starlette")


@server_may_warn
@pytest.mark.parametrize(
    ("endpoint", "number"),
    [
        ("experiments/create", 1),
        ("runs/create", 1),  # of the arm's run
        ("runs/log-batch", 1),
        ("runs/create", 2),  # of a seed's run
        ("runs/log-batch", 4),
        ("runs/update", 2),
    ],
)
def test_a_server_that_dies_halfway_leaves_what_a_second_call_completes(project, uri, client, endpoint, number, capfd):
    root, study = project
    with serve(uri, (endpoint, number)) as address, pytest.raises(StudyError) as caught:
        track_mlflow(root, study, ["mse"], SEEDS, address)
    assert_one_line_names(caught.value, address)

    with serve(uri) as address:
        track_mlflow(root, study, ["mse"], SEEDS, address)
        assert track_mlflow(root, study, ["mse"], SEEDS, address).unchanged == 2

    runs = live_runs(client, study)
    assert set(runs) == {"mse", "mse/seed-0", "mse/seed-1"}
    assert only(runs["mse"]).data.metrics["score/chroma"] == 7.0
    assert capfd.readouterr().out == ""
    for seed in SEEDS:
        child = only(runs[f"mse/seed-{seed}"])
        assert child.info.status == "FINISHED"
        assert child.data.tags["mlflow.parentRunId"] == only(runs["mse"]).info.run_id
        assert len(client.get_metric_history(child.info.run_id, "train/lab")) == STEPS
        assert math.isnan(client.get_metric_history(child.info.run_id, "train/hue")[0].value)


@server_may_warn
def test_a_run_made_twice_by_a_retry_is_cleared_away_by_the_next_call(project, uri, client):
    root, study = project
    with serve(uri, ("runs/create", 2), lost=1) as address:
        assert track_mlflow(root, study, ["mse"], [0], address).recorded == 1
        assert len(live_runs(client, study)["mse/seed-0"]) == 2

        assert track_mlflow(root, study, ["mse"], [0], address).unchanged == 1
    assert only(live_runs(client, study)["mse/seed-0"]).info.status == "FINISHED"


def assert_one_line_names(error: StudyError, *parts: str) -> None:
    assert "\n" not in str(error)
    assert len(str(error)) < 500
    for part in parts:
        assert part in str(error)


def test_a_port_nobody_listens_on_is_told_in_one_line(tmp_path, capfd):
    write_study(tmp_path, "toy")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(StudyError) as caught:
            track_mlflow(tmp_path, "toy", ARMS, SEEDS, f"http://me:secret@{address}")
    assert_one_line_names(caught.value, f"http://{address}", "refused", "MLFLOW_TRACKING_URI", "study track toy")
    assert "secret" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_server_that_accepts_and_never_answers_is_given_up(tmp_path, monkeypatch):
    write_study(tmp_path, "toy")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(StudyError) as caught:
            track_mlflow(tmp_path, "toy", ARMS, SEEDS)
    assert_one_line_names(caught.value, address, "timed out")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "1"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


@pytest.mark.parametrize("uri", ["sqlite:///{root}/notes.txt", "nonsense://x", "postgresql://nobody:pw@127.0.0.1:1/x"])
def test_a_store_that_cannot_be_opened_is_told_in_one_line(tmp_path, uri):
    write_study(tmp_path, "toy")
    (tmp_path / "notes.txt").write_text("this is a text and no database. " * 100)
    with pytest.raises(StudyError) as caught:
        track_mlflow(tmp_path, "toy", ARMS, SEEDS, uri.format(root=tmp_path))
    assert_one_line_names(caught.value, "cannot be used", "study track toy")
    assert "pw" not in str(caught.value)


# Both scripts end with gc.freeze(): collecting all of MLflow as the interpreter ends would take a second and more.
RECORD_WHEN_TOLD = """
import gc
import sys
from pathlib import Path
from study.tracking.mlflow import track_mlflow
import mlflow
print("ready", flush=True)
sys.stdin.readline()
summary = track_mlflow(Path(sys.argv[1]), "toy", ["mse", "vivid"], [0, 1])
print(summary.recorded, summary.unchanged, summary.open_with)
gc.freeze()
"""


def test_two_processes_may_start_on_a_store_that_does_not_exist_yet(tmp_path):
    from mlflow import MlflowClient

    root = write_study(tmp_path, "toy")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[1]), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-c", RECORD_WHEN_TOLD, str(root)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = [subprocess.Popen(command, **pipes, text=True, env=environment, cwd=root) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate() for process in processes]

    assert [process.returncode for process in processes] == [0, 0], answers
    counts = np.array([[int(word) for word in out.split()[:2]] for out, _ in answers])
    assert counts.sum(axis=0).tolist() == [4, 4]
    assert all(err == "" for _, err in answers)
    assert answers[0][0].split(maxsplit=2)[2].strip() == f"mlflow ui --backend-store-uri {default_uri(root)}"
    runs = live_runs(MlflowClient(default_uri(root)), "toy")
    assert [len(found) for found in runs.values()] == [1] * 6
    assert not (root / "mlruns").exists()


def test_telemetry_is_off_before_mlflow_is_imported(tmp_path):
    """pytest and CI switch MLflow's telemetry off by themselves, so this looks in a process without their marks."""
    code = """
import gc
import sys
from pathlib import Path
import study.tracking.mlflow
assert "mlflow" not in sys.modules and "tensorboard" not in sys.modules
from study.errors import StudyError
try:
    study.tracking.track_mlflow(Path(sys.argv[1]), "toy", ["mse"], [0], "http://127.0.0.1:9")
except StudyError:
    from mlflow.telemetry.client import get_telemetry_client
    print(get_telemetry_client())
gc.freeze()
"""
    write_study(tmp_path, "toy")
    kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT") if key in os.environ}
    environment = kept | {"PYTHONPATH": str(Path(__file__).parents[1]), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"
    assert not (tmp_path / ".config").exists()


def test_nothing_trained_yet_says_what_to_run(tmp_path):
    for track in (track_mlflow, track_tensorboard):
        with pytest.raises(StudyError, match="study train toy"):
            track(tmp_path, "toy", ARMS, SEEDS, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("runs/mse/seed-0/record.json", "{", "study train"),
        ("runs/mse/seed-0/history.csv", "step,images,split,name,value\n1,64,train,total,x\n", "study train"),
        ("runs/mse/seed-0/history.csv", "", "study train"),
        ("scores/mse.parquet", "no parquet", "study evaluate"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, advice):
    write_study(tmp_path, "toy")
    path = tmp_path / "results" / "toy" / name
    path.write_text(content)
    with pytest.raises(StudyError) as caught:
        track_tensorboard(tmp_path, "toy", ARMS, SEEDS, tmp_path / "tensorboard")
    assert_one_line_names(caught.value, str(path), advice)


def events_of(folder: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    return accumulator.Reload()


def test_tensorboard_reads_histories_and_final_scores_back(tmp_path):
    write_study(tmp_path, "toy")
    summary = track_tensorboard(tmp_path, "toy", ARMS, [*SEEDS, 7], tmp_path / "tb")

    assert (summary.recorded, summary.missing) == (4, ("mse/seed-7", "vivid/seed-7"))
    events = events_of(tmp_path / "tb" / "toy" / "vivid" / "seed-1")
    total = events.Scalars("train/total")
    assert [point.step for point in total] == list(range(1, STEPS + 1))
    expected = [np.float32(loss_at(step, 1)) for step in range(1, STEPS + 1)]
    np.testing.assert_array_equal([np.float32(point.value) for point in total], expected)
    assert total[-1].wall_time - total[0].wall_time == pytest.approx(11.0)
    assert [(p.step, p.value) for p in events.Scalars("score/chroma")] == [(STEPS, 12.0)]
    nan, inf, last = (point.value for point in events.Scalars("train/hue"))
    assert math.isnan(nan)
    assert (inf, last) == (math.inf, 0.5)


def test_writing_tensorboard_files_again_replaces_the_folder_with_the_same_bytes(tmp_path):
    write_study(tmp_path, "toy")
    out = tmp_path / "tb"
    track_tensorboard(tmp_path, "toy", ARMS, SEEDS, out)
    before = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (out / "toy" / "mse" / "seed-0" / "events.out.tfevents.1.older").write_bytes(b"left over")

    summary = track_tensorboard(tmp_path, "toy", ARMS, SEEDS, out)

    assert (summary.recorded, summary.replaced) == (0, 4)
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_without_tensorboard_the_message_says_what_to_install(tmp_path, monkeypatch):
    write_study(tmp_path, "toy")
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"] + ["tensorboard"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StudyError, match=r"pip install 'colorization-loss-study\[tensorboard\]'"):
        track_tensorboard(tmp_path, "toy", ARMS, SEEDS, tmp_path / "tb")
