"""Files change in one step or not at all, on a disk that is really full too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from study.errors import StudyError
from study.files import atomic_write, atomic_write_text, fresh_directory, full_disk_named, sha256_array, sha256_file


def test_atomic_write_replaces_the_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / "new" / "a.txt", "one")
    atomic_write_text(tmp_path / "new" / "a.txt", "two")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "two"


def test_a_write_that_fails_halfway_keeps_the_old_content(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / "a.txt", "old")

    def fail(file: object) -> None:
        file.write(b"half")
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        atomic_write(tmp_path / "a.txt", fail)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_fresh_directory_replaces_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with fresh_directory(target) as folder:
        (folder / "first").touch()
    with pytest.raises(RuntimeError), fresh_directory(target) as folder:
        (folder / "second").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["first"]
    with fresh_directory(target) as folder:
        (folder / "third").touch()
    assert [path.name for path in target.iterdir()] == ["third"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_told_in_one_line_with_what_to_do() -> None:
    with (
        pytest.raises(StudyError, match=r"no space left on the disk.*free some space"),
        full_disk_named(Path("x")),
        open("/dev/full", "w") as file,
    ):
        file.write("x" * 100_000)


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    # A real limit of the system: the process may not write files larger than 4096 bytes.
    atomic_write_text(tmp_path / "a.txt", "old")
    code = (
        "import resource, signal, errno\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from pathlib import Path\nfrom study.files import atomic_write_bytes\n"
        "try:\n    atomic_write_bytes(Path('a.txt'), b'x' * 100_000)\n"
        "except OSError as error:\n    print(errno.errorcode[error.errno])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "EFBIG"
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@given(arrays.arrays(np.uint8, (2, 3)))
def test_hash_depends_on_values_shape_and_type(array: np.ndarray) -> None:
    assert sha256_array(array) == sha256_array(array.copy())
    assert sha256_array(array) != sha256_array(array.reshape(3, 2))
    assert sha256_array(array) != sha256_array(array + np.uint8(1))
    assert sha256_array(array) != sha256_array(array.astype(np.int8))


def test_file_hash_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
