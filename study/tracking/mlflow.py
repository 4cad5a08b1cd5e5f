"""Brings an MLflow store to the state of a study's results, whatever happens to the store meanwhile."""

from __future__ import annotations

import logging
import os
import re
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from filelock import FileLock, Timeout

from study.errors import StudyError
from study.tracking import TrackingSummary
from study.tracking.mlflow_runs import LONGEST_VALUE, Key, Record, key_of, records_of_cells, records_of_search
from study.tracking.readers import read_cells, reason
from study.tracking.search_reader import read_search

METRICS_PER_CALL, PARAMS_PER_CALL = 900, 100  # MLflow refuses more than 1000 in one call
LOCK_SECONDS = 300.0
PARENT = "mlflow.parentRunId"

# Tracking is a by-product. A server that is down may cost seconds, not the minutes of MLflow's defaults: 7 retries of
# 120 s, or as long as the server's Retry-After says. What the environment says already wins.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}


def track_mlflow(root: Path, study: str, arms: list[str], seeds: list[int], uri: str | None = None) -> TrackingSummary:
    """Record the training runs of a study in MLflow: one experiment, a run per arm, below it a run per seed.

    A seed's run holds the settings as parameters (arm.*, model.*, train.*, seed, signature), the histories as metrics
    `train/<name>` and `val/<name>` by step, the final scores as `score/<metric>` (mean over the test pictures, NaN left
    out), and `cost/...`. Its tags name the signature, the hash of the weights, hardware and software. A run that
    diverged is FAILED, with tags diverged_step and diverged_term. MLflow keeps NaN, and an infinite value as the
    largest float of its sign. An arm's run holds its settings and the mean of every final score over the seeds.
    The search of a family is a run `search/<family>` with budget, hypervolume by trial and `recommended/<metric>`.
    Below it is a run per trial: what was tried as parameters, its scores as `search/<metric>`.

    A second call writes nothing twice. It replaces runs that changed or were cut off, and deletes those of the same
    arms and searches that are no longer in results/ (MLflow can restore them until `mlflow gc`).

    root: the project's folder, which holds results/. uri: the MLflow store; None means MLFLOW_TRACKING_URI of the
    environment, and without that the file mlflow.db in `root`.
    Raises StudyError when nothing is trained yet, a file is damaged, or the store does not work. A request waits 5 s
    and is tried twice; MLFLOW_HTTP_REQUEST_TIMEOUT and MLFLOW_HTTP_REQUEST_MAX_RETRIES change that.
    """
    root = Path(root).resolve()
    cells, missing = read_cells(root, study, arms, seeds)
    searches = read_search(root, study)
    records = [
        *records_of_cells(study, cells),
        *(record for one in searches for record in records_of_search(study, one)),
    ]
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI")
    for name, value in SETTINGS.items():  # before the import: MLflow starts its telemetry there
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise StudyError(f"MLflow is not usable ({reason(error)}): run `pip install mlflow`") from error
    shown = _without_password(uri) if uri else str(root / "mlflow.db")
    try:
        with _muted(), _one_at_a_time(root, uri), _address(root, uri) as address:
            if _is_database(address):
                _ask_database(address)
            client = MlflowClient(tracking_uri=address)
            experiment = _open_experiment(client, study, root, address)
            counts = _bring_up_to_date(client, experiment, records)
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        raise StudyError(
            f"MLflow at {shown} does not work ({reason(error)}): {_remedy(uri)}; then run `study track {study}` again "
            "(what is recorded is kept)"
        ) from error
    trials = sum(len(search.trials) for search in searches)
    return TrackingSummary(
        shown, study, counts["recorded"], counts["replaced"], counts["unchanged"], missing, _command(root, uri), trials
    )


def _is_database(uri: str) -> bool:
    return uri.startswith(("sqlite", "postgresql", "mysql", "mssql"))


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


def _remedy(uri: str | None) -> str:
    if uri is None or uri.startswith("sqlite"):
        return "free disk space, or move the file away and all is recorded anew"
    if _is_database(uri):
        return "start or repair the database, or unset MLFLOW_TRACKING_URI (leave out --uri) to record into mlflow.db"
    return (
        "start the server or correct its address, raise MLFLOW_HTTP_REQUEST_TIMEOUT if it is slow, or unset "
        "MLFLOW_TRACKING_URI (leave out --uri) to record into mlflow.db"
    )


def _command(root: Path, uri: str | None) -> str:
    if uri is None:  # relative: MLflow misreads an absolute path with "?" or "%" in it
        return f"cd {shlex.quote(str(root))} && mlflow ui --backend-store-uri sqlite:///mlflow.db"
    shown = _without_password(uri)
    return shown if uri.startswith("http") else f"mlflow ui --backend-store-uri {shlex.quote(shown)}"


@contextmanager
def _muted() -> Iterator[None]:
    """Keep migration notices, retry warnings and tracebacks off the screen; the raised error says it all."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "urllib3")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _one_at_a_time(root: Path, uri: str | None) -> Iterator[None]:
    """Let one process at a time use a store.

    Migrations of a new sqlite file crash side by side. A run that another process is writing looks like one cut off.
    """
    file = root / "mlflow.db"
    if uri and uri.startswith("sqlite"):
        from sqlalchemy import make_url

        file = Path(make_url(uri).database or file)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{file}.lock", timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise StudyError(
            f"another process has held {file}.lock for {LOCK_SECONDS:.0f} s: wait for it to end, then run "
            "`study track` again"
        ) from error


@contextmanager
def _address(root: Path, uri: str | None) -> Iterator[str]:
    """`uri`, or one of the project's own mlflow.db.

    An address cannot name every folder: SQLAlchemy cuts a path at "?" and decodes "%25", MLflow does neither. Such a
    project is reached by a link of a plain name.
    """
    if uri:
        yield uri
    elif re.search("[?%]", str(root)):
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder, "project")
            link.symlink_to(root)
            yield f"sqlite:///{link}/mlflow.db"
    else:
        yield f"sqlite:///{root}/mlflow.db"


def _ask_database(uri: str) -> None:
    """Open a database once. MLflow itself would try ten times, for 100 s, before it reports a broken one."""
    import sqlalchemy

    waits = uri.startswith(("postgresql", "mysql"))
    engine = sqlalchemy.create_engine(uri, connect_args={"connect_timeout": 5} if waits else {})
    try:
        sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _open_experiment(client: Any, study: str, root: Path, uri: str) -> str:
    """Id of the study's experiment; made when new, restored when somebody deleted it."""
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        # A server decides where artifacts go. Without one they would go into the working directory.
        location = None if uri.startswith("http") else (root / "mlartifacts").as_uri()
        return client.create_experiment(study, artifact_location=location)
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return experiment.experiment_id


def _live_runs(client: Any, experiment: str) -> list[Any]:
    """The runs of the experiment that were written here."""
    runs, token = [], None
    while page := client.search_runs([experiment], max_results=1000, page_token=token):
        runs += [run for run in page if "study" in run.data.tags]
        if not (token := page.token):
            break
    return runs


def _bring_up_to_date(client: Any, experiment: str, records: list[Record]) -> Counter[str]:
    """Make the experiment hold every record exactly once; count what became of the runs of seeds.

    Cut off at any point, the next call completes it: a run's end is written last, and an older run is deleted after
    its successor has its end.
    """
    found: dict[Key, list[Any]] = {}
    for run in _live_runs(client, experiment):
        found.setdefault(key_of(run.data.tags), []).append(run)
    ids: dict[Key, str] = {}
    counts: Counter[str] = Counter()
    for record in records:
        old = found.get(record.key, [])
        parent = {PARENT: ids[record.parent]} if record.parent else {}
        kept = next((run for run in old if _holds(run, record)), None)
        if kept is None:
            ids[record.key] = _write(client, experiment, record, parent)
        else:
            ids[record.key] = kept.info.run_id
            if parent and kept.data.tags.get(PARENT) != parent[PARENT]:
                client.set_tag(kept.info.run_id, PARENT, parent[PARENT])
        if record.tags.get("seed"):
            counts["unchanged" if kept else "replaced" if old else "recorded"] += 1
    groups = {(arm, search) for arm, _, search, _ in ids}
    for run in _live_runs(client, experiment):  # looked up anew: a request that is tried again may make a run twice
        arm, _, search, _ = key_of(run.data.tags)
        if (arm, search) in groups and run.info.run_id not in ids.values():
            client.delete_run(run.info.run_id)
    return counts


def _holds(run: Any, record: Record) -> bool:
    return run.data.tags.get("content") == record.content and run.info.status in ("FINISHED", "FAILED")


def _write(client: Any, experiment: str, record: Record, parent: dict[str, str]) -> str:
    """Write one run, its end last, and return its id."""
    from mlflow.entities import Metric, Param

    tags = {key: value[:LONGEST_VALUE] for key, value in record.tags.items()} | parent | {"content": record.content}
    run = client.create_run(experiment, start_time=record.interval[0], tags=tags, run_name=record.name).info.run_id
    params = [Param(key, value) for key, value in record.params.items()]
    points = [Metric(*point) for point in [*record.history(), *record.metrics]]
    while params or points:
        client.log_batch(run, points[:METRICS_PER_CALL], params[:PARAMS_PER_CALL], synchronous=True)
        params, points = params[PARAMS_PER_CALL:], points[METRICS_PER_CALL:]
    client.set_terminated(run, status="FAILED" if record.failed else "FINISHED", end_time=record.interval[1])
    return run
