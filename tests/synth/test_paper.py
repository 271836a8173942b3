"""The presets of the paper: its schedules and sizes to the last parameter, and two steps of all."""

import json
import logging
import re
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML

from bench.cost import synth as synth_cost
from bench.cost.operations import dataset
from bench.cost.synth import even_palettes
from data.pairs.shards import PairSet
from data.sources import ingest
from data.stage.params import read, read_raw
from data.tools import preset
from evaluate.config import ReportParams
from evaluate.page import poster
from segment import archs, mm
from segment.config import Config, build_config
from segment.stages import rows as segment_rows
from segment.stages import train as segment_train
from synth.joints import joint
from synth.layouts import LAYOUTS
from synth.making.sets import SetParams
from synth.painters import PAINTERS
from synth.stages import fit_palette, produce, train_joint, train_layout, train_painter
from synth.training.method import Given
from tests.synth import small
from tests.synth.small import paper_steps

TRAIN = {"paper": 2975, "paper_idd": 6993}
GROWN = ("semantic_palette", "partial_palette", "cgan", "palette_recovery", "sbgan")
# Joint, epochs, batch.
JOINTS = (
    ("semantic_palette_e2e", 200, 4),
    ("partial_palette_e2e", 200, 9),
    ("sbgan_e2e", 100, 8),
    ("sbgan_e2e_palette", 200, 4),
)
MADE = ("partial", "pcgan", "palette_e2e")  # what the slow test produces
WIDTHS = [512, 512, 512, 512, 256, 128]  # of the grids 4x8 to 128x256
PAINTER_PARAMETERS = {
    "paper": {"spade": 93_018_051, "pix2pixhd": 182_546_755 - 64 * 7 * 7},  # one with 36 channels
    "paper_idd": {"spade": 93_018_051 + 5 * 29_952, "pix2pixhd": 182_546_755 + 4 * 64 * 7 * 7},
}


@pytest.fixture(params=TRAIN)
def name(request, root, tmp_path, monkeypatch) -> str:
    """A preset of the paper, merged into the params.yaml of the working folder."""
    write(request.param, root, tmp_path, {})
    monkeypatch.chdir(tmp_path)
    return request.param


def whole(num_pairs: int, batch: int) -> int:
    """Return the images of an epoch, as the released loader drops what fills no batch."""
    return num_pairs // batch * batch


def write(name: str, root: Path, folder: Path, changes: dict) -> None:
    overlay = (root / "presets" / f"{name}.yaml").read_text()
    yaml = YAML(typ="safe", pure=True)
    params = yaml.load(
        preset.merged((root / "params.yaml").read_text(), overlay, name, root / "presets")
    )
    for key, value in changes.items():
        *sections, last = key.split(".")
        node = params
        for section in sections:
            node = node[section]
        node[last] = value
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(params, file)


def count(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def conv(inputs: int, outputs: int, kernel: int = 3) -> int:
    return (inputs * kernel**2 + 1) * outputs


def built(name: str, registry: dict, family: str) -> torch.nn.ModuleDict:
    classes, size = dataset()
    config = read(f"{family}.{name}", registry[name].Config)
    given = Given(classes.num_classes, size, even_palettes(classes.num_classes))
    with torch.device("meta"):
        method = registry[name].build(config, given)
    return method.nets


def test_schedules_are_the_released_ones(name):
    """Steps of every phase as the released code counts them; the editor ends in batches of 6."""
    table = [steps for _, steps, _ in paper_steps(TRAIN[name])[: len(WIDTHS)]]
    for method in GROWN:
        levels = read_raw(f"layouts.{method}.levels")
        steps = [stable / batch for _, stable, batch in levels]
        wanted = [*table[:-1], int(150 * TRAIN[name] / 6)] if "partial" in method else table
        assert steps == wanted, method
        assert [fade for fade, _, _ in levels] == [0, *(level[1] for level in levels[1:])]
    for painter, batch in (("spade", 8), ("pix2pixhd", 1)):
        shown = read_raw(f"painters.{painter}.num_images")
        assert shown == 200 * whole(TRAIN[name], batch)
    assert read_raw("segment.iterations") == 300 * (TRAIN[name] // 16)
    if name == "paper":
        assert read_raw("segment.iterations") == 55_500
        assert paper_steps(2975)[len(WIDTHS) - 1][2] == 268_434


def test_joints_are_the_released_ones(name):
    """Section 4.2: 148,600 and 66,000 steps on Cityscapes; section 11 for SB-GAN's own."""
    released = small.joint_config()  # section 4.2
    joints = {key: read(f"joints.{key}", joint.Config) for key in read_raw("train.joints")}
    for key, epochs, batch in JOINTS:
        config = joints.pop(key)
        assert (config.batch_size, config.ema) == (batch, 0)
        assert config.num_images == epochs * whole(TRAIN[name], batch)
        assert config.warm_up_images == 20 * whole(TRAIN[name], batch)
        loud = {"layout_weight": 10, "image_critic_weight": 0.1, "layout_lr": 1e-5}
        loud |= {"image_critic_lr": 2e-4, "image_critic_betas": (0.0, 0.99)}
        ours = ("num_images", "warm_up_images", "batch_size", "ema", "layout_critic_lr")
        wanted = released.model_copy(update=loud if key == "sbgan_e2e" else {})
        assert config.model_dump(exclude=ours) == wanted.model_dump(exclude=ours)
        if name == "paper" and key.startswith(("semantic", "partial")):
            steps = {"semantic_palette_e2e": 148_600, "partial_palette_e2e": 66_000}
            assert config.num_images / batch == steps[key]
    assert not joints


def test_layout_generators_have_the_published_channels(name):
    """Counted by hand from the channel table: stem, convolutions, heads, feedback; the critic."""
    num_classes = dataset()[0].num_classes
    stem = (512 + num_classes + 1) * 512 * 4 * 8
    convs = conv(512, 512) + sum(conv(a, b) + conv(b, b) for a, b in pairwise(WIDTHS))
    heads = sum(conv(w, num_classes, 1) for w in WIDTHS)
    feedback = sum(conv(num_classes, w) for w in WIDTHS[:-1])
    critic = sum(conv(num_classes, w, 1) for w in WIDTHS)
    critic += sum(conv(b, b) + conv(b, a) for a, b in pairwise(WIDTHS))
    critic += conv(512, 512) + conv(512, 512, 4) + 513
    generator = stem + convs + heads
    shown = (num_classes + 1) * 8 + 8 * sum(WIDTHS)
    wanted = {
        "semantic_palette": (generator + feedback, critic),
        "cgan": (generator, critic + shown),
        "palette_recovery": (generator, critic),
        "sbgan": (generator - num_classes * 512 * 4 * 8, critic),
    }
    for method, numbers in wanted.items():
        nets = built(method, LAYOUTS, "layouts")
        assert (count(nets["G"]), count(nets["D"])) == numbers, method


def test_the_editor_has_spade_blocks_of_the_published_channels(name):
    """A SPADE norm has 1152 k + 128 + 2306 c weights: k classes, c channels; one is "keep"."""
    num_classes = dataset()[0].num_classes
    nets = built("partial_palette", LAYOUTS, "layouts")

    def norm(channels: int) -> int:
        return 1152 * num_classes + 128 + 2306 * channels

    wanted = (512 + num_classes + 2) * 512 * 4 * 8
    for a, b in pairwise([512, *WIDTHS]):
        wanted += norm(a) + norm(b) + conv(a, b) + conv(b, b)
        wanted += 0 if a == b else norm(a) + a * b
    wanted += sum(conv(w, num_classes + 1, 1) for w in WIDTHS)
    wanted += sum(conv(num_classes, w) for w in WIDTHS[:-1])
    assert count(nets["G"]) == wanted


@pytest.mark.parametrize("painter", ["spade", "pix2pixhd"])
def test_painters_have_the_published_parameters(name, painter):
    nets = built(painter, PAINTERS, "painters")
    assert count(nets["G"]) == PAINTER_PARAMETERS[name][painter]
    inputs = dataset()[0].num_classes + 3
    one = conv(inputs, 64, 4) + conv(64, 128, 4) + conv(128, 256, 4)
    if painter == "spade":  # of three layers, no bias before a norm
        one += conv(256, 1, 4) - 128 - 256
    else:
        one += conv(256, 512, 4) + conv(512, 1, 4)
    assert count(nets["D"]) == 2 * one


def test_the_segmenter_is_the_published_one(name):
    """A ResNet-101 without its classifier, 42,500,160, but for the stem, which has 128 channels."""
    config = read("segment", Config)
    classes, size = dataset()
    with torch.device("meta"):
        model = mm.build_model(build_config(config, classes, size))
    published = 42_500_160
    stem = (3 * 64 + 64 * 64 + 64 * 128) * 9 + 2 * (64 + 64 + 128)
    first = (128 - 64) * (64 + 256)  # the first block sees 128 channels, twice
    assert count(model.backbone) == published - (3 * 64 * 49 + 2 * 64) + stem + first
    assert config.arch in archs.ARCHS and model.backbone.layer4[0].conv2.dilation == (2, 2)


def test_every_set_of_the_tables_is_made(name):
    """Baselines, methods and joints of the tables; three slices of ten times the real pairs."""
    sets = {"semi", "palette", "partial", "cgan", "palette_recovery", "sbgan", "pcgan"}
    sets |= {"palette_e2e", "partial_e2e", "sbgan_e2e", "sbgan_e2e_palette"}
    made = {key: read(f"sets.{key}", SetParams) for key in read_raw("sets")}
    assert set(made) == sets
    assert {row.num_pairs for row in made.values()} == {30 * TRAIN[name]}


def test_every_row_of_the_tables_is_there(name):
    rows = {"real", "semi", "palette", "partial", "cgan", "palette_recovery", "sbgan", "pcgan"}
    rows |= {"palette_da", "partial_da", "palette_e2e", "partial_e2e", "sbgan_e2e"}
    reported = read("report", ReportParams)
    params = {
        "joints": read_raw("train.joints"),
        "sets": read_raw("sets"),
        "rows": read_raw("rows"),
    }
    assert rows <= {*params["sets"], *reported.rows}
    assert {row.removesuffix("_alone") for row in reported.every} <= rows | {
        *("real_more", "sbgan_e2e_palette")
    }
    of_sets, of_rows = poster.sets_of(params), poster.rows_of(params)
    for table, made in (
        (poster.CONDITIONAL[:-1], of_sets),  # the last is the oracle, which learns from real pairs
        (poster.UNCONDITIONAL, of_sets),
        (poster.AUGMENTATION, {name: of_rows[name] for name in reported.rows if name in of_rows}),
    ):
        there = [row.name for row, _ in poster.like(table, made)]
        assert {row.name for row in table} == set(there), "in the poster, and nothing is like it"


@pytest.mark.parametrize(("painter", "published"), [("spade", 70), ("pix2pixhd", 30.6)])
def test_multiply_adds_are_those_of_the_released_networks(
    root, tmp_path, monkeypatch, painter, published
):
    """Counted from the released networks for an image of 128x256; pix2pixHD with 36 channels."""
    write("paper", root, tmp_path, {})
    monkeypatch.chdir(tmp_path)
    classes, size = dataset()
    method = synth_cost.build(PAINTERS, f"painters.{painter}", classes.num_classes, size)
    counted = synth_cost.drawing(method, synth_cost.batch_of(1, size))
    assert counted == pytest.approx(published * 1e9, rel=0.02)


@pytest.mark.slow
def test_every_phase_of_every_stage_has_the_papers_shapes(root, tmp_path, monkeypatch, caplog):
    """The estimate runs all of them, forward and backward, at full size, width and batch."""
    write("paper", root, tmp_path, {})
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO)
    synth_cost.main()
    sums = (re.match(r"(\w+( \w+)?) {2,}all ", line) for line in caplog.messages)
    stages = {found[1] for found in sums if found}
    wanted = {f"layout {name}" for name in GROWN} | {f"joint {name}" for name, *_ in JOINTS}
    assert stages == wanted | {"painter spade", "painter pix2pixhd", "produce"}
    made = [line.split()[1] for line in caplog.messages if line.startswith("produce")]
    assert set(made) - {"all"} == set(read_raw("sets"))


@pytest.mark.slow
@pytest.mark.timeout(3600)  # minutes of a core, and a machine may be shared
def test_two_steps_of_every_stage_at_full_width(root, tmp_path, monkeypatch):
    """Cityscapes as unpacked, 32x64 and batches of 2, every channel of the paper."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCENE_PALETTE_SCRATCH", str(tmp_path / "scratch"))
    # renewing statistics and measuring KL draw hundreds of samples
    monkeypatch.setattr("synth.training.loop.REFRESH_PASSES", 2)
    monkeypatch.setattr("synth.layouts.common.losses.NUM_MEASURED", 16)
    levels = [[0, 2, 2], [0, 0, 2], [0, 0, 2], [0, 2, 2]]  # 4x8 to 32x64
    tiny = {"dataset.height": 32, "dataset.width": 64}
    for method in GROWN:  # 512, 512, 256, 128 channels
        tiny |= {f"layouts.{method}.levels": levels, f"layouts.{method}.taper_from": 2}
    for painter in ("spade", "pix2pixhd"):
        tiny |= {f"painters.{painter}.num_images": 4, f"painters.{painter}.batch_size": 2}
    tiny |= {"painters.spade.num_doublings": 5, "produce.batch_size": 2}
    tiny |= {f"sets.{name}.num_pairs": 2 for name in MADE}
    tiny |= {"produce.repaint": {"num_layouts": 2, "num_images": 2}}
    for name, *_ in JOINTS:
        tiny |= {f"joints.{name}.warm_up_images": 2, f"joints.{name}.num_images": 4}
        tiny |= {f"joints.{name}.batch_size": 2}
    tiny |= {"segment.iterations": 2, "segment.num_slices": 1}
    tiny |= {"segment.per_batch": {"real": 1, "synthetic": 1}}
    rows = {"partial": {"with": ["partial"]}, "da": {"with": ["partial"], "adapt": "advent"}}
    tiny |= {"rows": rows}
    write("paper", root, tmp_path, tiny | {"segment.num_workers": 0, "segment.val_every": 2})
    write_cityscapes(Path("data/raw/cityscapes"))
    train_all()
    for name in MADE:
        assert PairSet(Path("pairs") / name).manifest["sources"] == {name: 2}
    folders = {name: Path(name) for name in ("pairs", "real", "trust")}
    segment_rows.main(**folders, out=Path("rows"))
    for row in rows:
        out = Path("cells") / row
        segment_train.main(row=Path(f"rows/{row}.json"), seed=0, **folders, out=out)
        assert json.loads((out / "cell.json").read_text())["val_curve"][0][0] == 2


def train_all() -> None:
    """Run the stages up to pair sets as dvc.yaml does, in folders of its own."""
    real, palette, layouts, painters = map(Path, ("real", "palette", "layouts", "painters"))
    train = real / "train"
    ingest.main(out=real)
    fit_palette.main(train=train, out=palette)
    for method in read_raw("train.layouts"):
        train_layout.main(method=method, train=train, palette=palette, out=layouts / method)
        learnt(layouts / method, 4 if method in GROWN else 0)
    for method in read_raw("train.painters"):
        train_painter.main(method=method, train=train, out=painters / method)
        learnt(painters / method, 0 if method == "none" else 4)
    for name, parts in read_raw("train.joints").items():
        if name.startswith("sbgan"):
            continue  # the same networks but for the palette, a minute and a gigabyte each
        train_joint.main(
            name=name,
            train=train,
            palette=palette,
            layout=layouts / parts["layouts"],
            painter=painters / parts["painter"],
            layout_out=layouts / name,
            painter_out=painters / name,
        )
        learnt(layouts / name, 6)
        learnt(painters / name, 6)
        if name != "semantic_palette_e2e":
            shutil.rmtree(painters / name)
    for name in MADE:
        row = read_raw(f"sets.{name}")
        produce.main(
            set=name,
            train=train,
            palette=palette,
            layout=layouts / row["layouts"],
            painter=painters / row["painter"],
            out=Path("pairs") / name,
            repainted=Path("repainted") / name,
        )
    shutil.rmtree(painters)


def learnt(artifact: Path, images: int) -> None:
    """Check that a training showed so many images and that all its losses are finite."""
    curve = artifact / "curve.jsonl"
    assert curve.exists() == (images > 0)
    if images:
        (point,) = map(json.loads, curve.read_text().splitlines())
        assert point["images"] == images
        assert all(np.isfinite(value) for value in point.values()), point


def write_cityscapes(root: Path) -> None:
    rng = np.random.default_rng(0)
    for city, split, frames in (("aachen", "train", 4), ("lindau", "val", 2)):
        for folder in ("leftImg8bit", "gtFine"):
            (root / folder / split / city).mkdir(parents=True)
        for frame in range(frames):
            stem = f"{city}_{frame:06d}_000019"
            image = rng.integers(0, 256, (8, 16, 3), np.uint8)
            label = rng.integers(0, 34, (8, 16), np.uint8)
            for part, end, content in (
                ("leftImg8bit", "leftImg8bit", image),
                ("gtFine", "gtFine_labelIds", label),
            ):
                large = Image.fromarray(content).resize((256, 128), Image.Resampling.NEAREST)
                large.save(root / part / split / city / f"{stem}_{end}.png")
