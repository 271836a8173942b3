"""The flow `ablation`: the pipeline as it is and with some changes, metrics beside each other.

Each is a DVC experiment of the clone: `dvc exp list` names them, `dvc exp apply` brings one back,
`dvc metrics diff` compares two.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger
from pydantic import Field

from flows import devices
from flows.clone.mending import PARAMS, own_params, write_params
from flows.clone.workspace import Workspace, occupied
from flows.graph import read_graph
from flows.overrides import changed, name_of
from flows.parameters import Gpus, Override, Workers
from flows.pipeline import ROOT
from flows.schedule import ExperimentFailed, bring_up_to_date, runner
from flows.stages import DVC, quiet_environment
from flows.telling import publish

PAGE = Path("evaluate", "ablation.md")
AS_IT_IS = "ablation-as-it-is"

Experiments = Annotated[
    list[Override | Annotated[list[Override], Field(min_length=1, max_length=50)]],
    Field(
        min_length=1,
        max_length=200,
        description="One experiment each: a change of params.yaml, or several made together.",
    ),
]


@flow(name="ablation", task_runner=runner())
def ablation(
    overrides: Experiments,
    workers: Workers = 1,
    gpus: Gpus | None = None,
    root: str | None = None,
) -> None:
    """Run the pipeline as it is and once with each change, and compare their metrics.

    All changes are checked before anything runs. Stages that a change does not concern are not run
    again. In the end params.yaml is as it was, and so are the outputs.
    """
    log = get_run_logger()
    places = devices.places(workers, gpus)
    asked = [[made] if isinstance(made, str) else made for made in overrides]
    changes = {name_of(made): made for made in asked}
    if len(changes) < len(asked):
        raise ValueError("two experiments would have one name; leave out what is asked for twice")
    with occupied(Path(root) if root else ROOT, log) as workspace:
        _check_git(workspace.root)
        texts = {name: changed(workspace.root, made) for name, made in changes.items()}
        failed = _run(texts, workspace, places, log)
        text = page(workspace.root, changes, failed)
        (workspace.root / PAGE).write_text(text, encoding="utf-8")
        publish(log, "ablation", text, description=str(PAGE))
    if failed:
        raise ExperimentFailed(f"failed: {', '.join(failed)}; see {PAGE}")


def _run(
    texts: dict[str, str], workspace: Workspace, places: list[str | None], log: Any
) -> dict[str, str]:
    """Run every experiment, then bring back the outputs of params.yaml as it is.

    Returns the first line of what is wrong with those that failed.
    """
    root = workspace.root
    failed: dict[str, str] = {}
    base = (root / PARAMS).read_text(encoding="utf-8")
    # As it is first, so that the others find its stages, and last, out of DVC's cache.
    with own_params(root, log):
        for number, (name, text) in enumerate([(AS_IT_IS, base), *texts.items(), (AS_IT_IS, base)]):
            log.info(f"experiment {number} of {len(texts)}: {name}")
            write_params(root, text)
            try:
                bring_up_to_date(read_graph(root), workspace, places)
                _dvc(root, "exp", "save", "--force", "--name", name)
            except ExperimentFailed as error:
                failed[name] = str(error).splitlines()[0]
                log.error(f"experiment {name}: {error}")
    return failed


def page(root: Path, changes: Mapping[str, Sequence[str]], failed: Mapping[str, str]) -> str:
    """Return the saved experiments as Markdown, the metrics of each beside those of `AS_IT_IS`."""
    parts = ["# Ablation", *(f"{name} failed: {reason}" for name, reason in failed.items())]
    for name, made in changes.items():
        if failed.keys().isdisjoint({AS_IT_IS, name}):
            parts += [f"## {name}", ", ".join(f"`{change}`" for change in made)]
            parts.append(_dvc(root, "metrics", "diff", "--md", AS_IT_IS, name).strip())
    return "\n\n".join(parts) + "\n"


def _dvc(root: Path, *words: str) -> str:
    """Return what a DVC command prints; `ExperimentFailed` where it fails."""
    shown = subprocess.run(
        [*DVC, *words],
        cwd=root,
        env=quiet_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode:
        raise ExperimentFailed(f"dvc {' '.join(words)}: {shown.stderr.strip()}")
    return shown.stdout


def _check_git(root: Path) -> None:
    """Raise `ValueError` unless git can commit: DVC keeps experiments as commits."""
    for command, need in (
        (["git", "rev-parse", "--verify", "HEAD"], "a repository with a commit"),
        (["git", "var", "GIT_COMMITTER_IDENT"], "a name (git config user.name, user.email)"),
    ):
        if subprocess.run(command, cwd=root, capture_output=True, check=False).returncode:
            raise ValueError(f"DVC keeps experiments in git, and git needs {need} in {root}")
