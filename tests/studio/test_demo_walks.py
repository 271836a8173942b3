"""The demos `walk` and `face`, which take all models from one run."""

import json

import pytest
from PIL import Image

from data.stage.errors import UserError
from studio.demo import main
from tests.studio.conftest import PRODUCE


@pytest.fixture
def demo(artifacts, tmp_path, monkeypatch):
    """Run a demo and return its numbers; files are in `tmp_path`/out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps({"produce": PRODUCE}))

    def run(name, **flags):
        paths = {
            "artifacts": artifacts,
            "painter": artifacts / "painters" / "regions",
        }
        main(name, **{**paths, **flags}, out=tmp_path / "out", frames=3)
        return json.loads((tmp_path / "out" / f"{name}.json").read_text())

    return run


def test_an_object_comes_nearer_with_one_mode(demo, tmp_path):
    found = demo("walk")
    assert found["differences"]["one mode kept"] < found["differences"]["a mode for each frame"]
    first = (tmp_path / "out" / "walk.png").read_bytes()
    demo("walk")
    assert (tmp_path / "out" / "walk.png").read_bytes() == first
    demo("walk", seed=3)
    assert (tmp_path / "out" / "walk.png").read_bytes() != first


def test_a_class_grows_and_nothing_changes_outside(demo, tmp_path):
    found = demo("face", share=["car=0.3"])
    assert found["classes"] == ["car"] and found["changed_outside"] == 0
    with Image.open(tmp_path / "out" / "face.gif") as animation:
        assert animation.n_frames > 1
    assert demo("face")["classes"] == ["hat"], "the first class of faces there is"


def test_models_of_two_runs_are_refused(demo, tmp_path):
    with pytest.raises(UserError, match="takes both from one run"):
        demo("walk", painter=tmp_path / "painters" / "regions")
