"""The rooms of the package: each imports only from those below it, and there is no cycle."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import REPOSITORY

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def test_imports_keep_the_contracts_of_pyproject() -> None:
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]


def test_no_import_hides_behind_type_checking() -> None:
    hidden = [str(path) for path in REPOSITORY.glob("study/**/*.py") if "TYPE_CHECKING" in path.read_text()]
    assert not hidden
