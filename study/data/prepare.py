"""Making the prepared data of a study: from its source of pictures to data/<study>/ (prepared.py lists the files)."""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import study as package
from study.config.study import Study
from study.data import LOADERS, Source, load_source
from study.data.prior import training_prior
from study.errors import StudyError
from study.files import (
    atomic_write_json,
    fresh_directory,
    read_json,
    refuse_foreign_files,
    sha256_array,
    sha256_file,
)

SPLITS = ("train", "val", "test")
FILES = ("train.npy", "val.npy", "test.npy", "prior.npy", "world.npz", "manifest.json")
# What the other stages write, in the project folder.
WRITTEN = ("results", "reports", ".cells", ".search", "mlruns")


def prepare(name: str, study: Study, root: Path, again: bool = False) -> dict[str, Any]:
    """Make data/<name>/ from the study's source, unless it is up to date; return its manifest.

    again: make it in any case. The folder is replaced in one step when all went well; StudyError leaves the old one as
    it was. Raises StudyError in one line when the source is missing, damaged, or too small, and before any work when
    files of the user could be lost.
    """
    folder = root / "data" / name
    refuse_overlap(name, study, root)
    refuse_foreign_files(folder, FILES)
    if not again and up_to_date(name, study, root):
        return read_json(folder / "manifest.json", f"run: study prepare {name} --again")
    record = _record(study, root)  # before the source is read: what changes meanwhile is noticed the next time
    source = load_source(study.data, root)
    with fresh_directory(folder, FILES) as fresh:
        for split in SPLITS:
            np.save(fresh / f"{split}.npy", source.splits[split].images)
        prior = training_prior(source.splits["train"].images)
        np.save(fresh / "prior.npy", prior)
        if source.extra:
            np.savez(fresh / "world.npz", **source.extra)
        files = {path.name: sha256_file(path) for path in sorted(fresh.iterdir())}
        manifest = _manifest(name, study, source, prior) | {"files": files}
        atomic_write_json(fresh / "manifest.json", manifest)
    atomic_write_json(_record_path(name, root), record | {"manifest": sha256_file(folder / "manifest.json")})
    return manifest


def up_to_date(name: str, study: Study, root: Path) -> bool:
    """Whether data/<name>/ is complete, unchanged, and what `prepare` would make of the source and settings now.

    A folder of pictures counts as unchanged when names, sizes and times of change are.
    """
    folder = root / "data" / name
    try:
        recorded = read_json(_record_path(name, root), "")
        manifest = read_json(folder / "manifest.json", "")
        if recorded != _record(study, root) | {"manifest": sha256_file(folder / "manifest.json")}:
            return False
        return manifest["settings"] == study.data.model_dump() and all(
            sha256_file(folder / file) == digest for file, digest in manifest["files"].items()
        )
    except (OSError, StudyError, KeyError):
        return False


def refuse_overlap(name: str, study: Study, root: Path) -> None:
    """StudyError when the study's folder of pictures lies inside a folder that a stage writes, or holds one.

    Stages replace such folders, and would delete the pictures. Links and `..` are followed.
    """
    if study.data.source != "folder":
        return
    source = (root / Path(study.data.path).expanduser()).resolve()
    for written in (root / "data" / name, *(root / folder for folder in WRITTEN)):
        if _inside(source, written.resolve()) or _inside(written.resolve(), source):
            raise StudyError(
                f"data.path of {name}: {study.data.path!r} overlaps {str(written)!r}, which study replaces, so the "
                "pictures could be deleted: keep them in a folder of their own"
            )


def _inside(inner: Path, outer: Path) -> bool:
    # Also where the file system ignores case, or shows one folder in two places.
    if outer in (inner, *inner.parents):
        return True
    return outer.exists() and any(at.exists() and os.path.samefile(at, outer) for at in (inner, *inner.parents))


def _record_path(name: str, root: Path) -> Path:
    # Beside the data, not in them: it holds times of change, and the data are to be the same bytes everywhere.
    return root / "data" / ".prepared" / f"{name}.json"


def _record(study: Study, root: Path) -> dict[str, str]:
    # What the prepared data follow from, besides the settings: the code, and the state of the source.
    libraries = {name: _version(name) for name in ("numpy", "pillow", "pillow-heif")}
    digest = hashlib.sha256(repr(libraries).encode())
    home = Path(package.__file__).parent
    for path in sorted([*(home / "data").glob("*.py"), *(home / "color").glob("*.py")]):
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return {"code": digest.hexdigest(), "source": LOADERS[study.data.source].state(study.data, root)}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


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
        "version": source.version,
        "data_hash": sha256_array(np.frombuffer("".join(training).encode(), np.uint8)),
        "splits": splits,
        "skipped": [{"name": item.name, "reason": item.reason} for item in source.skipped],
        "flagged": [{"name": item.name, "reason": item.reason} for item in source.flagged],
        "seen_in_training": seen_in_training(source),
        "facts": source.facts,
    }


def seen_in_training(source: Source) -> dict[str, int]:
    """How many pictures of "val" and "test" are, pixel for pixel, among those of "train" too."""
    training = {image.tobytes() for image in source.splits["train"].images}
    return {split: sum(x.tobytes() in training for x in source.splits[split].images) for split in SPLITS[1:]}
