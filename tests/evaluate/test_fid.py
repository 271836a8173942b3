"""The network of FID: only the one that defines it, read without unpickling."""

import io
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from data.stage.errors import UserError
from evaluate.metrics import inception
from evaluate.stages import judge, score

installed = pytest.mark.skipif(
    find_spec(inception.PACKAGE) is None, reason="the extra [fid] is absent"
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Weights of the right names and shapes, drawn at random: the real ones are not at hand."""

    class Stop(Exception):
        pass

    path, made = tmp_path_factory.mktemp("fid") / "weights.pth", []
    module = inception._module("feature_extractor_inceptionv3")

    class Blank(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            made.append(self.state_dict())
            raise Stop

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    torch.manual_seed(0)
    with pytest.raises(Stop):
        Blank("blank", [inception.FEATURES], feature_extractor_weights_path=nothing)
    torch.save(made[0], path)
    return path


@pytest.fixture
def genuine(weights, monkeypatch) -> Path:
    """The same file, taken for the genuine one."""
    monkeypatch.setattr(inception, "SHA256", sha256(weights.read_bytes()).hexdigest()[:8])
    return weights


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 24, 32, 3), np.uint8)


@installed
def test_images_of_any_size_have_2048_features_each_by_itself(genuine):
    network = inception.load_inception(genuine)
    found = network.describe(images(3))
    assert found.shape == (3, 2048) and found.dtype == np.float32
    np.testing.assert_allclose(network.describe(images(3)[1:2]), found[1:2], atol=1e-5)
    assert not np.allclose(found[0], found[1])
    assert network.sha256 == sha256(genuine.read_bytes()).hexdigest()


@installed
def test_other_weights_are_not_called_inception(weights):
    with pytest.raises(UserError, match=r"is not weights-inception.*6726825d.pth, which FID is"):
        inception.load_inception(weights)


@installed
def test_a_file_that_wants_to_run_something_does_not(tmp_path, monkeypatch):
    ran = tmp_path / "ran"

    class Wants:
        def __reduce__(self):
            return (Path.touch, (ran,))

    file = tmp_path / "weights.pth"
    torch.save({"Conv2d_1a_3x3": Wants()}, file)
    monkeypatch.setattr(inception, "SHA256", sha256(file.read_bytes()).hexdigest()[:8])
    with pytest.raises(UserError, match="more than plain tensors, and nothing is unpickled"):
        inception.load_inception(file)
    assert not ran.exists()


@installed
def test_a_path_without_a_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"absent.pth is not a file; give weights-inception"):
        inception.load_inception(tmp_path / "absent.pth")


def test_without_the_extra_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(inception, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"not installed; run `pip install -e '.\[fid\]'`"):
        inception.load_inception(tmp_path / "weights.pth")


def test_a_stage_refuses_a_wrong_path_before_it_reads_anything(make_project, tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    params = Path("params.yaml").read_text()
    Path("params.yaml").write_text(params.replace("report:\n", "report:\n  fid_weights: no.pth\n"))
    where = Path("nowhere")
    said = r"report.fid_weights.*null"
    with pytest.raises(UserError, match=said):
        judge.main(cell=Path("artifacts/segment/real/0"), real=where, out=where)
    semi = Path("artifacts/pairs/semi")
    with pytest.raises(UserError, match=said):
        score.main(set="semi", pairs=semi, repainted=where, judge=where, out=where)
