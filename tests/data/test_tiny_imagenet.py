"""Tiny ImageNet: the right pictures in the right splits, from a small archive of the official layout made here."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.config.data import TinyImagenetData
from study.data import Source, load_source
from study.data.tiny_imagenet import NAME, download, find_archive
from study.errors import StudyError

PER_CLASS = 12  # so that the number 2 stands before 10, and the text "2" behind "10"


def jpeg(number: int, gray: bool = False) -> bytes:
    """A flat picture that carries its number in its tone."""
    file = BytesIO()
    color = (number, 255 - number, 128)
    (Image.new("L", (8, 8), number) if gray else Image.new("RGB", (8, 8), color)).save(file, "JPEG", quality=95)
    return file.getvalue()


def write_archive(path: Path, per_class: int = PER_CLASS, val: int = 20, classes: int = 200) -> Path:
    """The official layout, its members in no useful order; picture i of a class has tone 20 i, i of val 10 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    members = {"tiny-imagenet-200/wnids.txt": b"", "tiny-imagenet-200/words.txt": b""}
    train = [jpeg(20 * i, gray=i == 3) for i in range(per_class)]
    for c in range(classes):
        wnid = f"n{9_000_000 + c * 7919 % 200:08d}"
        members[f"tiny-imagenet-200/train/{wnid}/{wnid}_boxes.txt"] = b"0 0 8 8"
        members |= {f"tiny-imagenet-200/train/{wnid}/images/{wnid}_{i}.JPEG": train[i] for i in range(per_class)}
    members |= {f"tiny-imagenet-200/val/images/val_{i}.JPEG": jpeg(10 * i) for i in range(val)}
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(members, key=lambda name: hashlib.md5(name.encode()).digest()):
            archive.writestr(name, members[name])
    return path


@pytest.fixture(scope="module")
def small_archive(tmp_path_factory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive") / NAME)


@pytest.fixture
def here(small_archive, monkeypatch) -> Path:
    monkeypatch.setenv("STUDY_DATA_DIR", str(small_archive.parent))
    return small_archive


def read(root: Path, train: int = 600, val: int = 400, test: int = 12, size: int = 16) -> Source:
    return load_source(TinyImagenetData(source="tiny_imagenet", train=train, val=val, test=test, size=size), root)


def test_splits_take_the_first_of_each_class_in_numeric_order(here, tmp_path):
    source = read(tmp_path)
    wnids = [f"n{9_000_000 + c:08d}" for c in range(200)]
    assert source.splits["train"].names == [f"{wnid}_{i}" for wnid in wnids for i in (0, 1, 2)]
    assert source.splits["val"].names == [f"{wnid}_{i}" for wnid in wnids for i in (3, 4)]
    assert source.splits["test"].names == [f"val_{i}" for i in range(12)]
    tones = source.splits["train"].images[:, :, :, 0].mean((1, 2))
    np.testing.assert_allclose(tones, [0, 20, 40] * 200, atol=3)
    np.testing.assert_allclose(source.splits["test"].images[:, 5, 5, 0], 10 * np.arange(12), atol=3)


def test_a_subset_of_the_archive_gives_the_same_study_as_the_whole(here, tmp_path, monkeypatch):
    part = write_archive(tmp_path / "part" / NAME, per_class=5)
    whole = read(tmp_path)
    monkeypatch.setenv("STUDY_DATA_DIR", str(part.parent))
    for name, split in read(tmp_path).splits.items():
        assert split.names == whole.splits[name].names
        np.testing.assert_array_equal(split.images, whole.splits[name].images)


def test_gray_pictures_become_rgb_and_are_counted(here, tmp_path):
    source = read(tmp_path)
    assert source.facts["grayscale"] == {"train": 0, "val": 200, "test": 0}
    gray = source.splits["val"].images[::2].astype(int)
    assert np.ptp(gray, axis=-1).max() == 0
    np.testing.assert_allclose(gray, 60, atol=2)


def test_facts_tell_which_archive_it_was(here, tmp_path):
    facts = read(tmp_path).facts
    assert facts["md5"] == hashlib.md5(here.read_bytes()).hexdigest()
    assert facts["bytes"] == here.stat().st_size
    assert not facts["official"]
    assert facts["train_per_class"] == PER_CLASS


def one_line(error: pytest.ExceptionInfo[StudyError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("counts", "has"), [({"train": 2200, "val": 400}, "12 training pictures"), ({"test": 21}, "20 validation pictures")]
)
def test_asking_for_more_than_the_archive_has_says_how_many_it_has(here, tmp_path, counts, has):
    with pytest.raises(StudyError, match=has) as error:
        read(tmp_path, **counts)
    one_line(error)


def damaged(path: Path, kind: str) -> None:
    whole = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "no zip":
        path.write_text("<html>not found</html>")
    elif kind == "a changed byte":
        with zipfile.ZipFile(path) as archive:
            at = archive.getinfo("tiny-imagenet-200/val/images/val_3.JPEG").header_offset
        path.write_bytes(whole[: at + 200] + bytes([whole[at + 200] ^ 0xFF]) + whole[at + 201 :])
    elif kind == "a broken picture":
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["tiny-imagenet-200/val/images/val_3.JPEG"] = jpeg(3)[:150]
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("tiny-imagenet-200/wnids.txt", "n00000000")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("truncated", "is damaged"),
        ("no zip", "is damaged"),
        ("a changed byte", "is damaged"),
        ("a broken picture", "val_3.JPEG"),
        ("another layout", "has not the layout"),
    ],
)
def test_a_damaged_archive_is_named_in_one_line(small_archive, tmp_path, monkeypatch, kind, says):
    path = tmp_path / NAME
    path.write_bytes(small_archive.read_bytes())
    damaged(path, kind)
    monkeypatch.setenv("STUDY_DATA_DIR", str(tmp_path))
    with pytest.raises(StudyError, match=says) as error:
        read(tmp_path)
    assert str(path) in one_line(error)


def test_an_archive_that_is_found_is_not_downloaded(small_archive, tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_DATA_DIR", str(tmp_path / "elsewhere"))
    stored = tmp_path / "data" / "archives" / NAME
    stored.parent.mkdir(parents=True)
    stored.write_bytes(small_archive.read_bytes())
    assert find_archive(tmp_path) == stored
    monkeypatch.setenv("STUDY_DATA_DIR", str(small_archive.parent))
    assert find_archive(tmp_path) == small_archive


@pytest.fixture
def server(small_archive, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(small_archive.parent))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()
        thread.join()


def test_download_brings_the_checked_file(server, small_archive, tmp_path):
    target = tmp_path / "archives" / NAME
    download(target, server + NAME, hashlib.md5(small_archive.read_bytes()).hexdigest())
    assert target.read_bytes() == small_archive.read_bytes()


@pytest.mark.parametrize("what", ["wrong checksum", "not on the server", "no server"])
def test_a_failed_download_leaves_nothing_and_says_where_to_put_the_file(server, tmp_path, what):
    url = {
        "wrong checksum": server + NAME,
        "not on the server": server + "missing.zip",
        "no server": "http://127.0.0.1:9/a",
    }
    with pytest.raises(StudyError, match="STUDY_DATA_DIR") as error:
        download(tmp_path / "archives" / NAME, url[what])
    assert str(tmp_path / "archives") in one_line(error)
    assert list((tmp_path / "archives").iterdir()) == []


REAL = Path(os.environ.get("STUDY_DATA_DIR", "/nonexistent")) / NAME


@pytest.mark.verify
@pytest.mark.skipif(not REAL.is_file(), reason=f"needs {NAME} in STUDY_DATA_DIR")
def test_the_real_archive_gives_the_pictures_that_its_members_hold(tmp_path):
    source = read(tmp_path, train=400, val=200, test=15, size=64)
    with zipfile.ZipFile(REAL) as archive:
        for split, folder in (("train", "train/{0}/images"), ("val", "train/{0}/images"), ("test", "val/images")):
            for i in (0, len(source.splits[split].names) - 1):
                name = source.splits[split].names[i]
                member = f"tiny-imagenet-200/{folder.format(name.split('_')[0])}/{name}.JPEG"
                with archive.open(member) as file, Image.open(file) as image:
                    np.testing.assert_array_equal(source.splits[split].images[i], np.asarray(image.convert("RGB")))
    assert source.splits["train"].names[:3] == ["n01443537_0", "n01443537_1", "n01629819_0"]
    assert source.splits["val"].names[0] == "n01443537_2"
    assert source.splits["test"].names[10] == "val_10"
    half = read(tmp_path, train=200, val=200, test=1, size=32).splits["test"].images[0]
    full = source.splits["test"].images[0].astype(float)
    assert np.abs(half - full.reshape(32, 2, 32, 2, 3).mean((1, 3))).max() <= 1
