"""A project folder: which studies, arms and cells it has, and where their files lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from study.config.arms import Arm, ArmTraining, DecodeSettings, Tuned, load_arm
from study.config.params import Params, find_root, get_study, load_params
from study.config.study import Study, TrainSettings
from study.config.yaml_files import read_yaml
from study.data.features import make_features
from study.data.prepared import Prepared, load_prepared
from study.errors import StudyError
from study.files import read_json, sha256_file
from study.losses import build_loss, head_of, source_of
from study.losses.rules import broken_name, untrained_parameter
from study.models import build_model, model_source, pretrained_sha256
from study.training.cell import Cell
from study.training.fingerprint import cell_signature, control_signature, features_key
from study.training.machine import resolve_device
from study.training.store import CellStore


def pipeline_problem(root: Path) -> str | None:
    """Why `dvc repro` cannot work in the project folder `root`, in one line that says what to do; None when it can."""
    config = root / ".dvc" / "config"
    alone = config.is_file() and "no_scm" in config.read_text()
    if not alone and not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return f"{root} is no git repository, and DVC asks for one: run git init, or dvc init --no-scm"
    for name in ("data", "results", "reports"):
        if (root / name).is_symlink():
            return f"{name}/ is a link, and DVC keeps nothing behind links: move it here; dvc cache dir moves its cache"
    return None


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

    def arm_names(self, study: str) -> list[str]:
        """Names of the arms of `study`: its own, or those of the pipeline.

        The pipeline's tuned arms belong to every study with a search block, but for families that it does not search.
        StudyError where the pipeline lists a control among its trained arms, or the other way round.
        """
        own, pipeline = self.study(study), self.params.pipeline
        if own.arms:
            return own.arms
        for what, names in (("arms", pipeline.arms), ("controls", pipeline.controls)):
            for name in names:
                if bool(load_arm(self.root, name).control) != (what == "controls"):
                    right = "arms" if what == "controls" else "controls"
                    raise StudyError(
                        f"params.yaml: pipeline.{what} names {name!r}, which belongs into pipeline.{right}"
                    )
        tuned = [load_arm(self.root, name) for name in pipeline.tuned if own.search]
        found = [arm.name for arm in tuned if arm.tuned is None or arm.tuned.family in own.search.families]
        return [*pipeline.arms, *pipeline.controls, *found]

    def arms(self, study: str, names: Sequence[str] = ()) -> list[Arm]:
        """The arms of `study` called `names`, or all of them when none is named; tuned ones as its search left them.

        StudyError for an unknown arm, and for a tuned one before the search on the data that are prepared.
        """
        return [self._as_tuned(study, load_arm(self.root, name)) for name in (names or self.arm_names(study))]

    def _as_tuned(self, study: str, arm: Arm) -> Arm:
        if arm.tuned is None:
            return arm
        if not self.searched(study):
            state = f"are not searched on {study} yet"
            if self._best(study).is_file():
                state = f"were searched on other data than {study} has now"
            raise StudyError(f"the weights of {arm.name} {state}: run study search {study}")
        found = self._point(study, arm.tuned)
        if found is None:
            raise StudyError(
                f"the search on {study} has no {arm.tuned.choice} point of {arm.tuned.family}: run study search {study}"
            )
        loss = arm.loss.model_copy(update={"weights": found["weights"], "options": arm.loss.options | found["options"]})
        return arm.model_copy(
            update={
                "loss": loss,
                "decode": DecodeSettings.model_validate(arm.decode.model_dump() | found["decode"]),
                "train": ArmTraining.model_validate(arm.train.model_dump(exclude_none=True) | found["train"]),
            }
        )

    def waiting(self, study: str, names: Sequence[str]) -> list[str]:
        """Those of the arms called `names` whose weights a search of `study` has yet to find."""
        arms = [load_arm(self.root, name) for name in names]
        done = self.searched(study)
        return [arm.name for arm in arms if arm.tuned and not (done and self._point(study, arm.tuned))]

    def _point(self, study: str, tuned: Tuned) -> dict[str, Any] | None:
        return read_yaml(self._best(study))["families"].get(tuned.family, {}).get(tuned.choice)

    def searched(self, study: str) -> bool:
        """Whether a search on the data of `study` has found weights for the tuned arms.

        Where no data are prepared there is nothing to compare, and nothing to be trained either.
        """
        best, manifest = self._best(study), self.root / "data" / study / "manifest.json"
        if not (best.is_file() and manifest.is_file()):
            return best.is_file()
        return read_yaml(best).get("data") == read_json(manifest, f"run: study prepare {study}")["data_hash"]

    def _best(self, study: str) -> Path:
        return self.results(study) / "search" / "best.yaml"

    def search_digest(self, study: str, arm: Arm) -> str | None:
        """SHA-256 (16 hex digits) of the search's result that `arm` took its weights from; None where it took none."""
        return sha256_file(self._best(study))[:16] if arm.tuned else None

    def seeds(self, study: str, wanted: tuple[int, ...] = ()) -> list[int]:
        """The study's seeds, or those `wanted` of them; StudyError for one that the study does not declare."""
        declared = self.study(study).seeds
        for seed in wanted:
            if seed not in declared:
                raise StudyError(f"seed {seed} is not among the seeds of {study}: {declared}")
        return [seed for seed in declared if not wanted or seed in wanted]

    def prepared(self, study: str) -> Prepared:
        """The study's prepared data; StudyError when it is missing or outdated."""
        return load_prepared(study, self.study(study), self.root)

    def cells(self, study: str, arms: list[Arm], seeds: list[int], train: TrainSettings | None = None) -> list[Cell]:
        """The cells of these arms and seeds, in that order, with their signatures.

        train: other settings than the study's, for cells that are trained beside it. StudyError, before anything is
        trained, for a loss or a network that cannot be built, or that does not fit the pictures.
        """
        settings, prepared = self.study(study), self.prepared(study)
        common = train or settings.train
        device = resolve_device(common.device)
        data_hash = prepared.manifest["data_hash"]
        network = self._check_network(study)
        weights, features = pretrained_sha256(settings.model, self.root), self.features(study)
        cells = []
        for arm in arms:
            if arm.control:
                cells += self._controls(study, arm, seeds, common)
                continue
            loss = build_loss(arm.loss, prepared.prior, self.root)
            if wrong := broken_name(loss) or untrained_parameter(loss):
                raise StudyError(f"loss {arm.loss.name!r}: {wrong}")
            files = (network, source_of(arm.loss, self.root))
            own = arm.train.applied(common)
            for seed in seeds:
                signature = cell_signature(arm, settings.model, own, seed, data_hash, device, files, weights)
                own_cell = Cell(study, arm, seed, settings.model, own, prepared.folder, device, signature, self.root)
                cells.append(replace(own_cell, features=features))
        return cells

    def features(self, study: str) -> Path | None:
        """Where the frozen features of the study's pictures belong; None for a network that has no frozen part."""
        settings = self.study(study)
        weights = pretrained_sha256(settings.model, self.root)
        if weights is None or settings.model.trunk_learning_rate:
            return None
        manifest = self.prepared(study).manifest
        file = model_source(settings.model, self.root)
        key = features_key(settings.model, weights, manifest["data_hash"], manifest["splits"]["test"]["sha256"], file)
        return Path(os.environ.get("STUDY_FEATURES") or self.root / ".features") / key

    def make_features(self, study: str, jobs: int) -> None:
        """Compute the frozen features of the study's pictures, where its network has such and they are missing."""
        folder, settings = self.features(study), self.study(study)
        if folder is not None:
            make_features(settings.model, self.prepared(study), folder, self.root, settings.train.flip, jobs)

    def _check_network(self, study: str) -> Path:
        """The file that defines the network of `study`; StudyError unless it can be built and fits the pictures."""
        settings = self.study(study)
        multiple = build_model(settings.model, "ab", 0, self.root).multiple
        if settings.data.size % multiple:
            raise StudyError(
                f"studies.{study}: the network {settings.model.name} needs pictures whose size is a multiple of "
                f"{multiple}, but data.size is {settings.data.size}"
            )
        return model_source(settings.model, self.root)

    def _controls(self, study: str, arm: Arm, seeds: list[int], train: TrainSettings) -> list[Cell]:
        names = [arm.control.of]
        if arm.control.match not in ("gray", "truth"):
            names.append(arm.control.match)
        arms = self.arms(study, tuple(names))
        matched = [source.decode.temperature for source in arms[1:] if head_of(source.loss, self.root) == "bins"]
        by_source = [self.cells(study, [source], seeds, train) for source in arms]
        found = []
        for sources in zip(*by_source, strict=True):
            signature = control_signature(arm.control, [source.signature for source in sources], *matched)
            found.append(replace(sources[0], arm=arm, signature=signature, sources=sources))
        return found

    def first_cells(self, study: str, arms: list[Arm]) -> dict[str, Cell]:
        """The cells of the first seed, by arm; in place of a control the arm that it is made from."""
        names = dict.fromkeys(arm.control.of if arm.control else arm.name for arm in arms)
        trained = self.arms(study, tuple(names))
        return {cell.arm.name: cell for cell in self.cells(study, trained, self.seeds(study)[:1])}

    def results(self, study: str) -> Path:
        """results/<study>."""
        return self.root / "results" / study

    def step_times_file(self, study: str) -> Path:
        """Where the times of training steps are kept."""
        return self.results(study) / "step_times.json"
