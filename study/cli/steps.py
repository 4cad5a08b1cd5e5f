"""The steps of a study, one command each, and `run`, which takes them all."""

from __future__ import annotations

import click

from study.cli.group import ARMS, JOBS, STUDY, command, jobs_of, project, raise_failures
from study.errors import PartlyDone, StudyError


@command("run", "study run smoke")
@STUDY
@click.pass_context
def run(context: click.Context, study: str) -> None:
    """Run every step of one study: prepare, search where it is declared, train, ..., report.

    For studies that `dvc repro` does not run. Finished training runs are kept. When some arms fail, the others are
    compared and reported all the same, and the command fails at the end.
    """
    searched = project().study(study).search is not None
    failures = []
    for step in (prepare, *([search] if searched else []), train, time_, evaluate, compare, report, track):
        if step is time_ and failures:  # it times all arms side by side, and those that fail may not take a step
            click.echo(f"steps are not timed, as not all arms are trained; run: study time {study}")
            continue
        click.secho(f"study {step.name} {study}", bold=True)
        try:
            context.invoke(step, study=study)
        except PartlyDone as error:
            failures.append(str(error))
        except StudyError as error:
            raise StudyError("; ".join([*failures, str(error)])) from error
    if failures:
        raise StudyError("; ".join(failures))


@command("prepare", "study prepare smoke")
@STUDY
@click.option("--again", is_flag=True, help="Make them anew even when they are up to date.")
def prepare(study: str, again: bool = False) -> None:
    """Make the arrays of a study from its source: data/STUDY/. Nothing is done when they are up to date.

    Where the study's network has a frozen part, what that makes of the pictures is computed too: .features/.
    """
    from study.data.prepare import prepare

    own = project()
    manifest = prepare(study, own.study(study), own.root, again)
    own.make_features(study, jobs_of(None))
    counts = ", ".join(f"{facts['count']} {split}" for split, facts in manifest["splits"].items())
    click.echo(f"data/{study}: {counts}")
    for split, seen in manifest["seen_in_training"].items():
        if seen:
            click.echo(f"  {seen} of the {split} pictures are among the training pictures too, pixel for pixel")
    for item in manifest["skipped"][:20]:
        click.echo(f"  skipped {item['name']}: {item['reason']}")
    if len(manifest["skipped"]) > 20:
        click.echo(f"  ... and {len(manifest['skipped']) - 20} more, all listed in data/{study}/manifest.json")
    if manifest["flagged"]:
        click.echo(f"  {len(manifest['flagged'])} pictures are near gray or toned: see data/{study}/manifest.json")


@command("search", "study search palette_world --family anti_average --trials 8")
@STUDY
@click.option("--trials", type=click.IntRange(1), default=None, help="Candidates per family. Default: params.yaml's.")
@JOBS
@click.option(
    "--family", "families", multiple=True, help="Only this family of ablations/search_space.yaml (repeatable)."
)
@click.option(
    "--storage",
    default=None,
    help="PostgreSQL database that several searches share, postgresql://user@host/name; also STUDY_STORAGE.",
)
@click.option(
    "--objective",
    type=click.Choice(["pareto", "constrained"]),
    default="pareto",
    show_default=True,
    help="Fidelity, vividness and diversity at once, or the most vivid within limits.",
)
@click.option(
    "--at-most",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Limit of `--objective constrained`: by how many percent ab RMSE may exceed the baseline's.",
)
@click.option("--again", is_flag=True, help="Forget what was found about these families; trained networks are kept.")
def search(
    study: str,
    trials: int | None,
    jobs: int | None,
    families: tuple[str, ...],
    storage: str | None,
    objective: str,
    at_most: float,
    again: bool,
) -> None:
    """Search the weights that work on a study's validation pictures: results/STUDY/search/.

    A killed search goes on where it was. A finished one stays until data, settings or deciding code change.
    """
    from study.search.run import search

    found = search(
        project(),
        study,
        jobs_of(jobs),
        families=list(families) or None,
        trials=trials,
        report=click.echo,
        storage=storage,
        objective=objective,
        slack=at_most / 100,
        again=again,
    )
    click.echo(found["sentence"] or "Every candidate diverged. Lower the upper bounds in ablations/search_space.yaml.")


@command("train", "study train palette_world mse anti_average --jobs 2")
@STUDY
@ARMS
@JOBS
@click.option("--seed", "seeds", type=int, multiple=True, help="Only this seed (repeatable); nothing is collected.")
def train(study: str, arms: tuple[str, ...], jobs: int | None, seeds: tuple[int, ...]) -> None:
    """Train what is not trained yet: results/STUDY/runs/.

    A killed run goes on where it was. A finished one is never trained twice. An arm that fails stops no other.
    """
    from study.files import refuse_foreign_files
    from study.training.executor import run_cells
    from study.training.store import COLLECTED, collect

    own = project()
    chosen = own.arms(study, arms)
    searches = {arm.name: own.search_digest(study, arm) for arm in chosen}  # now: another may end meanwhile
    cells = own.cells(study, chosen, own.seeds(study, seeds))
    runs = own.results(study) / "runs"
    for arm in () if seeds else chosen:
        refuse_foreign_files(runs / arm.name, COLLECTED)
    own.make_features(study, jobs_of(jobs))
    failures = []
    try:
        run_cells(cells, own.store, jobs_of(jobs))
    except StudyError as error:
        failures.append(str(error))
    for cell in cells:
        if record := own.store.record(cell.signature):
            end = "finished"
            if record["status"] != "finished":
                end = "diverged at step {step}, term {term}".format(**record["diverged"])
            click.echo(f"{cell.arm.name} seed {cell.seed}: {end}, {record['seconds']:.0f} s ({cell.signature})")
    cells_of = {arm.name: [cell for cell in cells if cell.arm == arm] for arm in chosen}
    done = [arm for arm in chosen if own.store.done(cells_of[arm.name])]
    if not seeds:
        for arm in done:
            collect(cells_of[arm.name], own.store, runs / arm.name, searches[arm.name])
    raise_failures(failures, some_done=bool(done))


@command("time", "study time smoke")
@STUDY
@click.option("--again", is_flag=True, help="Time anew what has been timed.")
def time_(study: str, again: bool = False) -> None:
    """Time a training step of every arm, all side by side: results/STUDY/step_times.json.

    Takes a minute or two, best on a machine that does nothing else. Needs the data and, for tuned arms, the search.
    """
    from statistics import median

    from study.training.step_times import time_steps

    own = project()
    cells = own.first_cells(study, own.arms(study))
    own.make_features(study, jobs_of(None))
    for arm, times in time_steps(cells, own.study(study).timing, own.step_times_file(study), again).items():
        found = "no times: its loss does not stay finite"
        if times:
            found = f"{median([each for process in times for each in process]):.1f} ms a step"
        click.echo(f"{arm}: {found}")


@command("evaluate", "study evaluate palette_world mse")
@STUDY
@ARMS
def evaluate(study: str, arms: tuple[str, ...]) -> None:
    """Score trained networks on the test pictures: results/STUDY/scores/, predictions/ and metrics/.

    An arm that cannot be scored stops no other.
    """
    from study.analysis.evaluate import evaluate
    from study.training.store import check_collected

    own, done, failures = project(), 0, []
    own.make_features(study, jobs_of(None))
    for arm in own.arms(study, arms):
        try:
            check_collected(own.results(study) / "runs" / arm.name, f"run: study train {study} {arm.name}")
            scores, fresh = evaluate(own, study, arm)
        except StudyError as error:
            failures.append(str(error))
            continue
        done += 1
        click.echo(
            f"{arm.name}: {len(scores)} scores of {scores['seed'].nunique()} seeds{'' if fresh else ', up to date'}"
        )
    for name in arms:
        if name not in own.arm_names(study):
            click.echo(f"{name} is not among the arms of {study} in params.yaml, so it is compared with none")
    raise_failures(failures, some_done=done > 0)


@command("compare", "study compare palette_world --strict")
@STUDY
@click.option("--strict", is_flag=True, help="Fail when a claim that was confirmed before no longer is.")
def compare(study: str, strict: bool) -> None:
    """Compare the arms of a study: results/STUDY/tables/."""
    from study.analysis.claims import held, lost
    from study.analysis.compare import compare
    from study.analysis.length_variants import read_variants

    own = project()
    own.study(study)
    before = held(own.results(study) / "tables" / "claims.csv")
    tables = compare(own, study)
    cells = tables["cells"]
    for _, cell in cells[~cells["status"].isin(["finished", "diverged"])].iterrows():
        where = f"{cell['arm']} seed {cell['seed']}"
        click.echo(f"left out: {where} is {cell['status']} ({cell['detail']}); run: {cell['command']}")
    for _, cell in cells[cells["status"] == "diverged"].iterrows():
        click.echo(f"{cell['arm']} seed {cell['seed']} diverged {cell['detail']}")
    for other, arms in read_variants(own, study)[1].items():
        click.echo(f"not compared with {other}: {', '.join(arms)}, of other code or settings; run: study run {other}")
    cost = tables["cost"]
    if untimed := cost.loc[cost["step_ms"].isna(), "arm"].tolist():
        click.echo(f"steps not timed: {', '.join(untimed)}; run: study time {study}")
    claims = tables["claims"]
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in claims["verdict"].value_counts().items())
    click.echo(f"results/{study}/tables: {len(tables['arms'])} estimates, {len(tables['paired'])} paired differences")
    click.echo(f"{len(claims)} claims{': ' if verdicts else ''}{verdicts}")
    if strict and (gone := lost(before, claims)):
        raise StudyError(f"claims that were confirmed before no longer are: {', '.join(gone)} (new tables are written)")


@command("report", "study report palette_world --open")
@STUDY
@click.option("--open", "open_", is_flag=True, help="Open the report in the browser.")
def report(study: str, open_: bool) -> None:
    """Write the report of a study: reports/STUDY/index.html and report.md."""
    from study.report import write_index, write_report

    own = project()
    own.study(study)
    page = write_report(own.results(study), own.root / "reports" / study)
    write_index(own.root / "reports", list(own.params.studies))
    click.echo(str(page.relative_to(own.root)))
    if not (own.results(study) / "predictions").is_dir():
        click.echo(f"without pictures: there is no results/{study}/predictions; run: study run {study}")
    if open_:
        click.launch(page.as_uri())


@command("track", "study track palette_world --tensorboard")
@STUDY
@ARMS
@click.option(
    "--tensorboard", is_flag=True, help="Write TensorBoard event files to tensorboard/ instead of MLflow runs."
)
@click.option("--uri", default=None, help="MLflow tracking server or store. Default: mlflow.db in the project.")
def track(study: str, arms: tuple[str, ...], tensorboard: bool, uri: str | None) -> None:
    """Record the training runs and the search of a study in MLflow (see them with `make ui`) or for TensorBoard."""
    own = project()
    names = [arm.name for arm in own.arms(study, arms)]
    if tensorboard:
        from study.tracking.tensorboard import track_tensorboard

        done = track_tensorboard(own.root, study, names, own.seeds(study), own.root / "tensorboard")
    else:
        from study.tracking.mlflow import track_mlflow

        done = track_mlflow(own.root, study, names, own.seeds(study), uri)
    click.echo(
        f"{done.recorded} runs recorded, {done.replaced} replaced, {done.unchanged} unchanged; look: {done.open_with}"
    )
    if done.trials:
        click.echo(f"{done.trials} trials of the search recorded")
    if done.missing:
        click.echo(f"not trained: {', '.join(done.missing)}")
