"""Does this machine have all that a study needs? Each check says what was found, and what to do when it is amiss."""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version

import numpy as np
import torch

from study.analysis.claims import load_claims
from study.color.bins import BINS
from study.config.arms import arm_names, load_arm
from study.config.search_space import load_space
from study.cores import usable_cores
from study.data.prepare import refuse_overlap
from study.data.tiny_imagenet import existing_archive
from study.errors import Check, StudyError
from study.losses import build_loss
from study.losses.conformance import check_loss
from study.metrics.lpips_network import perceptual_availability
from study.project import Project, pipeline_problem

NEEDED_GB = 2


def check_arm(project: Project, name: str) -> list[Check]:
    """All checks of the loss of arm `name`, beginning with whether it can be built.

    A loss that asks for a prior is given that of a prepared study, or a uniform one. A control is checked with the
    loss of the arm it is made from, a tuned arm with the weights of its own file. StudyError for an unknown arm.
    """
    arm = load_arm(project.root, name)
    prepared = sorted((project.root / "data").glob("*/prior.npy"))
    prior = np.load(prepared[0]) if prepared else np.full(BINS, 1 / BINS)
    return check_loss(lambda: build_loss(arm.loss, prior, project.root))


def examine(project: Project) -> list[Check]:
    """All checks, in the order in which a person would fix what fails."""
    return [
        _python(),
        _packages(),
        _torch(),
        _disk(project),
        _pipeline(project),
        _arms(project),
        _losses(project),
        _settings(project),
        _pictures(project),
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
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU, the CPU is used"
    return Check("torch", True, f"{torch.__version__}, {device}")


def _disk(project: Project) -> Check:
    free = shutil.disk_usage(project.root).free / 1e9
    return Check("disk", free >= NEEDED_GB, f"{free:.1f} GB free, {NEEDED_GB} GB are enough for every study here")


def _pipeline(project: Project) -> Check:
    if problem := pipeline_problem(project.root):
        return Check("dvc repro", False, problem)
    return Check("dvc repro", True, "the folder can hold a pipeline")


def _arms(project: Project) -> Check:
    try:
        names = arm_names(project.root)
        for name in names:
            load_arm(project.root, name)
    except StudyError as error:
        return Check("arms", False, str(error))
    return Check("arms", True, f"{len(names)} files in ablations/")


def _losses(project: Project) -> Check:
    try:
        pipeline = project.params.pipeline
        for name in (*pipeline.arms, *pipeline.controls, *pipeline.tuned):
            build_loss(load_arm(project.root, name).loss, np.full(313, 1 / 313), project.root)
    except StudyError as error:
        return Check("losses", False, str(error))
    return Check("losses", True, "the loss of every arm of the pipeline can be built")


def _settings(project: Project) -> Check:
    try:
        claims = load_claims(project.root)
        if project.params.pipeline.search:
            load_space(project.root)
    except StudyError as error:
        return Check("claims and search space", False, str(error))
    return Check("claims and search space", True, f"{len(claims)} claims")


def _pictures(project: Project) -> Check:
    problems = []
    for name, study in project.params.studies.items():
        try:
            refuse_overlap(name, study, project.root)
        except StudyError as error:
            problems.append(str(error))
    return Check("pictures", not problems, "; ".join(problems) or "no step writes where pictures of your own lie")


def _archive(project: Project) -> Check:
    archive = existing_archive(project.root)
    found = (
        str(archive) if archive else "not here; downloaded when needed, or put it in a folder and set STUDY_DATA_DIR"
    )
    return Check("Tiny ImageNet", True, found)


def _lpips() -> Check:
    there, reason = perceptual_availability("alex")
    return Check("LPIPS", True, "can be measured" if there else f"will not be measured: {reason}")
