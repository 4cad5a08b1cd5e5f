"""Runs a search: trains what is proposed, and adds seeds while a candidate may still be a good one."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from study.config.arms import Arm, load_arm
from study.config.search_space import Space, load_space
from study.config.study import SearchSettings, TrainSettings
from study.errors import StudyError
from study.models.features import Features
from study.project import Project
from study.search.candidates import Candidate, Candidates
from study.search.front import clearly_dominated, non_dominated, paired_noise
from study.search.objectives import OBJECTIVES
from study.search.space import Start, open_family

# Seeds that no study uses for its arms: candidates are judged on the first, finalists are trained again on the second.
SEARCH_SEEDS, FRESH_SEEDS = 10_000, 20_000
SECONDS_BETWEEN_LOOKS = 1.0


@dataclass
class Search:
    """A search on one study: its settings, data and storage.

    training: a `scoring.Scorer`. storage: one of `storage.open_storage`. (They are no imports here, so that the code
    that trains and stores is no part of what decides the outcome.)
    code: fingerprints of the code that judges candidates and of that which selects finalists.
    slack: None for the search with three objectives. Otherwise vividness alone is searched: ab_rmse may exceed that of
    the pipeline's baseline by at most this share (0.1: by 10 %), and hue diversity must be no further off.
    """

    project: Project
    study: str
    settings: SearchSettings
    training: Any
    storage: Any
    report: Callable[[str], None]
    code: tuple[str, str]
    slack: float | None = None
    families: dict[str, Candidates] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for seed in self.project.study(self.study).seeds:
            for first, count in ((SEARCH_SEEDS, self.settings.seeds), (FRESH_SEEDS, self.settings.fresh_seeds)):
                if first <= seed < first + count:
                    raise StudyError(f"studies.{self.study}.seeds: the search itself needs seed {seed}; choose another")

    # -- what is fixed ---------------------------------------------------------------------------------------------

    @cached_property
    def space(self) -> Space:
        """The checked ablations/search_space.yaml."""
        return load_space(self.project.root)

    @cached_property
    def full(self) -> TrainSettings:
        """How finalists are trained: as the study's arms, but validated at the end only, which changes no weight."""
        return self.project.study(self.study).train.model_copy(update={"validations": 1})

    @cached_property
    def short(self) -> TrainSettings:
        """How candidates are trained."""
        return self.full.model_copy(update={"images": self.settings.images or self.full.images})

    @cached_property
    def baseline(self) -> Arm:
        """The arm that candidates are compared with."""
        return load_arm(self.project.root, self.project.params.pipeline.baseline)

    def open(self, name: str) -> Candidates:
        """The candidates of the family `name` so far."""
        if name not in self.families:
            prepared, folder = self.project.prepared(self.study), self.project.features(self.study)
            start = Start(
                self.project.study(self.study).model,
                self.full,
                prepared.images("train"),
                self.training.device,
                SEARCH_SEEDS,
                Features(folder) if folder else None,
            )
            space = open_family(name, self.space, prepared.prior, self.project.root, start)
            (cell,) = self.project.cells(self.study, [space.template], [SEARCH_SEEDS], self.short)
            facts = {
                # The template's cell stands for data, network, training settings and training code.
                "cell": cell.signature,
                "space": space.family.model_dump(exclude={"enqueue": {"__all__": {"name"}}}),
                "template": space.template.model_dump(exclude={"description"}),
                "seeds": self.settings.seeds,
                "batch": self.settings.batch,
                "seed": self.settings.seed,
                "limits": None if self.slack is None else self._limits(),
                "code": self.code[0],
            }
            constraints = None if self.slack is None else self._violations
            self.families[name] = Candidates(self.storage, self.study, space, facts, self.settings.seed, constraints)
        return self.families[name]

    def _limits(self) -> dict[str, Any]:
        """What decides whether a candidate keeps the limits: the slack, and the baseline's network."""
        (cell,) = self.project.cells(self.study, [self.baseline], [SEARCH_SEEDS], self.short)
        return {"slack": self.slack, "baseline": cell.signature, "decode": self.baseline.decode.model_dump()}

    def _violations(self, candidate: Candidate) -> dict[str, float]:
        baseline = self.baseline_scores
        return {
            "fidelity": candidate.mean("fidelity") / baseline["fidelity"] - (1 + self.slack),
            "diversity": candidate.mean("diversity") - baseline["diversity"],
        }

    @cached_property
    def baseline_scores(self) -> dict[str, float]:
        """Scores of the baseline trained and judged as the candidates are, on all of their seeds."""
        seeds = [SEARCH_SEEDS + k for k in range(self.settings.seeds)]
        _, scores = self.training.train_and_score([(self.baseline, seed) for seed in seeds], self.short)
        if None in scores:
            raise StudyError(f"the baseline {self.baseline.name} diverged: lower its learning rate, then search again")
        means = [self.training.judge.summary(score) for score in scores]
        return {name: float(np.mean([mean[name] for mean in means])) for name in means[0]}

    # -- judging ---------------------------------------------------------------------------------------------------

    def judge_batch(self, batch: list[Candidate], finished: list[Candidate]) -> None:
        """Give every candidate of `batch` its scores, one seed after the other, on the same seeds for all.

        A candidate gets no further seed once it diverged, or once another is better in every objective by more than
        the noise. The noise is that of earlier batches: how much of this batch is known depends on when the search was
        cut off, and must not matter.
        """
        first = batch[0].index - batch[0].index % self.settings.batch if self.storage.alone else self.settings.trials
        earlier = [candidate for candidate in finished if candidate.index < first and not candidate.diverged]
        same_batch = [candidate for candidate in finished if candidate.index >= first]
        noise = paired_noise([candidate.table for candidate in earlier])
        open_ = list(batch)
        for k in range(self.settings.seeds):
            wanted = [(candidate.arm, SEARCH_SEEDS + k) for candidate in open_]
            seconds, scores = self.training.train_and_score(wanted, self.short)
            for candidate, spent, score in zip(open_, seconds, scores, strict=True):
                candidate.seconds.append(spent)
                if score is None:
                    candidate.diverged = True
                else:
                    candidate.scores.append(self.training.judge.summary(score))
            open_ = [candidate for candidate in open_ if not candidate.diverged]
            known = [candidate.table for candidate in (*earlier, *same_batch, *open_) if len(candidate.scores) > k]
            open_ = [candidate for candidate in open_ if not clearly_dominated(candidate.table, known, noise)]

    # -- the loop --------------------------------------------------------------------------------------------------

    def run_family(self, name: str, left_after: int) -> None:
        """Judge candidates of a family until all are judged or claimed by other processes.

        left_after: candidates of other families still to come, for the estimate of the time left.
        """
        family, settings = self.open(name), self.settings
        size = settings.batch if self.storage.alone else min(self.training.jobs, settings.batch)
        while batch := family.claim(settings.trials, size):
            try:
                self.judge_batch(batch, family.finished(settings.trials))
                for candidate in batch:
                    family.tell(candidate)
            except BaseException:
                family.give_back(batch)
                raise
            self._report_progress(name, family, left_after)

    def _report_progress(self, name: str, family: Candidates, left_after: int) -> None:
        done = len(family.finished(self.settings.trials))
        line = f"{name}: {done} of {self.settings.trials} candidates"
        left = (self.settings.trials - done + left_after) * self.settings.seeds * self.short.images
        if left and self.training.pace is not None:
            minutes = left * self.training.pace / 60
            line += f"; {f'about {minutes:.0f} min' if minutes >= 1.5 else 'a minute'} of candidates left"
        self.report(line)

    def is_full(self, candidate: Candidate) -> bool:
        """Whether a candidate was judged on all seeds. Only means over the same seeds can be compared."""
        return not candidate.diverged and len(candidate.scores) == self.settings.seeds

    def stopped(self, candidate: Candidate) -> bool:
        """Whether a candidate got no further seeds because another one is clearly better."""
        return not candidate.diverged and len(candidate.scores) < self.settings.seeds

    def eligible(self, finished: list[Candidate]) -> list[Candidate]:
        """The front: candidates judged on all seeds that no other of them dominates."""
        full = [candidate for candidate in finished if self.is_full(candidate)]
        keep = non_dominated(np.array([candidate.values for candidate in full]).reshape(-1, len(OBJECTIVES)))
        return [candidate for candidate, kept in zip(full, keep, strict=True) if kept]

    def wait_for_others(self, name: str) -> None:
        """Wait until all candidates of a family are judged, also those that other processes have claimed."""
        reported = False
        while len(self.open(name).finished(self.settings.trials)) < self.settings.trials:
            if not reported:
                self.report(f"{name}: waiting for candidates that other processes are judging")
            reported = True
            time.sleep(SECONDS_BETWEEN_LOOKS)
            self.run_family(name, 0)  # when one of the others has died


def digest(value: Any) -> str:
    """Short hash of a value fit for JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
