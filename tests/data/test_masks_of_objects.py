"""Masks that number objects one by one: noted, and two classes when asked."""

import numpy as np
import pytest
from PIL import Image

from data.stage.errors import UserError

SHAPE = (64, 64)


def numbered(key: int, dtype=np.uint8, count: int | None = None) -> np.ndarray:
    """Return squares numbered from 1, as many as the key says, 0 elsewhere."""
    mask = np.zeros(SHAPE, dtype)
    count = 3 + 5 * key % 17 if count is None else count
    for number in range(1, count + 1):
        row, column = divmod(number - 1, 6)
        mask[10 * row + 1 : 10 * row + 8, 10 * column + 1 : 10 * column + 8] = number
    return mask


def indexed(mask: np.ndarray) -> Image.Image:
    picture = Image.fromarray(mask)
    picture.putpalette(list(np.random.default_rng(0).permutation(768) % 256))
    return picture


KINDS = {
    "8 bits": numbered,
    "16 bits": lambda key: numbered(key, np.uint16),
    "palette": lambda key: indexed(numbered(key)),
    "three channels": lambda key: Image.fromarray(numbered(key)).convert("RGB"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_numbered_objects_are_noted_and_two_classes_when_asked(own, kind) -> None:
    own.write(*(KINDS[kind](key) for key in range(8)))
    (note,) = [note for note in own.suggest() if "--instances" in note]
    assert "one connected piece, and they count from 1 to 3 or up to 18, as objects do" in note
    assert len(own.section()["classes"]) == 19
    assert own.suggest(instances=True) == ()
    assert [entry["name"] for entry in own.section()["classes"]] == ["background", "object"]
    own.check([(numbered(key) > 0).astype(int) for key in range(8)], ("background", "object"))


def test_a_palette_whose_black_is_not_0_is_refused(own) -> None:
    masks = [19 - numbered(key) for key in range(4)]
    own.write(*map(indexed, masks))
    own.suggest(instances=True)  # no black anywhere
    for key, mask in enumerate(masks):
        picture = indexed(mask)
        picture.putpalette([*range(1, 58), 0, 0, 0])
        own.put(picture, f"p{key}.png")
    with pytest.raises(UserError, match=r"p0\.png shows the index 19 in black, and not 0"):
        own.suggest(instances=True)


def test_more_numbers_than_classes(own, tiff) -> None:
    masks = [numbered(key, np.int32, 36) for key in range(9)]
    for key, mask in enumerate(masks):
        mask[mask > 0] += 36 * key  # no number is used twice
        mask[60:] = -1
    own.write(*(mask.astype(np.uint8) for mask in masks), end="tif")
    for key, mask in enumerate(masks):
        tiff(own.masks / f"p{key}.tif", mask)
    with pytest.raises(UserError, match=r"326 values .* at most 255 can be .*, add --instances"):
        own.suggest()
    own.suggest(instances=True)
    assert own.section()["unlabelled"] == [-1]
    names = ("background", "object", "void")
    own.check([np.where(mask < 0, 2, mask > 0) for mask in masks], names)


def test_255_around_numbered_objects_is_void(own) -> None:
    masks = [numbered(key) for key in range(6)]
    for mask in masks:
        mask[50:54] = 255
    own.write(*masks)
    own.suggest(instances=True)
    names = ("background", "object", "void")
    own.check([np.where(mask == 255, 2, mask > 0) for mask in masks], names)


def test_classes_are_not_taken_for_objects(own) -> None:
    whole = [numbered(key, count=6) for key in range(6)]  # each class in each picture
    own.write(*whole)
    assert own.suggest() == ()
    some = [np.where(np.isin(m, [1 + k % 6, 1 + (k + 3) % 6]), m, 0) for k, m in enumerate(whole)]
    own.write(*(mask.astype(np.uint8) for mask in some))  # one or two of them in each
    assert own.suggest() == ()
    own.write(*(np.maximum(mask, mask.T) for mask in (numbered(key) for key in range(6))))
    assert own.suggest() == ()


def test_colours_and_huge_numbers_are_no_objects(own, tiff) -> None:
    own.write(*(np.array([[0, 0, 0], [0, 9, 250]], np.uint8)[numbered(k) % 2] for k in range(4)))
    with pytest.raises(UserError, match=r"p0\.png has colours; --instances is for masks in which"):
        own.suggest(instances=True)
    own.write(*(numbered(key) for key in range(4)), end="tif")
    for old in own.masks.glob("*.png"):
        old.unlink()
    for key in range(4):
        tiff(own.masks / f"p{key}.tif", numbered(key, np.int32) * 100_000)
    with pytest.raises(
        UserError, match=r"numbers from 0 to \d+00000; objects are numbered 1 to 655"
    ):
        own.suggest(instances=True)


def test_a_range_needs_numbers_that_go_up(own, run_ingest) -> None:
    own.write(*(numbered(key) for key in range(4)))
    for value, last in ((5, 3), ([0, 0, 1], 9)):
        classes = [{"value": value, "last": last, "name": "object"}]
        folder = {"images": "photos/*", "masks": "masks/*", "classes": classes}
        with pytest.raises(UserError, match="ids go from `value` up to `last`"):
            run_ingest("read", source="folder", root="own", folder=folder)
