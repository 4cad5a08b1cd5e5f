"""Recording in MLflow when its store is away, slow, full, dies in the middle, is new to six processes, or lies in a
folder with an odd name."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import sqlite3
import threading
from collections import Counter
from contextlib import closing, contextmanager
from typing import Any

import pytest

from study.errors import StudyError
from study.tracking.mlflow import track_mlflow
from tests.tracking.helpers import (
    ARMS,
    SEEDS,
    STEPS,
    assert_one_line_names,
    live_runs,
    only,
    write_search,
    write_study,
)


def runs_in(database: Any) -> Counter[tuple[str, str]]:
    """(name, status) of the live runs in an sqlite store, counted."""
    with closing(sqlite3.connect(database)) as connection:
        return Counter(connection.execute("select name, status from runs where lifecycle_stage = 'active'").fetchall())


def test_six_processes_may_start_on_a_store_that_does_not_exist_yet(first_start):
    out = (first_start / "out.txt").read_text()
    assert f"status {[0] * 6}" in out
    counts = [tuple(map(int, found)) for found in re.findall(r"counts (\d+) (\d+)", out)]
    assert sorted(counts) == [(0, 4)] * 5 + [(4, 0)]
    assert (first_start / "err.txt").read_text() == ""
    names = ["mse", "vivid", *(f"{arm}/seed-{seed}" for arm in ARMS for seed in SEEDS)]
    assert runs_in(first_start / "mlflow.db") == {(name, "FINISHED"): 1 for name in names}
    assert not (first_start / "mlruns").exists()


def test_mlflow_is_imported_late_and_without_telemetry(first_start):
    out = (first_start / "out.txt").read_text().splitlines()
    assert out[:2] == ["imported []", "telemetry None"]
    assert not (first_start / ".config").exists()


@pytest.mark.parametrize("name", ["what?", "50%25", "meine Bücher #1 & 'sö'"])
def test_the_database_lies_in_the_project_whatever_its_folder_is_called(first_start, tmp_path, monkeypatch, name):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = write_study(tmp_path / "outer" / name)
    shutil.copy(first_start / "mlflow.db", root)  # spares the migrations of a new one

    assert track_mlflow(root, "toy", ["mse"], SEEDS).unchanged == 2
    write_search(root)
    assert track_mlflow(root, "toy", ["mse"], SEEDS).trials == 3

    assert runs_in(root / "mlflow.db")["search/a", "FINISHED"] == 1
    assert os.listdir(root.parent) == [name]
    assert {path.name for path in root.iterdir()} <= {"mlflow.db", "mlflow.db.lock", "results", "mlartifacts"}


class Dying:
    """MLflow's client. The store carries out `requests` requests, then it is gone."""

    def __init__(self, client: Any, requests: int) -> None:
        self.client, self.left = client, requests

    def __getattr__(self, name: str) -> Any:
        from mlflow.exceptions import MlflowException

        def request(*args, **kwargs):
            self.left -= 1
            if self.left < 0:
                raise MlflowException("gone")
            return getattr(self.client, name)(*args, **kwargs)

        return request


def test_a_store_may_die_after_any_request(tmp_path, uri, client, monkeypatch):
    import mlflow

    requests, failed = 0, True
    while failed:
        study, requests = f"dying after {requests}", requests + 1
        write_study(tmp_path, study, ["mse"], [0])
        with monkeypatch.context() as patched:
            patched.setattr(mlflow, "MlflowClient", lambda requests=requests, **_: Dying(client, requests))
            try:
                track_mlflow(tmp_path, study, ["mse"], [0], uri)
                failed = False
            except StudyError as error:
                assert_one_line_names(error, "mlflow.db", f"study track {study}")

        track_mlflow(tmp_path, study, ["mse"], [0], uri)

        runs = live_runs(client, study)
        assert set(runs) == {"mse", "mse/seed-0"}
        child = only(runs["mse/seed-0"])
        assert (child.info.status, only(runs["mse"]).info.status) == ("FINISHED", "FINISHED")
        assert child.data.tags["mlflow.parentRunId"] == only(runs["mse"]).info.run_id
        assert len(client.get_metric_history(child.info.run_id, "train/lab")) == STEPS
    assert requests > 6


@contextmanager
def serve(uri: str, deaf_from: tuple[str, int], lost: int):
    """MLflow's own server on `uri`, in this process.

    From the n-th request to an endpoint on (`deaf_from`), the answers to `lost` requests never arrive. They are carried
    out: the harder half of dying, as what was cut off exists and the client's retry makes it twice.
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


@pytest.mark.filterwarnings("ignore:starlette")  # MLflow's server warns of its own use of another package
def test_a_server_may_lose_an_answer_or_die(project, uri, client, capfd):
    root, study = project
    with serve(uri, ("runs/create", 2), lost=1) as address:  # the request is tried again: the run exists twice
        assert track_mlflow(root, study, ["mse"], [0], address).recorded == 1
    assert only(live_runs(client, study)["mse/seed-0"]).info.status == "FINISHED"

    with serve(uri, ("runs/log-batch", 2), lost=10_000) as address, pytest.raises(StudyError) as caught:
        track_mlflow(root, study, ["vivid"], SEEDS, address)
    assert_one_line_names(caught.value, address, f"study track {study}")

    assert track_mlflow(root, study, ARMS, SEEDS, uri).replaced == 1
    assert {len(found) for found in live_runs(client, study).values()} == {1}
    assert capfd.readouterr().out == ""


def test_a_port_nobody_listens_on_is_told_in_one_line(tmp_path, capfd):
    write_study(tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(StudyError) as caught:
            track_mlflow(tmp_path, "toy", ARMS, SEEDS, f"http://me:secret@{address}")
    assert_one_line_names(caught.value, f"http://{address}", "refused", "MLFLOW_TRACKING_URI", "study track toy")
    assert "secret" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_server_that_accepts_and_never_answers_is_given_up(tmp_path, monkeypatch):
    write_study(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(StudyError) as caught:
            track_mlflow(tmp_path, "toy", ARMS, SEEDS)
    assert_one_line_names(caught.value, address, "timed out", "MLFLOW_HTTP_REQUEST_TIMEOUT")


def test_a_full_disk_is_told_and_recording_goes_on_when_there_is_room(project, database, uri, client):
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    root, study = project
    full = True

    def no_more_pages(connection: Any, *_: Any) -> None:
        connection.execute(f"pragma max_page_count = {database.stat().st_size // 4096 if full else 1_000_000}")

    event.listen(Pool, "checkout", no_more_pages)
    try:
        with pytest.raises(StudyError) as caught:
            for count in range(50):  # until the free pages of the file are used up
                write_study(root, study, [f"arm-{count}"])
                track_mlflow(root, study, [f"arm-{count}"], SEEDS, uri)
        assert_one_line_names(caught.value, "full", "disk space", database.name)
        full = False
        track_mlflow(root, study, [f"arm-{count}"], SEEDS, uri)
    finally:
        event.remove(Pool, "checkout", no_more_pages)
    assert {len(found) for found in live_runs(client, study).values()} == {1}


@pytest.mark.parametrize("uri", ["sqlite:///{root}/notes.txt", "nonsense://x", "postgresql://nobody:pw@127.0.0.1:1/x"])
def test_a_store_that_cannot_be_opened_is_told_in_one_line(tmp_path, uri):
    write_study(tmp_path)
    (tmp_path / "notes.txt").write_text("this is a text and no database. " * 100)
    with pytest.raises(StudyError) as caught:
        track_mlflow(tmp_path, "toy", ARMS, SEEDS, uri.format(root=tmp_path))
    assert_one_line_names(caught.value, uri.partition(":")[0], "study track toy")
    assert "pw" not in str(caught.value)
