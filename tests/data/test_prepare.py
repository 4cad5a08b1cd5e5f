"""Making prepared data: once, and again when something changed; never at the cost of the user's files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.config.data import FolderData, PaletteWorldData
from study.config.study import Study, TrainSettings
from study.data import folder, palette_world, prepare
from study.data.prepared import load_prepared
from study.errors import StudyError


def study_of(data: FolderData | PaletteWorldData) -> Study:
    return Study(title="A study for tests", data=data, train=TrainSettings(images=1), seeds=[0])


def world(seed: int = 1) -> Study:
    return study_of(PaletteWorldData(source="palette_world", train=12, val=4, test=4, size=16, seed=seed))


def pictures_in(path: str) -> Study:
    return study_of(FolderData(source="folder", path=path, size=16, val=0.25, test=0.25))


def save_pictures(folder: Path, count: int = 30) -> dict[str, bytes]:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """The sources that were read, one entry for each time."""
    read = []
    load = prepare.load_source

    def count(settings, root):
        read.append(settings.source)
        return load(settings, root)

    monkeypatch.setattr(prepare, "load_source", count)
    return read


def test_what_is_written_is_what_is_read(tmp_path):
    manifest = prepare.prepare("tiny", world(), tmp_path)
    prepared = load_prepared("tiny", world(), tmp_path)
    assert prepared.manifest == manifest
    scenes = palette_world.draw_scenes(4, 16, 1, "val")
    np.testing.assert_array_equal(prepared.images("val"), scenes.images)
    np.testing.assert_array_equal(prepared.regions("val"), scenes.region)
    assert prepared.prior.shape == (313,)
    declared = palette_world.color_distribution()
    assert prepared.color_distribution.regions == declared.regions
    np.testing.assert_array_equal(prepared.color_distribution.modes, declared.modes)


def test_data_that_are_up_to_date_are_left_alone(tmp_path, made):
    first = prepare.prepare("tiny", world(), tmp_path)
    assert prepare.prepare("tiny", world(), tmp_path) == first
    assert made == ["palette_world"]
    assert prepare.prepare("tiny", world(), tmp_path, again=True) == first
    assert len(made) == 2


@pytest.mark.parametrize("file", ["train.npy", "prior.npy", "world.npz", "manifest.json"])
@pytest.mark.parametrize("how", ["deleted", "changed"])
def test_damaged_data_are_made_anew(tmp_path, made, file, how):
    prepare.prepare("tiny", world(), tmp_path)
    whole = contents(tmp_path / "data" / "tiny")
    path = tmp_path / "data" / "tiny" / file
    if how == "deleted":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3] + b"abc")
    prepare.prepare("tiny", world(), tmp_path)
    assert len(made) == 2
    assert contents(tmp_path / "data" / "tiny") == whole


def test_other_settings_make_other_data(tmp_path, made):
    first = prepare.prepare("tiny", world(), tmp_path)
    second = prepare.prepare("tiny", world(seed=2), tmp_path)
    assert len(made) == 2
    assert first["data_hash"] != second["data_hash"]


def test_data_of_other_code_are_made_anew(tmp_path, made, monkeypatch):
    prepare.prepare("tiny", world(), tmp_path)
    monkeypatch.setattr(prepare, "version", lambda name: "0")  # another version of the libraries
    prepare.prepare("tiny", world(), tmp_path)
    assert len(made) == 2


def change_content(photos: Path) -> None:
    path = photos / "3.png"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def rename(photos: Path) -> None:
    (photos / "3.png").rename(photos / "three.png")


def delete(photos: Path) -> None:
    (photos / "3.png").unlink()


def add(photos: Path) -> None:
    (photos / "deeper").mkdir()
    (photos / "deeper" / "new.png").write_bytes((photos / "3.png").read_bytes())


@pytest.mark.parametrize("change", [change_content, rename, delete, add])
def test_a_changed_folder_of_pictures_is_read_again(tmp_path, made, change):
    save_pictures(tmp_path / "photos")
    prepare.prepare("mine", pictures_in("photos"), tmp_path)
    prepare.prepare("mine", pictures_in("photos"), tmp_path)
    assert len(made) == 1
    change(tmp_path / "photos")
    prepare.prepare("mine", pictures_in("photos"), tmp_path)
    assert len(made) == 2


def test_data_of_other_settings_or_an_earlier_loader_are_not_read(tmp_path, monkeypatch):
    prepare.prepare("tiny", world(), tmp_path)
    with pytest.raises(StudyError, match="study prepare tiny"):
        load_prepared("tiny", world(seed=2), tmp_path)
    monkeypatch.setattr(palette_world, "VERSION", palette_world.VERSION + 1)
    with pytest.raises(StudyError, match="study prepare tiny"):
        load_prepared("tiny", world(), tmp_path)
    with pytest.raises(StudyError, match="study prepare other"):
        load_prepared("other", world(), tmp_path)


@pytest.fixture
def untouched(tmp_path, monkeypatch):
    """A project whose pictures must survive, and where no work may begin."""

    def work(*args):
        raise AssertionError("work began")

    monkeypatch.setattr(prepare, "load_source", work)
    return tmp_path


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("data/mine", "data/mine"),
        ("data/mine/photos", "data/mine/photos"),
        ("data/mine/photos", "photos/../data/mine/photos"),
        ("data/mine/photos", "link"),
        ("data/mine/photos", "data"),
        ("photos", "."),
        ("photos", ".."),
        ("results/photos", "results/photos"),
        ("reports/photos", "reports"),
        (".cells/photos", ".cells/photos"),
    ],
)
def test_pictures_where_a_stage_writes_are_refused_before_any_work(untouched, where, path):
    root = untouched / "project"
    before = save_pictures(root / where, count=3)
    (root / "link").symlink_to(root / where)
    with pytest.raises(StudyError, match=r"data\.path of mine") as error:
        prepare.prepare("mine", pictures_in(path), root)
    assert "\n" not in str(error.value)
    assert contents(root / where) == before


def test_pictures_behind_a_linked_data_folder_are_refused(untouched):
    before = save_pictures(untouched / "photos", count=3)
    (untouched / "data").mkdir()
    (untouched / "data" / "mine").symlink_to(untouched / "photos")
    with pytest.raises(StudyError, match=r"data\.path of mine"):
        prepare.prepare("mine", pictures_in("photos"), untouched)
    assert contents(untouched / "photos") == before


@pytest.mark.parametrize("study", [world(), pictures_in("photos")], ids=["world", "folder"])
def test_files_that_prepare_did_not_write_are_never_deleted(untouched, study):
    save_pictures(untouched / "photos", count=3)
    before = save_pictures(untouched / "data" / "mine", count=1)
    with pytest.raises(StudyError, match=r"0\.png"):
        prepare.prepare("mine", study, untouched)
    assert contents(untouched / "data" / "mine") == before


def test_what_a_file_manager_left_is_no_file_of_the_user(tmp_path, made):
    prepare.prepare("tiny", world(), tmp_path)
    (tmp_path / "data" / "tiny" / ".DS_Store").touch()
    prepare.prepare("tiny", world(seed=2), tmp_path)
    assert len(made) == 2


def test_a_failure_leaves_the_earlier_data_alone(tmp_path):
    prepare.prepare("mine", world(), tmp_path)
    before = contents(tmp_path / "data" / "mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="empty"):
        prepare.prepare("mine", pictures_in("empty"), tmp_path)
    assert contents(tmp_path / "data" / "mine") == before


def test_the_state_of_a_folder_sees_links_and_missing_folders(tmp_path):
    data = pictures_in("photos").data
    assert folder.state(data, tmp_path) == ""
    save_pictures(tmp_path / "photos", count=2)
    first = folder.state(data, tmp_path)
    (tmp_path / "photos" / "nowhere.png").symlink_to("missing.png")
    assert folder.state(data, tmp_path) != first
