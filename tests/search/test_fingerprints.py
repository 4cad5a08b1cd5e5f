"""What a search found out is found anew when what decides it has changed, and only then."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from study.project import Project
from study.search import fingerprints
from study.search.finalists import _key
from study.search.runner import Search
from study.search.storage import SearchStorage, open_storage
from study.training.fingerprint import PACKAGE, TRAINING_CODE
from tests.search.conftest import make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("deciding"))


@pytest.fixture(scope="module")
def storage(project: Project) -> Iterator[SearchStorage]:
    with open_storage(project.root, "tiny", None) as opened:
        yield opened


def searching(project: Project, storage: SearchStorage, slack: float | None = None) -> Search:
    return Search(project, "tiny", project.study("tiny").search, 1, storage, lambda line: None, slack)


@pytest.fixture
def memory(project: Project, storage: SearchStorage) -> Callable[[], tuple[str, str]]:
    """Under which names trials and finalists are remembered by the present code."""

    def names() -> tuple[str, str]:
        own = searching(project, storage)
        family = own.open("zhang")
        return family.name, _key(own, {"knee": family.space.template})

    return names


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], None]:
    """Appends text to a copy of one of the files that decide."""

    def append(file: str, text: str) -> None:
        for group in ("TRIALS", "FINALISTS"):
            files = []
            for path in getattr(fingerprints, group):
                if path.name == file:
                    (tmp_path / file).write_text(path.read_text() + text)
                    path = tmp_path / file
                files.append(path)
            monkeypatch.setattr(fingerprints, group, tuple(files))

    return append


@pytest.mark.parametrize(
    "file", ["candidates.py", "front.py", "influence.py", "objectives.py", "runner.py", "space.py"]
)
def test_candidates_are_judged_anew_by_changed_code(memory: Callable, change: Callable, file: str) -> None:
    before, _ = memory()
    change(file, "\n# a comment\n")
    assert memory()[0] == before
    change(file, "\nanother = 1\n")
    assert memory()[0] != before


@pytest.mark.parametrize("file", ["finalists.py", "registry.py", "stats.py"])
def test_finalists_are_scored_anew_by_changed_code_and_candidates_are_not(
    memory: Callable, change: Callable, file: str
) -> None:
    trials, finalists = memory()
    change(file, "\n# a comment\n")
    assert memory() == (trials, finalists)
    change(file, "\nanother = 1\n")
    assert memory()[0] == trials
    assert memory()[1] != finalists


def test_everything_that_deciding_code_imports_from_the_package_decides_or_trains() -> None:
    without_say = {"cells.py", "errors.py", "params.py", "plan.py", "prepare.py", "signature.py", "yaml_files.py"}
    without_say |= {"search/fingerprints.py", "search/storage.py"}
    listed = {*fingerprints.TRIALS, *fingerprints.FINALISTS} | {
        PACKAGE / name for name in (*TRAINING_CODE, *without_say)
    }
    for file in (*fingerprints.TRIALS, *fingerprints.FINALISTS):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] != "study":
                continue
            module = importlib.import_module(node.module)
            for alias in node.names:
                thing = getattr(module, alias.name)
                plain = not (inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing))
                defined = Path((module if plain else inspect.getmodule(thing)).__file__)
                if defined.name != "__init__.py":
                    assert defined in listed, f"{file.name} imports {alias.name} from {defined}"


def test_limits_are_those_of_the_baseline_and_without_limits_it_decides_nothing(
    project: Project, storage: SearchStorage
) -> None:
    def names(own: Project) -> tuple[str, ...]:
        return tuple(searching(own, storage, slack).open("zhang").name for slack in (None, 0.1, 0.2))

    free, within, wider = names(project)
    assert len({free, within, wider}) == 3
    file = project.root / "params.yaml"
    params = yaml.safe_load(file.read_text())
    params["pipeline"]["baseline"] = "anti_average"
    file.write_text(yaml.safe_dump(params))
    other = names(Project.open(project.root))
    assert other[0] == free
    assert not {*other[1:]} & {within, wider}
