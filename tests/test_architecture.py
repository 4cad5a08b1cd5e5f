"""The rooms of the package: each imports only from those below it, and what can be lifted out loads no tool."""

from __future__ import annotations

import subprocess
import sys

import pytest
from importlinter.cli import lint_imports

from tests.conftest import REPOSITORY


def test_imports_keep_the_contracts_of_pyproject(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    failed = lint_imports(no_cache=True)
    assert not failed, capsys.readouterr().out


def test_no_import_hides_behind_type_checking() -> None:
    hidden = [str(path) for path in REPOSITORY.glob("study/**/*.py") if "TYPE_CHECKING" in path.read_text()]
    assert not hidden


# What may not be loaded by what can be lifted out: the study and its tools, kernels where there is no card, and LPIPS.
UNWANTED = (
    "pydantic", "pandas", "click", "optuna", "mlflow", "matplotlib", "joblib", "study.config", "study.project",
    "triton", "lpips", "torchvision",
)  # fmt: skip
LIFTED = f"""
import sys, torch, study.losses, study.losses.conformance, study.color.bins, study.metrics
from study.color import rgb_to_lab
from study.metrics.lpips_network import perceptual_availability
rgb_to_lab(torch.zeros(1, 3, 2, 2))
perceptual_availability("alex")
print([name for name in sys.modules if name in {UNWANTED} or ".triton." in name])
"""


def test_what_can_be_lifted_out_loads_no_tool_no_kernel_and_no_lpips() -> None:
    done = subprocess.run([sys.executable, "-c", LIFTED], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
