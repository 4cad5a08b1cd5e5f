"""The real pipeline, `dvc repro`, in a clone: it runs, then has nothing to do, and re-runs only what changed."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import grimp
import pandas as pd
import pytest
import yaml

from study.cli import steps
from tests.conftest import REPOSITORY

ARMS = ["mse", "zhang"]
LATER = ["mse", "huber"]
TUNED = "anti_average_tuned"
CONTROL = "gray"


class Pipeline:
    """A git checkout of this project with its own, smaller params.yaml; `commands` holds the command `study`."""

    first: set[str]  # the stages of the first run

    def __init__(self, root: Path, commands: Path) -> None:
        self.root = root
        paths = (str(commands), str(Path(sys.executable).parent), os.environ["PATH"])
        self.environment = os.environ | {"PATH": os.pathsep.join(paths), "PYTHONPATH": str(root)}

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, text=True, capture_output=True, check=False
        )  # fmt: skip
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def repro(self, *options: str) -> set[str]:
        """The stages that `dvc repro` ran."""
        return set(re.findall(r"Running stage '([^']+)'", self.run("dvc", "repro", *options)))

    def set_arms(self, arms: list[str], trials: int = 2) -> None:
        params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
        lists = {"studies": ["smoke"], "arms": arms, "controls": [CONTROL], "search": ["smoke"], "tuned": [TUNED]}
        params["pipeline"] |= lists
        smoke = params["studies"]["smoke"]
        del smoke["arms"]
        smoke["train"]["images"] = 512
        smoke["model"]["options"]["width"] = 4
        smoke["evaluate"]["lpips"] = "off"  # loading it takes every evaluation seconds
        smoke["compare"]["resamples"] = 200
        smoke["search"] |= {"families": ["anti_average"], "trials": trials, "images": 256}
        (self.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def tables(self) -> Path:
        return self.root / "results" / "smoke" / "tables"


def arms_of(pipeline: Pipeline, table: str) -> set[str]:
    return set(pd.read_csv(pipeline.tables() / table)["arm"])


# They read settings, find and write files, or tell a person what is wrong: no number comes from them.
WITHOUT_NUMBERS = {"cli", "config", "cores", "errors", "files", "plugins", "project"}
GRAPH = grimp.build_graph("study", cache_dir=None)
GRAPH.remove_module("study.project")
STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]


def entries(command: str) -> set[str]:
    """The modules that a command imports."""
    (own,) = (
        node
        for node in ast.parse(Path(steps.__file__).read_text()).body
        if isinstance(node, ast.FunctionDef) and f"command('{command}'" in ast.unparse(node.decorator_list[0])
    )
    return {node.module for node in ast.walk(own) if isinstance(node, ast.ImportFrom)} & GRAPH.modules


@pytest.mark.parametrize("stage", STAGES)
def test_the_rooms_that_a_stage_depends_on_are_those_that_its_code_imports(stage: str) -> None:
    modules = entries(STAGES[stage]["cmd"].split()[1])
    modules |= set().union(*map(GRAPH.find_upstream_modules, modules))
    rooms = {module.split(".")[1] for module in modules if "." in module} - WITHOUT_NUMBERS
    declared = {Path(path).stem for path in STAGES[stage]["deps"] if path.startswith("study/")}
    assert rooms == declared
    assert all((REPOSITORY / path).exists() for path in STAGES[stage]["deps"] if path.startswith("study/"))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The pipeline, reproduced once."""
    root, commands = tmp_path_factory.mktemp("clone"), Path(tempfile.mkdtemp())  # a socket's path must be short
    for name in ("study", "ablations"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (".dvc", "benchmarks"):
        (root / folder).mkdir()
    for name in (
        "dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore", "benchmarks/coverage.csv",
    ):  # fmt: skip
        shutil.copy(REPOSITORY / name, root / name)
    own = Pipeline(root, commands)
    own.set_arms(ARMS)
    own.run("git", "init", "-q")
    warm = [sys.executable, "-P", str(REPOSITORY / "tests" / "warm.py"), str(commands)]
    with subprocess.Popen(warm, cwd=root, env=own.environment) as server:
        try:
            while not os.access(commands / "study", os.X_OK):
                assert server.poll() is None
                time.sleep(0.05)
            own.first = own.repro()
            yield own
        finally:
            server.kill()
            shutil.rmtree(commands)


def test_the_first_repro_runs_every_stage(pipeline: Pipeline) -> None:
    assert pipeline.first == {
        "prepare@smoke", "search@smoke", "time@smoke", "compare@smoke", "track@smoke", "report@smoke",
        f"train_tuned@smoke-{TUNED}", f"evaluate_tuned@smoke-{TUNED}",
        f"train_control@smoke-{CONTROL}", f"evaluate_control@smoke-{CONTROL}",
        *(f"{step}@smoke-{arm}" for step in ("train", "evaluate") for arm in ARMS),
    }  # fmt: skip
    page = (pipeline.root / "reports" / "smoke" / "index.html").read_text()
    assert all(arm in page for arm in (*ARMS, TUNED))
    assert (pipeline.root / "mlflow.db").exists()


def test_a_second_repro_has_nothing_to_do(pipeline: Pipeline) -> None:
    assert "up to date" in pipeline.run("dvc", "repro")


def test_dvc_metrics_and_plots_show_the_arms(pipeline: Pipeline) -> None:
    shown = pipeline.run("dvc", "metrics", "show")
    assert "mse.json" in shown and "colorfulness" in shown
    pipeline.run("dvc", "plots", "show", "-o", "shown")
    page = (pipeline.root / "shown" / "index.html").read_text()
    assert "Validation ab RMSE" in page
    assert all(arm in page for arm in ARMS)


def test_what_changed_runs_and_what_follows_from_it(pipeline: Pipeline) -> None:
    arm = pipeline.root / "ablations" / "mse.yaml"
    arm.write_text(arm.read_text().replace("lab: 1", "lab: 2"))
    pipeline.set_arms(LATER, trials=3)
    assert pipeline.repro() == {
        "search@smoke", f"train_tuned@smoke-{TUNED}", f"evaluate_tuned@smoke-{TUNED}",  # a longer search
        "train@smoke-mse", "evaluate@smoke-mse",  # an arm with another weight
        f"train_control@smoke-{CONTROL}", f"evaluate_control@smoke-{CONTROL}",  # which is made from it
        "train@smoke-huber", "evaluate@smoke-huber",  # an arm that was not there
        "time@smoke", "compare@smoke", "track@smoke", "report@smoke",
    }  # fmt: skip
    # An arm that is not listed any more is in no table and on no page.
    assert arms_of(pipeline, "arms.csv") == arms_of(pipeline, "cells.csv") == {*LATER, CONTROL, TUNED}
    report = json.loads((pipeline.root / "reports" / "smoke" / "report.json").read_text())
    assert {row["arm"] for row in report["arms"]} == {*LATER, CONTROL, TUNED}


def test_a_mistake_stops_the_pipeline_and_leaves_the_results_standing(pipeline: Pipeline) -> None:
    arm = pipeline.root / "ablations" / "mse.yaml"
    sound = arm.read_text()
    before = (pipeline.tables() / "arms.csv").read_text()
    arm.write_text(sound.replace("lab: 2.0", "lab: -1.0"))
    output = pipeline.run("dvc", "repro", check=False)
    assert "ablations/mse.yaml: loss.weights.lab" in output
    assert (pipeline.tables() / "arms.csv").read_text() == before
    assert (pipeline.root / "results/smoke/runs/mse/seed-0/model.pt").exists()
    arm.write_text(sound)
    assert pipeline.repro() == set()


def test_removing_an_arm_trains_and_scores_nothing(pipeline: Pipeline) -> None:
    pipeline.set_arms(["mse"], trials=3)
    assert pipeline.repro("--dry") == {"compare@smoke", "track@smoke"}  # and the report once the tables have changed
