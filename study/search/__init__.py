"""The weight search: which weights work on a study's data, honestly. Optuna is used in this package alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from study.errors import StudyError
from study.plan import Project

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
) -> dict[str, Any]:
    """Search the weights of `study` and write results/<study>/search/; returns the content of its search.json.

    families, trials: in place of the study's settings. Families that are not asked for now but were searched before
    with the same budget stay in the results. report: is given a line now and then. storage: the address of a
    PostgreSQL database that several processes share (None: STUDY_STORAGE of the environment, else the embedded one).
    objective: "pareto" (fidelity, vividness and diversity at once) or "constrained": as vivid as possible while
    ab_rmse exceeds the baseline's by at most the share `slack` and hue diversity is no further off; its results go to
    results/<study>/search_constrained/.

    Killed or interrupted, the same call goes on: at most the candidates in flight are judged again, and their
    finished networks are not trained again. A finished search is only written anew.
    Raises StudyError for settings that do not fit, a storage that cannot be used, and cells that fail.
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
        for place, name in enumerate(wanted):
            own.run_family(name, (len(wanted) - place - 1) * settings.trials)
        for name in wanted:
            own.wait_for_others(name)
        settled = {}
        for name in dict.fromkeys([*settings.families, *wanted]):
            family = own.open(name)
            if len(finished := family.finished(settings.trials)) == settings.trials:
                settled[name] = settle(own, family, own.eligible(finished))
        folder = project.results(study) / ("search_constrained" if constrained else "search")
        return write_results(own, settled, honest_baseline(own, own.open(wanted[0])), folder)
