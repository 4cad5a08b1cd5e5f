"""`study search`: searches the weights of a study, unless that is done already."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.files import read_json, refuse_foreign_files
from study.project import Project
from study.search.fingerprints import made_from
from study.search.schemas import FILES


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

    refuse_foreign_files(folder, FILES)
    project.make_features(study, jobs)
    # Optuna and scikit-learn are loaded only where there is something to search.
    from study.search.whole import search_families

    address = storage or os.environ.get("STUDY_STORAGE") or None
    return search_families(project, study, settings, wanted, folder, jobs, report, address, limit, again)


def _recorded(folder: Path) -> dict[str, Any]:
    """The content of search.json; empty when a file of the results is missing or search.json is damaged."""
    if not all((folder / name).is_file() for name in FILES):
        return {}
    try:
        return read_json(folder / "search.json", "")
    except StudyError:
        return {}
