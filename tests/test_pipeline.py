"""dvc.yaml declares what its commands import; params.yaml parses into the classes that read it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import grimp
import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from data.sources import ingest
from data.stage import compute
from data.stage.params import BUDGETS, Params, by_budget, read, read_raw
from data.tools import preset
from evaluate.advice.config import AdviseParams
from evaluate.config import ReportParams
from segment import adapt, archs, trust
from segment.batches.mixes import require_slices
from segment.config import Config as SegmentConfig
from segment.rows import AugmentParams, read_rows
from synth.joints import joint
from synth.layouts import LAYOUTS
from synth.layouts.common.grown import GrownParams, growth
from synth.making import parts, sets
from synth.painters import PAINTERS
from synth.palettes import adaptive, palette
from synth.training import session as training
from synth.training.method import Given
from synth.unconditional import UNCONDITIONAL

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("data", "synth", "segment", "evaluate", "flows")
# Their __init__ imports every sibling; a stage depends on the file of its own entry only.
# (Not data.sources: reading is quick, and the same pairs make nothing downstream run again.)
REGISTRIES = {"layouts": "synth.layouts", "painters": "synth.painters"}
PARAMS = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
# No joint is trained by default: two, and sets that use them, so that their stages are there.
for base, painter in (("semantic_palette", "spade"), ("partial_palette", "regions")):
    name, row = f"{base}_e2e", {"layouts": base, "painter": painter}
    PARAMS["train"]["joints"][name] = row
    PARAMS["sets"][name] = dict.fromkeys(row, name) | {"num_pairs": 1}
# Nor are layouts edited, or painted by SPADE.
PARAMS["train"]["layouts"] = [*PARAMS["train"]["layouts"], "partial_palette"]
PARAMS["train"]["painters"] = ["spade", "regions"]
# Nor are labels filtered, or rows trained once.
FILTER = {"method": "cross_fitted", "num_folds": 3, "quantile": 0.1}
PARAMS |= {"trust": {"semi": FILTER}}
PARAMS["rows"]["alone"] = {"with": ["palette"], "real": 0}
PARAMS["report"]["once"] = ["alone"]
# Nor are palettes adaptive by default.
PARAMS["train"] |= {"folds": [0, 1], "adaptive": {"leaning": {"layouts": "semantic_palette"}}}
PARAMS["adaptive"]["leaning"] = {}
PARAMS["sets"]["leaning"] = {"layouts": "leaning", "painter": "spade", "num_pairs": 1}


def _stages() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "dvc.yaml", folder)
        YAML(typ="safe", pure=True).dump(PARAMS, Path(folder) / "params.yaml")
        with Repo.init(folder, no_scm=True) as repo:
            return {stage.name: stage for stage in repo.index.stages}


STAGES = _stages()


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOMS, cache_dir=None, exclude_type_checking_imports=True)


def source(module: str) -> Path:
    path = Path(*module.split("."))
    return (
        path.with_suffix(".py")
        if (ROOT / path).with_suffix(".py").exists()
        else path / "__init__.py"
    )


def chosen(address: str) -> dict[str, str]:
    """Return the entry that a stage takes from each registry."""
    name, _, key = address.partition("@")
    if name == "layout":
        return {"layouts": key}
    if name == "painter":
        return {"painters": key}
    joints = PARAMS["train"]["joints"]
    tables = {"joint": joints, "paint_joint": joints, "produce": PARAMS["sets"]}
    row = tables.get(name, {}).get(key)
    if row:
        leaning = PARAMS["train"]["adaptive"].get(row["layouts"], {})
        row = joints.get(row["layouts"], row | leaning)
        return {"layouts": row["layouts"], "painters": row["painter"]}
    return {}


def closure(address: str) -> set[str]:
    """Return every first-party module that a stage's command imports, siblings left out."""
    entries = re.findall(r"sh flows/stage\.sh ([\w.]+)", STAGES[address].cmd)
    assert len(entries) == 1, f"{address}: one stage, one module"
    entry = {REGISTRIES[kind]: name for kind, name in chosen(address).items()}
    seen: set[str] = set()
    waiting = list(entries)
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        if module in REGISTRIES.values():
            assert module in entry, f"{address} imports {module} but chooses nothing from it"
            waiting.append(f"{module}.{entry[module]}")
        else:
            waiting.extend(graph().find_modules_directly_imported_by(module))
    return {module for module in seen if module not in REGISTRIES.values()}


def files(module: str) -> Iterator[Path]:
    """Yield the file of a module, unless it holds nothing but a docstring."""
    path = source(module)
    if path.name != "__init__.py" or re.search(
        r"^(import|from|\w+ =)", (ROOT / path).read_text(), re.M
    ):
        yield path


def imports(address: str) -> set[Path]:
    return {path for module in closure(address) for path in files(module)}


def covers(declared: set[Path], path: Path) -> bool:
    return any(path.is_relative_to(dep) for dep in declared)


def code_deps(address: str) -> set[Path]:
    paths = {Path(dep.def_path) for dep in STAGES[address].deps if hasattr(dep, "def_path")}
    return {path for path in paths if path.parts[0] in ROOMS and path.parts[:2] != ("data", "raw")}


@pytest.mark.parametrize("address", STAGES)
def test_deps_cover_what_the_command_imports(address: str) -> None:
    declared = code_deps(address)
    missing = {path for path in imports(address) if not covers(declared, path)}
    assert not missing, f"{address}: add to deps {sorted(map(str, missing))}"


@pytest.mark.parametrize("name", dict.fromkeys(address.partition("@")[0] for address in STAGES))
def test_no_cell_of_a_stage_has_idle_deps(name: str) -> None:
    cells = [address for address in STAGES if address.partition("@")[0] == name]
    needed = {path for address in cells for path in imports(address)}
    declared = {dep for address in cells for dep in code_deps(address)}
    idle = {dep for dep in declared if not any(covers({dep}, path) for path in needed)}
    assert not idle, f"{name}: remove from deps {sorted(map(str, idle))}"


def test_the_default_run_has_no_joint() -> None:
    assert read_raw("train.joints", ROOT / "params.yaml") == {}


def test_a_joint_and_its_set_follow_each_other() -> None:
    made = {out.def_path for out in STAGES["joint@semantic_palette_e2e"].outs}
    assert made == {f"artifacts/{kind}/semantic_palette_e2e" for kind in ("layouts", "painters")}
    assert made <= {dep.def_path for dep in STAGES["produce@semantic_palette_e2e"].deps}


def test_the_default_run_has_no_fold_and_no_adaptive_palette() -> None:
    assert read_raw("train.folds", ROOT / "params.yaml") == []
    assert read_raw("train.adaptive", ROOT / "params.yaml") == {}


def test_adaptive_palettes_follow_their_folds_and_their_set_follows_them() -> None:
    folds = {out.def_path for fold in (0, 1) for out in STAGES[f"fold@{fold}"].outs}
    asked = {dep.def_path for dep in STAGES["adaptive@leaning"].deps}
    assert all(any(Path(fold).is_relative_to(dep) for dep in asked) for fold in folds)
    (made,) = [out.def_path for out in STAGES["adaptive@leaning"].outs]
    assert made in {dep.def_path for dep in STAGES["produce@leaning"].deps}
    read = {path for path in asked if path.startswith("artifacts/real")}
    assert read == {"artifacts/real/train"}, "val and test are never looked at"


def test_a_cell_follows_every_set_and_filter_but_depends_on_the_file_of_its_row_alone() -> None:
    def asked(address: str) -> set[str]:
        return {dep.def_path for dep in STAGES[address].deps if "artifacts" in dep.def_path}

    assert asked("segment@transplant-0") == {"artifacts/real", "artifacts/rows/transplant.json"}
    assert asked("once@alone") == {"artifacts/real", "artifacts/rows/alone.json"}
    assert asked("rows") == {"artifacts/pairs", "artifacts/real", "artifacts/trust"}
    assert asked("trust@semi") == {"artifacts/pairs/semi", "artifacts/real/train"}
    made = {out.def_path for name in ("rows", "trust@semi", "filters") for out in STAGES[name].outs}
    assert made == {"artifacts/rows", "artifacts/trust/semi", "artifacts/trust/filters.json"}


def test_a_method_does_not_depend_on_its_siblings() -> None:
    for address in STAGES:
        if address.startswith(("produce@", "paint_joint@")):
            continue  # makes the same pairs again within minutes, and nothing after it runs
        for kind, entry in chosen(address).items():
            folder = source(REGISTRIES[kind]).parent
            siblings = {folder / f"{name}.py" for name in PARAMS.get(kind, {}) if name != entry}
            assert not code_deps(address) & siblings, f"{address} would retrain for a sibling"


def test_who_makes_pairs_makes_no_stage_stale() -> None:
    declared = set(STAGES["produce@semi"].params[0].params)
    of_bytes = {key.removeprefix("produce.") for key in declared if key.startswith("produce.")}
    free = {name for name, mark in parts.ProduceParams.free().items() if not mark.files}
    assert set(parts.ProduceParams.model_fields) - of_bytes == free
    assert free == {"engine", "workers", "encoders"}


@pytest.mark.parametrize("address", STAGES)
def test_a_stage_says_what_it_does(address: str) -> None:
    stage = STAGES[address]
    assert stage.desc, f"{address} lacks desc"
    assert not any(getattr(out, "persist", False) for out in stage.outs), (
        "persist would reuse old weights"
    )


# == params.yaml ==

SECTIONS: dict[str, type[Params]] = {
    "dataset": ingest.DatasetParams,
    "palette": palette.PaletteParams,
    "compute": compute.ComputeParams,
    "training": training.TrainingParams,
    "produce": parts.ProduceParams,
    "segment": SegmentConfig,
    "adapt.advent": adapt.Config,
    "augment": AugmentParams,
    "report": ReportParams,
    "advise": AdviseParams,
}
FAMILIES = {
    "layouts": LAYOUTS,
    "painters": PAINTERS,
    "unconditional": UNCONDITIONAL,
    "segment.archs": archs.ARCHS,
}
PRESETS = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))


@pytest.fixture(params=[*BUDGETS, *PRESETS])
def params_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """params.yaml with each budget, and with each overlay merged."""
    text = (ROOT / "params.yaml").read_text()
    if request.param in BUDGETS:
        text = text.replace("budget: minutes", f"budget: {request.param}")
    else:
        overlay = (ROOT / "presets" / f"{request.param}.yaml").read_text()
        text = preset.merged(text, overlay, request.param)
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return path


def test_every_section_parses_into_its_class(params_file: Path) -> None:
    for section, schema in SECTIONS.items():
        read(section, schema, params_file)
    for family, registry in FAMILIES.items():
        for name in read_raw(family, params_file):
            read(f"{family}.{name}", registry[name].Config, params_file)
    for name in read_raw("joints", params_file):
        read(f"joints.{name}", joint.Config, params_file)
    for name in read_raw("adaptive", params_file):
        read(f"adaptive.{name}", adaptive.Config, params_file)
    for name in read_raw("sets", params_file):
        read(f"sets.{name}", sets.SetParams, params_file)
    read_rows(params_file)
    for name, numbers in (read_raw("trust", params_file) or {}).items():
        read(f"trust.{name}", trust.TRUST[numbers["method"]].Config, params_file)
    extra = set(YAML(typ="safe", pure=True).load(params_file.read_text())) - {
        *(section.partition(".")[0] for section in (*SECTIONS, *FAMILIES)),
        *("preset", "budget", "train", "joints", "adaptive", "sets", "rows", "trust"),
    }
    assert not extra, f"nothing reads {extra}"


def test_every_seed_of_the_report_has_a_slice_of_its_own(params_file: Path) -> None:
    seeds = read_raw("report.seeds", params_file)
    require_slices(seeds, read_raw("segment.num_slices", params_file))


def test_layouts_grow_to_the_full_size(params_file: Path) -> None:
    size = (read_raw("dataset.height", params_file), read_raw("dataset.width", params_file))
    for name in read_raw("train.layouts", params_file):
        numbers = read(f"layouts.{name}", LAYOUTS[name].Config, params_file)
        if isinstance(numbers, GrownParams):
            assert growth(numbers, Given(2, size, None)).sizes[-1] == size, name


def entries(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key of a section and of those below it, with its value."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from entries(value)


def test_every_schedule_follows_the_budget() -> None:
    lengths = {"num_images", "warm_up_images", "levels", "iterations", "val_every", "num_pairs"}
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
    del params["produce"]  # how often some layouts are painted again
    del params["dataset"]  # `levels` of brightness
    found = [(key, value) for key, value in entries(params) if key in lengths]
    assert {key for key, _ in found} == lengths
    assert all(by_budget(value) for _, value in found), found


def test_stages_that_follow_the_budget_depend_on_it() -> None:
    follow: set[str] = set()
    depend: set[str] = set()
    for address, stage in STAGES.items():
        name = address.partition("@")[0]
        asked = [key for it in stage.params for key in it.params]
        sections = [reduce(getitem, key.split("."), PARAMS) for key in asked]
        if any(by_budget(value) for it in sections for _, value in entries({"": it})):
            follow.add(name)
        if "budget" in asked:
            depend.add(name)
    assert follow == depend


def test_what_sets_use_is_trained(params_file: Path) -> None:
    rows = read_raw("sets", params_file)
    train = read_raw("train", params_file)
    joints = train["joints"]
    assert set(joints) <= set(read_raw("joints", params_file))
    adaptive = train["adaptive"]
    assert set(adaptive) <= set(read_raw("adaptive", params_file))
    layouts = [*train["layouts"], *joints, *adaptive]
    for name, row in adaptive.items():
        assert row["layouts"] in layouts, f"{name}: nothing trains its layouts"
    for name, row in (joints | rows).items():
        assert row["layouts"] in layouts, f"{name}: nothing trains its layouts"
        assert row["painter"] in [*train["painters"], *joints], (
            f"{name}: nothing trains its painter"
        )


def test_writing_params_back_changes_nothing() -> None:
    text = (ROOT / "params.yaml").read_text()
    name = YAML(typ="safe", pure=True).load(text)["preset"]
    assert preset.merged(text, "", name) == text, "a preset or `dvc exp run -S` would reformat it"


def test_make_publish_gives_the_command_what_it_takes(root, tmp_path):
    make = ["make", "--dry-run", "publish", "NAME=camvid"]
    shown = subprocess.run(make, cwd=root, capture_output=True, text=True, check=True).stdout
    line = next(line for line in shown.splitlines() if "evaluate.stages.publish" in line)
    done = subprocess.run(
        [sys.executable, *line.split()[1:]],
        cwd=tmp_path,  # no report there
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr[:7]) == (2, "error: "), done.stderr
