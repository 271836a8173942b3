"""Decoded pairs: the same whether kept or not, and labels without pixels that must not teach."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from data.pairs.classes import IGNORE
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from segment.batches.decoded import reserve
from segment.batches.masks import MASKS, Masks, packed, read_masks, write_masks
from segment.batches.pool import Part, Pool, seam_of

ROWS = np.array([8, 3, 5])


def parts(artifacts: Path) -> list[Part]:
    real = PairSet(artifacts / "real/train")
    return [Part.whole(real), Part(PairSet(artifacts / "pairs/semi"), ROWS)]


@pytest.mark.parametrize("memory_limit_mb", [0, 100])
def test_parts_follow_each_other_in_the_order_asked_for(
    artifacts: Path, memory_limit_mb: int
) -> None:
    real, semi = (part.pairs for part in parts(artifacts))
    pool = Pool(parts(artifacts), memory_limit_mb=memory_limit_mb)
    wanted = [*real.pairs(), *semi.pairs(ROWS)]
    assert len(pool) == len(wanted) == 15
    assert pool.ids() == [pair.id for pair in wanted]
    for index, pair in enumerate(wanted):
        image, label = pool[index]
        assert np.array_equal(image, pair.image)
        assert np.array_equal(label, pair.label)
    images, labels = zip(*pool.batches(8), strict=True)
    assert [len(batch) for batch in images] == [8, 7]
    assert np.array_equal(np.concatenate(labels)[14], semi[5].label)


def test_other_classes_are_ignored_in_the_loss_only_when_asked(artifacts: Path) -> None:
    part = Part(PairSet(artifacts / "real/train"), np.array([0]))
    classes = part.pairs.classes
    everything = Pool([part], memory_limit_mb=100)[0][1]
    evaluated = Pool([part], memory_limit_mb=100, supervised=classes.eval_ids)[0][1]
    assert set(np.unique(everything)) == {0, 1, 2}
    assert np.array_equal(evaluated, np.where(everything == 2, IGNORE, everything))


def test_a_seam_is_as_wide_on_both_sides_of_the_edge() -> None:
    edited = np.zeros((7, 9), bool)
    edited[:, 4:] = True
    for width in (1, 2):
        wanted = np.zeros((7, 9), bool)
        wanted[:, 4 - width : 4 + width] = True
        assert np.array_equal(seam_of(edited, width), wanted)
    assert not seam_of(np.ones((7, 9), bool), 2).any(), "the border of the image is not an edge"
    assert not seam_of(np.zeros((7, 9), bool), 2).any()
    corner = np.zeros((7, 9), bool)
    corner[3, 3] = True
    assert seam_of(corner, 1).sum() == 9, "diagonal neighbours count"


def test_seams_are_ignored_where_a_pair_says_what_was_edited(artifacts: Path) -> None:
    more, semi = PairSet(artifacts / "pairs/more"), PairSet(artifacts / "pairs/semi")
    rows = np.array([4])
    (_, plain), (_, same) = (
        Part(more, rows).arrays(0),
        Part(more, rows, seam=0).arrays(0),
    )
    assert np.array_equal(plain, same)
    image, label = Part(more, rows, seam=3).arrays(0)
    middle = more.size[1] // 2
    wanted = plain.copy()
    wanted[:, middle - 3 : middle + 3] = IGNORE
    assert np.array_equal(label, wanted)
    assert np.array_equal(image, more[4].image)
    assert np.array_equal(Part(semi, rows, seam=3).arrays(0)[1], semi[4].label)


def test_pixels_that_are_not_trusted_are_ignored(artifacts: Path, tmp_path: Path) -> None:
    semi = PairSet(artifacts / "pairs/semi")
    trusted = np.random.default_rng(0).random((len(semi), *semi.size)) < 0.7
    bits = np.stack([packed(mask) for mask in trusted])
    write_masks(tmp_path, semi.ids()[::-1], bits[::-1], semi.size)
    masks = read_masks(tmp_path)
    assert len(masks) == len(semi)
    for index, row in enumerate(ROWS):
        _, label = Part(semi, ROWS, masks).arrays(index)
        assert np.array_equal(label, np.where(trusted[row], semi[row].label, IGNORE))
    again = tmp_path / "again"
    again.mkdir()
    write_masks(again, semi.ids()[::-1], bits[::-1], semi.size)
    assert (tmp_path / MASKS).read_bytes() == (again / MASKS).read_bytes()


def test_masks_of_other_pairs_and_damaged_ones_are_named(artifacts: Path, tmp_path: Path) -> None:
    semi = PairSet(artifacts / "pairs/semi")
    foreign = Masks(["x"], np.zeros((1, 192), np.uint8), semi.size)
    with pytest.raises(UserError, match="no mask for pair 'semi-0108'"):
        Part(semi, ROWS, foreign).arrays(0)
    with pytest.raises(UserError, match=r"masks\.npz is missing"):
        read_masks(tmp_path)
    (tmp_path / MASKS).write_bytes(b"PK nothing")
    with pytest.raises(UserError, match=r"masks\.npz is damaged"):
        read_masks(tmp_path)
    write_masks(tmp_path, ["a", "b"], np.zeros((2, 5), np.uint8), (3, 9))
    with pytest.raises(UserError, match="another size than it says"):
        read_masks(tmp_path)


def test_pairs_that_do_not_fit_are_decoded_once_into_a_file_without_a_name(
    artifacts: Path, tmp_path: Path
) -> None:
    folder, scratch = tmp_path / "set", tmp_path / "scratch"
    shutil.copytree(artifacts / "pairs/semi", folder)
    scratch.mkdir()
    pairs = PairSet(folder)
    found = [Part(pairs, np.array([8, 3])), Part(pairs, np.array([3, 5]))]
    options = {"memory_limit_mb": 0, "supervised": pairs.classes.eval_ids}
    pool = Pool(found, scratch=scratch, **options)
    wanted = [Pool(found, **options)[index] for index in range(4)]
    for index in (2, 0, 2, 1, 3):
        np.testing.assert_array_equal(pool[index][0], wanted[index][0])
    pairs.shards[0].unlink()
    for (image, label), other in zip(wanted, (pool[index] for index in range(4)), strict=True):
        assert np.array_equal(image, other[0]) and np.array_equal(label, other[1])
    assert not list(scratch.iterdir())


def test_a_file_that_would_fill_the_disk_is_not_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert reserve(tmp_path, 10**9, (1024, 2048)) is None
    assert "half of the free disk" in caplog.text
    assert not list(tmp_path.iterdir())


def test_shuffled_labels_are_those_of_other_images(artifacts: Path) -> None:
    pairs = PairSet(artifacts / "pairs/more")
    part = Part(pairs, np.arange(3, 14), seam=2)
    shuffled = part.shuffled(seed=1)
    assert sorted(shuffled.labels) == list(part.rows), "every label is there once"
    assert not (shuffled.labels == part.rows).any(), "and none at its own image"
    for index, row in enumerate(shuffled.labels):
        image, label = shuffled.arrays(index)
        assert np.array_equal(image, part.arrays(index)[0])
        whose = int(np.flatnonzero(part.rows == row)[0])
        assert np.array_equal(label, part.arrays(whose)[1]), "with what is ignored in it"
    assert np.array_equal(part.shuffled(seed=1).labels, shuffled.labels)
    assert not np.array_equal(part.shuffled(seed=2).labels, shuffled.labels)
    alone = Part(pairs, np.array([4])).shuffled(seed=0)
    assert np.array_equal(alone.arrays(0)[1], pairs[4].label)
