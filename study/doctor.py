"""Does this machine have all that a study needs? Each check says what was found, and what to do when it is amiss."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from study.config.params import arm_names, load_arm
from study.errors import StudyError
from study.project import Project
from study.training.cores import usable_cores

NEEDED_GB = 2


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    what: str
    passed: bool
    found: str


def examine(project: Project) -> list[Check]:
    """All checks, in the order in which a person would mend what fails."""
    return [
        _python(),
        _packages(),
        _torch(),
        _disk(project),
        _arms(project),
        _losses(project),
        _settings(project),
        _archive(project),
        _lpips(),
    ]


def _python() -> Check:
    return Check("Python", sys.version_info >= (3, 11), f"{platform.python_version()}, {usable_cores()} usable cores")


def _packages() -> Check:
    missing = []
    for line in requires("colorization-loss-study") or []:
        name = line.split(">=")[0].split(";")[0].strip()
        if "extra ==" not in line:
            try:
                version(name)
            except PackageNotFoundError:
                missing.append(name)
    return Check("packages", not missing, f"missing {', '.join(missing)}: run make install" if missing else "all there")


def _torch() -> Check:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU, the CPU is used"
    return Check("torch", True, f"{torch.__version__}, {device}")


def _disk(project: Project) -> Check:
    free = shutil.disk_usage(project.root).free / 1e9
    return Check("disk", free >= NEEDED_GB, f"{free:.1f} GB free, {NEEDED_GB} GB are enough for every study here")


def _arms(project: Project) -> Check:
    try:
        names = arm_names(project.root)
        for name in names:
            load_arm(project.root, name)
    except StudyError as error:
        return Check("arms", False, str(error))
    return Check("arms", True, f"{len(names)} files in ablations/")


def _losses(project: Project) -> Check:
    import numpy as np

    from study.losses import build_loss

    try:
        pipeline = project.params.pipeline
        for name in (*pipeline.arms, *pipeline.controls, *pipeline.tuned):
            build_loss(load_arm(project.root, name).loss, np.full(313, 1 / 313), project.root)
    except StudyError as error:
        return Check("losses", False, str(error))
    return Check("losses", True, "the loss of every arm of the pipeline can be built")


def _settings(project: Project) -> Check:
    from study.analysis.claims import load_claims
    from study.search.space import load_space

    try:
        claims = load_claims(project.root)
        if project.params.pipeline.search:
            load_space(project.root)
    except StudyError as error:
        return Check("claims and search space", False, str(error))
    return Check("claims and search space", True, f"{len(claims)} claims")


def _archive(project: Project) -> Check:
    from study.data.tiny_imagenet import existing_archive

    archive = existing_archive(project.root)
    found = (
        str(archive) if archive else "not here; downloaded when needed, or put it in a folder and set STUDY_DATA_DIR"
    )
    return Check("Tiny ImageNet", True, found)


def _lpips() -> Check:
    from study.metrics.lpips_network import perceptual_availability

    there, reason = perceptual_availability("alex")
    return Check("LPIPS", True, "can be measured" if there else f"will not be measured: {reason}")
