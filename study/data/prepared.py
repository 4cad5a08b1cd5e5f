"""Reading the prepared data of a study, data/<study>/ (prepare.py makes them).

train.npy, val.npy, test.npy   uint8 (N,S,S,3) sRGB
prior.npy                      float32 (313,) smoothed frequency of the colour bins in the training pictures
manifest.json                  settings, counts, hashes, names, what was skipped and why, test pictures seen in training
world.npz                      generated worlds only: the colour distribution, and the region of every pixel
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from study.config.study import Study
from study.data import LOADERS
from study.data.color_distribution import ColorDistribution
from study.errors import StudyError
from study.files import explain_damage, read_json


@dataclass(frozen=True)
class Prepared:
    """The prepared data of a study; arrays are read on demand."""

    folder: Path
    manifest: dict[str, Any]

    def images(self, split: str) -> np.ndarray:
        """uint8 (N,S,S,3) pictures of "train", "val" or "test"."""
        return self._load(f"{split}.npy")

    @property
    def prior(self) -> np.ndarray:
        """float32 (313,) smoothed frequency of the colour bins in the training pictures."""
        return self._load("prior.npy")

    @property
    def color_distribution(self) -> ColorDistribution | None:
        """The colour distribution of a generated world; None where it is not known."""
        if not (self.folder / "world.npz").exists():
            return None
        world = self._load("world.npz")
        return ColorDistribution(tuple(world["regions"].tolist()), world["modes"], world["probabilities"])

    def regions(self, split: str) -> np.ndarray:
        """uint8 (N,S,S) index of every pixel's region kind, of "val" or "test" of a generated world."""
        return self._load("world.npz")[f"region_{split}"]

    def _load(self, name: str) -> Any:
        # An array, or arrays by name; StudyError when the file is damaged or missing.
        path, fix_hint = self.folder / name, f"run: study prepare {self.folder.name}"
        try:
            with explain_damage(path, fix_hint):
                found = np.load(path)
                return dict(found) if path.suffix == ".npz" else found
        except FileNotFoundError:
            raise StudyError(f"{path} is missing: {fix_hint}") from None


def load_prepared(name: str, study: Study, root: Path) -> Prepared:
    """The prepared data of study `name`.

    Raises StudyError when they are missing, damaged, or were made with other settings or by an earlier loader.
    """
    folder = root / "data" / name
    fix_hint = f"run: study prepare {name}"
    try:
        manifest = read_json(folder / "manifest.json", fix_hint)
    except FileNotFoundError:
        raise StudyError(f"the data of {name} is not prepared: {fix_hint}") from None
    if manifest.get("settings") != study.data.model_dump():
        raise StudyError(f"the data of {name} was prepared with other settings than params.yaml has now: {fix_hint}")
    if manifest.get("version") != LOADERS[study.data.source].VERSION:
        raise StudyError(f"the data of {name} was prepared by an earlier version of {study.data.source}: {fix_hint}")
    return Prepared(folder, manifest)
