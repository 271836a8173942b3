"""The real stages of rows in a toy pipeline: a changed number runs the cells that use it alone.

Sets, cells and report are toys; `filters` and `rows` are the real stages, and dependencies, params
and outs of `trust`, `segment` and `once` are those of dvc.yaml.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DVC = str(Path(sys.executable).parent / "dvc")
PARAMS: dict[str, Any] = {
    "budget": "minutes",
    "sets": {"semi": {"num_pairs": 3}, "palette": {"num_pairs": 3}},
    "rows": {
        "real": {},
        "semi": {"with": ["semi"]},
        "palette": {"with": ["palette"]},
        "both": {"with": ["semi", "palette"]},
        "boxes": {"augment": ["cutmix"]},
        "few": {"pairs": 2},
        "alone": {"with": ["palette"], "real": 0},
    },
    "compute": {"precision": "fp32", "channels_last": True, "threads": 1},
    "adapt": {"advent": {"weight": 0.01, "width": 4, "lr": 1e-3}},
    "augment": {
        "scale": [0.4, 1.2],
        "cutmix": {"probability": 0.5, "area": [0.1, 0.5]},
        "classmix": {"probability": 0.5, "below": 0.02},
    },
    "trust": {},
    "segment": {"per_batch": {"real": 4, "synthetic": 4}, "num_slices": 2},
    "report": {
        "rows": ["real", "semi", "palette", "both", "boxes", "few"],
        "once": ["alone"],
        "seeds": [0],
    },
}
TOY = """
import sys
from pathlib import Path

kind, name, out = sys.argv[1], sys.argv[2], Path(sys.argv[-1])
if kind == "pairs":
    import numpy as np
    from data.pairs.classes import ClassInfo, ClassTable
    from data.pairs.pair import Pair
    from data.pairs.shards import ShardWriter
    from data.stage.params import read_raw

    classes = ClassTable((ClassInfo("sky", (1, 2, 3)), ClassInfo("road", (4, 5, 6))))
    count = 3 if name == "real" else read_raw(f"sets.{name}.num_pairs")
    with ShardWriter(out, classes=classes, size=(8, 16), fingerprint="toy") as writer:
        for n in range(count):
            image, label = np.full((8, 16, 3), n, np.uint8), np.zeros((8, 16), np.uint8)
            writer.write(Pair(f"{name}-{n}", image, label, name))
else:
    out.mkdir(parents=True)
    rows = [Path(word).read_text() for word in sys.argv if word.endswith(".json")]
    (out / "masks.npz").write_text(str(rows))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with the toy pipeline, run once."""
    folder = tmp_path_factory.mktemp("toy")
    yaml = YAML(typ="safe", pure=True)
    stages = yaml.load((ROOT / "dvc.yaml").read_text())["stages"]
    kept = {name: stages[name] for name in ("filters", "trust", "rows", "segment", "once")}
    for stage in kept.values():
        body = stage.get("do", stage)
        body["deps"] = [dep for dep in body["deps"] if dep.startswith("artifacts")]
        body["cmd"] = body["cmd"].replace("sh flows/stage.sh", "python -m")
    for name in ("trust", "segment", "once"):  # the toy takes their last argument, the out
        body = kept[name].get("do", kept[name])
        body["cmd"] = re.sub(r"python -m \S+", f"python toy.py {name} -", body["cmd"])
    pairs = "python toy.py pairs"
    made = {"cmd": f"{pairs} real artifacts/real/train", "outs": ["artifacts/real"]}
    kept["ingest"] = made
    produce = {"cmd": f"{pairs} ${{key}} artifacts/pairs/${{key}}", "params": ["sets.${key}"]}
    produce |= {"deps": ["artifacts/real"], "outs": ["artifacts/pairs/${key}"]}
    kept["produce"] = {"foreach": "${sets}", "do": produce}
    kept["report"] = {"cmd": "ls -R artifacts/segment > report", "outs": ["report"]}
    kept["report"]["deps"] = ["artifacts/segment"]
    yaml.dump({"stages": kept}, folder / "dvc.yaml")
    yaml.dump(PARAMS, folder / "params.yaml")
    (folder / "toy.py").write_text(TOY)
    (folder / ".gitignore").write_text("/artifacts\n/report\n")
    run(folder, "git", "init", "--quiet")
    run(folder, DVC, "init", "--quiet")
    run(folder, DVC, "repro")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "toy")
    return folder


@pytest.fixture
def toy(folder: Path) -> Callable[..., str]:
    """Return what runs a DVC command in the pipeline as it was committed, all of it up to date."""
    run(folder, "git", "checkout", "--quiet", ".")
    assert ran(run(folder, DVC, "repro")) == set()
    return lambda *command: run(folder, DVC, *command)


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": "/dev/null"}
    environment |= {f"GIT_{who}_NAME": "t" for who in ("AUTHOR", "COMMITTER")}
    environment |= {f"GIT_{who}_EMAIL": "t@t" for who in ("AUTHOR", "COMMITTER")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ran(output: str) -> set[str]:
    return set(re.findall(r"^Running stage '([^']+)'", output, re.MULTILINE))


def edit(folder: Path, **sections: Any) -> None:
    YAML(typ="safe", pure=True).dump(PARAMS | sections, folder / "params.yaml")


def cells(*rows: str) -> set[str]:
    return {f"segment@{row}-0" for row in rows}


def test_a_changed_number_runs_what_uses_it_and_nothing_else(
    toy: Callable[..., str], folder: Path
) -> None:
    edit(folder, sets=PARAMS["sets"] | {"semi": {"num_pairs": 4}})
    assert ran(toy("repro")) == {"produce@semi", "rows", "report", *cells("semi", "both")}

    rows = PARAMS["rows"] | {"alone": {"with": ["palette"], "real": 0, "synthetic": 6}}
    edit(folder, sets=PARAMS["sets"] | {"semi": {"num_pairs": 4}}, rows=rows)
    assert ran(toy("repro")) == {"filters", "rows", "once@alone", "report"}

    adapt = {"advent": {"weight": 0.02, "width": 4, "lr": 1e-3}}
    edit(folder, sets=PARAMS["sets"] | {"semi": {"num_pairs": 4}}, rows=rows, adapt=adapt)
    assert ran(toy("repro")) == {"rows"}, "no row adapts"


def test_numbers_of_an_augmentation_and_of_real_pairs_run_the_rows_that_use_them(
    toy: Callable[..., str], folder: Path
) -> None:
    scale = PARAMS["augment"] | {"scale": [0.5, 1.0]}
    edit(folder, augment=scale)
    assert ran(toy("repro")) == {"rows"}, "no row scales"
    boxes = scale | {"cutmix": {"probability": 0.25, "area": [0.1, 0.5]}}
    edit(folder, augment=boxes)
    assert ran(toy("repro")) == {"rows", "report", *cells("boxes")}
    edit(folder, augment=boxes, rows=PARAMS["rows"] | {"few": {"pairs": 1}})
    assert ran(toy("repro")) == {"filters", "rows", "report", *cells("few")}


def test_an_experiment_on_a_row_runs_its_cells_alone(toy: Callable[..., str]) -> None:
    wanted = {"filters", "rows", "report", *cells("palette")}
    assert ran(toy("exp", "run", "--set-param", "+rows.palette.real=2")) == wanted


def test_a_filter_runs_before_the_rows_and_their_cells_alone(
    toy: Callable[..., str], folder: Path
) -> None:
    rows = PARAMS["rows"] | {"semi": {"with": ["semi"], "trust": True}}
    trust = {"semi": {"method": "cross_fitted", "num_folds": 2, "quantile": 0.1}}
    edit(folder, rows=rows, trust=trust)
    output = toy("repro")
    assert ran(output) == {"filters", "trust@semi", "rows", "report", *cells("semi")}
    order = re.findall(r"^Running stage '([^']+)'", output, re.MULTILINE)
    assert order.index("trust@semi") < order.index("rows") < order.index("segment@semi-0")
    assert ran(toy("repro")) == set()
