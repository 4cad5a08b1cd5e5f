"""Computing what the frozen part of a network makes of a study's pictures: once per picture, on every core, resumable.

A folder is made as `<key>.partial/` and gets its name when it is complete. Pictures are done in blocks; a file of flags
says which. So a killed run goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from joblib import Parallel, delayed
from numpy.lib.format import open_memmap
from torch import Tensor
from tqdm import tqdm

from study.color.lab import rgb_to_lab
from study.color.tensors import images_to_tensor
from study.config.study import ModelSettings
from study.data.prepared import Prepared
from study.errors import StudyError
from study.files import atomic_write
from study.models import Colorizer, build_model
from study.models.features import Features

BLOCK = 50  # pictures that a process computes at a time
FIT_PICTURES = 2000  # training pictures, evenly spaced, that the trunk is fitted to
MIRRORED = "train_mirrored"


def make_features(spec: ModelSettings, prepared: Prepared, folder: Path, root: Path, mirrored: bool, jobs: int) -> None:
    """Make the frozen features of all pictures of a study in `folder`, but for what is there.

    mirrored: also of the training pictures mirrored from left to right. Processes that want the same folder wait for
    the first. Raises StudyError for weights that cannot be found, and when the disk has no room, before any work.
    """
    names = {"train": "train", **({MIRRORED: "train"} if mirrored else {}), "val": "val", "test": "test"}
    if _complete(folder, names):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if _complete(folder, names):
            return
        partial = folder if folder.is_dir() else folder.with_suffix(".partial")
        partial.mkdir(exist_ok=True)
        model = build_model(spec, "ab", 0, root)
        _fit(model, prepared.images("train"), partial / "fitted.pt")
        blocks = [
            (name, block)
            for name, split in names.items()
            for block in _missing(partial, name, model, prepared.images(split))
        ]
        with tqdm(total=len(blocks) * BLOCK, desc="frozen features", unit="img", delay=2, disable=None) as bar:
            tasks = (
                delayed(_compute)(spec, root, partial, name, prepared.folder / f"{names[name]}.npy", BLOCK, block)
                for name, block in blocks
            )
            for _ in Parallel(n_jobs=min(jobs, max(1, len(blocks))), return_as="generator_unordered")(tasks):
                bar.update(BLOCK)
        for flags in partial.glob("*.done.npy"):
            flags.unlink()
        if partial != folder:
            partial.replace(folder)


def _complete(folder: Path, names: dict[str, str]) -> bool:
    return all((folder / f"{name}.npy").is_file() and not _flags(folder, name).exists() for name in names)


def _flags(folder: Path, name: str) -> Path:
    return folder / f"{name}.done.npy"


def _fit(model: Colorizer, images: np.ndarray, file: Path) -> None:
    if not file.is_file():
        chosen = images[np.unique(np.linspace(0, len(images) - 1, min(FIT_PICTURES, len(images))).round().astype(int))]
        model.trunk.fit(_lightness(chosen[start : start + BLOCK]) / 50 - 1 for start in range(0, len(chosen), BLOCK))
        fitted = {name: value for name, value in model.trunk.named_buffers() if name in model.trunk.state_dict()}
        atomic_write(file, lambda stream: torch.save(fitted, stream))


def _missing(folder: Path, name: str, model: Colorizer, images: np.ndarray) -> Iterator[int]:
    """Blocks that are still to be computed; makes room for all."""
    count = -(-len(images) // BLOCK)
    if not (folder / f"{name}.npy").is_file():
        with torch.no_grad():
            shape = (len(images), *model.frozen(_lightness(images[:1])).shape[1:])
        needed, free = 2 * int(np.prod(shape)), shutil.disk_usage(folder).free
        if needed > free:
            raise StudyError(
                f"{folder} needs {needed / 1e9:.1f} GB for features, and {free / 1e9:.1f} GB are free: make room, or "
                "let STUDY_FEATURES name a folder on another disk"
            )
        np.save(_flags(folder, name), np.zeros(count, bool))
        partial = folder / f"{name}.partial.npy"
        open_memmap(partial, mode="w+", dtype=np.float16, shape=shape).flush()
        partial.replace(folder / f"{name}.npy")
    if _flags(folder, name).exists():
        yield from np.flatnonzero(~np.load(_flags(folder, name)))


def _compute(spec: ModelSettings, root: Path, folder: Path, name: str, file: Path, size: int, block: int) -> None:
    part = slice(block * size, (block + 1) * size)
    images = np.load(file, mmap_mode="r")[part]
    lightness = _lightness(np.asarray(images))
    if name == MIRRORED:
        lightness = lightness.flip(-1)
    with torch.no_grad():
        features = _fitted(spec, root, folder).frozen(lightness)
    written = open_memmap(folder / f"{name}.npy", mode="r+")
    written[part] = features.numpy()
    written.flush()
    flags = open_memmap(_flags(folder, name), mode="r+")
    flags[block] = True
    flags.flush()


@lru_cache(maxsize=1)
def _fitted_model(spec: str, root: Path, folder: Path) -> Colorizer:
    torch.set_num_threads(1)  # the numbers must not depend on the number of cores
    model = build_model(ModelSettings.model_validate_json(spec), "ab", 0, root)
    Features(folder).fit(model.trunk)
    return model.eval()


def _fitted(spec: ModelSettings, root: Path, folder: Path) -> Colorizer:
    return _fitted_model(spec.model_dump_json(), root, folder)


def _lightness(images: np.ndarray) -> Tensor:
    return rgb_to_lab(images_to_tensor(images))[:, :1]
