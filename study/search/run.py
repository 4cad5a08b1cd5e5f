"""`study search`: searches the weights of a study and writes results/<study>/search/."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from study.config.yaml_files import read_yaml
from study.errors import StudyError
from study.files import read_json
from study.project import Project
from study.search.finalists import finalists_known, refit_baseline, select_finalists
from study.search.fingerprints import made_from, search_code
from study.search.results import FILES, write_results
from study.search.runner import Search
from study.search.scoring import Scorer
from study.search.storage import open_storage


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

    When data, settings, search space and code are those that the results were made from, nothing is done. A search
    that was killed or interrupted goes on: at most the candidates in flight are judged again, and their finished
    networks are not trained again.

    families, trials: in place of the study's settings. What the results have of the study's other families stays.
    again: judge these families anew; networks are kept. report: is given a line now and then. storage: the address of a
    PostgreSQL database that several processes share (None: STUDY_STORAGE of the environment, else a journal in
    .search/). objective: "pareto" (fidelity, vividness and diversity at once), or "constrained": as vivid as possible
    while ab_rmse exceeds the baseline's by at most the share `slack` and hue diversity is no further off. The
    constrained search writes results/<study>/search_constrained/.

    Raises StudyError for settings that do not fit, for results of other families that could not stay, for a storage
    that cannot be used, and for training runs that fail.
    """
    settings = project.study(study).search
    if settings is None:
        raise StudyError(f"studies.{study} in params.yaml has no search block: add one, for example search: {{}}")
    if trials is not None:
        settings = settings.model_copy(update={"trials": trials})
    wanted = list(dict.fromkeys(families or settings.families))
    limit = slack if objective == "constrained" else None
    folder = project.results(study) / ("search" if limit is None else "search_constrained")

    recorded = _recorded(folder)
    known = recorded.get("made_from", {}).get("families", {})
    names = [name for name in dict.fromkeys([*settings.families, *wanted]) if name in known or name in wanted]
    if not again and recorded.get("made_from") == made_from(project, study, settings, names, limit):
        report(f"{folder.relative_to(project.root)} is up to date: nothing was searched")
        return recorded

    with open_storage(project.root, study, storage or os.environ.get("STUDY_STORAGE") or None) as opened:
        scorer = Scorer(project, study, jobs)
        own = Search(project, study, settings, scorer, opened, report, search_code(scorer.device), limit)
        for name in wanted:
            own.open(name)  # a mistake in a later family shows before the first one is searched
        kept = _kept(own, wanted, folder)
        for name in wanted if again else []:
            own.open(name).forget()
        for place, name in enumerate(wanted):
            own.run_family(name, (len(wanted) - place - 1) * settings.trials)
        for name in wanted:
            own.wait_for_others(name)
        names = [name for name in dict.fromkeys([*settings.families, *wanted]) if name in (*kept, *wanted)]
        selected = {name: select_finalists(own, own.open(name)) for name in names}
        return write_results(own, selected, refit_baseline(own, own.open(wanted[0])), folder)


def _recorded(folder: Path) -> dict[str, Any]:
    """The content of search.json; empty when a file of the results is missing or search.json is damaged."""
    if not all((folder / name).is_file() for name in FILES):
        return {}
    try:
        return read_json(folder / "search.json", "")
    except StudyError:
        return {}


def _kept(own: Search, wanted: list[str], folder: Path) -> list[str]:
    """Families of the study that are in the results and not asked for; StudyError when they would not stay the same."""
    best = folder / "best.yaml"
    found = read_yaml(best) if best.is_file() else {"families": {}}
    kept = [name for name in own.settings.families if name in found["families"] and name not in wanted]
    if not kept:
        return []
    where, trials = folder.relative_to(own.project.root), found["budget"]["trials"]
    if trials != own.settings.trials:
        raise StudyError(
            f"{where} has {trials} candidates of {_listed(kept)}, and families need the same budget: search with "
            f"--trials {trials}, or search {_listed(kept)} too, or remove {where}"
        )
    lost = [name for name in kept if not finalists_known(own, own.open(name))]
    if lost:
        raise StudyError(
            f"what {where} has of {_listed(lost)} was made by other code, settings or data, or on another machine: "
            f"search {_listed(lost)} too, or remove {where}"
        )
    return kept


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
