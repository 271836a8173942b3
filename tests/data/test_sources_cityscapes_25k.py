"""Fine and extra Cityscapes: what is paired with what, which files are labels, which values."""

import numpy as np
import pytest

from data.pairs.shards import PairSet
from data.sources import cityscapes_25k as source
from data.stage.errors import UserError

CONFIG = source.Config()
EXTRA = ["augsburg_000000_000000", "augsburg_000000_000001", "troisdorf_000000_000072"]


def extra(root, config=CONFIG):
    return [pair for pair in source.find(root, ["train"], config) if pair.parts]


def test_train_is_fine_and_extra_and_val_is_fine(cityscapes_25k) -> None:
    pairs = source.find(cityscapes_25k, ["train", "val"], CONFIG)
    assert [pair.id for pair in pairs if pair.parts] == EXTRA
    assert [pair.split for pair in pairs] == ["train"] * 3 + ["val"] * 2 + ["train"] * 3
    assert [p for p in source.find(cityscapes_25k, ["val"], CONFIG) if p.split != "val"] == []
    assert {pair.group for pair in pairs} == {
        "aachen",
        "bochum",
        "munster",
        "augsburg",
        "troisdorf",
    }


def test_every_image_has_the_label_of_its_name(cityscapes_25k) -> None:
    for pair in source.find(cityscapes_25k, ["train"], CONFIG):
        assert pair.image.name == f"{pair.id}_leftImg8bit.png"
        assert pair.label.name.startswith(f"{pair.id}_")
        assert "prob" not in pair.label.name and pair.label.parent.name == pair.group


def test_wider_labels_are_the_same_labels(cityscapes_25k, files) -> None:
    pair = extra(cityscapes_25k)[0]
    before = source.read_label(pair, CONFIG)
    # Semantic Palette saves them again as 32-bit images, which are 16 bits in a PNG.
    files.save(pair.label, source.read_values(pair.label).astype(np.uint16))
    assert pair.label.read_bytes()[24] == 16, "the fixture must be wider than 8 bits"
    assert (source.read_label(pair, CONFIG) == before).all() and before.max() == 33


def test_the_broken_frame_is_left_out_whole_or_in_part(cityscapes_25k) -> None:
    for path in cityscapes_25k.rglob("troisdorf_000000_000073*"):
        assert [pair.id for pair in extra(cityscapes_25k)] == EXTRA
        path.unlink()
    assert [pair.id for pair in extra(cityscapes_25k)] == EXTRA


def test_train_ids_do_not_pass_for_label_ids(cityscapes_25k, files, run_ingest) -> None:
    path = extra(cityscapes_25k)[1].label
    files.save(path, files.labels(1, [0, 2, 10, 13, 255]))
    message = r"augsburg_000000_000001.*: 2 \(\d+ pixels\), 10 .*not train ids"
    with pytest.raises(UserError, match=message):
        run_ingest(source="cityscapes_25k", root=cityscapes_25k)


def test_fine_labels_keep_their_void_classes(cityscapes_25k) -> None:
    fine = source.find(cityscapes_25k, ["val"], CONFIG)[0]
    assert {0, 1, 34} <= set(np.unique(source.read_label(fine, CONFIG)))


def test_unsure_pixels_are_unlabeled_when_asked_for(cityscapes_25k) -> None:
    config = source.Config(min_probability=0.5)
    pair = extra(cityscapes_25k, config)[0]
    label, whole = source.read_label(pair, config), source.read_label(pair, CONFIG)
    assert (label[:10] == 0).all() and (label[10:] == whole[10:]).all()
    assert (whole > 0).all(), "without a threshold every prediction is kept"
    pair.parts[1].unlink()
    with pytest.raises(UserError, match=r"augsburg_000000_000000.* has no \*_leftImg8bit_prob"):
        extra(cityscapes_25k, config)


def test_a_probability_of_another_size(cityscapes_25k, files) -> None:
    config = source.Config(min_probability=0.5)
    pair = extra(cityscapes_25k, config)[0]
    files.save(pair.parts[1], np.zeros((4, 6), np.uint8))
    with pytest.raises(UserError, match=r"_prob\.png and .* differ in size"):
        source.read_label(pair, config)


def test_what_is_not_unpacked_is_named(cityscapes_25k, tmp_path) -> None:
    (cityscapes_25k / "refinement_final").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"refinement_final is missing; .*refinement_final_v0\.zip"):
        source.find(cityscapes_25k, ["train"], CONFIG)
    (cityscapes_25k / "leftImg8bit" / "train_extra").rename(tmp_path / "images")
    with pytest.raises(UserError, match=r"train_extra is missing; .* has train, val"):
        source.find(cityscapes_25k, ["train"], CONFIG)


def test_extra_pairs_reach_the_train_set(cityscapes_25k, run_ingest) -> None:
    out = run_ingest(source="cityscapes_25k", root=cityscapes_25k)
    assert len(PairSet(out / "train")) == 6 and len(PairSet(out / "val")) == 2
    assert "refinement_final" in PairSet(out / "train").origin["real"]["licence"]
