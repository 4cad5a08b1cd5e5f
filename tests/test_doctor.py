"""`study check` for an arm: every arm that ships passes; what cannot be built or is broken is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from study.config.arms import arm_names
from study.doctor import check_arm
from study.errors import StudyError
from study.project import Project
from tests.conftest import REPOSITORY, TINY_STUDY, write_params
from tests.test_cli import fails, study


@pytest.mark.verify  # every loss has the same checks in tests/losses
@pytest.mark.parametrize("name", arm_names(REPOSITORY))
def test_every_arm_that_ships_passes(name: str, root: Path) -> None:
    if name == "anti_average_lpips":  # the same arm, but its trunk needs no weights from the network
        path = root / "ablations" / f"{name}.yaml"
        arm = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump(arm | {"loss": arm["loss"] | {"options": {"weights": "untrained"}}}))
    checks = check_arm(Project.open(root), name)
    assert len(checks) == 20
    assert [check for check in checks if not check.passed] == []


BROKEN = """
from study.losses import Loss, register

@register("sharp")
class Sharp(Loss):
    terms = {"sharp": 1.0}

    def compute(self, prediction, target):
        return {"sharp": (prediction - target).square().sum(1).sqrt().mean()}
"""


def test_the_command_prints_a_line_per_check_and_fails_in_one_line(root: Path) -> None:
    done = study("check", "mse", "zhang", cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("  ok    ") == 40
    assert "FAIL" not in done.stdout
    (root / "ablations" / "losses" / "sharp.py").write_text(BROKEN)
    (root / "ablations" / "sharp.yaml").write_text(
        "description: x\nloss: {name: sharp, file: ablations/losses/sharp.py}\n"
    )
    done = study("check", "mse", "sharp", cwd=root)
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if "FAIL" in line]
    # Where both are gray, or both the same, the difference is 0 and the root's slope infinite.
    assert [line.split(":")[0].strip() for line in lines] == [
        "FAIL  finite, all-gray pictures", "FAIL  finite, constant pictures",
        "FAIL  finite, single-coloured-pixel pictures", "FAIL  shapes are checked",
    ]  # fmt: skip
    assert done.stderr.startswith("study: 4 ") and done.stderr.count("\n") == 1


def test_the_command_tells_what_cannot_be_built(root: Path) -> None:
    (root / "ablations" / "odd.yaml").write_text("description: x\nloss: {name: pinball, options: {quantile: 2}}\n")
    (root / "ablations" / "losses" / "crash.py").write_text(
        BROKEN.replace("    def compute", "    def __init__(self):\n        1 / 0\n\n    def compute")
    )
    (root / "ablations" / "crash.yaml").write_text(
        "description: x\nloss: {name: sharp, file: ablations/losses/crash.py}\n"
    )
    (root / "ablations" / "losses" / "bare.py").write_text(
        BROKEN.replace("    def compute", "    def __init__(self):\n        self.eps = 1\n\n    def compute").replace(
            "sharp", "bare"
        )
    )
    (root / "ablations" / "losses" / "leaving.py").write_text("import sys\n\nsys.exit('gone')\n")
    for name in ("bare", "leaving"):
        (root / "ablations" / f"{name}.yaml").write_text(
            f"description: x\nloss: {{name: {name}, file: ablations/losses/{name}.py}}\n"
        )
    done = study("check", "odd", "crash", "bare", "leaving", cwd=root)
    lines = [line for line in done.stdout.splitlines() if "FAIL" in line]
    named = ["quantile", "ZeroDivisionError: division by zero (crash.py, line 9)", "super().__init__()"]
    for line, name in zip(lines, [*named, "SystemExit: gone (leaving.py, line 3)"], strict=True):
        assert "FAIL  it can be built" in line and name in line
    assert done.stderr.count("\n") == 1
    assert "'sepia'" in fails("check", "sepia", cwd=root)
    assert study("check", cwd=root).returncode == 2


def test_the_prior_of_prepared_data_is_used_when_there_is_one(root: Path) -> None:
    uniform = {check.what: check.found for check in check_arm(Project.open(root), "zhang")}
    (root / "data" / "some").mkdir(parents=True)
    prior = np.linspace(1, 30, 313)
    np.save(root / "data" / "some" / "prior.npy", prior / prior.sum())
    prepared = {check.what: check.found for check in check_arm(Project.open(root), "zhang")}
    assert uniform["terms"] != prepared["terms"]
    with pytest.raises(StudyError, match="'sepia'"):
        check_arm(Project.open(root), "sepia")


def test_pictures_where_a_step_writes_are_found_in_every_study(root: Path) -> None:
    (root / ".git").mkdir()
    own = {"source": "folder", "size": 32, "val": 0.2, "test": 0.2}
    places = {"tiny": "photos", "inside": "results/photos", "above": "."}
    studies = {name: TINY_STUDY | {"data": own | {"path": path}} for name, path in places.items()}
    write_params(root, {"pipeline": {"studies": ["tiny"], "arms": ["mse"], "baseline": "mse"}, "studies": studies})
    done = study("doctor", cwd=root)
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if "FAIL" in line)
    assert "data.path of inside" in line and "data.path of above" in line and "of tiny" not in line


LEARNABLE = """
import torch
from study.losses import Loss, register

@register("learnable")
class Learnable(Loss):
    terms = {"NAME": 1.0}

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()), requires_grad=ASKS)

    def compute(self, prediction, target):
        return {"NAME": self.scale * (prediction - target).square().mean()}
"""


@pytest.mark.parametrize(
    ("name", "asks", "named"),
    [("lab", "True", ["'learnable'", "scale"]), ("lr", "False", ["'learnable'", "lr"]), ("lab", "False", [])],
)
def test_what_cannot_work_is_refused_before_anything_is_trained(
    root: Path, name: str, asks: str, named: list[str]
) -> None:
    own = LEARNABLE.replace("NAME", name).replace("ASKS", asks)
    (root / "ablations" / "losses" / "learnable.py").write_text(own)
    (root / "ablations" / "learnable.yaml").write_text(
        "description: x\nloss: {name: learnable, file: ablations/losses/learnable.py}\n"
    )
    assert study("prepare", "tiny", cwd=root).returncode == 0
    if named:
        error = fails("train", "tiny", "learnable", cwd=root)
        assert all(word in error for word in named)
        assert not (root / ".cells").exists()
    else:
        assert study("plan", "tiny", "learnable", cwd=root).returncode == 0
