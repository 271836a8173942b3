"""The stages judge, score and joint_score with a trained segmenter as the judge."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data import pretrained
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from data.stage.outputs import read_json
from evaluate import reference
from evaluate.cells import group_sums, read_cell, read_splits, values
from evaluate.metrics import features
from evaluate.metrics import judge as judges
from evaluate.metrics.frechet import frechet
from evaluate.stages import joints, judge, score

ARTIFACTS = Path("artifacts")
CELL, JUDGE = ARTIFACTS / "segment/real/0", ARTIFACTS / "judge"


def save_segmenter(folder: Path, num_classes: int, size: tuple[int, int]) -> None:
    """Write weights as the segment stage does: of a small segmenter, as they were drawn."""
    import torch

    from segment import archs, mm
    from segment.cell import save_model

    torch.manual_seed(0)
    config = archs.find("resnet18_mlp").build(num_classes, width=8, channels=16)
    config = archs.complete(config, size)
    save_model(folder, mm.build_model(config), config, "made of nothing")


def scored(name: str) -> dict:
    out = ARTIFACTS / "scores" / f"{name}.json"
    score.main(
        set=name,
        pairs=ARTIFACTS / "pairs" / name,
        repainted=ARTIFACTS / "repainted" / name,
        judge=JUDGE,
        out=out,
    )
    return read_json(out)


@pytest.fixture(scope="module")
def judged(make_project, classes, tmp_path_factory):
    """A project with its judge."""
    root = make_project(tmp_path_factory.mktemp("judged"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        save_segmenter(CELL, classes.num_classes, (16, 32))
        judge.main(cell=CELL, real=ARTIFACTS / "real", out=JUDGE)
        yield root


def described(pairs: PairSet, rows) -> np.ndarray:
    """The pretrained features, pooled, in deviations of the real training images."""

    def pooled(pairs: PairSet, rows) -> np.ndarray:
        images = np.stack([pair.image for pair in pairs.pairs(rows)]).transpose(0, 3, 1, 2)
        with torch.no_grad():
            scaled = torch.from_numpy(images / np.float32(127.5) - 1)
            maps = pretrained.load().eval()(scaled, 4)  # 16 pixels have no stride of 32
        return torch.cat([one.mean((2, 3)) for one in maps], 1).double().numpy()

    deviations = pooled(PairSet(ARTIFACTS / "real/train"), range(6)).std(axis=0)
    deviations = np.maximum(deviations, 0.01 * deviations.mean())
    return pooled(pairs, rows) / deviations / np.sqrt(len(deviations))


def test_the_judge_describes_real_pairs_once(judged):
    about, real = read_json(JUDGE / "judge.json"), ARTIFACTS / "real"
    weights = (CELL / "model.safetensors").read_bytes()
    assert about["sha256"] == hashlib.sha256(weights).hexdigest()
    assert about["features"]["named"] == "efficientnet_lite0, ImageNet"
    assert about["features"]["number"] == sum(pretrained.CHANNELS[:4])
    assert 1 <= about["features"]["effective_rank"] <= 5, "of six images"
    assert (about["seed"], about["num_val"]) == (0, 6)
    val = read_splits(real)[0]
    miou = values(group_sums(read_cell(CELL, "real", 0), val).sum(axis=0), val.eval_ids)[0]
    assert about["val_miou"] == pytest.approx(miou)
    train, held_out = PairSet(real / "train"), PairSet(real / "val")
    yardstick = {entry["metric"]: entry["value"] for entry in about["values"]}
    expected = frechet(described(train, range(6)), described(held_out, range(6)))
    assert yardstick["feature_frechet"] == pytest.approx(expected, rel=1e-3)
    assert yardstick["alignment"] == pytest.approx(miou)


def test_a_set_is_scored_without_another_look_at_real_pairs(judged, monkeypatch):
    looked = []
    noting = _noting(judges.batches, looked)
    for module in (judges, features):
        monkeypatch.setattr(module, "batches", noting)
    found = scored("palette")
    rows = [path.name for path in looked]
    assert rows.count("palette") == 2 + 3, "the judge, one look, and three repainted layouts"
    assert looked and not [path for path in looked if "real" in path.parts]
    values_of = {v["metric"]: v["value"] for v in found["values"] if "class" not in v}
    pairs, val = PairSet(ARTIFACTS / "pairs/palette"), PairSet(ARTIFACTS / "real/val")
    rows = [0, 1, 3, 4, 6, 7, 9, 10]
    expected = frechet(described(pairs, rows), described(val, range(6)))
    assert values_of["feature_frechet"] == pytest.approx(expected, rel=1e-3)
    assert values_of["kl"] == pytest.approx(0, abs=1e-4)
    assert set(values_of) >= {
        *("alignment", "alignment_star", "fsd"),
        *("feature_diversity", "feature_copies"),
    }
    assert (found["set"], found["num_pairs"], found["num_scored"]) == ("palette", 12, 8)
    assert len(found["facts"]["feature_copies"]["closest"]) == 4
    before = (ARTIFACTS / "scores/palette.json").read_bytes()
    scored("palette")
    assert (ARTIFACTS / "scores/palette.json").read_bytes() == before, "same seeds, same numbers"


def _noting(batches, looked):
    def noting(pairs, *arguments):
        looked.append(pairs.path)
        return batches(pairs, *arguments)

    return noting


def test_a_painter_is_scored_before_and_after_a_joint(judged):
    """One that paints the real images has distance 0, one that paints nothing has not."""
    real, painted = PairSet(ARTIFACTS / "real/val"), ARTIFACTS / "painted/e2e"
    with ShardWriter(painted, classes=real.classes, size=real.size, fingerprint="x") as writer:
        for pair in real.pairs():
            writer.write(replace(pair, id=f"a-{pair.id}", source="before"))
        for pair in real.pairs():
            blank = np.zeros_like(pair.image)
            writer.write(replace(pair, id=f"b-{pair.id}", source="after", image=blank))
    out = ARTIFACTS / "scores/joints/e2e.json"
    joints.main(name="e2e", painted=painted, judge=JUDGE, out=out)
    before, after = (
        {v["metric"]: v["value"] for v in read_json(out)[when]["values"] if "class" not in v}
        for when in ("before", "after")
    )
    assert before["feature_frechet"] == pytest.approx(0, abs=1e-6)
    assert after["feature_frechet"] > 0.1
    assert set(before) == {"alignment", "alignment_star", "feature_frechet"}


def test_what_is_missing_is_named_before_work_starts(make_project, tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    with pytest.raises(UserError, match=r"judge is missing: there is no .*judge\.json"):
        scored("semi")
    assert not (ARTIFACTS / "scores").exists()
    with pytest.raises(UserError, match="cell real, seed 0 is missing"):
        judge.main(cell=ARTIFACTS / "nowhere", real=ARTIFACTS / "real", out=JUDGE)
    assert not JUDGE.exists()


@pytest.mark.parametrize("sees", [True, False])
def test_a_reference_is_read_as_it_was_written(judged, colour_eyes, monkeypatch, tmp_path, sees):
    from data.stage.params import read
    from evaluate.config import ReportParams

    params, cell = read("report", ReportParams), read_cell(CELL, "real", 0)
    eyes = colour_eyes if sees else None
    written = reference.describe(ARTIFACTS / "real", cell, params, eyes, None)
    reference.write(tmp_path, written, cell, {})
    monkeypatch.setattr(reference, "load_judge", lambda path: path)
    path, found = reference.load(tmp_path, params)
    assert path == tmp_path / "cell" and (path / "model.safetensors").is_file()
    assert found.val_miou == written.val_miou
    for split in ("train", "val"):
        own, other = getattr(found, split), getattr(written, split)
        assert own.ids == other.ids and own.inception is None
        assert own.groups == other.groups and (own.seen is not None) == sees
        if sees:
            np.testing.assert_array_equal(own.seen.pooled, other.seen.pooled)
            assert own.seen.apart == other.seen.apart
        np.testing.assert_array_equal(own.palettes, other.palettes)
