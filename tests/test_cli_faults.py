"""Bad pictures, a full disk, Ctrl-C: one line, a non-zero exit, and what was there is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.project import Project
from tests.conftest import TINY_STUDY
from tests.test_cli import fails, one_study, study


def test_outside_a_project(tmp_path: Path) -> None:
    assert "no params.yaml" in fails("list", cwd=tmp_path)


def test_pictures_that_are_in_training_too_or_cannot_be_used_are_told(root: Path) -> None:
    rng = np.random.default_rng(0)
    (root / "photos").mkdir()
    for k in range(40):
        picture = Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8))
        for level in (1, 9)[: 1 + (k < 20)]:  # other bytes, the same pixels
            picture.save(root / "photos" / f"p{k}_{level}.png", compress_level=level)
    (root / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    one_study(root, data={"source": "folder", "path": "photos", "size": 32, "val": 0.2, "test": 0.3})
    done = study("prepare", "tiny", cwd=root)
    assert done.returncode == 0, done.stderr
    train, val, test = (np.load(root / "data" / "tiny" / f"{split}.npy") for split in ("train", "val", "test"))
    seen = {
        split: sum(any(np.array_equal(x, y) for y in train) for x in images)
        for split, images in {"val": val, "test": test}.items()
    }
    assert 0 < seen["test"] < len(test)
    assert json.loads((root / "data/tiny/manifest.json").read_text())["seen_in_training"] == seen
    assert f"{seen['test']} of the test pictures" in done.stdout
    assert "skipped broken.jpg" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_space(root: Path) -> None:
    one_study(root)
    assert study("prepare", "tiny", cwd=root).returncode == 0
    (root / "cells").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", "cells"], cwd=root, check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let us mount a disk")
    try:
        line = fails("train", "tiny", "mse", cwd=root, STUDY_CELLS=str(root / "cells"))
        assert "no space left on the disk" in line
        assert not (root / "results" / "tiny" / "runs").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", "cells"], cwd=root, check=True)
        assert study("train", "tiny", "mse", cwd=root, STUDY_CELLS=str(root / "cells")).returncode == 0
    finally:
        subprocess.run(["umount", "cells"], cwd=root, check=True)


def test_ctrl_c_stops_at_once_and_the_next_run_goes_on(root: Path) -> None:
    one_study(root, train=TINY_STUDY["train"] | {"images": 10_000_000, "checkpoint_seconds": 0})
    assert study("prepare", "tiny", cwd=root).returncode == 0
    project = Project.open(root)
    todo = project.cells("tiny", project.arms("tiny", ("mse",)), [0, 1])
    run = subprocess.Popen(
        [sys.executable, "-m", "study", "train", "tiny", "mse", "--jobs", "2"],
        cwd=root, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
        # A shell's background job is started with Ctrl-C ignored, and would hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 600
    while not all((project.store.path(cell.signature) / "checkpoint.pt").exists() for cell in todo):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=600)
    assert run.returncode == 130, errors
    assert errors.splitlines()[-1].startswith("study: interrupted")
    assert "Traceback" not in errors
    assert all((project.store.path(cell.signature) / "checkpoint.pt").exists() for cell in todo)
