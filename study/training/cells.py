"""The cell store and running many cells side by side.

A cell lives in .cells/<signature>/ (or in the folder STUDY_CELLS names): the checkpoint and history while it
trains, then model.pt, history.csv and record.json. record.json is written last: where it stands, the cell is done.
"""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import signal
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from tqdm import tqdm

from study.errors import StudyError
from study.files import fresh_directory, full_disk_named, read_json

if TYPE_CHECKING:
    from study.training.train import Cell

KEPT = ("record.json", "history.csv", "model.pt")
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


@dataclass(frozen=True)
class CellStore:
    """Where cells are kept, by signature."""

    folder: Path

    @classmethod
    def of(cls, root: Path) -> CellStore:
        """The store of the project at `root`."""
        return cls(Path(os.environ.get("STUDY_CELLS") or root / ".cells"))

    def path(self, signature: str) -> Path:
        """The folder of a cell, whether it exists or not."""
        return self.folder / signature

    def record(self, signature: str) -> dict[str, Any] | None:
        """The record of a cell that is done; None for all others."""
        try:
            path = self.path(signature)
            return read_json(path / "record.json", f"delete {path}, and the cell is trained anew")
        except FileNotFoundError:
            return None

    def done(self, cells: Iterable[Cell]) -> bool:
        """Whether all of these cells are done."""
        return all(self.record(cell.signature) is not None for cell in cells)

    def progress(self, cell: Cell) -> int:
        """Training pictures that a cell has seen so far, read from the end of its history."""
        if self.record(cell.signature):
            return cell.train.images
        try:
            with open(self.path(cell.signature) / "history.csv", "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 200))
                last = file.read().decode().rstrip("\n").rsplit("\n", 1)[-1]
            return min(int(last.split(",")[1]), cell.train.images)
        except (FileNotFoundError, IndexError, ValueError):
            return 0


@cache
def _keep_what_is_loaded() -> None:
    """Take the libraries out of the collector's sight: every cell measures its memory, and collects before."""
    gc.collect()
    gc.freeze()


def run_cell(cell: Cell, store: CellStore, main: int) -> dict[str, Any]:
    """Train one cell unless it is done, alone: a second process that wants the same cell waits for the first.

    main: id of the process that wants it, this one or the one that started it; ParentGone when that has ended.
    """
    from study.training.train import ParentGone, train_cell

    def wanted() -> bool:
        return main in (os.getpid(), os.getppid())

    folder = store.path(cell.signature)
    with full_disk_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with FileLock(store.folder / f"{cell.signature}.lock"):
        record = store.record(cell.signature)
        if record is None:
            if not wanted():  # a cell that this worker had been handed before the main process was killed
                raise ParentGone
            _keep_what_is_loaded()
            record = _make_control(cell, folder, store) if cell.sources else train_cell(cell, folder, wanted)
    return record


def _make_control(cell: Cell, folder: Path, store: CellStore) -> dict[str, Any]:
    from study.training.controls import make_control

    try:
        return make_control(cell, folder, store)
    except ZeroDivisionError as error:  # told here: the code of control.py is in the signatures of all controls
        raise StudyError(
            f"{cell.arm.control.of} paints every validation picture gray, and no gain makes that colourful"
        ) from error


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
    from joblib import Parallel, delayed

    with _environment(WORKER_ENVIRONMENT), _terminate_cleanly():
        outcomes = Parallel(
            n_jobs=jobs, backend="loky", return_as="generator_unordered", batch_size=1, idle_worker_timeout=IDLE_SECONDS
        )(delayed(_attempt)(cell, store, os.getpid()) for cell in cells)
        return [problem for problem in outcomes if problem is not None]


def _attempt(cell: Cell, store: CellStore, main: int) -> str | None:
    try:
        record = run_cell(cell, store, main)
    except StudyError as error:
        return f"{cell.arm.name} seed {cell.seed}: {error}"
    except Exception as error:  # one broken cell must not take the others with it; the text reaches the person
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        checkpoint = store.path(cell.signature) / "checkpoint.pt"
        if _damaged(checkpoint):
            told = f"{checkpoint} is damaged ({told[:120]}): delete {checkpoint.parent}, and the cell is trained anew"
        return f"{cell.arm.name} seed {cell.seed} failed: {told}"
    if record["status"] == "diverged":
        at = record["diverged"]
        tqdm.write(f"{cell.arm.name} seed {cell.seed} diverged at step {at['step']}, term {at['term']}")
    return None


def _damaged(checkpoint: Path) -> bool:
    """Whether a file that can be read is no checkpoint."""
    import torch

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


def collect(cells: list[Cell], store: CellStore, out: Path, search: str | None = None) -> None:
    """Copy what is kept of finished `cells` (one arm, all its seeds) to `out`/seed-<k>/, replacing `out` as a whole.

    search: digest of the search that a tuned arm took its weights from, noted in its records.
    """
    with fresh_directory(out) as folder:
        for cell in cells:
            target = folder / f"seed-{cell.seed}"
            target.mkdir()
            for name in KEPT:
                if (store.path(cell.signature) / name).exists():
                    shutil.copyfile(store.path(cell.signature) / name, target / name)
            # The same network may serve two studies or arms of different names; the copy says whose it is here.
            record = json.loads((target / "record.json").read_text())
            record |= {"study": cell.study, "arm": cell.arm.name, "arm_settings": cell.arm.model_dump()}
            if search:
                record["search"] = search
            (target / "record.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def check_collected(out: Path, mend: str) -> None:
    """Whether the cells in the folder of an arm can be read; StudyError that names a damaged file and what mends it."""
    for record in sorted(out.glob("seed-*/record.json")):
        model = record.with_name("model.pt")
        if read_json(record, mend).get("status") == "finished" and not zipfile.is_zipfile(model):
            raise StudyError(f"{model} is damaged or missing: {mend}")
