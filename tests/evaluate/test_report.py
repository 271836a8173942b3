"""The report stage over a small finished project, and publishing."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.outputs import read_json, write_json
from evaluate import collect, provenance
from evaluate.cells import cell_dir, score_cell
from evaluate.metrics.images import Judge, scored_rows
from evaluate.metrics.layouts import layout_fidelity
from evaluate.metrics.quality import quality
from evaluate.stages import report
from evaluate.stages.publish import publish

ARTIFACTS, OUT = Path("artifacts"), Path("evaluate")


def judge_of(classes):
    """Return a judge that reads the class off the colour of a pixel; never wrong here."""
    colors = np.array([entry.color for entry in classes.classes])

    def predict(images: np.ndarray) -> np.ndarray:
        distance = np.abs(images[..., None, :].astype(int) - colors).sum(axis=-1)
        return distance.argmin(axis=-1).astype(np.uint8)

    return Judge(
        predict, lambda images: images.mean(axis=(1, 2)), "mean colour", "0123456789abcdef"
    )


def score(judge, seeds=(0, 1, 2)) -> None:
    """Write score files as the score stage does, with another judge than a trained segmenter."""
    for recipe in ("real", "semi", "palette", "partial"):
        pairs, real = PairSet(ARTIFACTS / "pairs" / recipe), ARTIFACTS / "real"
        rows = pairs.select(recipe)
        cells = {
            str(seed): score_cell(cell_dir(ARTIFACTS / "segment" / recipe, recipe, seed), real)
            for seed in seeds
        }
        found = quality(
            pairs,
            scored_rows(rows, 6 if recipe == "real" else 8),
            PairSet(real / "val"),
            judge,
            batch_size=4,
            repainted=PairSet(ARTIFACTS / "repainted" / recipe),
        )
        found |= {"cells": cells, "num_pairs": pairs.manifest["sources"], "gan_train": None}
        found["layouts"] = None if recipe == "real" else layout_fidelity(pairs, rows)
        about = {"seed": 0, "features": judge.features, "sha256": judge.sha256}
        found["judge"] = about | score_cell(ARTIFACTS / "segment/real/0", real)["val"]
        write_json(ARTIFACTS / "scores" / f"{recipe}.json", found)


def test_palettes_that_never_vary_have_no_aic_curve(tmp_path):
    write_json(tmp_path / "palette.json", {"aic": [], "components": 0})
    assert collect.read_aic(tmp_path) is None


def test_seeds_that_read_the_same_synthetic_pairs_are_refused():
    report.check_slices([0, 1, 2], 3)
    with pytest.raises(UserError, match=r"share slices.*num_slices is 3"):
        report.check_slices([0, 1, 2, 3], 3)


@pytest.fixture
def project(make_project, classes, tmp_path, monkeypatch):
    """A scored project in the working directory, to be spoiled."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    score(judge_of(classes))
    return tmp_path


@pytest.fixture(scope="module")
def reported(make_project, tmp_path_factory):
    """A project with its report, to look at and to copy."""
    root = make_project(tmp_path_factory.mktemp("reported"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        score(judge_of(PairSet(ARTIFACTS / "pairs" / "real").classes))
        report.main(artifacts=ARTIFACTS, out=OUT)
    return root


def miou_by_hand(recipe: str, seed: int, split: str) -> float:
    """mIoU over the three eval classes, pixel sums written out."""
    with np.load(ARTIFACTS / "segment" / recipe / str(seed) / "confusion.npz") as arrays:
        matrix = arrays[split].sum(axis=0)
    values = []
    for c in range(3):
        hit = matrix[c, c]
        union = sum(matrix[c, p] for p in range(4)) + sum(matrix[g, c] for g in range(3)) - hit
        values.append(hit / union)
    return 100 * sum(values) / 3


def test_numbers_of_the_report_by_hand(reported, monkeypatch):
    monkeypatch.chdir(reported)
    found = read_json(OUT / "report.json")
    assert {"revision", "dataset", "preset", "recipes", "layouts", "params", "versions"} <= set(
        found
    )
    assert (found["dataset"], found["preset"]) == ("streets", None)
    for recipe, split in itertools.product(("semi", "partial"), ("val", "test")):
        own = [miou_by_hand(recipe, seed, split) for seed in range(3)]
        base = [miou_by_hand("real", seed, split) for seed in range(3)]
        entry = found["recipes"][recipe]
        entry = entry if split == "val" else entry["test"]
        assert entry["miou"]["cells"] == pytest.approx(dict(zip("012", own, strict=True)))
        assert entry["miou"]["mean"] == pytest.approx(np.mean(own))
        assert entry["miou"]["std"] == pytest.approx(np.std(own, ddof=1))
        assert entry["miou"]["n"] == 3
        gains = np.subtract(own, base)
        half = 4.302653 * np.std(gains, ddof=1) / np.sqrt(3)
        assert entry["delta"]["mean"] == pytest.approx(gains.mean())
        assert entry["delta"]["low"] == pytest.approx(gains.mean() - half, abs=1e-4)
        assert entry["delta"]["high"] == pytest.approx(gains.mean() + half, abs=1e-4)
    assert found["recipes"]["semi"]["obedience"]["miou"] == 100
    assert found["layouts"]["semantic_palette"]["kl"] == pytest.approx(0, abs=1e-4)
    assert found["layouts"]["semantic_palette"]["kl_argmax"] == 0.25
    assert found["layouts"]["partial_palette"]["kl"] is None
    assert found["recipes"]["semi"]["gan_test"] == {"miou": 100, "miou_star": 100, "num_pairs": 8}
    assert found["recipes"]["real"]["gan_test"] is None
    keys = {"gan_test", "gan_train", "frechet", "diversity", "copies"}
    assert all(keys <= set(entry) for entry in found["recipes"].values())
    counts = {name: entry["frechet"]["num_pairs"] for name, entry in found["recipes"].items()}
    assert counts == {"real": 6, "semi": 8, "palette": 8, "partial": 8}
    assert found["layouts"]["none"]["num_held_out"] == 6
    assert all(entry["fsd"] > 0 for entry in found["layouts"].values())
    assert (found["size"], found["judge"]["sha256"]) == ([16, 32], "0123456789abcdef")


def test_the_page_shows_every_figure_and_only_what_was_used(reported, monkeypatch):
    monkeypatch.chdir(reported)
    text = (OUT / "report.md").read_text()
    shown = set(re.findall(r"\]\(figures/([\w.]+)\)", text))
    assert shown == {path.name for path in (OUT / "figures").iterdir()}
    assert {"pairs_partial.png", "palettes.png", "training_painters_oasis.png"} <= shown
    assert "**On test: `partial` helps; `semi` hurts" in text
    assert "49.4 (+1.3)" in text
    row = next(line for line in text.splitlines() if line.startswith("| `semi` | 100.0 |"))
    entry = read_json(OUT / "report.json")["recipes"]["semi"]
    numbers = [f"{entry['frechet']['value']:.2f}", f"{entry['diversity']['percent']:.1f}"]
    assert row.split(" | ")[4:7] == [*numbers, f"{entry['copies']['share']:.1f}"]
    assert "(weights `0123456789ab`); its features: mean colour. Images are 16x32" in text
    assert "/home/someone" not in text
    assert "spade" not in text
    params = read_json(OUT / "report.json")["params"]
    assert params["dataset"]["root"] == "(outside the repository)"
    assert set(params["segment"]["archs"]) == {"resnet18_mlp"}


def test_a_row_beyond_the_default_ones_brings_the_posters_tables(reported, tmp_path, monkeypatch):
    text = (reported / OUT / "report.md").read_text()
    assert "poster: IDD" in text and "## Beside the Semantic Palette poster" not in text
    monkeypatch.chdir(shutil.copytree(reported, tmp_path / "copy"))
    params = Path("params.yaml")
    plain = "partial: {layouts: partial_palette, painter: oasis, adapt: none}"
    assert plain in params.read_text()
    params.write_text(params.read_text().replace(plain, plain.replace("none", "advent")))
    report.main(artifacts=ARTIFACTS, out=OUT)
    before, after = (OUT / "report.md").read_text().split("## Beside the Semantic Palette poster")
    assert "poster: IDD" not in before
    assert "| Part. Sem. Palette | not run |" in after
    shown = read_json(OUT / "report.json")["recipes"]["partial"]["test"]["miou"]
    cell = f"| partial_palette → oasis, advent | {shown['mean']:.1f} ± {shown['std']:.1f} / "
    assert f"| Part. Sem. Palette + DA | `partial` {cell}" in after


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_scored_row_has_scores_but_no_part_in_the_verdict(
    make_project, classes, tmp_path, monkeypatch, split
):
    monkeypatch.chdir(make_project(tmp_path, test=split == "test"))
    score(judge_of(classes))
    file, scores = Path("params.yaml"), ARTIFACTS / "scores" / "partial.json"
    text = file.read_text().replace("scored: []", "scored: [partial]")
    text = text.replace(
        "  recipes: [real, semi, palette, partial]", "  recipes: [real, semi, palette]"
    )
    file.write_text(text.replace("gan_train: []", "gan_train: [partial]"))
    alone = score_cell(ARTIFACTS / "segment/partial/0", ARTIFACTS / "real")
    write_json(scores, read_json(scores) | {"cells": {}, "gan_train": alone["val"] | alone})
    for seed in range(3):
        shutil.rmtree(ARTIFACTS / "segment" / "partial" / str(seed))
    report.main(artifacts=ARTIFACTS, out=OUT)
    found = read_json(OUT / "report.json")
    entry = found["recipes"]["partial"]
    assert (entry["miou"], entry["delta"]) == (None, None)
    assert ("test" in entry) == (split == "test") and entry["gan_test"]["miou"] == 100
    assert entry["frechet"]["num_pairs"] == 8 and found["layouts"]["partial_palette"]["fsd"] > 0
    page = (OUT / "report.md").read_text()
    before, after = page.split("## Do layouts keep")
    assert "`semi`" in before and "`partial`" not in before
    assert "| `partial` | 100.0 |" in after and "2 recipes are compared with the baseline" in after


@pytest.mark.parametrize(
    ("scored", "gan_train", "said"),
    [
        ("cgan", "", "scored names 'cgan', for which no segmenter is trained"),
        ("semi", "semi", "scored names 'semi', which is one of `recipes`"),
    ],
)
def test_scored_rows_that_make_no_sense_are_refused(project, scored, gan_train, said):
    file = Path("params.yaml")
    text = file.read_text().replace("scored: []", f"scored: [{scored}]")
    file.write_text(text.replace("gan_train: []", f"gan_train: [{gan_train}]"))
    with pytest.raises(UserError, match=said):
        report.main(artifacts=ARTIFACTS, out=OUT)


def test_a_joint_shows_its_painter_before_and_after(reported, tmp_path, monkeypatch):
    assert "tuned end to end" not in (reported / OUT / "report.md").read_text()
    monkeypatch.chdir(shutil.copytree(reported, tmp_path / "copy"))
    file = Path("params.yaml")
    text = file.read_text().replace(
        "partial: {layouts: partial_palette, painter: oasis", "partial: {layouts: e2e, painter: e2e"
    )
    text += "train: {joints: {e2e: {layouts: partial_palette, painter: oasis}}}\n"
    file.write_text(text + "joints: {e2e: {num_images: 8}, other: {num_images: 9}}\n")
    shutil.copytree(ARTIFACTS / "layouts/partial_palette", ARTIFACTS / "layouts/e2e")
    with pytest.raises(UserError, match=r"joint e2e are missing.*joints/e2e\.json"):
        report.main(artifacts=ARTIFACTS, out=OUT)
    scores = [
        {"frechet": {"value": value}, "obedience": {"miou": 10 * value}} for value in (1.25, 2.5)
    ]
    joint = {"joint": "e2e", "before": scores[0], "after": scores[1]}
    write_json(ARTIFACTS / "scores" / "joints" / "e2e.json", joint)
    report.main(artifacts=ARTIFACTS, out=OUT)
    shown = "| `e2e` | partial_palette → oasis | 1.25 | 2.50 | 12.5 | 25.0 |"
    assert shown in (OUT / "report.md").read_text()
    found = read_json(OUT / "report.json")
    assert found["joints"] == {"e2e": joint} and "other" not in found["params"]["joints"]


def test_a_rerun_gives_the_same_bytes_and_ignores_stale_seeds(reported, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(reported, tmp_path / "copy"))
    before = {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()}
    shutil.copytree(ARTIFACTS / "segment/semi/0", ARTIFACTS / "segment/semi/7")
    (ARTIFACTS / "segment/semi/7/cell.json").write_text("not even a cell")
    report.main(artifacts=ARTIFACTS, out=OUT)
    after = {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("missing", ["segment/palette/1/cell.json", "scores/palette.json"])
def test_a_missing_cell_is_named_and_nothing_is_written(project, missing):
    (ARTIFACTS / missing).unlink()
    with pytest.raises(UserError, match="palette"):
        report.main(artifacts=ARTIFACTS, out=OUT)
    assert not OUT.exists()


def test_cells_with_unequal_training_are_not_compared(project):
    file = ARTIFACTS / "segment" / "partial" / "2" / "cell.json"
    write_json(file, read_json(file) | {"iterations": 160})
    with pytest.raises(UserError, match=r"recipe partial, seed 2 with arch .*, iterations 160"):
        report.main(artifacts=ARTIFACTS, out=OUT)


def test_one_seed_without_test_split(make_project, classes, tmp_path, monkeypatch):
    make_project(tmp_path, test=False, seeds="[1]")
    monkeypatch.chdir(tmp_path)
    score(judge_of(classes), seeds=(1,))
    report.main(artifacts=ARTIFACTS, out=OUT)
    entry = read_json(OUT / "report.json")["recipes"]["semi"]
    assert entry["miou"]["std"] is None
    assert (entry["delta"]["low"], entry["delta"]["high"]) == (None, None)
    assert "test" not in entry
    text = (OUT / "report.md").read_text()
    assert "One seed: nothing can be said about chance" in text
    assert "±" not in text


@pytest.mark.parametrize(("dataset", "shown"), [("streets", True), ("camvid", False)])
def test_publishing_leaves_out_pixels(reported, tmp_path, monkeypatch, dataset, shown):
    monkeypatch.chdir(shutil.copytree(reported, tmp_path / "copy"))
    if dataset != "streets":
        params = Path("params.yaml")
        params.write_text(params.read_text().replace("source: streets", f"source: {dataset}"))
        report.main(artifacts=ARTIFACTS, out=OUT)
    (OUT / "figures" / "unlisted.png").write_bytes(b"who knows what this shows")
    left_out = publish(OUT, OUT / "results", "camvid-cpu")
    target = OUT / "results" / "camvid-cpu"
    files = {path.name for path in (target / "figures").iterdir()}
    pixels = {f"pairs_{name}.png" for name in ("real", "semi", "palette", "partial")}
    pixels |= {f"closest_{name}.png" for name in ("semi", "palette", "partial")}
    assert (pixels <= files) == shown
    assert set(left_out) == (set() if shown else pixels)
    assert bool(files & pixels) == shown
    assert {"augmentation.png", "val_curves.png", "palettes.png"} <= files
    assert "unlisted.png" not in files
    text = (target / "report.md").read_text()
    assert set(re.findall(r"\]\(figures/([\w.]+)\)", text)) == files
    assert ("may not be redistributed" in text) == (not shown)
    listed = {entry["file"] for entry in read_json(target / "report.json")["figures"]}
    assert listed == files


def test_publishing_refuses_other_names(project):
    with pytest.raises(UserError, match="not allowed"):
        publish(OUT, OUT / "results", "../elsewhere")
    with pytest.raises(UserError, match="run the report stage first"):
        publish(OUT, OUT / "results", "fine")


def test_revision_knows_edited_code_from_the_traces_of_a_run(tmp_path, monkeypatch):
    def git(*arguments: str) -> str:
        names = ["-c", "user.name=n", "-c", "user.email=e@x"]
        command = ["git", *names, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.revision() == "unknown"
    for name in ("code.py", "dvc.lock", "params.yaml"):
        Path(name).write_text("1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "a")
    commit = git("rev-parse", "HEAD")
    assert provenance.revision() == commit
    Path("dvc.lock").write_text("2")
    Path("params.yaml").write_text("2")
    Path("untracked").write_text("2")
    assert provenance.revision() == commit
    Path("code.py").write_text("2")
    assert provenance.revision() == f"{commit}-dirty"


def test_wall_times_are_those_of_the_last_run(tmp_path):
    path = tmp_path / "timings.jsonl"
    lines = [
        '{"stage": "ingest", "seconds": 9.0, "images": 4, "finished": "a"}',
        '{"stage": "report", "seconds": 1.0, "images": null, "finished": "b"}',
        '{"stage": "palette", "seconds": 2.0, "images": null, "finished": "c"}',
        '{"stage": "ingest", "seconds": 3.0, "images": 4, "finished": "d"}',
    ]
    path.write_text("\n".join(lines) + "\n")
    assert [(t["stage"], t["seconds"]) for t in provenance.timings(path)] == [
        ("ingest", 3.0),
        ("palette", 2.0),
    ]
    assert provenance.timings(tmp_path / "none") == []
