"""Files change in one step or not at all, on a disk that is really full too."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from study.errors import StudyError
from study.files import (
    atomic_write,
    atomic_write_json,
    atomic_write_text,
    explain_full_disk,
    fresh_directory,
    sha256_array,
    sha256_file,
)


def test_atomic_write_replaces_the_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / "new" / "a.txt", "one")
    atomic_write_text(tmp_path / "new" / "a.txt", "two")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "two"


def test_json_has_null_for_what_is_no_finite_number(tmp_path: Path) -> None:
    value = {"a": float("nan"), "b": [1, -float("inf"), np.float64("nan")], "c": {"d": (0.5, None)}}
    atomic_write_json(tmp_path / "a.json", value)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    read = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert read == {"a": None, "b": [1, None, None], "c": {"d": [0.5, None]}}


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
    with fresh_directory(target, ["*"]) as folder:
        (folder / "first").touch()
    with pytest.raises(RuntimeError), fresh_directory(target, ["*"]) as folder:
        (folder / "second").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["first"]
    with fresh_directory(target, ["*"]) as folder:
        (folder / "third").touch()
    assert [path.name for path in target.iterdir()] == ["third"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("path", "ours"),
    [("seed-0/model.pt", True), ("seed-0/.DS_Store", True), ("empty/", True), ("notes.txt", False),
     ("seed-0/notes.txt", False), ("seed-0/deep/model.pt", False), ("model.pt", False), ("seed-1 -> .", False)],
)  # fmt: skip
def test_a_folder_with_a_file_of_another_name_is_refused_and_kept(tmp_path: Path, path: str, ours: bool) -> None:
    target = tmp_path / "out"
    name, _, link = path.partition(" -> ")
    (target / name).parent.mkdir(parents=True)
    if link:
        (target / name).symlink_to(link)
    elif name.endswith("/"):
        (target / name).mkdir()
    else:
        (target / name).write_text("mine")
    if ours:
        write(target, "new", ["seed-*/model.pt"])
        assert contents(tmp_path) == {"out": ["new"]}
        return
    with pytest.raises(StudyError, match=re.escape(name)):
        write(target, "new", ["seed-*/model.pt"])
    assert (target / name).is_symlink() or (target / name).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("what", ["file", "link"])
def test_what_is_no_folder_is_not_replaced_by_one(tmp_path: Path, what: str) -> None:
    (tmp_path / "disk").mkdir()
    target = tmp_path / "out"
    target.symlink_to(tmp_path / "disk") if what == "link" else target.write_text("mine")
    with pytest.raises(StudyError, match="out"):
        write(target, "new")
    assert target.is_symlink() if what == "link" else target.read_text() == "mine"


def test_a_file_that_is_put_there_while_the_new_content_is_made_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out"
    write(target, "first")
    with pytest.raises(StudyError, match="notes"), fresh_directory(target, ["first"]) as folder:
        (folder / "first").write_text("new")
        (target / "notes").write_text("mine")
    assert contents(tmp_path) == {"out": ["first", "notes"]}


RENAME = os.replace


def contents(folder: Path) -> dict[str, list[str]]:
    return {path.name: sorted(inner.name for inner in path.iterdir()) for path in folder.iterdir()}


def write(target: Path, name: str, written: Sequence[str] = ("*",)) -> None:
    with fresh_directory(target, written) as folder:
        (folder / name).touch()


@pytest.mark.parametrize(
    ("renames", "left"),
    [(0, ["first"]), (1, ["first"]), (2, ["second"])],
    ids=["before the old content is moved", "in the middle", "after the new one is in place"],
)
def test_ctrl_c_while_a_directory_is_replaced_leaves_one_content_or_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int, left: list[str]
) -> None:
    target = tmp_path / "out"
    write(target, "first")
    done = []

    def rename(source: Path, destination: Path) -> None:
        if renames or done:
            RENAME(source, destination)
        done.append(source)
        if len(done) == max(renames, 1):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", rename)
    # A shell's background job is started with Ctrl-C ignored, and hands that on to its tests.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            write(target, "second")
    finally:
        signal.signal(signal.SIGINT, before)
    assert contents(tmp_path) == {"out": left}


def test_a_writer_that_is_killed_in_the_middle_loses_nothing_and_leaves_nothing_in_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out"
    write(target, "first")
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom study.files import fresh_directory\n"
        "replace = os.replace\n"
        "def rename(*paths):\n    replace(*paths)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.replace = rename\n"
        "with fresh_directory(Path('out'), ['*']) as folder:\n    (folder / 'second').touch()\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not target.exists()
    (tmp_path / ".out.other.12345678.new").mkdir()  # of a writer of out.other
    with pytest.raises(RuntimeError), fresh_directory(target, ["*"]):
        raise RuntimeError
    assert contents(tmp_path) == {"out": ["first"], ".out.other.12345678.new": []}


def test_of_two_writers_one_waits_for_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    write(target, "first")
    second = threading.Thread(target=write, args=(target, "third"))

    def rename(source: Path, destination: Path) -> None:
        RENAME(source, destination)
        if not second.ident:
            second.start()
            second.join(0.3)  # if it does not wait, it writes now, while the target is away

    monkeypatch.setattr(os, "replace", rename)
    write(target, "second")
    second.join()
    assert contents(tmp_path) == {"out": ["third"]}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_told_in_one_line_with_what_to_do() -> None:
    with (
        pytest.raises(StudyError, match=r"no space left on the disk.*free some space"),
        explain_full_disk(Path("x")),
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
