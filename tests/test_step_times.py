"""Step times: every loss is timed in the same rounds, arms that train alike once, and only current cells count."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from study.errors import StudyError
from study.plan import Project
from study.prepare import prepare
from study.step_times import read_step_times, time_steps
from tests.conftest import TINY_STUDY, write_params

SLEEPING = textwrap.dedent(
    """
    import time
    from study.losses import Loss, register


    @register("sleeping")
    class Sleeping(Loss):
        head = "ab"
        terms = {"lab": 1.0}

        def compute(self, prediction, target):
            time.sleep(0.03)
            return {"lab": (prediction - target).square().mean()}


    @register("exploding")
    class Exploding(Loss):
        head = "ab"
        terms = {"lab": 1.0}
        calls = 0

        def compute(self, prediction, target):
            self.calls += 1
            return {"lab": (prediction - target).square().mean() * (float("nan") if self.calls == 8 else 1.0)}
    """
)
ARMS = ["mse", "sleeping", "exploding", "zhang", "zhang_mean", "gray"]


def open_with(root: Path, arms: list[str], **changes: object) -> Project:
    pipeline = {"studies": ["tiny"], "arms": arms, "baseline": "mse"}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": TINY_STUDY | changes}})
    return Project.open(root)


@pytest.fixture
def project(root: Path) -> Project:
    (root / "ablations" / "own.py").write_text(SLEEPING)
    for name in ("sleeping", "exploding"):
        settings = f"loss: {{name: {name}, file: ablations/own.py, weights: {{lab: 1}}}}\n"
        (root / "ablations" / f"{name}.yaml").write_text(f"description: {name}\n{settings}")
    own = open_with(root, ARMS)
    prepare("tiny", own.study("tiny"), root)
    return own


def test_every_loss_is_timed_in_every_round_and_nothing_but_the_file_is_left(project: Project, root: Path) -> None:
    before = {path for path in root.rglob("*") if path.is_file()}
    found = time_steps(project, "tiny", rounds=4)
    file = root / "results" / "tiny" / "step_times.json"
    assert {path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts} - before == {file}
    assert json.loads(file.read_text()) == found
    times = read_step_times(project, "tiny", project.arms("tiny"))
    assert times.rounds == 4
    assert set(times.of) == set(ARMS) - {"exploding"}
    assert all(own.shape == (4,) and (own > 0).all() for own in times.of.values())
    # Sleep is never shorter than asked for, so this holds on any machine.
    assert times.of["sleeping"].min() >= 30
    assert found["arms"]["exploding"]["step_ms"] == []
    assert times.of["zhang"].tolist() == times.of["zhang_mean"].tolist()  # they differ in decoding alone
    assert times.of["gray"].tolist() == times.of["mse"].tolist()  # a control of it


def test_what_is_timed_stays_until_a_cell_changes_or_one_asks(project: Project) -> None:
    first = time_steps(project, "tiny", rounds=3)
    assert time_steps(project, "tiny", rounds=3) == first
    assert time_steps(project, "tiny", rounds=2) == first
    assert time_steps(project, "tiny", rounds=4)["rounds"] == 4
    again = time_steps(project, "tiny", rounds=3, again=True)
    assert again != first
    file = project.root / "results" / "tiny" / "step_times.json"
    file.write_text(file.read_text().replace(again["environment"]["cpu"], "another processor"))
    elsewhere = time_steps(project, "tiny", rounds=3)
    assert elsewhere["environment"] == again["environment"]
    assert elsewhere["arms"] != again["arms"]
    arm = project.root / "ablations" / "sleeping.yaml"
    arm.write_text(arm.read_text().replace("lab: 1", "lab: 2"))
    changed = time_steps(project, "tiny", rounds=3)
    assert changed["arms"]["mse"] != elsewhere["arms"]["mse"]  # all of them take turns anew


@pytest.mark.parametrize("content", ["", "[]", '{"rounds": 3}', '{"rounds": 3, "arms"'])
def test_a_damaged_file_is_named(project: Project, content: str) -> None:
    file = project.root / "results" / "tiny" / "step_times.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    for read in (lambda: time_steps(project, "tiny"), lambda: read_step_times(project, "tiny", [])):
        with pytest.raises(StudyError, match=r"^results/tiny/step_times\.json is not what `study time tiny` writes"):
            read()


def test_times_of_other_settings_do_not_count(project: Project, root: Path) -> None:
    assert read_step_times(project, "tiny", project.arms("tiny")).of == {}
    time_steps(project, "tiny", rounds=3)
    arm = root / "ablations" / "sleeping.yaml"
    arm.write_text(arm.read_text().replace("lab: 1", "lab: 2"))
    assert set(read_step_times(project, "tiny", project.arms("tiny")).of) == {"mse", "zhang", "zhang_mean", "gray"}
    wider = open_with(root, ARMS, train=TINY_STUDY["train"] | {"width": 8})
    assert read_step_times(wider, "tiny", wider.arms("tiny")).rounds == 0
    more = open_with(root, [*ARMS, "huber"])
    assert "huber" not in read_step_times(more, "tiny", more.arms("tiny")).of
