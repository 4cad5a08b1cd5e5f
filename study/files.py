"""Writing files so that a reader sees the old content or the new, never half of it; and hashing."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from study.errors import StudyError


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
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


def atomic_write(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Call `write(file)` on a temporary file beside `path`, flush it to the disk and rename it into place.

    A crash at any moment leaves the old content (or nothing) under `path`.
    Raises StudyError when the disk is full or not writable.
    """
    path = Path(path)
    with full_disk_named(path):
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
    """Replace the JSON file `path` by `value`, indented, keys in the order given."""
    atomic_write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def fresh_directory(path: Path) -> Iterator[Path]:
    """Give an empty directory to fill; when the block ends well it takes the place of `path` as a whole.

    When the block raises, `path` is left as it was.
    """
    path = Path(path)
    with full_disk_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            yield temporary
            os.chmod(temporary, 0o755)
            if path.exists():
                old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
                os.replace(path, old / path.name)
                os.replace(temporary, path)
                shutil.rmtree(old)
            else:
                os.replace(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


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
