"""Any folder of pictures as a study's data; the split follows from the bytes of each file."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from study.config.data import FolderData
from study.data import containers
from study.data.images import BadPicture, Picture, decode, in_threads
from study.data.monochrome import is_monochrome
from study.data.source import Skipped, Source, Split
from study.errors import StudyError

# Files of these suffixes are looked at, and so are others that begin like a picture; the rest is counted only.
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
    *(".avif", ".heic", ".heif", ".jp2", ".ppm", ".pnm"),
}
# What cameras' sensors saw. Such files begin like a TIFF, and a decoder would take a small preview for the picture.
RAW_SUFFIXES = {
    *(".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw"),
    *(".3fr", ".fff", ".iiq", ".erf", ".kdc", ".dcr", ".mos", ".mrw", ".x3f", ".rwl"),
}
VERSION = 2
SMALLEST = 8  # pixels a side
MONOCHROME = "monochrome: near gray, or toned as a sepia print is"
SPLITS = ("train", "val", "test")


def load(settings: FolderData, root: Path) -> Source:
    """Read all pictures in `settings.path` (relative to `root`) and its subfolders.

    Split, order and, under `limit`, the choice of pictures follow from the SHA-256 of each file's bytes: adding a file
    moves no other one to another split, and renaming changes nothing but names. Unusable files and those without colour
    are skipped, each with its reason. Of files with the same bytes the first by name is used. Near-gray pictures,
    sepia prints and the like (monochrome.py) are used, used and flagged, or skipped, as `settings.monochrome` says.
    Raises StudyError when there is no such folder, no usable picture in it, or a split stays empty.
    """
    folder = root / Path(settings.path).expanduser()
    if not folder.is_dir():
        raise StudyError(f"data.path: {settings.path!r} is no folder (looked at {str(folder)!r}): name an existing one")
    paths, skipped, others = _find(folder)
    files = len(paths) + len(skipped)
    if not paths:
        raise StudyError(f"data.path: {settings.path!r} has no picture files (.jpg, .png, .tif, .webp ...) in it")
    unique, unreadable = _by_digest(folder, paths)
    skipped += unreadable

    chosen: dict[str, list[tuple[str, np.ndarray]]] = {split: [] for split in SPLITS}
    monochrome, color_spaces, flagged = dict.fromkeys(SPLITS, 0), Counter(), []
    used = looked_at = 0
    # The first half of the digest chooses the split, the second half the order: the two are independent.
    candidates = sorted(unique.items(), key=lambda item: item[0][32:])
    results = in_threads(lambda item: _load(item[1], settings), candidates, "reading pictures")
    for (digest, path), result in zip(candidates, results, strict=True):
        looked_at += 1
        name = _name(path, folder)
        if isinstance(result, str):
            skipped.append(Skipped(name, result))
            continue
        picture, toned = result
        split = _split(digest, settings)
        chosen[split].append((name, picture.pixels))
        color_spaces[picture.color_space] += 1
        monochrome[split] += toned
        if toned and settings.monochrome == "flag":
            flagged.append(Skipped(name, MONOCHROME))
        used += 1
        if used == settings.limit:
            break
    results.close()

    skipped.sort(key=lambda item: item.name)
    if not used:
        raise StudyError(
            f"data.path: none of the {files} picture files in {settings.path!r} can be used "
            f"({skipped[0].name!r}: {skipped[0].reason})"
        )
    for split, pictures in chosen.items():
        if not pictures:
            fix_hint = "lower data.val and data.test" if split == "train" else f"raise data.{split}"
            raise StudyError(
                f"data.path: no picture of {settings.path!r} fell into the {split} split ({used} usable): "
                f"add pictures or {fix_hint}"
            )
    return Source(
        version=VERSION,
        splits={
            split: Split(np.stack([pixels for _, pixels in pictures]), [name for name, _ in pictures])
            for split, pictures in chosen.items()
        },
        skipped=skipped,
        flagged=sorted(flagged, key=lambda item: item.name),
        facts={
            "picture_files": files,
            "other_files": dict(sorted(others.items())),
            "used": used,
            "skipped": len(skipped),
            "beyond_limit": len(candidates) - looked_at,
            "monochrome": monochrome,
            "color_spaces": dict(sorted(color_spaces.items())),
        },
    )


def state(settings: FolderData, root: Path) -> str:
    """SHA-256 (hex) of the names, sizes and times of change of all files in the folder; "" without a folder."""
    folder = root / Path(settings.path).expanduser()
    digest = hashlib.sha256()
    if not folder.is_dir():
        return ""
    for path in _walk(folder, lambda error: None):
        try:
            status = path.stat()
        except OSError:  # a link to nothing
            status = path.lstat()
        digest.update(f"{_name(path, folder)!r} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _find(folder: Path) -> tuple[list[Path], list[Skipped], Counter[str]]:
    # Picture files in name order, those that cannot be used, and how many others there are of each suffix.
    paths, skipped, others = [], [], Counter()

    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(_name(Path(error.filename), folder), f"cannot be read: {error.strerror}"))

    for path in _walk(folder, unreadable):
        suffix, name = path.suffix.lower(), _name(path, folder)
        if path.name.startswith("."):
            others["hidden"] += 1
        elif suffix in RAW_SUFFIXES:
            skipped.append(Skipped(name, "a camera's raw file: develop it to JPEG, PNG or TIFF to use it"))
        elif suffix not in SUFFIXES and not _begins_like_a_picture(path):
            others[_utf8(suffix) or "no suffix"] += 1
        elif not path.is_file():
            skipped.append(Skipped(name, "no regular file, or a link to nothing"))
        else:
            paths.append(path)
    return paths, skipped, others


def _walk(folder: Path, unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    # All files in name order. Links are followed; a folder that was seen already, as in a loop of links, is not entered
    # again, nor are hidden folders.
    seen = set()
    for where, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        status = Path(where).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in sorted(names))


def _begins_like_a_picture(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            return containers.kind(file.read(containers.SNIFFED)) is not None
    except OSError:
        return False


def _by_digest(folder: Path, paths: list[Path]) -> tuple[dict[str, Path], list[Skipped]]:
    unique: dict[str, Path] = {}
    skipped = []
    for path, (digest, problem) in zip(paths, in_threads(_digest, paths, "hashing pictures"), strict=True):
        name = _name(path, folder)
        if problem:
            skipped.append(Skipped(name, problem))
        elif digest in unique:
            skipped.append(Skipped(name, f"the same file as {_name(unique[digest], folder)}"))
        else:
            unique[digest] = path
    return unique, skipped


def _digest(path: Path) -> tuple[str, str | None]:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), None
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"


def _load(path: Path, settings: FolderData) -> tuple[Picture, bool] | str:
    # The picture and whether it is monochrome, or the reason why it is skipped.
    try:
        picture = decode(path.read_bytes(), settings.size, SMALLEST)
    except BadPicture as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if picture.grayscale:
        return "grayscale: it has no colour to learn from"
    toned = is_monochrome(picture.pixels)
    return MONOCHROME if toned and settings.monochrome == "skip" else (picture, toned)


def _split(digest: str, settings: FolderData) -> str:
    position = int(digest[:13], 16) / 16**13  # 52 bits: exact in a float
    if position < settings.test:
        return "test"
    return "val" if position < settings.test + settings.val else "train"


def _name(path: Path, folder: Path) -> str:
    return _utf8(path.relative_to(folder).as_posix())


def _utf8(name: str) -> str:
    # File names need not be UTF-8, the manifest is.
    return os.fsencode(name).decode("utf-8", "backslashreplace")
