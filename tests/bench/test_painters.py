"""Painters are trained alike, scored beside real images, and no training is run twice."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from bench import leaderboard, painters
from bench.leaderboard import Score, page
from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from data.stage.outputs import read_json, write_json
from data.stage.params import read_raw
from data.tools import preset
from evaluate.cells import read_cell, read_splits
from segment.config import PerBatch
from segment.rows import as_json, plain
from segment.stages import train as segmenter
from synth.painters import PAINTERS
from synth.unconditional import UNCONDITIONAL

SIZE = (32, 64)
CLASSES = ClassTable(
    (
        ClassInfo("road", (128, 64, 128)),
        ClassInfo("sky", (70, 130, 180)),
        ClassInfo("car", (0, 0, 142)),
        ClassInfo("void", (0, 0, 0), eval=False),
    )
)
REAL, WORK, OUT = Path("artifacts/real"), Path("work"), Path("docs/painters.md")
CELL = Path("artifacts/segment/real/0")
yaml = YAML(typ="safe", pure=True)


def write_set(out: Path, name: str, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with ShardWriter(out, classes=CLASSES, size=SIZE, fingerprint="x") as writer:
        for number in range(count):
            label = np.zeros(SIZE, np.uint8)
            label[: rng.integers(10, 20)] = 1
            label[22:28, number * 5 : number * 5 + 20] = 2
            noise = rng.integers(-20, 20, (*SIZE, 3))
            image = np.clip(CLASSES.colorize(label) + noise, 0, 255).astype(np.uint8)
            writer.write(Pair(f"{name}-{number}", image, label, "real"))


@pytest.fixture(scope="module")
def project(root, tmp_path_factory):
    """Real pairs and their judge, with the smallest numbers of params.yaml."""
    folder = tmp_path_factory.mktemp("painters")
    text = (root / "params.yaml").read_text()
    merged = preset.merged(text, (root / "presets/tiny.yaml").read_text(), "tiny")
    params = yaml.load(merged)
    params["painters"]["regions"]["channels"] = [8, 8, 8]
    params["unconditional"]["progan"] |= {"levels": [[0, 1, 8], [1, 1, 8]], "width": 8}
    params["segment"] |= {
        "iterations": 20,
        "val_every": 20,
        "per_batch": {"real": 4, "synthetic": 4},
    }
    params["produce"]["repaint"] = {"num_layouts": 2, "num_images": 3}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yaml.dump(params, Path("params.yaml"))
        for seed, (split, count) in enumerate({"train": 8, "val": 5}.items()):
            write_set(REAL / split, split, count, seed)
        row = Path("real.json")
        row.write_text(as_json(plain(PerBatch(real=4, synthetic=4), REAL / "train")))
        none = Path("nothing")
        segmenter.main(row=row, seed=0, pairs=none, real=REAL, trust=none, out=CELL)
        yield folder


def bench(
    names: list[str], images: list[int], sets: Sequence[Path] = (), seeds: Sequence[int] = ()
) -> str:
    painters.bench(names, images, REAL, CELL, WORK, OUT, sets, seeds)
    return OUT.read_text()


def test_painters_are_trained_scored_and_not_trained_again(project):
    text = bench(["spade", "regions"], [16])
    folders = {it.name.partition("-16-")[0]: it for it in WORK.iterdir()}
    assert set(folders) == {"spade", "regions"}
    board, by_class = text.split("Images alone")[0].split("Alignment by class")
    assert "`progan`" not in board, "what sees no layout has no alignment"
    known = read_cell(CELL, "real", 0).about["val_curve"][-1][1]
    assert re.search(
        rf"\| real images \|  \|  \| {known:.1f} \| 100 \| \d+\.\d\d \| 100\.0 \|", board
    )
    assert re.search(r"\| `spade` \| 16 \| \d\.\d \| \d+\.\d \| \d+ \| \d+\.\d\d \| 0\.0 \|", board)
    costs = text.split("made a second")[1]
    cost = re.findall(r"\| `(\w+)` \| 16 \| ([\d.]+) \| [\d.]+ \| ([\d.]+) \| ([\d.]+) \|", costs)
    assert {name for name, *_ in cost} == {"spade", "regions"}
    for _, parameters, shown, made in cost:
        assert float(parameters) > 0 and 0 < float(shown) < float(made)
    styled = re.search(r"\| `regions` \| 16 \|(?: [\d.]+ \|){4} ([\d.]+) \|", board)
    assert float(styled[1]) > 1, "images of one layout have several looks"
    assert "| painter | images | road | sky | car |" in by_class and "void" not in by_class
    for name, folder in folders.items():
        trained = read_json(folder / "painter/method.json")
        assert (trained["name"], trained["config"]["num_images"]) == (name, 16)
        assert len(PairSet(folder / "painted")) == len(read_splits(REAL)[0].pairs) == 5
        assert len(PairSet(folder / "again")) == 6
        assert read_json(folder / "spent.json")["seconds"] > 0.5, "the imports alone take longer"
    before = {file: file.stat().st_mtime_ns for file in WORK.rglob("*.json")}
    again = bench(["regions", "spade"], [16])
    assert again.split("Every painter")[1] == text.split("Every painter")[1]
    assert {file: file.stat().st_mtime_ns for file in WORK.rglob("*.json")} == before


def test_images_of_no_layout_stand_beside_those_of_painters_and_sets(project):
    text = bench(["spade", "progan"], [16], sets=[REAL / "train"])
    painted, alone = text.split("Images alone")
    assert "`progan`" not in painted and "`train`" not in painted
    row = r"\| {} \| {} \| {} \| \d+\.\d\d \| \d+\.\d \| \d+\.\d \|"
    for name in ("`spade`", "`progan`"):
        assert re.search(row.format(name, "16", r"\d\.\d"), alone), alone
    assert re.search(row.format("`train`", "", ""), alone), "a set that is there already"
    assert re.search(r"\| real images \|  \|  \| \d+\.\d\d \| \d+\.\d \|  \|", alone)
    (folder,) = WORK.glob("progan-16-*")
    drawn = PairSet(folder / "drawn")
    assert len(drawn) == 5 and drawn.classes.names == ("unlabelled",)
    assert read_json(folder / "painter/method.json")["config"]["num_images"] == 16
    with ShardWriter(Path("few"), classes=CLASSES, size=SIZE, fingerprint="x") as writer:
        writer.write(PairSet(REAL / "val")[0])
    with pytest.raises(
        UserError, match=r"few has 1 images, and .* as there are val pairs, 5; make"
    ):
        bench(["spade"], [16], sets=[Path("few")])


def test_everything_that_is_trained_is_in_it(root):
    trained = {name for name, entry in PAINTERS.items() if entry.build is not None}
    plain = {name for name, entrant in leaderboard.ENTRANTS.items() if not entrant.changes}
    assert plain == trained | set(UNCONDITIONAL)
    for name, entrant in leaderboard.ENTRANTS.items():
        numbers = read_raw(f"{entrant.family}.{entrant.painter}", root / "params.yaml")
        assert entrant.entry.Config(**numbers | entrant.changes), name


def test_other_numbers_are_another_training(project):
    def folder(name: str, images: int) -> Path:
        return painters.plan(name, images, REAL / "train", WORK).folder

    first = folder("spade", 16)
    assert folder("spade", 16) == first
    text = Path("params.yaml").read_text()
    others = {folder("spade", 24), folder("spade_features", 16)}
    params = yaml.load(text)
    params["training"]["seed"] += 1
    yaml.dump(params, Path("params.yaml"))
    others |= {folder("spade", 16)}
    Path("params.yaml").write_text(text)
    assert len(others | {first}) == 4
    features = painters.plan("spade_features", 16, REAL / "train", WORK)
    assert (features.entrant.painter, features.numbers["pretrained"]) == (
        "spade",
        "efficientnet_lite0",
    )


def test_a_training_that_fails_leaves_the_others_on_the_page(project, monkeypatch):
    broken = {"spade_features": leaderboard.Entrant("spade", {"num_doublings": 7})}
    monkeypatch.setattr(painters, "ENTRANTS", leaderboard.ENTRANTS | broken)
    shutil.rmtree(OUT.parent, ignore_errors=True)
    killed = painters.plan("spade_features", 16, REAL / "train", WORK)
    write_json(killed.spent, {"seconds": 100.0})
    with pytest.raises(
        UserError, match=r"spade_features at 16 images, seed 0 failed.*painters\.md"
    ):
        bench(["spade_features", "spade"], [16])
    assert "`spade` | 16" in OUT.read_text() and "`spade_features`" not in OUT.read_text()
    assert read_json(killed.spent)["seconds"] > 100.5, "what an earlier run spent counts"


def test_mistakes_are_named_before_work_starts(project):
    with pytest.raises(UserError, match="unknown painter 'vermeer'; there is spade, spade_feat"):
        bench(["vermeer"], [16])
    with pytest.raises(UserError, match=r"params.yaml: `painters.spade.num_images` = 0: "):
        bench(["spade"], [0])
    with pytest.raises(UserError, match=r"holds no segmenter; run `dvc repro segment@real-0`"):
        painters.bench(["spade"], [16], REAL, Path("nowhere"), WORK, OUT)


def test_the_page_is_sorted_by_images_then_by_alignment():
    def score(name: str, images: int | None, value: float) -> Score:
        records = [{"metric": "alignment", "value": value}]
        records += [{"metric": "alignment", "class": "car", "value": value / 2}]
        records += [{"metric": "feature_frechet", "value": 3.0}]
        return Score.of(name, records, images, None if images is None else 90.0)

    scores = [score("b", 200, 30.0), score("a", 100, 20.0), score("c", 200, 40.0)]
    text = page("camvid 96x128", "So.", score("", None, 50.0), scores)
    named = re.findall(r"^\| (`\w`|real images) \|", text, re.M)
    assert named == ["real images", "`a`", "`c`", "`b`"] * 2 + ["real images", "`a`", "`b`", "`c`"]
    assert "| `c` | 200 | 1.5 | 40.0 | 80 | 3.00 |" in text
    assert "| `c` | 200 | 20.0 |" in text
    assert "diversity" not in text, "without pretrained features there is none"
    assert "    python -m bench.painters --images 200 100 --painters b a c\n" in text
    assert "shown a second" not in text, "what it costs is not known"


def test_an_entrant_may_have_other_numbers(project):
    entrant = painters.entrant_of("regions:noise_channels=0,channels=[8, 8]")
    assert (entrant.painter, dict(entrant.changes)) == (
        "regions",
        {"noise_channels": 0, "channels": [8, 8]},
    )
    assert painters.entrant_of("spade_features:ema=0").changes["ema"] == 0
    run = painters.plan("regions:noise_channels=0", 16, REAL / "train", WORK, 3)
    assert run.numbers["noise_channels"] == 0 and run.training["seed"] == 3
    assert run.folder.name.startswith("regions-16-")
    for name in ("regions:noise_channels", "regions:[", "regions:", "regions:ema=[1", "regions:=3"):
        with pytest.raises(UserError, match="is no painter with other numbers; write regions:KEY"):
            painters.entrant_of(name)
    with pytest.raises(UserError, match="says how many images are shown; --images does"):
        painters.entrant_of("regions:num_images=5")
    with pytest.raises(UserError, match=r"`painters.regions.colour` is not a known key"):
        bench(["regions:colour=1"], [16])
    with pytest.raises(UserError, match=r"`painters.regions.ema` = None"):
        bench(["regions:ema=null"], [16])
    with pytest.raises(UserError, match=r"`training.seed` = -1"):
        bench(["regions"], [16], seeds=[-1])


def test_several_trainings_are_one_line_with_their_mean_and_deviation(project):
    text = bench(["spade", "spade"], [8], seeds=[0, 1, 0])
    folders = list(WORK.glob("spade-8-*"))
    assert len(folders) == 2
    found = [
        Score.of("spade", read_json(it / "scores.json")["values"], 8).values["alignment"]
        for it in folders
    ]
    assert f"| {np.mean(found):.1f} ± {np.std(found, ddof=1):.1f} |" in text
    assert text.count("| `spade` | 8 |") == 4, "a line in every table"
    assert "    python -m bench.painters --images 8 --painters spade --seeds 0 1\n" in text
    assert "seeds 0, 1, one training each." in text
    some = leaderboard.averaged([Score.of("spade", [], 8), Score.of("spade", [], 8)])
    assert [score.trainings for score in some] == [2]


def test_the_page_says_what_an_image_costs_and_which_command_made_it():
    costs = {"parameters": 1.5e6, "multiply_adds": 2.5e8, "seconds": 0.02}
    records = [{"metric": "alignment", "value": 20.0}]
    known = Score.of("a", records, 100, 40.0, costs)
    there = Score.of("pairs/semi", [{"metric": "feature_frechet", "value": 3.0}])
    text = page("camvid 96x128", "So.", Score.of("", records), [known, there])
    assert "| `a` | 100 | 1.50 | 0.25 | 2.5 | 50 |" in text
    assert "    python -m bench.painters --images 100 --painters a --sets pairs/semi\n" in text
    assert "| `semi` |" in text
    file = Score.of("spade:vgg=weights/vgg.pth", records, 100, 40.0, {**costs, "seconds": 4.0})
    text = page("camvid 96x128", "So.", Score.of("", records), [file])
    assert "| `spade:vgg=weights/vgg.pth` | 100 | 1.50 | 0.25 | 2.5 | 0.25 |" in text
    everyone = [Score.of(name, records, 100) for name in leaderboard.PLAIN]
    assert leaderboard.command(everyone) == "python -m bench.painters --images 100"
