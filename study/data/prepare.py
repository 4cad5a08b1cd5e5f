"""From a source of pictures to the arrays that everything else reads: data/<study>/.

train.npy, val.npy, test.npy   uint8 (N,S,S,3) sRGB
prior.npy                      float64 (313,) smoothed frequency of the colour bins in the training pictures
manifest.json                  counts, hashes, names, what was skipped and why, test pictures seen in training
world.npz                      generated worlds only: the known conditional law and the kind of every pixel
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from study.color.bins import bin_frequencies, smooth_prior
from study.color.lab import rgb_to_lab
from study.color.tensors import images_to_tensor
from study.config.study import Study
from study.data import Source, load_source
from study.data.color_distribution import ColorLaw
from study.errors import StudyError
from study.files import atomic_write_json, damage_told, fresh_directory, read_json, sha256_array
from study.models import half_resolution

SPLITS = ("train", "val", "test")


def prepare(name: str, study: Study, root: Path) -> dict[str, Any]:
    """Make data/<name>/ anew from the study's source and return its manifest.

    The folder is replaced in one step when all went well; StudyError leaves the old one as it was.
    """
    source = load_source(study.data, root)
    with fresh_directory(root / "data" / name) as folder:
        for split in SPLITS:
            np.save(folder / f"{split}.npy", source.splits[split].images)
        prior = training_prior(source.splits["train"].images)
        np.save(folder / "prior.npy", prior)
        if source.extra:
            np.savez(folder / "world.npz", **source.extra)
        manifest = _manifest(name, study, source, prior)
        atomic_write_json(folder / "manifest.json", manifest)
    return manifest


def training_prior(images: np.ndarray, batch: int = 512) -> np.ndarray:
    """Smoothed frequency (313,) of the soft-encoded colours of uint8 pictures (N,S,S,3) at half resolution."""
    total = torch.zeros(313, dtype=torch.float64)
    for start in tqdm(range(0, len(images), batch), desc="colour prior", delay=2, disable=None):
        rgb = images_to_tensor(images[start : start + batch])
        total += bin_frequencies(half_resolution(rgb_to_lab(rgb)[:, 1:]))
    return smooth_prior(total / total.sum()).numpy()


def seen_in_training(source: Source) -> dict[str, int]:
    """How many pictures of "val" and "test" are, pixel for pixel, among those of "train" too."""
    training = {image.tobytes() for image in source.splits["train"].images}
    return {split: sum(x.tobytes() in training for x in source.splits[split].images) for split in SPLITS[1:]}


def _manifest(name: str, study: Study, source: Source, prior: np.ndarray) -> dict[str, Any]:
    splits = {
        split: {
            "count": len(source.splits[split].images),
            "sha256": sha256_array(source.splits[split].images),
            "names": source.splits[split].names,
        }
        for split in SPLITS
    }
    training = [splits["train"]["sha256"], splits["val"]["sha256"], sha256_array(prior)]
    return {
        "study": name,
        "settings": study.data.model_dump(),
        "data_hash": sha256_array(np.frombuffer("".join(training).encode(), np.uint8)),
        "splits": splits,
        "skipped": [{"name": item.name, "reason": item.reason} for item in source.skipped],
        "seen_in_training": seen_in_training(source),
        "facts": source.facts,
    }


@dataclass(frozen=True)
class Prepared:
    """The prepared data of a study, arrays read on demand."""

    folder: Path
    manifest: dict[str, Any]

    def images(self, split: str) -> np.ndarray:
        """uint8 (N,S,S,3) pictures of "train", "val" or "test"."""
        return self._load(f"{split}.npy")

    @property
    def prior(self) -> np.ndarray:
        """float64 (313,) smoothed frequency of the colour bins in the training pictures."""
        return self._load("prior.npy")

    @property
    def law(self) -> ColorLaw | None:
        """The conditional law of a generated world; None where it is not known."""
        if not (self.folder / "world.npz").exists():
            return None
        world = self._load("world.npz")
        return ColorLaw(tuple(world["kinds"].tolist()), world["modes"], world["probabilities"])

    def kinds(self, split: str) -> np.ndarray:
        """uint8 (N,S,S) index of every pixel's kind, of "val" or "test" of a generated world."""
        return self._load("world.npz")[f"kind_{split}"]

    def _load(self, name: str) -> Any:
        """An array, or arrays by name; StudyError when the file is damaged or missing."""
        path, mend = self.folder / name, f"run: study prepare {self.folder.name}"
        try:
            with damage_told(path, mend):
                found = np.load(path)
                return dict(found) if path.suffix == ".npz" else found
        except FileNotFoundError:
            raise StudyError(f"{path} is missing: {mend}") from None


def load_prepared(name: str, study: Study, root: Path) -> Prepared:
    """The prepared data of study `name`; StudyError when it is missing or was made with other settings."""
    folder = root / "data" / name
    mend = f"run: study prepare {name}"
    try:
        manifest = read_json(folder / "manifest.json", mend)
    except FileNotFoundError:
        raise StudyError(f"the data of {name} is not prepared: {mend}") from None
    if manifest.get("settings") != study.data.model_dump():
        raise StudyError(f"the data of {name} was prepared with other settings than params.yaml has now: {mend}")
    return Prepared(folder, manifest)
