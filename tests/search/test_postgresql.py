"""Several processes on one real PostgreSQL: they share the work, and one that is killed loses and doubles nothing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from filelock import FileLock

from study.cli import main
from study.errors import StudyError
from study.project import Project
from study.search.candidates import Candidates
from study.search.runner import SEARCH_SEEDS
from study.search.storage import open_storage
from tests.search.conftest import make_project, open_space

pytestmark = pytest.mark.skipif(
    shutil.which("initdb") is None and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
    reason="PostgreSQL is not installed here (apt-get install postgresql)",
)


def program(name: str) -> str:
    """A program of PostgreSQL; Debian keeps them beside the path."""
    return shutil.which(name) or str(max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of a private PostgreSQL that lives as long as the tests of this file."""
    folder = Path(tempfile.mkdtemp(prefix="study-pg-"))
    user = None
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        user = "nobody"
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    data = folder / "data"
    run(program("initdb"), "-D", str(data), "-U", "study", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run(program("pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://study@127.0.0.1:{port}/postgres"
    finally:
        run(program("pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


def trials_of(storage: Any) -> list[optuna.trial.FrozenTrial]:
    """All trials on record that were asked for, of all families."""
    names = optuna.get_all_study_names(storage.optuna)
    studies = [optuna.load_study(study_name=name, storage=storage.optuna) for name in names]
    return [trial for study in studies for trial in study.trials if "candidate" in trial.user_attrs]


def lock_of_candidate(project: Project, index: int) -> Path:
    """The lock that is held while an enqueued candidate trains; its search waits for whoever has it."""
    space = open_space(project, "anti_average")
    arm = space.arm(space.given(space.family.enqueue[index]), "candidate")
    study = project.study("tiny")
    train = study.train.model_copy(update={"images": study.search.images, "validations": 1})
    (cell,) = project.cells("tiny", [arm], [SEARCH_SEEDS], train)
    project.store.folder.mkdir(exist_ok=True)
    return project.store.folder / f"{cell.signature}.lock"


@pytest.fixture
def watcher(database: str) -> Iterator[Any]:
    """The storage as somebody sees it who takes no part in the search."""
    with open_storage(Path(), "tiny", database) as storage:
        yield storage


@pytest.mark.verify
def test_two_processes_share_a_search_and_one_is_killed(database: str, watcher: Any, tmp_path: Path) -> None:
    settings = {"families": ["anti_average"], "trials": 6, "images": 512, "seeds": 1, "finalists": 1, "fresh_seeds": 1}
    projects = {name: make_project(tmp_path / name, **settings) for name in ("first", "second")}

    def start(name: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "study", "search", "tiny", "--jobs", "1"],
            cwd=projects[name].root, env=os.environ | {"STUDY_STORAGE": database},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def wait_until(done: Callable[[], bool], *runs: subprocess.Popen) -> None:
        deadline = time.monotonic() + 600
        while not done():
            for run in runs:
                if run.poll() is not None:
                    pytest.fail(f"a search ended early, with {run.returncode}: {run.stderr.read()}")
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def candidates(state: str) -> dict[int, optuna.trial.FrozenTrial]:
        return {trial.user_attrs["candidate"]: trial for trial in trials_of(watcher) if trial.state.name == state}

    with FileLock(lock_of_candidate(projects["first"], 1)):
        first = start("first")
        wait_until(lambda: [*candidates("COMPLETE"), *candidates("RUNNING")] == [0, 1], first)
        before = candidates("COMPLETE")
        second = start("second")
        # The second does all the rest, but leaves alone what the first has claimed, as long as that is alive.
        wait_until(lambda: len(candidates("COMPLETE")) == 5, first, second)
        time.sleep(1.5)
        assert list(candidates("RUNNING")) == [1]
        assert second.poll() is None
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    _, error = second.communicate(timeout=600)
    assert second.returncode == 0, error
    finished = [trial for trial in trials_of(watcher) if trial.state.name == "COMPLETE"]
    assert sorted(trial.user_attrs["candidate"] for trial in finished) == list(range(6))
    assert candidates("RUNNING") == {}
    assert len({trial.user_attrs["worker"] for trial in finished}) == 2
    for candidate, trial in before.items():
        assert candidates("COMPLETE")[candidate].values == trial.values
    results = tmp_path / "second" / "results" / "tiny" / "search"
    assert pd.read_csv(results / "trials.csv")["trial"].tolist() == list(range(6))
    assert not (tmp_path / "first" / "results").exists()


def test_a_process_is_alive_as_long_as_its_connection(database: str, tmp_path: Path) -> None:
    own = make_project(tmp_path / "claims")
    space = open_space(own, "zhang")
    with open_storage(own.root, "tiny", database) as second:
        with open_storage(own.root, "tiny", database) as first:
            claimed = Candidates(first, "claims", space, {}, seed=0).claim(budget=4, batch=3)
            assert [candidate.index for candidate in claimed] == [0, 1, 2]
            other = Candidates(second, "claims", space, {}, seed=0)
            assert [candidate.index for candidate in other.claim(budget=4, batch=3)] == [3]
            assert other.claim(budget=4, batch=3) == []
        again = other.claim(budget=4, batch=3)  # the first process has ended without telling anything
        assert [(candidate.index, candidate.params) for candidate in again] == [
            (candidate.index, candidate.params) for candidate in claimed
        ]


def test_a_database_that_does_not_answer_is_told_in_one_line_without_its_password(tmp_path: Path) -> None:
    own = make_project(tmp_path / "away")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"postgresql://study:secret@127.0.0.1:{closed.getsockname()[1]}/postgres"
        with pytest.raises(StudyError) as error, open_storage(own.root, "tiny", address):
            pass
    assert "127.0.0.1" in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_tells_what_a_storage_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = make_project(tmp_path / "command")
    monkeypatch.chdir(own.root)
    for address in ("nonsense", "mysql://me@host/db"):
        with pytest.raises(SystemExit) as leave:
            main(["search", "tiny", "--storage", address])
        assert leave.value.code == 1
        error = capsys.readouterr().err
        assert "postgresql://" in error
        assert error.count("\n") == 1
