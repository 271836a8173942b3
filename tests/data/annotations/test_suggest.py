"""What `--suggest --annotations` prints runs as it is, for every format."""

import os
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from data.pairs.shards import PairSet
from data.sources.annotations.formats import FORMATS
from data.stage.errors import UserError
from data.tools import inspect
from data.tools.suggest_annotations import suggest_annotations
from tests.data.annotations.writers import CLASSES, HEIGHT, WIDTH, expected

WHERE = {"cvat": "annotations.xml", "label_studio": "project.json", "parquet": "data"}


def section(text: str) -> dict:
    return YAML(typ="safe").load(text)["dataset"]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_section_runs_as_it_is(kind, scene, run_ingest, tmp_path) -> None:
    scene(kind)
    default = "labels" if kind in ("labelme", "yolo") else "annotations"
    found = suggest_annotations(f"own/{WHERE.get(kind, default)}")
    dataset = section(found.text)
    assert dataset["annotations"]["format"] == kind
    out = run_ingest(**dataset | {"height": HEIGHT, "width": WIDTH})
    pairs = [pair for split in ("train", "val") for pair in PairSet(out / split).pairs()]
    names = PairSet(out / "train").classes.names
    assert len(pairs) == 4
    for pair in pairs:
        meant = np.array([_meant(name) for name in names], np.uint8)
        np.testing.assert_array_equal(meant[pair.label], expected(int(pair.id[-1])))


def _meant(name: str) -> int:
    """Return the class of the scene that a suggested class is."""
    if name in ("void", "background"):
        return 0
    return CLASSES.index(name) if name in CLASSES else int(name.removeprefix("class_"))


def test_images_elsewhere_are_named(scene, run_ingest, tmp_path) -> None:
    scene("coco")
    (tmp_path / "own/images").rename(tmp_path / "own/pictures")
    found = suggest_annotations("own/annotations/all.json", "own/pictures/*.png")
    assert section(found.text)["annotations"]["images"] == "pictures/*.png"
    (tmp_path / "own/pictures/p3.png").unlink()
    found = suggest_annotations("own/annotations/*.json")
    assert any("1 annotated images are not in" in note for note in found.notes)


def test_what_is_no_annotation_is_refused(scene, run_ingest, tmp_path) -> None:
    scene("coco")
    with pytest.raises(UserError, match=r"own/images has no annotation; a file, folder or glob"):
        suggest_annotations("own/images")
    (tmp_path / "own/annotations/all.json").write_text('{"a": 1}')
    with pytest.raises(UserError, match=r"all\.json is of none of the formats coco, coco_panopt"):
        suggest_annotations("own/annotations")
    os.chdir(tmp_path / "own")
    scene("labelme")
    with pytest.raises(UserError, match="which holds this project too"):
        suggest_annotations("labels")


def test_the_command_prints_the_section(scene, run_ingest, capsys) -> None:
    scene("yolo")
    inspect.main(suggest=True, annotations="own/labels")
    assert section(capsys.readouterr().out)["annotations"]["names"] == "data.yaml"
    with pytest.raises(UserError, match="belong to --suggest"):
        inspect.main([Path("a")], annotations="own")
    with pytest.raises(UserError, match="--instances belongs to"):
        inspect.main(suggest=True, annotations="own", instances=True)
