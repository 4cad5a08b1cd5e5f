"""Prints the SHA-256 of every file of a palette_world, as JSON: python -m tests.data.same_bytes TRAIN VAL TEST."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from study.config.data import PaletteWorldData
from study.config.study import Study, TrainSettings
from study.data.prepare import prepare
from study.files import sha256_file


def digests(train: int, val: int, test: int) -> dict[str, str]:
    data = PaletteWorldData(source="palette_world", train=train, val=val, test=test, size=32, seed=0)
    study = Study(title="The same bytes", data=data, train=TrainSettings(images=1), seeds=[0])
    with tempfile.TemporaryDirectory() as root:
        prepare("palette_world", study, Path(root))
        return {path.name: sha256_file(path) for path in sorted(Path(root, "data", "palette_world").iterdir())}


if __name__ == "__main__":
    print(json.dumps(digests(*map(int, sys.argv[1:])), indent=1))
