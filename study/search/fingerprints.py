"""What the findings of a search depend on: code, data and settings. Findings are kept as long as nothing of it changes.

Words in comments and docstrings count for nothing, nor does the code that words and writes results. Networks have
signatures of their own: judging candidates anew trains none of them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from study.config.arms import Arm, load_arm
from study.config.search_space import load_space
from study.config.study import SearchSettings
from study.losses import source_of
from study.models import model_source
from study.project import Project
from study.training.fingerprint import TRAINER, WITHOUT_EFFECT, code_fingerprint

JUDGING = Path(__file__).with_name("runner.py")
SELECTING = Path(__file__).with_name("finalists.py")


def search_code(device: str) -> tuple[str, str]:
    """Fingerprints of the code on `device` that proposes and judges candidates, and of that which recommends."""
    return code_fingerprint(JUDGING, device=device), code_fingerprint(SELECTING, device=device)


def made_from(
    project: Project, study: str, settings: SearchSettings, families: Iterable[str], slack: float | None
) -> dict[str, Any]:
    """All that the results of a search are made from, fit for JSON: the same value, the same results.

    Neither the processor nor the version of a library is part of it, so that a fresh clone finds its search done.
    slack: of a constrained search. StudyError for an unknown family.
    """
    own, space = project.study(study), load_space(project.root)
    found = {
        "data": project.prepared(study).manifest["data_hash"],
        "settings": settings.model_dump(exclude={"families"}),
        "slack": slack,
        "model": own.model.model_dump(exclude={"file"}),
        # Finalists are validated at the end only, whatever the study's arms do.
        "train": own.train.model_dump(exclude=WITHOUT_EFFECT | {"validations"}),
        "compare": own.compare.model_dump(),
        "baseline": _arm(project, load_arm(project.root, project.params.pipeline.baseline)),
        "families": {
            name: {
                "space": space.family(name).model_dump(exclude={"enqueue": {"__all__": {"name"}}}),
                "template": _arm(project, load_arm(project.root, space.family(name).arm)),
            }
            for name in families
        },
        "code": code_fingerprint(SELECTING, TRAINER, model_source(own.model, project.root)),
    }
    return json.loads(json.dumps(found))


def _arm(project: Project, arm: Arm) -> dict[str, Any]:
    """An arm and the code of its loss."""
    source = source_of(arm.loss, project.root)
    return {**arm.model_dump(exclude={"description"}), "code": code_fingerprint(source)}
