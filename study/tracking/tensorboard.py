"""Writes training runs as TensorBoard event files, one folder per run."""

from __future__ import annotations

import shlex
from pathlib import Path

from study.errors import StudyError
from study.files import fresh_directory, refuse_foreign_files
from study.tracking import TrackingSummary
from study.tracking.readers import read_cells

WRITTEN = ("events.out.tfevents.*",)


def track_tensorboard(root: Path, study: str, arms: list[str], seeds: list[int], out: Path) -> TrackingSummary:
    """Write the histories and final scores of a study into out/<study>/<arm>/seed-<k>/.

    The scalars have the names and steps that they have in MLflow (`train/...`, `val/...`, `score/...`), in float32.
    A second call replaces the folder of every run as a whole.

    root: the project's folder, which holds results/.
    Raises StudyError when nothing is trained yet, a file is damaged, TensorBoard is not installed, or one of these
    folders holds a file that was not written here.
    """
    cells, missing = read_cells(Path(root).resolve(), study, arms, seeds)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise StudyError(
            "TensorBoard is not installed: run `pip install 'colorization-loss-study[tensorboard]'`"
        ) from error
    folder = Path(out) / study
    targets = [folder / cell.arm / f"seed-{cell.seed}" for cell in cells]
    for target in targets:
        refuse_foreign_files(target, WRITTEN)
    replaced = sum(target.exists() for target in targets)
    for cell, target in zip(cells, targets, strict=True):
        final = [(key, cell.record["steps"], value) for key, value in cell.scores.items()]
        with fresh_directory(target, WRITTEN) as fresh, SummaryWriter(str(fresh)) as writer:
            for key, step, value in [*cell.history.itertuples(index=False, name=None), *final]:
                writer.add_scalar(key, value, step, walltime=cell.milliseconds(step) / 1000)
    opened = f"tensorboard --logdir {shlex.quote(str(folder))}"
    return TrackingSummary(str(folder), study, len(cells) - replaced, replaced, 0, missing, opened)
