"""Streams: a batch is a pure function of (seed, position)."""

import numpy as np
import pytest
import torch

from data.pairs import pairset
from data.pairs.batches import Stream, load_stream, onehot
from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter


def make_stream(seed=0, flip=True, num_pairs=10):
    images = torch.arange(num_pairs * 3 * 2 * 4).reshape(num_pairs, 3, 2, 4).to(torch.uint8)
    labels = torch.arange(num_pairs * 8).reshape(num_pairs, 2, 4).to(torch.uint8)
    return Stream(images, labels, seed=seed, flip=flip, mirrored=range(255))


def rows_of(batch):
    return [int(label.min()) // 8 for label in batch.label]


def test_every_epoch_visits_each_pair_once_in_its_own_order():
    epochs = [rows_of(make_stream().batch(10 * epoch, 10)) for epoch in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_batches_do_not_depend_on_what_was_read_before():
    stream = make_stream()
    straight = [stream.batch(position, 4) for position in range(0, 40, 4)]
    jumped = make_stream().batch(24, 4)
    assert torch.equal(straight[6].image, jumped.image)
    assert torch.equal(straight[6].label, jumped.label)


def test_seeds_differ():
    assert rows_of(make_stream(0).batch(0, 10)) != rows_of(make_stream(1).batch(0, 10))


def test_image_and_label_are_mirrored_together():
    mirrored = 0
    batch = make_stream().batch(0, 10)
    for image, label in zip(batch.image, batch.label, strict=True):
        is_mirrored = bool(label[0, 0] > label[0, 1])
        assert is_mirrored == bool(image[0, 0, 0] > image[0, 0, 1])
        mirrored += is_mirrored
    assert 0 < mirrored < 10
    assert not any(
        label[0, 0] > label[0, 1] for label in make_stream(flip=False).batch(0, 10).label
    )


def test_left_classes_become_right_ones_where_a_pair_is_mirrored():
    label = torch.tensor([[[0, 0, 1, 2]]], dtype=torch.uint8).expand(10, 1, 4)
    images = torch.zeros(10, 3, 1, 4, dtype=torch.uint8)
    batch = Stream(images, label, seed=0, flip=True, mirrored=[0, 2, 1]).batch(0, 10)
    seen = {tuple(row[0].tolist()) for row in batch.label}
    assert seen == {(0, 0, 1, 2), (1, 2, 0, 0)}


def test_a_batch_says_which_pairs_it_holds():
    batch = make_stream().batch(3, 9)
    assert batch.row.dtype == torch.int64 and batch.row.tolist() == rows_of(batch)
    images = torch.zeros(4, 3, 1, 2, dtype=torch.uint8)
    labels = torch.arange(4, dtype=torch.uint8)[:, None, None].expand(4, 1, 2)
    places = np.array([7, 2, 9, 4])  # of the set
    stream = Stream(images, labels, seed=0, flip=False, mirrored=range(255), rows=places)
    batch = stream.batch(0, 4)
    assert batch.row.tolist() == places[batch.label[:, 0, 0]].tolist()


@pytest.mark.parametrize("images", [True, False])
def test_a_stream_of_a_set_is_of_one_source_and_may_be_of_labels_alone(
    images, tmp_path, monkeypatch
):
    classes = ClassTable((ClassInfo("road", (1, 2, 3)), ClassInfo("sky", (4, 5, 6))))
    with ShardWriter(tmp_path / "s", classes=classes, size=(4, 8), fingerprint="f") as writer:
        for index, source in enumerate(("real", "other", "real")):
            image = np.full((4, 8, 3), 100 * index, np.uint8)
            writer.write(Pair(f"p{index}", image, image[..., 0] // 200, source))
    decoded = []
    decode = pairset.decode_image
    monkeypatch.setattr(pairset, "decode_image", lambda *a: decoded.append(a) or decode(*a))
    stream = load_stream(PairSet(tmp_path / "s"), seed=0, flip=True, images=images)
    batch = stream.batch(0, 2)
    assert sorted(batch.row.tolist()) == [0, 2]
    assert torch.equal(batch.label.amax((1, 2)), batch.row // 2)
    assert batch.image.shape == ((2, 3, 4, 8) if images else (2, 3, 0, 0))
    assert len(decoded) == (2 if images else 0)


def test_images_are_scaled_to_minus_one_and_one():
    images = torch.tensor([0, 255], dtype=torch.uint8).expand(1, 3, 1, 2)
    batch = Stream(
        images, torch.zeros(1, 1, 2, dtype=torch.uint8), seed=0, flip=False, mirrored=range(255)
    ).batch(0, 1)
    assert batch.image.unique().tolist() == [-1, 1]


def test_onehot_puts_classes_on_the_channel_axis():
    encoded = onehot(torch.tensor([[[0, 2]]]), 3)
    assert encoded.shape == (1, 3, 1, 2)
    assert encoded[0, :, 0, 1].tolist() == [0, 0, 1]
    with pytest.raises(RuntimeError):
        onehot(torch.tensor([[[3]]]), 3)


def test_classes_of_a_pixel_lie_side_by_side_in_a_onehot_layout():
    assert onehot(torch.zeros(2, 4, 6).long(), 5).is_contiguous(memory_format=torch.channels_last)
