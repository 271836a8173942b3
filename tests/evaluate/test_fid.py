"""FID: only with the network that defines it, read without unpickling, features as documented."""

import io
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from evaluate.metrics import fid
from evaluate.metrics.frechet import frechet
from evaluate.metrics.images import Judge
from evaluate.metrics.quality import quality
from evaluate.page import tables
from evaluate.page.page import fid_in_words
from evaluate.stages import score

installed = pytest.mark.skipif(find_spec(fid.PACKAGE) is None, reason="the extra [fid] is absent")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Weights of the right names and shapes, drawn at random: the real ones are not at hand."""

    class Stop(Exception):
        pass

    path, made = tmp_path_factory.mktemp("fid") / "weights.pth", []
    inception = fid._module("feature_extractor_inceptionv3").FeatureExtractorInceptionV3

    class Blank(inception):
        def load_state_dict(self, state):
            made.append(self.state_dict())
            raise Stop

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    torch.manual_seed(0)
    with pytest.raises(Stop):
        Blank("blank", [fid.FEATURES], feature_extractor_weights_path=nothing)
    torch.save(made[0], path)
    return path


@pytest.fixture
def genuine(weights, monkeypatch) -> Path:
    """The same file, taken for the genuine one."""
    monkeypatch.setattr(fid, "SHA256", sha256(weights.read_bytes()).hexdigest()[:8])
    return weights


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 24, 32, 3), np.uint8)


@installed
def test_images_of_any_size_have_2048_features_each_by_itself(genuine):
    network = fid.load_inception(genuine)
    found = network.describe(images(3))
    assert found.shape == (3, 2048) and found.dtype == np.float32
    np.testing.assert_allclose(network.describe(images(3)[1:2]), found[1:2], atol=1e-5)
    assert not np.allclose(found[0], found[1])
    assert network.sha256 == sha256(genuine.read_bytes()).hexdigest()


@installed
def test_other_weights_are_not_called_inception(weights):
    with pytest.raises(UserError, match=r"is not weights-inception.*6726825d.pth, which FID is"):
        fid.load_inception(weights)


@installed
def test_a_file_that_wants_to_run_something_does_not(tmp_path, monkeypatch):
    ran = tmp_path / "ran"

    class Wants:
        def __reduce__(self):
            return (Path.touch, (ran,))

    file = tmp_path / "weights.pth"
    torch.save({"Conv2d_1a_3x3": Wants()}, file)
    monkeypatch.setattr(fid, "SHA256", sha256(file.read_bytes()).hexdigest()[:8])
    with pytest.raises(UserError, match="more than plain tensors, and nothing is unpickled"):
        fid.load_inception(file)
    assert not ran.exists()


@installed
def test_a_path_without_a_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"absent.pth is no file; give weights-inception"):
        fid.load_inception(tmp_path / "absent.pth")


def test_without_the_extra_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(fid, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"not installed; run `pip install -e '.\[fid\]'`"):
        fid.load_inception(tmp_path / "weights.pth")


def test_a_stage_refuses_a_wrong_path_before_it_reads_anything(make_project, tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    params = Path("params.yaml").read_text()
    Path("params.yaml").write_text(params.replace("report:\n", "report:\n  fid_weights: no.pth\n"))
    nowhere = dict.fromkeys(
        ("pairs", "repainted", "cells", "judge", "real", "out"), Path("nowhere")
    )
    with pytest.raises(UserError, match=r"report.fid_weights.*null"):
        score.main(recipe="semi", **nowhere)


def test_fid_stands_beside_the_frechet_distance_of_the_same_pairs(make_project, tmp_path):
    artifacts = make_project(tmp_path) / "artifacts"
    colour = Judge(
        predict=lambda images: np.zeros(images.shape[:3], np.uint8),
        describe=lambda images: images.mean(axis=(1, 2)),
        features="mean colour",
        sha256="0",
    )
    darkest = fid.Inception(lambda images: images.min(axis=(1, 2)).astype(np.float32), "abc")
    pairs, val = PairSet(artifacts / "pairs/semi"), PairSet(artifacts / "real/val")
    found = quality(pairs, [6, 8, 13], val, colour, batch_size=2, inception=darkest)
    own, others = (
        np.stack([pair.image.min(axis=(0, 1)) for pair in part])
        for part in (pairs.pairs([6, 8, 13]), val.pairs())
    )
    assert found["fid"]["value"] == pytest.approx(frechet(own, others), rel=1e-5)
    assert found["fid"]["features"] == fid.NAMED and found["fid"]["sha256"] == "abc"
    assert (found["fid"]["num_pairs"], found["fid"]["num_held_out"]) == (3, len(val))
    assert found["frechet"]["features"] == "mean colour"
    assert quality(pairs, [6, 8, 13], val, colour, batch_size=2)["fid"] is None


def test_the_report_has_fid_or_says_why_not():
    scores = {"miou": 1.0, "miou_star": 1.0, "num_pairs": 3, "absent": []}
    row = dict.fromkeys(("gan_train", "frechet", "fid", "diversity", "copies"))
    row |= {"obedience": scores}
    about = {"value": 61.25, "features": fid.NAMED, "num_features": 2048, "sha256": "67268259"}
    about |= {"num_pairs": 3, "num_held_out": 6}
    with_one = {"real": row, "semi": row | {"fid": about}}
    text = tables.quality(with_one, scores)
    header, *_, semi = text.splitlines()
    assert header.split(" | ")[5] == "FID" and semi.split(" | ")[5] == "61.2"
    assert len({line.count("|") for line in text.splitlines()}) == 1
    assert "FID" not in tables.quality({"real": row}, scores)
    assert "**FID** is not computed: `report.fid_weights` names no" in fid_in_words({"real": row})
    assert "2048 features of Inception-v3" in fid_in_words(with_one)
