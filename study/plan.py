"""The project as a whole: which cells a study consists of, and how far each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from study.cells import CellStore
from study.errors import StudyError
from study.params import Arm, Params, Study, find_root, get_study, load_arm, load_params
from study.signature import cell_signature, code_digest, with_imports

if TYPE_CHECKING:
    from study.prepare import Prepared
    from study.train import Cell


@dataclass(frozen=True)
class Project:
    """A project folder with its checked params.yaml."""

    root: Path
    params: Params

    @classmethod
    def open(cls, start: Path) -> Project:
        """The project at or above `start`; StudyError when there is none or params.yaml is wrong."""
        root = find_root(start.resolve())
        return cls(root, load_params(root))

    @cached_property
    def store(self) -> CellStore:
        """Where the project's trained cells are kept."""
        return CellStore.of(self.root)

    def study(self, name: str) -> Study:
        """Settings of the study `name`."""
        return get_study(self.params, name)

    def arms(self, names: tuple[str, ...] = ()) -> list[Arm]:
        """The arms called `names`, or those of the pipeline when none is named."""
        return [load_arm(self.root, name) for name in (names or self.params.pipeline.arms)]

    def seeds(self, study: str, wanted: tuple[int, ...] = ()) -> list[int]:
        """The study's seeds, or those `wanted` of them; StudyError for one that the study does not declare."""
        declared = self.study(study).seeds
        for seed in wanted:
            if seed not in declared:
                raise StudyError(f"seed {seed} is not among the seeds of {study}: {declared}")
        return [seed for seed in declared if not wanted or seed in wanted]

    def prepared(self, study: str) -> Prepared:
        """The study's prepared data; StudyError when it is missing or outdated."""
        from study.prepare import load_prepared

        return load_prepared(study, self.study(study), self.root)

    def cells(self, study: str, arms: list[Arm], seeds: list[int]) -> list[Cell]:
        """The cells of these arms and seeds, in that order, with their signatures."""
        from study.losses import build_loss, source_of
        from study.train import Cell, resolve_device

        settings = self.study(study)
        prepared = self.prepared(study)
        device = resolve_device(settings.train.device)
        cells = []
        for arm in arms:
            build_loss(arm.loss, prepared.prior, self.root)  # a wrong loss is told here, before anything is trained
            loss_code = code_digest(with_imports(source_of(arm.loss, self.root)))
            for seed in seeds:
                signature = cell_signature(arm, settings.train, seed, prepared.manifest["data_hash"], device, loss_code)
                cells.append(Cell(study, arm, seed, settings.train, prepared.folder, device, signature, self.root))
        return cells

    def results(self, study: str) -> Path:
        """results/<study>."""
        return self.root / "results" / study
