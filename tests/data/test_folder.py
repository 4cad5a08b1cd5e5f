"""A folder of pictures: what is used, what is skipped and why, and splits that follow from content alone."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.config.data import FolderData
from study.data import Source, load_source
from study.errors import StudyError


def save_noise(path: Path, seed: int, size: tuple[int, int] = (20, 16)) -> Path:
    """A small PNG of coloured noise; another seed gives another file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format=None if path.suffix else "PNG")
    return path


def read(folder: Path, **options) -> Source:
    return load_source(
        FolderData(source="folder", path=str(folder), **{"size": 16, "val": 0.25, "test": 0.25} | options), folder
    )


def split_of(source: Source) -> dict[str, str]:
    return {name: split for split, content in source.splits.items() for name in content.names}


def reasons(source: Source) -> dict[str, str]:
    return {item.name: item.reason for item in source.skipped}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for i in range(40):  # each split gets some
        save_noise(tmp_path / "photos" / f"set{i % 3}" / f"{i}.png", i)
    return tmp_path / "photos"


def test_nested_pictures_are_used_under_their_relative_names(pictures):
    source = read(pictures)
    assert set(split_of(source)) == {f"set{i % 3}/{i}.png" for i in range(40)}
    for split in source.splits.values():
        assert split.images.shape == (len(split.names), 16, 16, 3)
        assert split.images.dtype == np.uint8
    name = source.splits["test"].names[0]
    with Image.open(pictures / name) as image:
        np.testing.assert_array_equal(source.splits["test"].images[0], np.asarray(image)[:, 2:18])


def test_the_split_is_the_position_of_the_hash_of_the_bytes(pictures):
    for name, split in split_of(read(pictures, test=0.3, val=0.2)).items():
        share = int.from_bytes(hashlib.sha256((pictures / name).read_bytes()).digest()[:8], "big") / 2**64
        assert split == ("test" if share < 0.3 else "val" if share < 0.5 else "train")


def test_adding_files_moves_no_other_file(pictures):
    before = split_of(read(pictures))
    for seed in range(1000, 1012):
        save_noise(pictures / f"added{seed}.png", seed)
    after = split_of(read(pictures))
    assert after.items() >= before.items()
    assert len(after) == len(before) + 12


def test_renaming_changes_names_only(pictures):
    before = read(pictures)
    for i, path in enumerate(sorted(pictures.rglob("*.png"))):
        path.rename(pictures / f"renamed{97 * i % 41}.png")
    after = read(pictures)
    for split in before.splits:
        np.testing.assert_array_equal(before.splits[split].images, after.splits[split].images)
        assert before.splits[split].names != after.splits[split].names


def test_limit_uses_that_many_pictures_and_leaves_them_in_their_splits(pictures):
    everything, some = split_of(read(pictures)), read(pictures, limit=24)
    assert len(split_of(some)) == some.facts["used"] == 24
    assert everything.items() >= split_of(some).items()
    assert some.facts["beyond_limit"] == 16


def test_unusable_files_are_skipped_each_with_its_reason(pictures):
    noise = [Image.open(save_noise(pictures.parent / f"frame{seed}.png", seed)) for seed in (501, 502)]
    content = save_noise(pictures.parent / "whole.png", 600, (64, 64)).read_bytes()
    (pictures / "cut.png").write_bytes(content[: len(content) // 2])
    (pictures / "text.jpg").write_text("not a picture")
    (pictures / "empty.jpg").touch()
    (pictures / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    noise[0].save(pictures / "moving.gif", save_all=True, append_images=noise[1:])
    noise[0].save(pictures / "pages.tiff", save_all=True, append_images=noise[1:])
    Image.new("RGB", (1, 1), "red").save(pictures / "dot.png")
    Image.linear_gradient("L").save(pictures / "gray.jpg")
    Image.new("1", (20, 20)).save(pictures / "bilevel.png")
    Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)).save(pictures / "deep.png")
    (pictures / "nowhere.jpg").symlink_to("missing.jpg")
    (pictures / "copy.png").write_bytes((pictures / "set0" / "0.png").read_bytes())
    os.mkfifo(pictures / "pipe.jpg")
    (pictures / "notes.txt").write_text("other files are counted only")
    (pictures / ".hidden.jpg").write_text("so are hidden ones")

    source = read(pictures)
    expected = {
        "cut.png": "damaged", "text.jpg": "not a picture", "empty.jpg": "not a picture", "phone.heic": "HEIC",
        "moving.gif": "2 frames", "pages.tiff": "2 frames", "dot.png": "only 1x1 pixels", "gray.jpg": "grayscale",
        "bilevel.png": "grayscale", "deep.png": "grayscale", "nowhere.jpg": "link to nothing",
        "set0/0.png": "the same file as copy.png", "pipe.jpg": "no regular file",
    }  # fmt: skip
    found = reasons(source)
    assert found.keys() == expected.keys()
    for name, part in expected.items():
        assert part in found[name]
        assert "\n" not in found[name]
    assert source.facts == {
        "picture_files": 53, "other_files": {"hidden": 1, ".txt": 1}, "used": 40, "skipped": 13, "beyond_limit": 0,
        "monochrome": {"train": 0, "val": 0, "test": 0}, "color_spaces": {"sRGB": 40},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("format", "suffix"), [("PNG", ""), ("JPEG", ".jpg_large"), ("WEBP", ""), ("TIFF", ".bin"), ("GIF", "")]
)
def test_pictures_without_a_usual_suffix_are_found_by_their_content(pictures, format, suffix):
    name = f"unusual{suffix}"
    with Image.open(pictures / "set0" / "0.png") as image:
        image.save(pictures / name, format)
    source = read(pictures)
    assert name in split_of(source)
    assert source.facts["other_files"] == {}


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"\0\0\0\x18ftypmp42", b"BM, a text", b"RIFF\0\0\0\0WAVE"])
def test_other_files_are_counted_by_suffix(pictures, content):
    (pictures / "other.Dat").write_bytes(content)
    (pictures / "other").write_bytes(content)
    source = read(pictures)
    assert source.facts["other_files"] == {".dat": 1, "no suffix": 1}
    assert source.facts["picture_files"] == 40


def test_raw_files_of_cameras_are_skipped_by_name(pictures):
    with Image.open(pictures / "set0" / "0.png") as preview:
        preview.save(pictures / "photo.NEF", "TIFF")  # they begin like this
    source = read(pictures)
    assert set(reasons(source)) == {"photo.NEF"}
    assert len(split_of(source)) == 40


@pytest.mark.parametrize("setting", ["keep", "flag", "skip"])
def test_monochrome_pictures_are_used_flagged_or_skipped(pictures, setting):
    y, x = np.mgrid[:16, :20]
    for i in range(4):
        gray = (np.random.default_rng(i).integers(0, 256, (4, 5)).repeat(4, 0).repeat(4, 1) + x + y)[..., None]
        toned = np.clip(gray * [0.9, 0.75, 0.55], 0, 255).astype(np.uint8)
        Image.fromarray(toned).save(pictures / f"sepia{i}.png")
    source = read(pictures, monochrome=setting)
    names = {f"sepia{i}.png" for i in range(4)}
    assert names <= set(split_of(source)) or setting == "skip"
    assert set(reasons(source)) == (names if setting == "skip" else set())
    assert {item.name for item in source.flagged} == (names if setting == "flag" else set())
    assert sum(source.facts["monochrome"].values()) == (0 if setting == "skip" else 4)


def test_color_spaces_are_counted(pictures):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2
    with Image.open(pictures / "set0" / "0.png") as image:
        image.save(pictures / "adobe.jpg", exif=exif.tobytes())
    assert read(pictures).facts["color_spaces"] == {"Adobe RGB": 1, "sRGB": 40}


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that cannot be read even by root")
def test_files_that_cannot_be_read_are_skipped(pictures):
    (pictures / "closed.jpg").symlink_to("/proc/self/mem")
    assert "cannot be read" in reasons(read(pictures))["closed.jpg"]


def test_loops_of_links_end_and_links_to_folders_are_followed(pictures, tmp_path):
    save_noise(tmp_path / "elsewhere" / "far.png", 700)
    (pictures / "link").symlink_to(tmp_path / "elsewhere")
    (pictures / "set1" / "loop").symlink_to(pictures)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "elsewhere")
    source = read(pictures)
    assert "link/far.png" in split_of(source)
    assert len(split_of(source)) == 41
    assert source.skipped == []


def test_file_names_that_are_not_utf8_become_names_that_are(pictures):
    save_noise(pictures / "plain.png", 800).rename(os.fsdecode(os.fsencode(pictures) + b"/caf\xe9.png"))
    assert "caf\\xe9.png" in split_of(read(pictures))


def one_line(error: pytest.ExceptionInfo[StudyError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_folder_a_file_and_an_empty_folder_are_errors(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name, part in (("missing", "is no folder"), ("file", "is no folder"), ("empty", "no picture files")):
        with pytest.raises(StudyError, match=part) as error:
            read(tmp_path / name)
        assert name in one_line(error)


def test_a_folder_without_a_usable_picture_says_what_is_wrong_with_one(tmp_path):
    (tmp_path / "a.jpg").write_text("no")
    Image.linear_gradient("L").save(tmp_path / "b.jpg")
    with pytest.raises(StudyError, match="none of the 2 picture files") as error:
        read(tmp_path)
    assert "'a.jpg': not a picture" in one_line(error)


@pytest.mark.parametrize(
    ("shares", "empty"), [((0.25, 1e-9), "test"), ((1e-9, 0.25), "val"), ((0.5, 0.499999999), "train")]
)
def test_an_empty_split_is_an_error(pictures, shares, empty):
    with pytest.raises(StudyError, match=f"fell into the {empty} split") as error:
        read(pictures, val=shares[0], test=shares[1])
    assert "data." in one_line(error)
