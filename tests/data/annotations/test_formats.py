"""Every annotation format gives the labels that were outlined, and a COCO export comes back."""

import numpy as np
import pytest

from data.pairs.shards import PairSet
from data.sources.annotations.formats import FORMATS
from data.sources.annotations.formats.label_studio import unpacked
from data.tools import export
from tests.data.annotations.writers import HEIGHT, WIDTH, WRITERS, expected, packed
from tests.data.exports.helpers import CLASSES, SIZE, pair_of, write_set


def test_every_format_is_written_here() -> None:
    assert WRITERS.keys() == FORMATS.keys()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_format_gives_the_labels_that_were_outlined(kind, scene, drawn) -> None:
    labels = drawn(**scene(kind))
    assert len(labels) == 4
    for name, label in labels.items():
        np.testing.assert_array_equal(label, expected(int(name[-1])), err_msg=name)


@pytest.mark.parametrize("kind", ["coco", "parquet"])
def test_annotations_become_pair_sets_again_and_again(kind, scene, run_ingest, tmp_path) -> None:
    section = scene(kind)
    size = {"height": HEIGHT, "width": WIDTH, "detail": 1.0}
    given = {"source": "annotations", "root": tmp_path / "own", "annotations": section} | size
    first, second = (run_ingest(out, **given) for out in ("one", "two"))
    found = [pair for split in ("train", "val") for pair in PairSet(first / split).pairs()]
    assert len(found) == 4
    for pair in found:
        np.testing.assert_array_equal(pair.label, expected(int(pair.id[-1])))
    for path in sorted(first.rglob("*.*")):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path


def test_a_coco_export_comes_back_as_it_was(tmp_path, run_ingest) -> None:
    for split, keys in (("train", range(3)), ("val", range(10, 12))):
        pairs = [pair_of(key, f"{split}{key}", "real", CLASSES) for key in keys]
        write_set(tmp_path / "sets" / split, CLASSES, pairs)
    export.main([tmp_path / "sets"], tmp_path / "out", to="coco")
    classes = [
        {"name": entry.name, "color": list(entry.color), "eval": entry.eval}
        | ({"mirror": entry.mirror} if entry.mirror else {})
        for entry in CLASSES.classes
    ]
    section = {"format": "coco", "files": "annotations/*.json", "images": "images/**/*.png"}
    section |= {"classes": classes, "split": "glob"}
    section |= {"glob": {split: f"images/{split}/*" for split in ("train", "val")}}
    size = {"height": SIZE[0], "width": SIZE[1]}
    out = run_ingest(source="annotations", root=tmp_path / "out", annotations=section, **size)
    for split in ("train", "val"):
        before, after = PairSet(tmp_path / "sets" / split), PairSet(out / split)
        assert after.classes == before.classes and len(after) == len(before)
        labels = {pair.image.tobytes(): pair.label.tobytes() for pair in before.pairs()}
        assert labels == {pair.image.tobytes(): pair.label.tobytes() for pair in after.pairs()}


@pytest.mark.parametrize("literal", [False, True])
def test_brushes_are_unpacked(literal) -> None:
    values = np.repeat(np.random.default_rng(0).integers(0, 256, 50, np.uint8), 7)
    np.testing.assert_array_equal(
        unpacked(bytes(packed(values, literal=literal)), len(values)), values
    )
