"""The cell store: trained cells kept by their signature, and copies of an arm's cells in results/.

A cell lives in .cells/<signature>/ (or in the folder STUDY_CELLS names): the checkpoint and history while it trains,
then model.pt, history.csv and record.json. record.json is written last: where it stands, the cell is done.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.files import fresh_directory, read_json
from study.training.cell import Cell

KEPT = ("record.json", "history.csv", "model.pt")
COLLECTED = tuple(f"seed-*/{name}" for name in KEPT)
"""The files of an arm in results/<study>/runs/<arm>/."""


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


def collect(cells: list[Cell], store: CellStore, out: Path, search: str | None = None) -> None:
    """Copy what is kept of finished `cells` (one arm, all its seeds) to `out`/seed-<k>/, replacing `out` as a whole.

    StudyError when a person put a file of another name there.
    search: digest of the search that a tuned arm took its weights from, noted in its records.
    """
    with fresh_directory(out, COLLECTED) as folder:
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


def check_collected(out: Path, fix_hint: str) -> None:
    """Whether the cells in the folder of an arm can be read; StudyError that names a damaged file and what to do."""
    for record in sorted(out.glob("seed-*/record.json")):
        model = record.with_name("model.pt")
        if read_json(record, fix_hint).get("status") == "finished" and not zipfile.is_zipfile(model):
            raise StudyError(f"{model} is damaged or missing: {fix_hint}")
