"""Running many cells side by side: one process and one thread for each."""

from __future__ import annotations

import gc
import io
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from study.errors import StudyError
from study.files import explain_full_disk
from study.training.cell import Cell
from study.training.controls import make_control
from study.training.store import CellStore
from study.training.trainer import ParentGone, train_cell

# What the processes of cells start with. A BLAS or OpenMP pool of several threads per cell would only fight for the
# cores. And glibc gives the memory of large tensors back to the system after every use, to fault it in anew a moment
# later: kept, steps are quicker, those of classification most (other C libraries ignore the settings).
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}
IDLE_SECONDS = 10  # after which workers that have nothing to do end, also those whose parent was killed


@cache
def _keep_what_is_loaded() -> None:
    """Freeze loaded objects so that garbage collection stays cheap: every cell measures its memory, and collects."""
    gc.collect()
    gc.freeze()


def run_cell(cell: Cell, store: CellStore, main: int) -> dict[str, Any]:
    """Train one cell unless it is done, alone: a second process that wants the same cell waits for the first.

    main: id of the process that wants it, this one or the one that started it; ParentGone when that has ended.
    """

    def wanted() -> bool:
        return main in (os.getpid(), os.getppid())

    folder = store.path(cell.signature)
    with explain_full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with FileLock(store.folder / f"{cell.signature}.lock"):
        record = store.record(cell.signature)
        if record is None:
            if not wanted():  # a cell that this worker had been handed before the main process was killed
                raise ParentGone
            _keep_what_is_loaded()
            record = make_control(cell, folder, store) if cell.sources else train_cell(cell, folder, wanted)
    return record


def run_cells(cells: list[Cell], store: CellStore, jobs: int) -> list[dict[str, Any]]:
    """Train all `cells` that are not done, `jobs` at a time, one thread each; returns their records in order.

    Cells that controls are made from are trained too; a cell that is asked for twice is trained once.

    A cell that fails does not stop the others, nor the controls that are not made from it; StudyError names the
    failures at the end.
    """
    failures: list[str] = []
    trained = {cell.signature: cell for each in cells for cell in (each.sources or (each,))}
    controls = {cell.signature: cell for cell in cells if cell.sources}
    for wanted in (trained, controls):  # controls are made from networks that are trained
        missing = [cell for cell in wanted.values() if not store.done([cell]) and store.done(cell.sources)]
        if missing:
            with _progress_bar(missing, store):
                failures += _run_missing(missing, store, min(jobs, len(missing)))
    if failures:
        raise StudyError("; ".join(failures) + " (finished cells are kept; run the same command to go on)")
    return [store.record(cell.signature) or {} for cell in cells]


def _run_missing(cells: list[Cell], store: CellStore, jobs: int) -> list[str]:
    failures = []
    with _environment(WORKER_ENVIRONMENT), _terminate_cleanly():
        outcomes = Parallel(
            n_jobs=jobs, backend="loky", return_as="generator_unordered", batch_size=1, idle_worker_timeout=IDLE_SECONDS
        )(delayed(_attempt)(cell, store, os.getpid()) for cell in cells)
        try:
            failures += [problem for problem in outcomes if problem is not None]
        except TerminatedWorkerError:
            failures.append("a training process was killed from outside, most often for want of memory: fewer --jobs")
    return failures


def _attempt(cell: Cell, store: CellStore, main: int) -> str | None:
    try:
        record = run_cell(cell, store, main)
    except StudyError as error:
        return f"{cell.arm.name} seed {cell.seed}: {error}"
    except Exception as error:  # one broken cell must not take the others with it; the text reaches the person
        problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
        checkpoint = store.path(cell.signature) / "checkpoint.pt"
        if _damaged(checkpoint):
            cure = f"delete {checkpoint.parent}, and the cell is trained anew"
            problem = f"{checkpoint} is damaged ({problem[:120]}): {cure}"
        return f"{cell.arm.name} seed {cell.seed} failed: {problem}"
    if record["status"] == "diverged":
        at = record["diverged"]
        tqdm.write(f"{cell.arm.name} seed {cell.seed} diverged at step {at['step']}, term {at['term']}")
    return None


def _damaged(checkpoint: Path) -> bool:
    """Whether a file that can be read is no checkpoint."""
    try:
        content = io.BytesIO(checkpoint.read_bytes())
    except OSError:  # none, or one that nobody can read for now
        return False
    try:
        torch.load(content, map_location="cpu", weights_only=True)
    except MemoryError:
        return False
    except Exception:  # whatever torch says of a file that is none of its own, or half of one
        return True
    return False


@contextmanager
def _terminate_cleanly() -> Iterator[None]:
    """Let SIGTERM end a run the way Ctrl-C does, so that the workers are stopped too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _progress_bar(cells: list[Cell], store: CellStore) -> Iterator[None]:
    """A bar over the pictures of all cells, fed from their histories once a second."""
    total = sum(cell.train.images for cell in cells)
    done = threading.Event()
    with tqdm(
        total=total, desc=f"training {len(cells)} cells", unit="img", unit_scale=True, delay=2, disable=None
    ) as bar:
        bar.initial = bar.n = sum(store.progress(cell) for cell in cells)

        def watch() -> None:
            while not done.wait(1.0):
                bar.update(sum(store.progress(cell) for cell in cells) - bar.n)
                finished = sum(store.record(cell.signature) is not None for cell in cells)
                bar.set_postfix_str(f"{finished}/{len(cells)} cells done", refresh=False)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
            bar.update(total - bar.n)
        finally:
            done.set()
            watcher.join()
