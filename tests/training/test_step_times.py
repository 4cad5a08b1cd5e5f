"""Step times: every loss is timed in the same rounds, arms that train alike once, and only current cells count."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from study.data.prepare import prepare
from study.errors import StudyError
from study.project import Project
from study.training import step_times
from study.training.cell import Cell
from study.training.step_times import StepTimes, read_step_times, time_steps
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
ARMS = ["mse", "sleeping", "exploding", "zhang", "zhang_mean", "mse_gain"]


def open_with(root: Path, arms: list[str], **changes: object) -> Project:
    controls = [name for name in arms if name == "mse_gain"]
    trained = [name for name in arms if name not in controls]
    pipeline = {"studies": ["tiny"], "arms": trained, "controls": controls, "baseline": "mse"}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": TINY_STUDY | changes}})
    return Project.open(root)


def timed(project: Project, again: bool = False) -> dict[str, list[list[float]]]:
    cells = project.first_cells("tiny", project.arms("tiny"))
    return time_steps(cells, project.study("tiny").timing, project.step_times_file("tiny"), again)


def known(project: Project) -> StepTimes:
    arms = project.arms("tiny")
    sources = {arm.name: arm.control.of if arm.control else arm.name for arm in arms}
    return read_step_times(project.step_times_file("tiny"), project.first_cells("tiny", arms), sources)


@pytest.fixture
def project(root: Path) -> Project:
    (root / "ablations" / "losses" / "own.py").write_text(SLEEPING)
    for name in ("sleeping", "exploding"):
        settings = f"loss: {{name: {name}, file: ablations/losses/own.py, weights: {{lab: 1}}}}\n"
        (root / "ablations" / f"{name}.yaml").write_text(f"description: {name}\n{settings}")
    own = open_with(root, ARMS)
    prepare("tiny", own.study("tiny"), root)
    return own


def test_every_loss_is_timed_in_every_round_and_nothing_but_the_file_is_left(root: Path, project: Project) -> None:
    before = {path for path in root.rglob("*") if path.is_file()}
    two = open_with(root, ARMS, timing={"processes": 2, "rounds": 4})
    found = timed(two)
    file = root / "results" / "tiny" / "step_times.json"
    assert {path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts} - before == {file}
    times = known(two)
    assert (times.processes, times.rounds) == (2, 4)
    assert set(times.of) == set(ARMS) - {"exploding"}
    assert all(own.shape == (2, 4) and (own > 0).all() for own in times.of.values())
    # Sleep is never shorter than asked for, so this holds on any machine.
    assert times.of["sleeping"].min() >= 30
    assert found["exploding"] == []
    assert times.of["zhang"].tolist() == times.of["zhang_mean"].tolist()  # they differ in decoding alone
    assert times.of["mse_gain"].tolist() == times.of["mse"].tolist()  # a control of it


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The cells that were timed, time by time; the n-th time every step takes n ms, without a process of its own."""
    taken: list[set[str]] = []

    def instead(cells: dict[str, Cell], processes: int, rounds: int) -> dict[str, list[list[float]]]:
        taken.append({cell.arm.name for cell in cells.values()})
        return {key: [[float(len(taken))] * rounds] * processes for key in cells}

    monkeypatch.setattr(step_times, "_in_processes", instead)
    return taken


def test_what_is_timed_stays_until_something_changes_or_one_asks(
    project: Project, root: Path, turns: list[set[str]]
) -> None:
    file = root / "results" / "tiny" / "step_times.json"
    first = timed(project)
    assert timed(project) == first
    fewer = open_with(root, ["mse", "zhang"])
    assert timed(fewer) == {arm: first[arm] for arm in ("mse", "zhang")}
    assert [len(cells) for cells in turns] == [4]  # once, and of arms that train alike one
    assert set(json.loads(file.read_text())["arms"]) > {"mse", "zhang"}  # what is known stays
    again = timed(fewer, again=True)
    assert again != {arm: first[arm] for arm in ("mse", "zhang")}
    for key, other in (("code", "older"), ("environment", {"cpu": "another"})):
        file.write_text(json.dumps(json.loads(file.read_text()) | {key: other}))
        anew = timed(fewer)
        assert anew != again
        again = anew
    arm = root / "ablations" / "zhang.yaml"
    arm.write_text(arm.read_text().replace("rebalance: 0.5", "rebalance: 0.4"))
    assert timed(fewer)["mse"] != again["mse"]  # all of them take turns anew
    assert turns[1:] == 4 * [{"mse", "zhang"}]


def test_times_of_other_cells_do_not_count(project: Project, root: Path, turns: list[set[str]]) -> None:
    assert known(project).of == {}
    timed(project)
    arm = root / "ablations" / "sleeping.yaml"
    arm.write_text(arm.read_text().replace("lab: 1", "lab: 2"))
    now = known(project)
    assert set(now.of) == set(ARMS) - {"sleeping"}
    wider = open_with(root, ARMS, model={"options": {"width": 8}})
    assert known(wider).of == {}
    more = open_with(root, [*ARMS, "huber"])
    assert "huber" not in known(more).of


WHOLE = {"study": "tiny", "code": "x", "processes": 1, "rounds": 2, "environment": {}}


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", '{"rounds": 3}', '{"rounds": 3, "arms"', json.dumps(WHOLE | {"arms": []}),
        json.dumps(WHOLE | {"arms": {}, "rounds": "x"}), json.dumps(WHOLE | {"arms": {}, "environment": None}),
        json.dumps(WHOLE | {"arms": {"mse": {}}}),
        json.dumps(WHOLE | {"arms": {"mse": {"signature": "x", "step_ms": [[1.0]]}}}),
        json.dumps(WHOLE | {"arms": {"mse": {"signature": "x", "step_ms": [[1.0, -1.0]]}}}),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_what_mends_it(root: Path, content: str) -> None:
    file = root / "results" / "tiny" / "step_times.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(StudyError, match="study time tiny --again") as error:
        read_step_times(file, {}, {})
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)
