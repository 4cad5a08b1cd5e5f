"""Shared by all tests: one thread, one job, no telemetry, the same examples each time, and a small project."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# What may use several cores uses one, in the test's own process, which has torch already: other tests run beside. Those
# of several jobs and processes say how many.
os.environ["LOKY_MAX_CPU_COUNT"] = "1"
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

import torch

from study import plugins
from study.losses import registry

REPOSITORY = Path(__file__).parents[1]

# Few examples, the same ones at each run, and no limit of time; `make verify` draws many more at random.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
settings.register_profile("test", UNHURRIED, max_examples=25, derandomize=True)
settings.register_profile("verify", UNHURRIED, max_examples=300)
settings.load_profile("test")

TINY_STUDY = {
    "title": "A world for tests",
    "data": {"source": "palette_world", "train": 96, "val": 16, "test": 16, "size": 32, "seed": 1},
    "model": {"options": {"width": 4, "levels": 2}, "upsampling": "nearest"},
    "train": {
        "images": 256, "batch": 16, "learning_rate": 3e-3,
        "validations": 2, "log_every": 4, "device": "cpu",
    },
    "seeds": [0, 1],
    "evaluate": {"lpips": "off", "pictures": 2},
    "compare": {"resamples": 200},
    "timing": {"processes": 1, "rounds": 3},
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that several processes end at about the same time."""
    longest = ["test_pipeline.py", "test_train.py", "test_search.py"]
    items.sort(key=lambda item: longest.index(item.path.name) if item.path.name in longest else len(longest))


@pytest.fixture(autouse=True, scope="module")
def environment_of_a_file() -> Iterator[None]:
    """What the fixtures of a file leave in the environment is gone after it, as where MLflow records."""
    with patch.dict(os.environ):
        yield


@pytest.fixture(autouse=True)
def left_by_a_test(environment_of_a_file: None) -> Iterator[None]:
    """And what a test leaves there, the losses that it registers, and what it compiles, are gone after the test: none
    depends on which ran before it in the same process. (A function is compiled a few times a process, no more.)"""
    torch.manual_seed(0)
    with patch.dict(os.environ), patch.dict(registry._LOSSES), patch.dict(plugins._LOADED):
        yield
    if "torch._dynamo" in sys.modules:
        sys.modules["torch._dynamo"].reset()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with the repository's arms and one study, `tiny`; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STUDY_CELLS", raising=False)
    return make_root(tmp_path)


def make_root(folder: Path) -> Path:
    """Make a project with the repository's arms and one study, `tiny`, in `folder`."""
    shutil.copytree(REPOSITORY / "ablations", folder / "ablations")
    pipeline = {"studies": ["tiny"], "arms": ["mse", "anti_average", "zhang"], "baseline": "mse"}
    write_params(folder, {"pipeline": pipeline, "studies": {"tiny": TINY_STUDY}})
    return folder


def write_params(root: Path, params: dict) -> None:
    """Write params.yaml."""
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


FAILING = """
from study.losses import Loss, register


@register("failing")
class Failing(Loss):
    head = "ab"
    terms = {"failing": 1.0}

    def compute(self, prediction, target):
        raise RuntimeError("no such\\nluck")
"""


def write_failing_arm(root: Path) -> None:
    """An arm `failing`, whose loss raises an error."""
    (root / "ablations" / "losses" / "failing.py").write_text(FAILING)
    (root / "ablations" / "failing.yaml").write_text(
        "description: raises\nloss: {name: failing, file: ablations/losses/failing.py}\n"
    )
