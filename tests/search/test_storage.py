"""The embedded storage: one process at a time, and nothing that a dead one left behind stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from study.errors import StudyError
from study.project import Project
from study.search.candidates import Candidate, Candidates
from study.search.storage import open_storage
from tests.search.conftest import make_project, open_space


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("stored"))


def candidates(project: Project, storage: Any) -> Candidates:
    space = open_space(project, "anti_average")
    return Candidates(storage, "tiny", space, {"facts": 1}, seed=0)


def judged(candidate: Candidate) -> Candidate:
    candidate.scores = [{"fidelity": 20.0 - candidate.index, "vividness": 0.5, "diversity": 0.1 * candidate.index}]
    candidate.seconds = [1.0]
    return candidate


def test_what_a_dead_process_was_judging_is_tried_again_with_the_same_settings(project: Project) -> None:
    with open_storage(project.root, "dead", None) as storage:
        family = candidates(project, storage)
        first = family.claim(budget=8, batch=4)
        assert [candidate.index for candidate in first] == [0, 1, 2, 3]
        family.tell(judged(first[0]))
        # It dies here: one trial is told, three are running, and another has only just been enqueued.
        family.optuna.enqueue_trial({"w_saturation": 1.0})
    with open_storage(project.root, "dead", None) as storage:
        family = candidates(project, storage)
        again = family.claim(budget=8, batch=4)
        assert [candidate.index for candidate in again] == [1, 2, 3]
        assert [candidate.params for candidate in again] == [candidate.params for candidate in first[1:]]
        assert [candidate.name for candidate in again] == ["plain MSE", "", ""]
        assert family.claim(budget=4, batch=4) == []
        for candidate in again:
            family.tell(judged(candidate))
        assert [candidate.index for candidate in family.finished(8)] == [0, 1, 2, 3]
        assert [candidate.index for candidate in family.claim(budget=8, batch=4)] == [4, 5, 6, 7]


def test_a_process_that_fails_gives_its_candidates_back(project: Project) -> None:
    with open_storage(project.root, "given_back", None) as storage:
        family = candidates(project, storage)
        first = family.claim(budget=2, batch=2)
        family.tell(judged(first[0]))
        family.give_back(first)
        (second,) = family.claim(budget=2, batch=2)
        assert (second.index, second.params) == (1, first[1].params)
        assert family.finished(2)[0].values == (20.0, 0.5, 0.0)


def test_what_is_told_too_late_does_not_count(project: Project) -> None:
    with open_storage(project.root, "late", None) as storage:
        family = candidates(project, storage)
        (late,) = family.claim(budget=1, batch=1)
        family.give_back([late])
        (second,) = family.claim(budget=1, batch=1)
        late = judged(late)
        family.tell(late)
        assert family.finished(1) == []
        family.tell(judged(second))
        assert len(family.finished(1)) == 1


def test_proposals_do_not_depend_on_interruptions(project: Project) -> None:
    def proposed(name: str, interrupt: bool) -> list[dict]:
        params = []
        for _ in range(6):
            with open_storage(project.root, name, None) as storage:
                family = candidates(project, storage)
                batch = family.claim(budget=24, batch=4)
                if interrupt:
                    for candidate in batch[:2]:
                        family.tell(judged(candidate))
                    params += [candidate.params for candidate in batch[:2]]
                    continue
                for candidate in batch:
                    family.tell(judged(candidate))
                params += [candidate.params for candidate in batch]
        return params

    straight = proposed("straight", interrupt=False)
    assert len({str(params) for params in straight}) == 24
    assert proposed("interrupted", interrupt=True) == straight[:12]


def test_only_one_process_works_on_the_embedded_storage(project: Project) -> None:
    with (
        open_storage(project.root, "busy", None),
        pytest.raises(StudyError, match="study search busy"),
        open_storage(project.root, "busy", None),
    ):
        pass
    with open_storage(project.root, "busy", None):
        pass


def test_half_a_line_and_a_lock_left_by_a_dead_process_are_mended(project: Project) -> None:
    with open_storage(project.root, "torn", None) as storage:
        family = candidates(project, storage)
        for candidate in family.claim(budget=2, batch=2):
            family.tell(judged(candidate))
    log = project.root / ".search" / "torn.log"
    log.write_bytes(log.read_bytes() + b'{"op_code": 4, "worker_i')
    Path(f"{log}.lock").symlink_to(log)
    with open_storage(project.root, "torn", None) as storage:
        family = candidates(project, storage)
        assert len(family.finished(2)) == 2
        (third,) = family.claim(budget=3, batch=2)
        family.tell(judged(third))
    with open_storage(project.root, "torn", None) as storage:
        assert len(candidates(project, storage).finished(3)) == 3


def test_other_facts_make_another_search(project: Project) -> None:
    with open_storage(project.root, "facts", None) as storage:
        family = candidates(project, storage)
        family.tell(judged(family.claim(budget=1, batch=1)[0]))
        other = Candidates(storage, "tiny", family.space, {"facts": 2}, seed=0)
        assert other.finished(1) == []
        assert len(Candidates(storage, "tiny", family.space, {"facts": 1}, seed=0).finished(1)) == 1


def test_a_result_is_computed_once_and_remembered(project: Project) -> None:
    calls = []
    with open_storage(project.root, "memory", None) as storage:
        family = candidates(project, storage)
        assert family.remembered("answer", lambda: calls.append(1) or {"is": [42, None]}) == {"is": [42, None]}
    with open_storage(project.root, "memory", None) as storage:
        assert candidates(project, storage).remembered("answer", lambda: calls.append(2)) == {"is": [42, None]}
    assert calls == [1]


def test_nothing_is_left_of_what_is_forgotten_and_nothing_is_while_somebody_judges_it(project: Project) -> None:
    with open_storage(project.root, "forgotten", None) as storage:
        family = candidates(project, storage)
        first, second = family.claim(budget=2, batch=2)
        family.tell(judged(first))
        family.remembered("answer", lambda: 42)
        with pytest.raises(StudyError, match="anti_average"):
            family.forget()
        assert len(family.finished(2)) == 1
        family.give_back([second])
        family.forget()
        for known in (family, candidates(project, storage)):
            assert known.finished(2) == []
            assert not known.knows("answer")
        again = family.claim(budget=2, batch=2)
        assert [candidate.params for candidate in again] == [first.params, second.params]


def test_the_journal_opens_as_a_plain_optuna_storage(project: Project) -> None:
    with open_storage(project.root, "plain", None) as storage:
        family = candidates(project, storage)
        family.tell(judged(family.claim(budget=1, batch=1)[0]))
        name = family.name
    journal = optuna.storages.journal.JournalFileBackend(str(project.root / ".search" / "plain.log"))
    study = optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(journal))
    assert study.metric_names == ["fidelity", "vividness", "diversity"]
    assert study.trials[0].values == [20.0, 0.5, 0.0]
    assert study.trials[0].system_attrs["fixed_params"]["w_saturation"] == 0.01
