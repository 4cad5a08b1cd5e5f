"""The candidates of one family: proposed by Optuna, claimed by one process each, and what was found out about them.

A candidate is known by its index 0, 1, 2, ... below the budget of trials. Optuna's trial numbers grow further when a
trial is cut off and its candidate tried again. Every proposal has a random stream of its own, made from the search's
seed, the family and the index. With the embedded storage a whole batch is proposed, then judged, then told. So the same
candidates come whatever the number of jobs, and however often the search was killed.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from study.config.arms import Arm
from study.errors import StudyError
from study.search.objectives import OBJECTIVES
from study.search.space import FamilySpace

STARTUP = 8  # proposals before TPE takes over, those that are enqueued among them
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass
class Candidate:
    """A point of the space, its arm, and its scores so far: one dict for each seed, in order.

    name: of an enqueued point. seconds: of training, for each seed. diverged: one of its trainings diverged.
    """

    index: int
    name: str
    params: dict[str, Any]
    arm: Arm
    scores: list[dict[str, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    diverged: bool = False
    trial: Trial | None = None

    @property
    def table(self) -> np.ndarray:
        """Objectives (seeds, 3) on every seed so far."""
        return np.array([[score[name] for name in OBJECTIVES] for score in self.scores])

    @property
    def network(self) -> str:
        """What the trained network depends on: candidates that differ in decoding alone share it."""
        return self.arm.model_dump_json(include={"loss", "train"})

    def mean(self, name: str) -> float:
        """Mean of a metric or objective over the seeds so far."""
        return float(np.mean([score[name] for score in self.scores]))

    @property
    def values(self) -> tuple[float, ...]:
        """The three objectives, means over the seeds so far."""
        return tuple(self.mean(name) for name in OBJECTIVES)


class Candidates:
    """The candidates of one family in a storage, which is one of `storage.open_storage`.

    facts: all that decides what a candidate scores. Other facts make another search.
    constraints: None for the search with three objectives. Otherwise vividness alone is minimised, and the function
    says by how much a candidate violates each constraint (0 or less: not at all).
    """

    def __init__(
        self,
        storage: Any,
        study: str,
        space: FamilySpace,
        facts: dict[str, Any],
        seed: int,
        constraints: Callable[[Candidate], dict[str, float]] | None = None,
    ) -> None:
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:12]
        self.storage, self.space, self.seed, self.constraints = storage, space, seed, constraints
        self.name = f"{study} {space.name} {digest}"
        with storage.lock("claims"):
            try:
                self.optuna = optuna.load_study(study_name=self.name, storage=storage.optuna)
            except KeyError:
                self.optuna = self._new()

    def _new(self) -> optuna.Study:
        names = OBJECTIVES if self.constraints is None else ("vividness",)
        study = optuna.create_study(
            storage=self.storage.optuna, study_name=self.name, directions=["minimize"] * len(names)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(names))
        return study

    def forget(self) -> None:
        """Forget all candidates and what is remembered. StudyError while another process judges some of them."""
        with self.storage.lock("claims"):
            self._sweep()
            if self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                raise StudyError(
                    f"another process is judging candidates of {self.space.name}: wait for it, then search again"
                )
            optuna.delete_study(study_name=self.name, storage=self.storage.optuna)
            self.optuna = self._new()

    # -- asking ----------------------------------------------------------------------------------------------------

    def claim(self, budget: int, batch: int) -> list[Candidate]:
        """Claim candidates that nobody has judged or is judging; [] when there are none below `budget`.

        When this process is alone, they are the open ones of the first unfinished batch, which begins at a multiple of
        `batch`. Otherwise they are up to `batch` of all. Candidates of dead processes are tried again.
        """
        with self.storage.lock("claims"):
            self._sweep()
            trials = self._trials()
            taken = {index for index, trial in trials if trial.state in (*DONE, TrialState.RUNNING)}
            cut_off = {index: trial.params for index, trial in trials if trial.state == TrialState.FAIL}
            free = [index for index in range(budget) if index not in taken]
            if free and self.storage.alone:
                free = [index for index in free if index < free[0] - free[0] % batch + batch]
            return [self._ask(index, cut_off.get(index)) for index in free[:batch]]

    def _trials(self) -> list[tuple[int, FrozenTrial]]:
        trials = self.optuna.get_trials(deepcopy=False)
        return [(trial.user_attrs["candidate"], trial) for trial in trials if "candidate" in trial.user_attrs]

    def _sweep(self) -> None:
        """Mark as failed what dead processes left: trials that they were judging, and one not yet asked for."""
        for trial in self.optuna.get_trials(deepcopy=False):
            if trial.state == TrialState.WAITING:
                self.optuna.tell(self.optuna.ask(), state=TrialState.FAIL)
            elif trial.state == TrialState.RUNNING:
                worker = trial.user_attrs.get("worker")
                if worker is None or self.storage.is_dead(worker):
                    self.optuna.tell(trial.number, state=TrialState.FAIL)

    def _ask(self, index: int, params: dict[str, Any] | None) -> Candidate:
        given = self.space.family.enqueue
        if params is None and index < len(given):
            params = self.space.params(given[index])
        if params is not None:
            self.optuna.enqueue_trial(params)
        stream = hashlib.sha256(f"{self.seed} {self.space.name} {index}".encode()).digest()[:4]
        self.optuna.sampler = optuna.samplers.TPESampler(seed=int.from_bytes(stream), n_startup_trials=STARTUP)
        trial = self.optuna.ask()
        trial.set_user_attr("worker", self.storage.worker)
        candidate = self._candidate(index, self.space.suggest(trial))
        candidate.trial = trial
        trial.set_user_attr("enqueued", candidate.name)
        trial.set_user_attr("weights", candidate.arm.loss.weights)
        trial.set_user_attr("candidate", index)  # last: a trial that has it has all parameters
        return candidate

    def _candidate(self, index: int, params: dict[str, Any]) -> Candidate:
        given = dict(enumerate(self.space.family.enqueue)).get(index)
        settings = self.space.given(given) if given else self.space.settings(params)
        arm = self.space.arm(settings, f"{self.space.name}-{index}")
        return Candidate(index, given.name if given else "", params, arm)

    # -- telling ---------------------------------------------------------------------------------------------------

    def tell(self, candidate: Candidate) -> None:
        """Record a judged candidate in one step, so that it is finished or it is not.

        When others took this process for dead and try the candidate themselves, their result counts.
        """
        with self.storage.lock("claims"):
            if not self._still_ours(candidate):
                return
            trial = candidate.trial
            trial.set_user_attr("scores", candidate.scores)
            trial.set_user_attr("seconds", candidate.seconds)
            if candidate.diverged:
                self.optuna.tell(trial, state=TrialState.PRUNED)
            elif self.constraints is None:
                self.optuna.tell(trial, candidate.values)
            else:
                for name, violation in self.constraints(candidate).items():
                    trial.set_constraint(name, violation)
                self.optuna.tell(trial, candidate.mean("vividness"))

    def give_back(self, candidates: list[Candidate]) -> None:
        """Let others try claimed candidates that are not told yet."""
        with self.storage.lock("claims"):
            for candidate in candidates:
                if self._still_ours(candidate):
                    self.optuna.tell(candidate.trial, state=TrialState.FAIL)

    def _still_ours(self, candidate: Candidate) -> bool:
        running = self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return candidate.trial.number in {trial.number for trial in running}

    # -- what is known ---------------------------------------------------------------------------------------------

    def finished(self, budget: int) -> list[Candidate]:
        """The judged candidates below `budget`, by index."""
        found = {}
        for index, trial in self._trials():
            if trial.state in DONE and index < budget:
                candidate = self._candidate(index, trial.params)
                candidate.scores, candidate.seconds = trial.user_attrs["scores"], trial.user_attrs["seconds"]
                candidate.diverged = trial.state == TrialState.PRUNED
                found[index] = candidate
        return [found[index] for index in sorted(found)]

    def knows(self, key: str) -> bool:
        """Whether something is remembered under this key."""
        return key in self.optuna.user_attrs

    def remembered(self, key: str, compute: Callable[[], Any]) -> Any:
        """What `compute` returned the first time, shared by all processes. It must be fit for JSON."""
        with self.storage.lock(f"{self.name} {key}"):
            known = self.optuna.user_attrs.get(key)
            if known is None:
                known = compute()
                with self.storage.lock("claims"):
                    self.optuna.set_user_attr(key, known)
            return known
