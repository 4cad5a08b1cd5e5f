"""A whole search: the candidates of all families, their finalists, and the results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from study.config.study import SearchSettings
from study.config.yaml_files import read_yaml
from study.errors import StudyError
from study.project import Project
from study.search.finalists import finalists_known, refit_baseline, select_finalists
from study.search.fingerprints import search_code
from study.search.results import write_results
from study.search.runner import Search
from study.search.scoring import Scorer
from study.search.storage import open_storage


def search_families(
    project: Project,
    study: str,
    settings: SearchSettings,
    wanted: list[str],
    folder: Path,
    jobs: int,
    report: Callable[[str], None],
    storage: str | None,
    slack: float | None,
    again: bool,
) -> dict[str, Any]:
    """Search the families `wanted` and write the results to `folder`; see `run.search`."""
    with open_storage(project.root, study, storage) as opened:
        scorer = Scorer(project, study, jobs)
        own = Search(project, study, settings, scorer, opened, report, search_code(scorer.device), slack)
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
