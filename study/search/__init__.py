"""The weight search: which weights work on a study's data. Optuna is used in this package alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.config.yaml_files import read_yaml
from study.errors import StudyError
from study.project import Project

if TYPE_CHECKING:
    from study.search.runner import Search

OBJECTIVES = ("pareto", "constrained")


def search(
    project: Project,
    study: str,
    jobs: int,
    families: list[str] | None = None,
    trials: int | None = None,
    report: Callable[[str], None] = print,
    storage: str | None = None,
    objective: str = "pareto",
    slack: float = 0.1,
    again: bool = False,
) -> dict[str, Any]:
    """Search the weights of `study` and write results/<study>/search/; returns the content of its search.json.

    families, trials: in place of the study's settings. What the results have of the study's families that are not
    asked for stays; nothing is searched where it cannot, as it is of another budget, or of other settings, data or
    code. again: forget first what is known of the families that are asked for; networks are kept. report: is given a
    line now and then. storage: the address of a PostgreSQL database that several processes share (None: STUDY_STORAGE
    of the environment, else the embedded one).
    objective: "pareto" (fidelity, vividness and diversity at once) or "constrained": as vivid as possible while
    ab_rmse exceeds the baseline's by at most the share `slack` and hue diversity is no further off; its results go to
    results/<study>/search_constrained/.

    Killed or interrupted, the same call goes on: at most the candidates in flight are judged again, and their
    finished networks are not trained again. A finished search is only written anew.
    Raises StudyError for settings that do not fit, results that could not stay, a storage that cannot be used, and
    cells that fail.
    """
    from study.search.finalists import honest_baseline, settle
    from study.search.results import write_results
    from study.search.runner import Search
    from study.search.storage import open_storage

    settings = project.study(study).search
    if settings is None:
        raise StudyError(f"studies.{study} in params.yaml has no search block: add one, for example search: {{}}")
    if trials is not None:
        settings = settings.model_copy(update={"trials": trials})
    wanted = list(dict.fromkeys(families or settings.families))
    constrained = objective == "constrained"
    with open_storage(project.root, study, storage or os.environ.get("STUDY_STORAGE") or None) as opened:
        own = Search(project, study, settings, jobs, opened, report, slack if constrained else None)
        for name in wanted:
            own.open(name)  # a mistake in a later family is told before the first one is searched
        folder = project.results(study) / ("search_constrained" if constrained else "search")
        kept = _kept(own, wanted, folder)
        for name in wanted if again else []:
            own.open(name).forget()
        for place, name in enumerate(wanted):
            own.run_family(name, (len(wanted) - place - 1) * settings.trials)
        for name in wanted:
            own.wait_for_others(name)
        settled = {}
        for name in dict.fromkeys([*settings.families, *wanted]):
            if name in (*kept, *wanted):
                settled[name] = settle(own, own.open(name))
        return write_results(own, settled, honest_baseline(own, own.open(wanted[0])), folder)


def _kept(own: Search, wanted: list[str], folder: Path) -> list[str]:
    """Families of the study that are in the results and not asked for; StudyError when they would not stay the same."""
    from study.search.finalists import is_settled

    best = folder / "best.yaml"
    found = read_yaml(best) if best.is_file() else {"families": {}}
    kept = [name for name in own.settings.families if name in found["families"] and name not in wanted]
    if not kept:
        return []
    where, trials = folder.relative_to(own.project.root), found["budget"]["trials"]
    without = f"or remove {where} to do without"
    if trials != own.settings.trials:
        raise StudyError(
            f"{where} has {trials} candidates of {_listed(kept)}, and families are compared at one budget: search with "
            f"--trials {trials}, or {_listed(kept)} too, {without}"
        )
    lost = [name for name in kept if not is_settled(own, own.open(name))]
    if lost:
        raise StudyError(
            f"what {where} has of {_listed(lost)} is of other code, settings or data, or of another machine: search "
            f"{_listed(lost)} too, {without}"
        )
    return kept


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
