"""Writing files so that a reader sees the old content or the new, never half of it; and hashing."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock

from study.errors import StudyError

LEFT_BY_VIEWERS = (".DS_Store", "Thumbs.db", "desktop.ini")
"""What file managers leave where a person has looked."""


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn "no space left" and "read-only" while writing `path` into a StudyError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StudyError(
                f"no space left on the disk while writing {path}: free some space and run the same command "
                "again (what was finished is kept)"
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES):
            raise StudyError(f"{path} cannot be written ({error.strerror}): check the folder's permissions") from error
        raise


@contextmanager
def explain_damage(path: Path, fix_hint: str) -> Iterator[None]:
    """Turn what reading a damaged file of the pipeline's own raises into a StudyError.

    path: the file. fix_hint: what to do, the end of the message.
    """
    try:
        yield
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        found = " ".join(str(error).split())[:120] or type(error).__name__
        raise StudyError(f"{path} is damaged ({found}): {fix_hint}") from error


def read_json(path: Path, fix_hint: str) -> dict[str, Any]:
    """The JSON object in a file of the pipeline's own.

    fix_hint: what to do when it is damaged. Raises StudyError where it is, FileNotFoundError when there is none.
    """
    with explain_damage(path, fix_hint):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__} in place of an object")
        return content


def atomic_write(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Call `write(file)` on a temporary file beside `path`, flush it to the disk and rename it into place.

    A crash at any moment leaves the old content (or nothing) under `path`.
    Raises StudyError when the disk is full or not writable.
    """
    path = Path(path)
    with explain_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def atomic_write_bytes(path: Path, content: bytes) -> None:
    """Replace the file `path` by `content` in one step."""
    atomic_write(path, lambda file: file.write(content))


def atomic_write_text(path: Path, content: str) -> None:
    """Replace the text file `path` (UTF-8) by `content` in one step."""
    atomic_write_bytes(path, content.encode())


def atomic_write_json(path: Path, value: Any) -> None:
    """Replace the JSON file `path` by `value`, indented, keys in the order given; null for NaN and infinite numbers."""
    atomic_write_text(path, json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """`value` with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def refuse_foreign_files(folder: Path, written: Iterable[str]) -> None:
    """StudyError when `folder`, which a command replaces as a whole, holds a file that the command did not write.

    written: patterns of the files that it writes, relative to `folder`, such as "seed-*/model.pt". A link is foreign
    too. Empty folders do not count, nor do files that file managers leave behind.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise StudyError(f"{folder} is no folder of its own, but study writes one there: move it away")
    patterns = [PurePath(pattern).parts for pattern in written]
    for at, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(at, name))]
        for name in sorted({*files, *links}.difference(LEFT_BY_VIEWERS)):
            parts = Path(at, name).relative_to(folder).parts
            if not any(len(parts) == len(own) and all(map(fnmatchcase, parts, own)) for own in patterns):
                raise StudyError(
                    f"{folder} holds {str(Path(*parts))!r}, which study did not write and would delete: move it away"
                )


@contextmanager
def fresh_directory(path: Path, written: Iterable[str]) -> Iterator[Path]:
    """Give an empty directory to fill; when the block ends well it takes the place of `path` as a whole.

    When the block raises, `path` is left as it was; also when it is interrupted, or killed and called again. A second
    writer of the same `path`, in this process or another, waits for the first.

    written: patterns of the files that belong there. A foreign file is never deleted: see `refuse_foreign_files`.
    """
    path, written = Path(path), tuple(written)
    with explain_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only_writer(path):
            _clear_up_after_the_dead(path)
            refuse_foreign_files(path, written)
            fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new"))
            try:
                yield fresh
                os.chmod(fresh, 0o755)
                refuse_foreign_files(path, written)  # again: filling may have taken hours
                _put_into_place(fresh, path)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)


def _only_writer(path: Path) -> FileLock:
    # Not beside the target, where git and DVC would find it.
    locks = Path(tempfile.gettempdir(), f"colorization-loss-study-{os.getuid()}")
    locks.mkdir(mode=0o700, exist_ok=True)
    return FileLock(locks / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}.lock")


def _put_into_place(fresh: Path, path: Path) -> None:
    old = fresh.with_suffix(".old")
    try:
        if path.exists():
            os.replace(path, old)
        os.replace(fresh, path)
    finally:
        if old.exists():  # back to where it was, or to where its successor was, to be removed with that
            os.replace(old, fresh if path.exists() else path)


def _clear_up_after_the_dead(path: Path) -> None:
    """Remove what killed writers left beside `path`, and put back what was there when one was killed in the middle."""
    for left in path.parent.iterdir():
        if re.fullmatch(rf"\.{re.escape(path.name)}\.\w{{8}}\.(new|old)", left.name):
            if left.suffix == ".old" and not path.exists():
                os.replace(left, path)
            else:
                shutil.rmtree(left, ignore_errors=True)


def sha256_array(array: np.ndarray) -> str:
    """SHA-256 (hex) of an array's type, shape and bytes."""
    array = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(memoryview(array).cast("B"))
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
