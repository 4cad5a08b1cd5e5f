"""Any folder of pictures as a study's data; the split follows from the bytes of each file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from study.config.data import FolderData
from study.data.images import BadPicture, Picture, decode, in_threads
from study.data.source import Skipped, Source, Split
from study.errors import StudyError

# Files of other suffixes are counted and not looked at. Those that cannot be decoded (.heic) are listed as skipped.
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
    *(".avif", ".heic", ".heif", ".jp2", ".ppm", ".pnm"),
}
VERSION = 2
SMALLEST = 8  # pixels a side
SPLITS = ("train", "val", "test")


def load(settings: FolderData, root: Path) -> Source:
    """Read all pictures in `settings.path` (relative to `root`) and its subfolders.

    Split, order and, under `limit`, the choice of pictures follow from the SHA-256 of each file's bytes: adding a file
    moves no other one to another split, and renaming changes nothing but names. Unusable files and those without colour
    are skipped, each with its reason. Of files with the same bytes the first by name is used.
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
    used = looked_at = 0
    # The first half of the digest chooses the split, the second half the order: the two are independent.
    candidates = sorted(unique.items(), key=lambda item: item[0][32:])
    results = in_threads(lambda item: _load(item[1], settings.size), candidates, "reading pictures")
    for (digest, path), result in zip(candidates, results, strict=True):
        looked_at += 1
        name = _name(path, folder)
        if isinstance(result, str):
            skipped.append(Skipped(name, result))
            continue
        chosen[_split(digest, settings)].append((name, result.pixels))
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
            mend = "lower data.val and data.test" if split == "train" else f"raise data.{split}"
            raise StudyError(
                f"data.path: no picture of {settings.path!r} fell into the {split} split ({used} usable): "
                f"add pictures or {mend}"
            )
    return Source(
        version=VERSION,
        splits={
            split: Split(np.stack([pixels for _, pixels in pictures]), [name for name, _ in pictures])
            for split, pictures in chosen.items()
        },
        skipped=skipped,
        facts={
            "picture_files": files,
            "other_files": others,
            "used": used,
            "skipped": len(skipped),
            "beyond_limit": len(candidates) - looked_at,
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


def _find(folder: Path) -> tuple[list[Path], list[Skipped], int]:
    # Picture files in name order, those that are no regular files, and the number of other files.
    paths, skipped, others = [], [], 0

    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(_name(Path(error.filename), folder), f"cannot be read: {error.strerror}"))

    for path in _walk(folder, unreadable):
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
            others += 1
        elif not path.is_file():
            skipped.append(Skipped(_name(path, folder), "no regular file, or a link to nothing"))
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


def _load(path: Path, size: int) -> Picture | str:
    # The picture, or the reason why it is skipped.
    try:
        picture = decode(path.read_bytes(), size, SMALLEST)
    except BadPicture as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "grayscale: it has no colour to learn from" if picture.grayscale else picture


def _split(digest: str, settings: FolderData) -> str:
    position = int(digest[:13], 16) / 16**13  # 52 bits: exact in a float
    if position < settings.test:
        return "test"
    return "val" if position < settings.test + settings.val else "train"


def _name(path: Path, folder: Path) -> str:
    # File names need not be UTF-8, the manifest is.
    relative = path.relative_to(folder).as_posix()
    return os.fsencode(relative).decode("utf-8", "backslashreplace")
