"""Tiny ImageNet (200 classes of 64x64 photographs) from its official archive, found or downloaded."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.request
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from study.config.data import TinyImagenetData
from study.data.images import BadPicture, Picture, decode, in_threads
from study.data.source import Source, Split
from study.errors import StudyError
from study.files import atomic_write

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
NAME = "tiny-imagenet-200.zip"
VERSION = 1
CLASSES = 200
MEMBER = re.compile(r"tiny-imagenet-200/(?:train/(n\d+)/images/\1_(\d+)|val/images/val_(\d+))\.JPEG")


def load(settings: TinyImagenetData, root: Path) -> Source:
    """Read the splits from the archive.

    train: the first train/200 pictures of each class by number; val: the next val/200 of each class; test: the first
    `test` of the official validation set. Any archive that has these pictures gives the same arrays, cut short or not.
    Raises StudyError when there is no archive, it is damaged, of another layout, or has too few pictures.
    """
    path = find_archive(root)
    try:
        with open(path, "rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        with zipfile.ZipFile(path) as archive:
            chosen, held = _choose(archive, settings, path)
            splits, grayscale = {}, {}
            for split, members in chosen.items():
                images = np.empty((len(members), settings.size, settings.size, 3), np.uint8)
                decoded = in_threads(lambda member: _read(archive, member, settings.size), members, f"{split} pictures")
                grayscale[split] = 0
                for i, picture in enumerate(decoded):
                    images[i] = picture.pixels
                    grayscale[split] += picture.grayscale
                splits[split] = Split(images, [Path(member).stem for member in members])
    except (zipfile.BadZipFile, zlib.error, EOFError, BadPicture, RuntimeError) as error:
        raise StudyError(f"{path} is damaged ({error}): delete or replace it, and run again") from error
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror or error}") from error
    facts = {"archive": NAME, "bytes": path.stat().st_size, "md5": md5, "official": md5 == MD5} | held
    return Source(splits, version=VERSION, facts=facts | {"grayscale": grayscale})


def state(settings: TinyImagenetData, root: Path) -> str:
    """Always "": the pictures that the settings ask for are the same in every archive."""
    return ""


def existing_archive(root: Path) -> Path | None:
    """The archive in the folder $STUDY_DATA_DIR, else in <root>/data/archives; None when it is in neither."""
    places = [_download_place(root)]
    if os.environ.get("STUDY_DATA_DIR"):
        places.insert(0, Path(os.environ["STUDY_DATA_DIR"]).expanduser() / NAME)
    return next((place for place in places if place.is_file()), None)


def find_archive(root: Path) -> Path:
    """The archive that is there, else the one downloaded to <root>/data/archives; StudyError when it cannot be had."""
    found = existing_archive(root)
    if found is None:
        found = _download_place(root)
        download(found)
    return found


def _download_place(root: Path) -> Path:
    return root / "data" / "archives" / NAME


def download(target: Path, url: str = URL, md5: str = MD5) -> None:
    """Fetch `url` to the file `target`; it appears there only when complete and of the right MD5, else StudyError."""

    def fetch(file: BinaryIO) -> None:
        digest = hashlib.md5(usedforsecurity=False)
        for block in _blocks(url, target):
            digest.update(block)
            file.write(block)
        if digest.hexdigest() != md5:
            raise StudyError(f"{url} gave a wrong or incomplete file (MD5 is not {md5}): {_advice(target)}")

    atomic_write(target, fetch)


def _blocks(url: str, target: Path) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            total = int(response.headers.get("Content-Length", 0)) or None
            with tqdm(total=total, desc=f"downloading {target.name}", unit="B", unit_scale=True, disable=None) as bar:
                while block := response.read(1 << 20):
                    bar.update(len(block))
                    yield block
    except (OSError, http.client.HTTPException) as error:
        raise StudyError(f"Tiny ImageNet could not be downloaded from {url} ({error}): {_advice(target)}") from error


def _advice(target: Path) -> str:
    return f"put {NAME} into {target.parent}, or set STUDY_DATA_DIR to the folder that has it"


def _choose(
    archive: zipfile.ZipFile, settings: TinyImagenetData, path: Path
) -> tuple[dict[str, list[str]], dict[str, int]]:
    # The members of each split, and how many pictures the archive holds. Numbers in names are compared as numbers.
    classes: dict[str, list[tuple[int, str]]] = defaultdict(list)
    official_val = []
    for name in archive.namelist():
        if match := MEMBER.fullmatch(name):
            wnid, train_number, val_number = match.groups()
            if wnid:
                classes[wnid].append((int(train_number), name))
            else:
                official_val.append((int(val_number), name))
    if len(classes) != CLASSES or not official_val:
        raise StudyError(
            f"{path} has not the layout of Tiny ImageNet (tiny-imagenet-200/train/<class>/images/<class>_<i>.JPEG of "
            f"{CLASSES} classes and val/images/val_<i>.JPEG): replace it with the official archive"
        )
    held = {"train_per_class": min(map(len, classes.values())), "official_val": len(official_val)}
    train, val = settings.train // CLASSES, settings.val // CLASSES
    if train + val > held["train_per_class"]:
        raise StudyError(
            f"{path} has {held['train_per_class']} training pictures of each of {CLASSES} classes: "
            f"data.train + data.val = {settings.train + settings.val} is more than that"
        )
    if settings.test > len(official_val):
        raise StudyError(f"{path} has {len(official_val)} validation pictures: data.test = {settings.test} is too many")
    ordered = [[name for _, name in sorted(classes[wnid])] for wnid in sorted(classes)]
    return {
        "train": [name for names in ordered for name in names[:train]],
        "val": [name for names in ordered for name in names[train : train + val]],
        "test": [name for _, name in sorted(official_val)[: settings.test]],
    }, held


def _read(archive: zipfile.ZipFile, member: str, size: int) -> Picture:
    try:
        return decode(archive.read(member), size)
    except BadPicture as error:
        raise BadPicture(f"{member}: {error}") from error
