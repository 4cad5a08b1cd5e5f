"""pyproject.toml, requirements.lock and environment.yml describe one and the same environment."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
LOCK = [Requirement(line) for line in (REPOSITORY / "requirements.lock").read_text().splitlines() if line.strip()]
EXTRAS = PROJECT["optional-dependencies"]
WANTED = [Requirement(text) for text in [*PROJECT["dependencies"], *EXTRAS["study"], *EXTRAS["dev"], *EXTRAS["bench"]]]


def pins(name: str) -> list[str]:
    found = [requirement for requirement in LOCK if canonicalize_name(requirement.name) == canonicalize_name(name)]
    return [next(iter(requirement.specifier)).version for requirement in found]


@pytest.mark.parametrize("requirement", WANTED, ids=lambda requirement: requirement.name)
def test_every_direct_dependency_is_locked_within_its_range(requirement: Requirement) -> None:
    assert pins(requirement.name)
    assert all(requirement.specifier.contains(pin) for pin in pins(requirement.name))


def test_the_lock_pins_exactly_and_names_no_index() -> None:
    for requirement in LOCK:
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement
        assert requirement.url is None
    assert not re.search(r"https?:|--", (REPOSITORY / "requirements.lock").read_text())


@pytest.mark.parametrize("requirement", WANTED, ids=lambda requirement: requirement.name)
def test_what_is_installed_satisfies_the_declared_ranges(requirement: Requirement) -> None:
    assert requirement.specifier.contains(version(requirement.name).split("+")[0])


def test_conda_installs_the_same_lock() -> None:
    conda = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.lock", "-e .[study]"]
    python = next(entry for entry in conda["dependencies"] if str(entry).startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.split("=")[1])


def test_torch_2_11_is_still_allowed() -> None:
    torch = next(requirement for requirement in WANTED if requirement.name == "torch")
    assert torch.specifier.contains("2.11.0")


def test_losses_metrics_colours_and_networks_need_the_light_install_alone() -> None:
    allowed = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    barred = {canonicalize_name(requirement.name) for requirement in WANTED} - allowed - {"torchvision"}
    barred |= {"sklearn", "skimage", "pil", "yaml", "ot"}
    code = f"""
import sys, importlib.abc
import torch, numpy, filelock
class Barred(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0].lower().replace("_", "-") in {sorted(barred)}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Barred())
from study.losses import ColorizationAntiAverageLoss, ClassificationLoss, SlicedWassersteinLoss
from study.metrics import colorfulness, ciede2000
from study.models import UNet
ab = torch.rand(2, 2, 8, 8)
print(float(ColorizationAntiAverageLoss()(ab, ab)["total"]), colorfulness(torch.zeros(1, 3, 8, 8)).item())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0.0", "0.0"]
