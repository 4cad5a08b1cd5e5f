"""A cell is deterministic, paired with its siblings, survives SIGKILL, and ends cleanly when its loss diverges."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from study.data.prepare import prepare
from study.errors import StudyError
from study.project import Project
from study.training.cell import Cell
from study.training.digest import weights_digest
from study.training.executor import run_cell, run_cells
from study.training.networks import load_network
from study.training.schedule import step_count
from study.training.store import CellStore, collect
from study.training.trainer import ParentGone
from study.training.validation import Validation
from tests.conftest import TINY_STUDY, write_failing_arm, write_params


@pytest.fixture
def project(root: Path) -> Project:
    own = Project.open(root)
    prepare("tiny", own.study("tiny"), root)
    return own


def cells(project: Project, *arms: str, seeds: list[int] | None = None) -> list[Cell]:
    return project.cells("tiny", project.arms("tiny", arms), seeds or [0, 1])


def history(project: Project, cell: Cell) -> pd.DataFrame:
    table = pd.read_csv(project.store.path(cell.signature) / "history.csv")
    return table[table["name"] != "images_per_s"].reset_index(drop=True)


def test_numbers_do_not_depend_on_the_number_of_jobs(project: Project, tmp_path: Path) -> None:
    todo = cells(project, "anti_average", "zhang")
    side_by_side = run_cells(todo, CellStore(tmp_path / "two"), jobs=2)
    one_by_one = run_cells(todo, CellStore(tmp_path / "one"), jobs=1)
    digests = [record["weights_sha256"] for record in side_by_side]
    assert digests == [record["weights_sha256"] for record in one_by_one]
    assert len(set(digests)) == len(digests)
    for cell in todo:
        one, two = (pd.read_csv(tmp_path / store / cell.signature / "history.csv") for store in ("one", "two"))
        timeless = one["name"] != "images_per_s"
        pd.testing.assert_frame_equal(one[timeless], two[timeless], check_exact=True)


def test_a_finished_cell_is_not_trained_again(project: Project) -> None:
    todo = cells(project, "mse", seeds=[0])
    first = run_cells(todo, project.store, jobs=1)
    stamp = (project.store.path(todo[0].signature) / "model.pt").stat().st_mtime_ns
    assert run_cells(todo, project.store, jobs=1) == first
    assert (project.store.path(todo[0].signature) / "model.pt").stat().st_mtime_ns == stamp


def test_history_has_every_term_and_every_validation_score(project: Project) -> None:
    (cell,) = cells(project, "anti_average", seeds=[0])
    run_cells([cell], project.store, jobs=1)
    table = history(project, cell)
    train, val = table[table["split"] == "train"], table[table["split"] == "val"]
    assert {"total", "lab", "saturation", "diversity", "confidence", "grad_norm", "lr"} <= set(train["name"])
    assert {"ab_rmse", "chroma_ratio", "colorfulness", "hue_diversity", "lab", "confidence"} <= set(val["name"])
    assert val["step"].nunique() == TINY_STUDY["train"]["validations"]
    assert table["step"].max() == step_count(cell.train.images, cell.train.batch)
    total = train[train["name"] == "total"].set_index("step")["value"]
    terms = train.pivot(index="step", columns="name", values="value")
    weighted = sum(weight * terms[name] for name, weight in cell.arm.loss.weights.items())
    assert (total - weighted).abs().max() < 1e-3 * total.abs().max()


def test_peak_memory_is_that_of_a_step_and_the_same_wherever_the_cell_runs(project: Project, tmp_path: Path) -> None:
    todo = cells(project, "mse", "zhang", seeds=[0])
    peaks = [record["peak_memory_mb"] for record in run_cells(todo, project.store, jobs=1)]
    assert peaks == [record["peak_memory_mb"] for record in run_cells(todo, CellStore(tmp_path / "two"), jobs=2)]
    train = todo[0].train
    pixels = train.batch * (TINY_STUDY["data"]["size"] // 2) ** 2
    # The bins head holds 313 float32 scores a pixel at least twice, as output and as gradient, the ab head 2.
    assert peaks[1] - peaks[0] >= 2 * (313 - 2) * 4 * pixels / 1e6


def test_the_weights_kept_may_be_those_of_the_least_validation_loss(root: Path, project: Project) -> None:
    # So high a learning rate, without decay to speak of before the end, that the last validation is not the best.
    train = TINY_STUDY["train"] | {"keep": "best", "validations": 8, "learning_rate": 0.3, "warmup": 0.0}
    settings = project.study("tiny").train.model_validate(train)
    (cell,) = project.cells("tiny", project.arms("tiny", ("mse",)), [0], settings)
    (record,) = run_cells([cell], project.store, jobs=1)
    table = history(project, cell)
    totals = table[(table["split"] == "val") & (table["name"] == "total")].set_index("step")["value"]
    assert record["kept_step"] == totals.idxmin()
    network = load_network(project.store.path(cell.signature), root)
    kept = Validation(np.load(cell.data / "val.npy"), "cpu").scores(network)
    assert kept["lab"] == pytest.approx(totals.min(), rel=1e-5)  # MSE's own loss is the published term lab


def test_a_network_that_does_not_fit_the_pictures_is_told_before_any_work(root: Path, project: Project) -> None:
    content = yaml.safe_load((root / "params.yaml").read_text())
    content["studies"]["tiny"]["model"] = {"options": {"levels": 6}}
    write_params(root, content)
    with pytest.raises(StudyError, match="multiple of 64"):
        cells(Project.open(root), "mse")


def test_the_collected_network_is_the_trained_one(project: Project, tmp_path: Path) -> None:
    todo = cells(project, "zhang")
    records = run_cells(todo, project.store, jobs=1)
    collect(todo, project.store, tmp_path / "runs")
    for seed, record in enumerate(records):
        model = load_network(tmp_path / "runs" / f"seed-{seed}", Path())
        assert weights_digest(model) == record["weights_sha256"]
        assert model.predict(torch.zeros(1, 1, 32, 32)).shape == (1, 2, 32, 32)


# `make soak` raises it to twenty.
KILLS = int(os.environ.get("STUDY_TEST_KILLS", "1"))


def test_sigkill_at_random_moments_ends_with_the_same_bits(root: Path) -> None:
    slower = TINY_STUDY | {"train": TINY_STUDY["train"] | {"images": 1600 * KILLS, "checkpoint_seconds": 0}}
    pipeline = {"studies": ["tiny"], "arms": ["anti_average"], "baseline": "anti_average"}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": slower}})
    project = Project.open(root)
    prepare("tiny", project.study("tiny"), root)
    todo = cells(project, "anti_average")
    undisturbed = run_cells(todo, CellStore(root / "undisturbed"), jobs=1)

    command = [sys.executable, "-m", "study", "train", "tiny", "--jobs", "2"]
    rng = random.Random(0)
    kills = progress = 0
    while kills < KILLS:
        run = subprocess.Popen(
            command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        # Kill at a random moment after the workers got somewhere, so that every run is hit while it trains or
        # writes, or before it starts at all.
        goal = progress + rng.random() * 1300
        deadline = time.monotonic() + 30
        while run.poll() is None and time.monotonic() < deadline:
            if sum(project.store.progress(cell) for cell in todo) > goal:
                break
            time.sleep(rng.random() * 0.02)
        assert run.poll() is None, "the study ended before it was killed often enough: make it longer"
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        kills += 1
        progress = sum(project.store.progress(cell) for cell in todo)
    assert not any(project.store.record(cell.signature) for cell in todo)
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for cell, expected in zip(todo, undisturbed, strict=True):
        assert project.store.record(cell.signature)["weights_sha256"] == expected["weights_sha256"]
        clean = pd.read_csv(root / "undisturbed" / cell.signature / "history.csv")
        timeless = clean["name"] != "images_per_s"
        resumed = pd.read_csv(project.store.path(cell.signature) / "history.csv")
        pd.testing.assert_frame_equal(clean[timeless], resumed[timeless], check_exact=True)


def test_workers_stop_when_the_process_that_started_them_dies(root: Path) -> None:
    endless = {"images": 10_000_000, "checkpoint_seconds": 1e6}  # so that a checkpoint is written at the end alone
    slower = TINY_STUDY | {"train": TINY_STUDY["train"] | endless, "seeds": [0, 1, 2, 3, 4]}
    pipeline = {"studies": ["tiny"], "arms": ["mse"], "baseline": "mse"}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": slower}})
    project = Project.open(root)
    prepare("tiny", project.study("tiny"), root)
    todo = cells(project, "mse", seeds=[0, 1, 2, 3, 4])
    command = [sys.executable, "-m", "study", "train", "tiny", "--jobs", "2"]
    run = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    try:
        while len(begun := [cell for cell in todo if project.store.progress(cell)]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        run.kill()  # the parent alone, not its workers
        run.wait()
    while not all((project.store.path(cell.signature) / "checkpoint.pt").exists() for cell in begun):
        assert time.monotonic() < deadline, "the workers go on without their parent"
        time.sleep(0.05)
    assert [cell for cell in todo if project.store.progress(cell)] == begun  # nor do they begin what they were handed


def test_a_single_job_goes_on_when_the_shell_that_it_was_started_from_ends(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = itertools.count(100_000_000)  # no process has such an id
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    (record,) = run_cells(cells(project, "mse", seeds=[0]), project.store, jobs=1)
    assert record["status"] == "finished"


def test_a_worker_whose_main_process_is_dead_trains_nothing(project: Project) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    (cell,) = cells(project, "mse", seeds=[0])
    with pytest.raises(ParentGone):
        run_cell(cell, project.store, dead.pid)
    assert list(project.store.path(cell.signature).iterdir()) == []


EXPLODING = textwrap.dedent(
    """
    from study.losses import Loss, register


    @register("exploding")
    class Exploding(Loss):
        head = "ab"
        terms = {"calm": 1.0, "wild": 1.0}
        calls = 0

        def compute(self, prediction, target):
            self.calls += 1
            calm = (prediction - target).square().mean()
            return {"calm": calm, "wild": calm * (float("nan") if self.calls == 6 else 1.0)}
    """
)


def test_a_diverging_loss_ends_its_cell_with_a_record_and_the_others_go_on(project: Project, root: Path) -> None:
    (root / "ablations" / "losses" / "exploding.py").write_text(EXPLODING)
    (root / "ablations" / "exploding.yaml").write_text(
        "description: turns NaN at step 6\n"
        "loss: {name: exploding, file: ablations/losses/exploding.py, weights: {calm: 1, wild: 1}}\n"
    )
    todo = cells(project, "exploding", "mse")
    records = run_cells(todo, project.store, jobs=2)
    assert [record["status"] for record in records] == ["diverged", "diverged", "finished", "finished"]
    assert records[0]["diverged"] == {"step": 6, "term": "wild"}
    assert not (project.store.path(todo[0].signature) / "model.pt").exists()
    assert json.loads((project.store.path(todo[0].signature) / "record.json").read_text()) == records[0]


def test_a_cell_that_fails_stops_neither_the_others_nor_their_controls(project: Project, root: Path) -> None:
    write_failing_arm(root)
    (root / "ablations" / "matched.yaml").write_text("description: x\ncontrol: {of: mse, match: failing}\n")
    todo = cells(project, "failing", "matched", "mse", "gray", seeds=[0])
    with pytest.raises(StudyError) as caught:
        run_cells(todo, project.store, jobs=1)
    told = "failing seed 0 failed: RuntimeError: no such luck (finished cells are kept; run the same command to go on)"
    assert str(caught.value) == told
    assert [project.store.done([cell]) for cell in todo] == [False, False, True, True]


def test_signature_follows_what_matters_and_ignores_the_rest(project: Project, root: Path) -> None:
    def signature(**train: object) -> str:
        study = TINY_STUDY | {"train": TINY_STUDY["train"] | train}
        pipeline = {"studies": ["tiny"], "arms": ["mse"], "baseline": "mse"}
        write_params(root, {"pipeline": pipeline, "studies": {"tiny": study}})
        return cells(Project.open(root), "mse", seeds=[0])[0].signature

    before = signature()
    assert signature(checkpoint_seconds=77) == before
    assert signature(learning_rate=0.001) != before
    assert cells(project, "mse", seeds=[1])[0].signature != before
    arm = root / "ablations" / "mse.yaml"
    arm.write_text(arm.read_text().replace("description: ", "description: now "))
    assert cells(project, "mse", seeds=[0])[0].signature == before
    arm.write_text(arm.read_text().replace("lab: 1.0", "lab: 2.0"))
    assert cells(project, "mse", seeds=[0])[0].signature != before
    zhang, arm = cells(project, "zhang")[0].signature, root / "ablations" / "zhang.yaml"
    arm.write_text(arm.read_text().replace("temperature: 0.38", "temperature: 0.5"))
    decoded = cells(project, "zhang")[0]
    assert (decoded.arm.decode.temperature, decoded.signature) == (0.5, zhang)  # the scores stay what they are
