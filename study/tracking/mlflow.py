"""Trackers: copies trained cells and searches into MLflow and TensorBoard; the only file that knows either of them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import pandas as pd
from filelock import FileLock, Timeout

from study.errors import StudyError
from study.files import fresh_directory
from study.tracking.readers import RecordedCell, plain_name, read_cells, reason
from study.tracking.search_reader import RecordedSearch, read_search

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

METRICS_PER_CALL = 1000  # MLflow refuses larger batches
PARAMS_PER_CALL = 100
LONGEST_VALUE = 6000  # characters of one MLflow parameter
LONGEST_KEY = 250
LOCK_SECONDS = 300.0
Point = tuple[str, float, int, int]  # of a metric: key, value, ms since 1970, step
COSTS = ("seconds", "step_ms", "images_per_s", "peak_memory_mb", "parameters")  # of a run record

QUIET = {  # no telemetry, no links on stdout for every run
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# Tracking is a by-product: a server that is down may cost seconds, never the minutes of MLflow's defaults
# (7 retries of 120 s, or as long as the server's Retry-After says). What the environment says wins.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}


@dataclass(frozen=True)
class TrackingSummary:
    """What one call of a tracker did.

    store: address of the MLflow store (without its password), or the folder of the event files.
    recorded, replaced, unchanged: numbers of cells written anew, written in place of an older record of the
    same cell, and found already recorded.
    missing: declared cells ("arm/seed-0") without a run record; they are left out.
    open_with: the shell command, or the address, that shows the records.
    trials: how many trials of searches are on record now.
    """

    store: str
    study: str
    recorded: int
    replaced: int
    unchanged: int
    missing: tuple[str, ...]
    open_with: str
    trials: int = 0


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def flatten_settings(settings: dict[str, Any], prefix: str) -> dict[str, str]:
    """Nested settings as MLflow parameters: {"arm.loss.weights.lab": "1.0"}.

    Keys keep letters, digits and "_-. " (others become "_"), at most 250 characters; strings stay as they are,
    other values are written as JSON; values are cut at 6000 characters.
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


# -- MLflow ----------------------------------------------------------------------------------------------


def default_uri(root: Path) -> str:
    """The MLflow store of a project that names none: the sqlite file mlflow.db in its root."""
    return f"sqlite:///{(Path(root).resolve() / 'mlflow.db').as_posix()}"


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


@contextmanager
def _environment() -> Iterator[None]:
    """MLflow's settings for one call: telemetry off, short waits. It reads them at every request."""
    before = {name: os.environ.get(name) for name in (*QUIET, *PATIENCE)}
    os.environ.update(PATIENCE | {name: value for name, value in before.items() if value} | QUIET)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
def _one_at_a_time(root: Path, uri: str) -> Iterator[None]:
    """One tracker per store: migrations of a new sqlite file crash side by side, and a run that is still being
    written would look like a half-written one to a second process."""
    file = uri.removeprefix("sqlite:///") if uri.startswith("sqlite:///") else root / "mlflow.db"
    path = Path(f"{file}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise StudyError(
            f"another process has held {path} for {LOCK_SECONDS:.0f} s: wait for it to end, then run "
            "`study track` again"
        ) from error


def _ask_database(uri: str) -> None:
    """Open a database once. MLflow itself would try ten times, for 100 s, before it reports a broken one."""
    import sqlalchemy

    waits = uri.startswith(("postgresql", "mysql"))
    engine = sqlalchemy.create_engine(uri, connect_args={"connect_timeout": 5} if waits else {})
    try:
        sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _open_experiment(client: MlflowClient, study: str, root: Path, uri: str) -> str:
    """Id of the study's experiment; made when new, restored when somebody deleted it."""
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        # A server decides where artifacts go; without one they would go into the current directory.
        location = None if uri.startswith("http") else (root / "mlartifacts").as_uri()
        return client.create_experiment(study, artifact_location=location)
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return experiment.experiment_id


def _live_runs(client: MlflowClient, experiment: str) -> Iterator[Run]:
    page = client.search_runs([experiment], max_results=1000)
    yield from page
    while page.token:
        page = client.search_runs([experiment], max_results=1000, page_token=page.token)
        yield from page


def _find_runs(client: MlflowClient, experiment: str) -> dict[tuple[str, str], list[Run]]:
    """(arm, seed) -> the live runs recorded for it; the seed is "" for an arm's own run."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in _live_runs(client, experiment):
        tags = run.data.tags
        if "study" in tags and "arm" in tags:
            found.setdefault((tags["arm"], tags.get("seed", "")), []).append(run)
    return found


def _record_among(runs: list[Run], tags: dict[str, str]) -> Run | None:
    """The run that holds all that `tags` identify; a run's end is written last: a RUNNING one was cut off."""
    for run in runs:
        same = all(run.data.tags.get(key) == tags[key] for key in ("signature", "scores_sha256"))
        if same and run.info.status in ("FINISHED", "FAILED"):
            return run
    return None


def _write_run(
    client: MlflowClient,
    experiment: str,
    name: str,
    *,
    tags: dict[str, str],
    params: dict[str, str],
    metrics: list[Point],
    interval: tuple[int, int],
    status: str,
) -> str:
    """Record one run (`status` last) and return its id."""
    tags = {key: value[:LONGEST_VALUE] for key, value in tags.items()}
    run = client.create_run(experiment, start_time=interval[0], tags=tags, run_name=name).info.run_id
    _log(client, run, params, metrics)
    client.set_terminated(run, status=status, end_time=interval[1])
    return run


def _log(client: MlflowClient, run: str, params: dict[str, str], metrics: list[Point]) -> None:
    from mlflow.entities import Metric, Param

    rows = [Param(key, value) for key, value in params.items()]
    for start in range(0, len(rows), PARAMS_PER_CALL):
        client.log_batch(run, params=rows[start : start + PARAMS_PER_CALL], synchronous=True)
    points = [Metric(*metric) for metric in metrics]
    for start in range(0, len(points), METRICS_PER_CALL):
        client.log_batch(run, metrics=points[start : start + METRICS_PER_CALL], synchronous=True)


def _cell_tags(study: str, cell: RecordedCell) -> dict[str, str]:
    record = cell.record
    environment = {key: str(value) for key, value in record["environment"].items()}
    return {
        "study": study,
        "arm": cell.arm,
        "seed": str(cell.seed),
        "signature": record["signature"],
        "scores_sha256": _digest(cell.scores),
        "weights_sha256": record["weights_sha256"],
        "status": record["status"],
        "hardware": ", ".join(environment[key] for key in ("device", "cpu", "platform")),
        **{f"environment.{plain_name(key)}": value for key, value in environment.items()},
        **{f"diverged_{key}": str(value) for key, value in (record["diverged"] or {}).items()},
    }


def _write_cell(client: MlflowClient, experiment: str, cell: RecordedCell, tags: dict[str, str]) -> None:
    record, end = cell.record, cell.interval[1]
    final = {f"cost/{key}": float(record[key]) for key in COSTS if record[key] is not None} | cell.scores
    history = [(row.key, row.value, cell.milliseconds(row.step), row.step) for row in cell.history.itertuples()]
    _write_run(
        client,
        experiment,
        f"{cell.arm}/seed-{cell.seed}",
        tags=tags,
        params={"arm": cell.arm, "seed": str(cell.seed), "signature": record["signature"]}
        | flatten_settings(record["arm_settings"], "arm")
        | flatten_settings(record["train_settings"], "train"),
        metrics=history + [(key, value, end, record["steps"]) for key, value in final.items()],
        interval=cell.interval,
        status="FAILED" if record["status"] == "diverged" else "FINISHED",
    )


def _arm_run(client: MlflowClient, experiment: str, study: str, cells: list[RecordedCell], old: list[Run]) -> str:
    """Id of the run of one arm: its settings and the means of the final scores over the seeds."""
    settings = cells[0].record["arm_settings"]
    means = pd.DataFrame([cell.scores for cell in cells]).mean()
    diverged = [str(cell.seed) for cell in cells if cell.record["status"] == "diverged"]
    tags = {
        "study": study,
        "arm": cells[0].arm,
        "seeds": ", ".join(str(cell.seed) for cell in cells),
        "diverged_seeds": ", ".join(diverged) or "none",
        "signature": _digest([settings, [cell.record["signature"] for cell in cells]]),
        "scores_sha256": _digest([[cell.seed, cell.scores] for cell in cells]),
        "mlflow.note.content": settings["description"],
    }
    if run := _record_among(old, tags):
        return run.info.run_id
    interval = min(cell.interval[0] for cell in cells), max(cell.interval[1] for cell in cells)
    return _write_run(
        client,
        experiment,
        cells[0].arm,
        tags=tags,
        params=flatten_settings(settings, "arm"),
        metrics=[(key, float(value), interval[1], 0) for key, value in means.items()],
        interval=interval,
        status="FAILED" if len(diverged) == len(cells) else "FINISHED",
    )


def _record_all(client: MlflowClient, experiment: str, study: str, cells: list[RecordedCell]) -> dict[str, int]:
    """Bring the experiment to the state of `cells`; cut off at any point, a later call completes it."""
    found = _find_runs(client, experiment)
    counts = dict.fromkeys(("recorded", "replaced", "unchanged"), 0)
    for arm in dict.fromkeys(cell.arm for cell in cells):
        of_arm = [cell for cell in cells if cell.arm == arm]
        parent = _arm_run(client, experiment, study, of_arm, found.get((arm, ""), []))
        outdated = [run for run in found.get((arm, ""), []) if run.info.run_id != parent]
        for cell in of_arm:
            tags = _cell_tags(study, cell)
            old = found.get((arm, str(cell.seed)), [])
            kept = _record_among(old, tags)
            if kept is None:
                _write_cell(client, experiment, cell, tags | {"mlflow.parentRunId": parent})
            elif kept.data.tags["mlflow.parentRunId"] != parent:
                client.set_tag(kept.info.run_id, "mlflow.parentRunId", parent)
            outdated += [run for run in old if run is not kept]
            counts["unchanged" if kept else "replaced" if old else "recorded"] += 1
        for run in outdated:
            client.delete_run(run.info.run_id)
    return counts


def _record_search(client: MlflowClient, experiment: str, study: str, search: RecordedSearch) -> None:
    """Bring the runs of one family to the state of `search`: a parent, below it a run per trial.

    Their tags name a `search` in place of an arm. The parent is ended last: without its end the family is written anew.
    """
    old = [run for run in _live_runs(client, experiment) if run.data.tags.get("search") == search.family]
    if any(run.data.tags.get("search_sha256") == search.digest and run.info.status == "FINISHED" for run in old):
        return
    for run in old:
        client.delete_run(run.info.run_id)
    end = search.finished
    tags, name = {"study": study, "search": search.family}, f"search/{search.family}"
    parent = client.create_run(experiment, end, tags | {"search_sha256": search.digest}, name).info.run_id
    for trial in search.trials:
        _write_run(
            client,
            experiment,
            f"{name}/trial-{trial.number}",
            tags=tags | trial.tags | {"trial": str(trial.number), "mlflow.parentRunId": parent},
            params=trial.params,
            metrics=[(f"search/{key}", value, end, 0) for key, value in trial.metrics.items()],
            interval=(end, end),
            status="FAILED" if trial.state == "diverged" else "FINISHED",
        )
    history = [("search/hypervolume", value, end, step) for step, value in enumerate(search.history)]
    honest = [(f"recommended/{key}", value, end, 0) for key, value in search.recommended.items()]
    _log(client, parent, search.params, history + honest)
    client.set_terminated(parent, end_time=end)


def track_mlflow(root: Path, study: str, arms: list[str], seeds: list[int], uri: str | None = None) -> TrackingSummary:
    """Record the trained cells of a study in MLflow: one experiment, a run per arm, below it a run per seed.

    A seed's run holds the settings as parameters (arm.*, train.*, seed, signature), the histories as metrics
    `train/<name>` and `val/<name>` by step, the final scores as `score/<metric>` (mean over the test images,
    NaN left out), `cost/...` as the cell's record has it (what compares losses is `study time`), and as tags the
    signature, the hash of the weights, hardware and software.
    A diverged cell becomes a FAILED run with tags diverged_step and diverged_term. MLflow keeps NaN as NaN and
    an infinite value as the largest float of its sign.
    An arm's run holds its settings and the mean over the given seeds of every final score.
    The search of a family is a run `search/<family>` (budget, hypervolume by trial, `recommended/<metric>` on fresh
    seeds), below it a run per trial with what was proposed as parameters and its scores as `search/<metric>`.

    A second call writes nothing twice: a cell is known by its signature and the hash of its scores; a changed
    or half-written one is written anew and the older run deleted (restorable until `mlflow gc`).

    root: the project's folder (it holds results/). uri: the MLflow store; None means the environment's
    MLFLOW_TRACKING_URI and, without that, the file mlflow.db in `root`.
    Raises StudyError when nothing was trained yet, a file is damaged, or the store cannot be used. A request
    waits 5 s and is tried twice; MLFLOW_HTTP_REQUEST_TIMEOUT and MLFLOW_HTTP_REQUEST_MAX_RETRIES change that.
    """
    root = Path(root).resolve()
    cells, missing = read_cells(root, study, arms, seeds)
    searches = read_search(root, study)
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(root)
    shown = _without_password(uri)
    with _environment():
        try:
            # The environment must be set before this import: MLflow starts its telemetry there.
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError
        except ImportError as error:
            raise StudyError(f"MLflow is not usable ({reason(error)}): run `pip install mlflow`") from error
        try:
            with _muted(), _one_at_a_time(root, uri):
                if uri.startswith(("sqlite", "postgresql", "mysql", "mssql")):
                    _ask_database(uri)
                client = MlflowClient(tracking_uri=uri)
                experiment = _open_experiment(client, study, root, uri)
                counts = _record_all(client, experiment, study, cells)
                for search in searches:
                    _record_search(client, experiment, study, search)
        except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
            raise StudyError(
                f"MLflow at {shown} cannot be used ({reason(error)}): start or repair it, or unset "
                f"MLFLOW_TRACKING_URI to record into mlflow.db, then run `study track {study}` again "
                "(what was recorded is kept)"
            ) from error
    opened = shown if uri.startswith("http") else f"mlflow ui --backend-store-uri {shlex.quote(shown)}"
    trials = sum(len(search.trials) for search in searches)
    return TrackingSummary(shown, study, missing=missing, open_with=opened, trials=trials, **counts)


# -- TensorBoard -----------------------------------------------------------------------------------------


def track_tensorboard(root: Path, study: str, arms: list[str], seeds: list[int], out: Path) -> TrackingSummary:
    """Write the histories and final scores of a study as TensorBoard event files, one folder per cell.

    The folders are out/<study>/<arm>/seed-<k>/; the scalars carry the names and steps they have in MLflow
    (`train/...`, `val/...`, `score/...`), in float32. A cell's folder is replaced as a whole, so a second call
    leaves the same bytes.
    Raises StudyError when nothing was trained yet, a file is damaged, or TensorBoard is not installed.
    """
    cells, missing = read_cells(Path(root).resolve(), study, arms, seeds)
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise StudyError(
            "TensorBoard is not installed: run `pip install 'colorization-loss-study[tensorboard]'`"
        ) from error
    folders = [Path(out) / study / cell.arm / f"seed-{cell.seed}" for cell in cells]
    replaced = sum(folder.exists() for folder in folders)
    for cell, folder in zip(cells, folders, strict=True):
        final = [(key, cell.record["steps"], value) for key, value in cell.scores.items()]
        start = cell.interval[0] / 1000
        name = f"events.out.tfevents.{start:.0f}.study"
        with fresh_directory(folder) as fresh, open(fresh / name, "wb") as file:
            writer = RecordWriter(file)
            writer.write(Event(wall_time=start, file_version="brain.Event:2").SerializeToString())
            for key, step, value in [*cell.history.itertuples(index=False, name=None), *final]:
                scalar = Summary(value=[Summary.Value(tag=key, simple_value=value)])
                event = Event(wall_time=cell.milliseconds(step) / 1000, step=step, summary=scalar)
                writer.write(event.SerializeToString())
    shown = Path(out) / study
    opened = f"tensorboard --logdir {shlex.quote(str(shown))}"
    return TrackingSummary(str(shown), study, len(cells) - replaced, replaced, 0, missing, opened)
