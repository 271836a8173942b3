"""Kill the whole flow again and again, and compare what it ends with with an undisturbed run.

`python -m bench.endurance --preset tiny --kills 6` runs the flow twice in clones of the last
commit, once in peace and once with kills at random moments, and writes what happened as Markdown.
"""

import argparse
import json
import logging
import os
import platform
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
from ruamel.yaml import YAML

from flows.clone.workspace import MARK, end_stages, processes_of
from flows.pipeline import ROOT
from flows.stages import quiet_environment

# What a kill hits, and what that stands for.
PAGES = ("evaluate/report.md", "evaluate/report.html")  # they tell wall times
VICTIMS = {
    "everything": "the flow, DVC and the stages: a machine that goes down",
    "stage": "the command of a stage: no memory left",
    "dvc": "DVC, whose stage goes on without it",
    "flow": "the flow, whose DVC and stage go on without it",
}
# What the flow says of a kill, less the hour before it.
NEWS = re.compile(
    r"\| ((?:Task|Flow) run '[^']+' - (?:\w+: resumed at step|ending \d+ proc|a kill had).*)$", re.M
)
LAST_KILL = 0.85  # of the time of the undisturbed run
MAX_STARTS = 60
SECONDS_FOR_A_SERVER = 120


@dataclass
class Story:
    """What happened to the disturbed run, line by line."""

    began: float = field(default_factory=time.monotonic)
    kills: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Keep a line with the seconds since the beginning, and show it."""
        said = f"{time.monotonic() - self.began:7.1f} s  {line}"
        self.lines.append(said)
        sys.stdout.write(said + "\n")
        sys.stdout.flush()


def same_report(calm: Path, rough: Path) -> list[str]:
    """Return what differs between two finished clones, wall times aside; empty when nothing does.

    Compared are report.json, and the hash that DVC recorded of every output but the pages.
    """
    differences = []
    reports = [json.loads((it / "evaluate" / "report.json").read_text()) for it in (calm, rough)]
    differences += [
        f"report.json: {key}"
        for key in sorted(reports[0].keys() | reports[1].keys())
        if reports[0].get(key) != reports[1].get(key)
    ]
    first, second = _outputs(calm), _outputs(rough)
    return differences + [
        f"{path}: other bytes"
        for path in sorted(first.keys() | second.keys())
        if first.get(path) != second.get(path)
    ]


def moments(kills: int, seconds: float, seed: int) -> list[tuple[float, str]]:
    """Return when to kill what: seconds of work, in order, every kind of victim in turn."""
    draw = random.Random(seed)
    when = sorted(draw.uniform(0.03, LAST_KILL) * seconds for _ in range(kills))
    victims = list(VICTIMS)
    draw.shuffle(victims)
    return [(at, victims[number % len(victims)]) for number, at in enumerate(when)]


def disturbed(
    root: Path, env: dict[str, str], workers: int, plan: list[tuple[float, str]]
) -> Story:
    """Run the flow in a clone until it completes, killing as planned; return what happened."""
    story = Story()
    worked = 0.0
    waiting = list(plan)
    for start in range(MAX_STARTS):
        story.tell(f"start {start + 1} of the flow")
        with _started(root, env, workers) as (flow, log):
            since = time.monotonic()
            while flow.poll() is None:
                due = waiting and worked + time.monotonic() - since >= waiting[0][0]
                if due and _kill(flow, root, waiting[0][1], story):
                    waiting.pop(0)
                time.sleep(0.05)
            worked += time.monotonic() - since
            said = log.read_text(encoding="utf-8", errors="replace")
        for line in NEWS.findall(said):
            story.tell(f"  {line.strip()}")
        story.tell(f"the flow ended with status {flow.returncode}")
        if flow.returncode == 0:
            return story
    raise SystemExit(f"error: not finished after {MAX_STARTS} starts; see {root}")


def _kill(flow: subprocess.Popen[bytes], root: Path, victim: str, story: Story) -> bool:
    """Kill a victim if it is there; say what was at work."""
    at_work = processes_of(root)
    commands = [it for it in at_work if _is_command(it)]
    if not commands:
        return False
    hit = victim
    if victim == "everything":
        os.killpg(flow.pid, signal.SIGKILL)
    elif victim == "flow":
        flow.kill()
    else:
        chosen = commands if victim == "stage" else [it for it in at_work if _is_dvc(it)]
        if not chosen:
            return False
        with suppress(psutil.NoSuchProcess):
            chosen[0].kill()
        hit = f"{victim} of {_stage_of(chosen[0])}"
    story.kills.append(victim)
    stages = sorted(set(map(_stage_of, commands)))
    story.tell(f"KILL {len(story.kills)}: {hit}; at work: {', '.join(stages)}")
    return True


def _stage_of(process: psutil.Process) -> str:
    return process.info["environ"][MARK].rpartition(":")[2]


def _is_command(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return " ".join(process.cmdline()).startswith("python -m ")
    return False


def _is_dvc(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.cmdline()[1:3] == ["-m", "dvc"]
    return False


@contextmanager
def _started(
    root: Path, env: dict[str, str], workers: int
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = root / ".dvc" / "tmp" / "flow.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        flow = subprocess.Popen(
            [sys.executable, "-m", "flows.pipeline", "--workers", str(workers)],
            cwd=root,
            env=env,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield flow, log
        finally:
            if flow.poll() is None:
                os.killpg(flow.pid, signal.SIGKILL)
                flow.wait()
                end_stages(root, logging.getLogger(__name__))


@contextmanager
def _server(home: Path) -> Iterator[dict[str, str]]:
    """Start a server with a database of its own; yield the environment that leads to it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = {
        **quiet_environment(),
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui", "--port", str(port)]
    server = subprocess.Popen(
        command,
        env=env,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + SECONDS_FOR_A_SERVER
        while True:
            with suppress(OSError), urlopen(f"{env['PREFECT_API_URL']}/health", timeout=5):
                break
            if time.monotonic() > end or server.poll() is not None:
                raise SystemExit("error: Prefect's server did not start")
            time.sleep(0.5)
        yield env
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _clone(folder: Path, preset: str) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    if preset:
        subprocess.run([sys.executable, "-m", "data.tools.preset", preset], cwd=folder, check=True)
    return folder


def _outputs(root: Path) -> dict[str, str]:
    lock = YAML(typ="safe", pure=True).load((root / "dvc.lock").read_text(encoding="utf-8"))
    return {
        out["path"]: out["md5"]
        for stage in lock["stages"].values()
        for out in stage["outs"]
        if out["path"] not in PAGES
    }


def _page(arguments: Any, calm: float, rough: float, story: Story, num_outputs: int) -> str:
    command = f"python -m bench.endurance --preset {arguments.preset or 'default'}"
    command += f" --kills {arguments.kills} --seed {arguments.seed} --workers {arguments.workers}"
    meanings = [f"* {victim}: {meaning}" for victim, meaning in VICTIMS.items()]
    return "\n".join(
        [
            "# A run that is killed again and again",
            "",
            f"`{command}`,",
            f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, load "
            f"{os.getloadavg()[0]:.1f} at the end. Undisturbed {calm:.0f} s, with "
            f"{len(story.kills)} kills {rough:.0f} s.",
            "",
            f"report.json is equal, and so are the bytes of all {num_outputs} outputs but",
            "report.md and report.html, which tell wall times.",
            "",
            *meanings,
            "",
            "```",
            *story.lines,
            "```",
            "",
        ]
    )


def main() -> None:
    """Run in peace, run with kills, compare, write the log; exit 1 when anything differs."""
    parser = argparse.ArgumentParser(description="Kill the flow at random moments.")
    parser.add_argument("--preset", default="", help="a preset to merge into params.yaml")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--workers", type=int, default=1, help="stages at a time (default: 1)")
    parser.add_argument("--log", type=Path, default=Path("docs", "endurance.md"))
    arguments = parser.parse_args()
    # SIGTERM unwinds like an error: neither server nor stages outlive this.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    folder = Path(tempfile.mkdtemp(prefix="scene-palette-endurance-"))
    with _server(folder / "prefect") as env:
        calm, rough = (_clone(folder / name, arguments.preset) for name in ("calm", "rough"))
        began = time.monotonic()
        peace = disturbed(calm, env, arguments.workers, [])
        seconds = time.monotonic() - began
        assert not peace.kills
        plan = moments(arguments.kills, seconds, arguments.seed)
        began = time.monotonic()
        story = disturbed(rough, env, arguments.workers, plan)
        disturbed_seconds = time.monotonic() - began
    differences = same_report(calm, rough)
    if differences or len(story.kills) < arguments.kills:
        said = "; ".join(differences) or f"it ended after {len(story.kills)} kills already"
        raise SystemExit(f"error: {said}; both clones are in {folder}")
    text = _page(arguments, seconds, disturbed_seconds, story, len(_outputs(calm)))
    arguments.log.write_text(text, encoding="utf-8")
    shutil.rmtree(folder)
    sys.stdout.write(f"the same report; what happened is in {arguments.log}\n")


if __name__ == "__main__":
    main()
