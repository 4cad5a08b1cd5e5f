"""Shared by the tests of tracking: one MLflow store, made once (its migrations take seconds), and a small study."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.tracking.helpers import write_study

REPOSITORY = Path(__file__).parents[2]

# In a process without the marks of pytest and CI, by which MLflow switches its telemetry off by itself. It imports
# MLflow once, and its forks start on the new store at the same moment.
SIX_PROCESSES = """
import gc
import os
import sys
from pathlib import Path
from study.errors import StudyError
from study.tracking.mlflow import track_mlflow

root, arms = Path(sys.argv[1]), ["mse", "vivid"]
print("imported", sorted({"mlflow", "sqlalchemy", "torch"} & set(sys.modules)), flush=True)
try:
    track_mlflow(root, "toy", arms, [0, 1], "http://127.0.0.1:9")
except StudyError:
    from mlflow.telemetry.client import get_telemetry_client

    print("telemetry", get_telemetry_client(), flush=True)
import mlflow.store.tracking.sqlalchemy_store  # here once instead of in every fork
from sqlalchemy.orm import configure_mappers

configure_mappers()
gc.freeze()
for _ in range(6):
    if os.fork() == 0:
        try:
            summary = track_mlflow(root, "toy", arms, [0, 1])
            os.write(1, f"counts {summary.recorded} {summary.unchanged}\\n".encode())
            os._exit(0)
        finally:
            os._exit(1)
print("status", [os.wait()[1] for _ in range(6)], flush=True)
os._exit(0)
"""


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that six processes recorded at once, with what they printed in out.txt; shared by pytest's workers."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "first start"
    with FileLock(f"{root}.lock"):
        if not root.exists():
            write_study(root)
            kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT") if key in os.environ}
            environment = kept | {"PYTHONPATH": str(REPOSITORY), "HOME": str(root)}
            command = [sys.executable, "-c", SIX_PROCESSES, str(root)]
            done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
            (root / "out.txt").write_text(done.stdout)
            (root / "err.txt").write_text(done.stderr)
    return root


@pytest.fixture(scope="session")
def database(first_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the tests' own, in a folder with odd characters. It does not wait for the disk."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    event.listen(Pool, "connect", lambda connection, _: connection.execute("pragma synchronous = off"))
    return Path(shutil.copy(first_start / "mlflow.db", tmp_path_factory.mktemp("a store, 100 %")))


@pytest.fixture(scope="session")
def uri(database: Path) -> str:
    """The address of that store."""
    return f"sqlite:///{database}"


@pytest.fixture(scope="session")
def client(uri: str) -> Any:
    """MLflow's own client, which reads back what was written."""
    from mlflow import MlflowClient

    return MlflowClient(uri)


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, str]:
    """A folder with a study of a name of its own, so that tests can share the store."""
    return write_study(tmp_path, request.node.name), request.node.name
