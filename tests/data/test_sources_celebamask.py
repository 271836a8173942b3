"""CelebAMask-HQ: order of the parts, left and right, sizes, and CelebA's split."""

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from data.pairs.shards import PairSet
from data.sources import celebamask as source
from data.sources.files import RawPair
from data.stage.errors import UserError

CONFIG = source.Config()
ORDER = (
    "null skin nose eye_g l_eye r_eye l_brow r_brow l_ear r_ear mouth u_lip l_lip hair hat ear_r "
    "neck_l neck cloth"
)


def faces(root, config=CONFIG, splits=("train", "val", "test")):
    return {split: [p.id for p in source.find(root, [split], config)] for split in splits}


def test_the_table_has_the_published_order() -> None:
    table = source.class_table(CONFIG)
    assert table.names == tuple(ORDER.split())
    assert table.eval_ids == tuple(range(1, 19)), "all but null count"
    assert table.classes[13].color == (0, 0, 204)


def test_left_and_right_swap_and_upper_and_lower_do_not(celebamask, run_ingest) -> None:
    out = run_ingest(source="celebamask", root=celebamask)
    mirrored = PairSet(out / "train").classes.mirrored
    swapped = {i: j for i, j in enumerate(mirrored) if i != j}
    assert swapped == {4: 5, 5: 4, 6: 7, 7: 6, 8: 9, 9: 8}


def test_later_parts_overwrite_earlier_ones(celebamask) -> None:
    pair = source.find(celebamask, ["train"], CONFIG)[0]
    label = source.read_label(pair, CONFIG)[::2, ::2]
    assert label[3, 10] == 13 and label[7, 10] == 13, "hair lies over skin"
    assert label[14, 15] == 2 and label[11, 9] == 4 and label[11, 21] == 5
    assert label[20, 15] == 11 and label[21, 15] == 12
    assert label[28, 15] == 17 and label[31, 15] == 18, "cloth lies over neck"
    assert label[27, 15] == 17, "neck lies over skin"
    assert label[0, 0] == 0 and label[24, 10] == 1


def test_parts_are_painted_in_order_whatever_the_file_system_says(celebamask) -> None:
    pair = source.find(celebamask, ["train"], CONFIG)[0]
    painted = [path.stem.partition("_")[2] for path in pair.parts]
    assert painted == [name for name in ORDER.split() if name in painted] and len(painted) == 9


def test_the_label_is_as_large_as_the_image(celebamask, files) -> None:
    pair = source.find(celebamask, ["train"], CONFIG)[0]
    label = source.read_label(pair, CONFIG)
    assert label.shape == (64, 64)
    assert (label.reshape(32, 2, 32, 2) == label[::2, None, ::2, None]).all()
    files.save(pair.image, files.picture(1, (32, 32)))  # images that somebody made smaller
    assert source.read_label(pair, CONFIG).shape == (32, 32)


def test_an_image_that_is_not_a_multiple_of_its_masks(celebamask, files, run_ingest) -> None:
    for shape, found in (((48, 48), "48x48"), ((64, 96), "96x64"), ((16, 16), "16x16")):
        files.save(celebamask / "CelebA-HQ-img" / "1.jpg", files.picture(1, shape))
        with pytest.raises(UserError, match=rf"1\.jpg is {found}, its label .*00001_.* is 32x32"):
            run_ingest(source="celebamask", root=celebamask)


def test_resizing_the_larger_label_gives_what_resizing_the_mask_would(
    celebamask, run_ingest
) -> None:
    out = run_ingest(source="celebamask", root=celebamask, height=32, width=32)
    pair = source.find(celebamask, ["train"], CONFIG)[0]
    assert (PairSet(out / "train")[0].label == source.read_label(pair, CONFIG)[::2, ::2]).all()


def test_merged_maps_are_read_as_they_are(celebamask, files, run_ingest) -> None:
    config = source.Config(merged="CelebAMask-HQ-mask")
    for index, pair in enumerate(source.find(celebamask, ["train", "val", "test"], CONFIG)):
        label = source.read_label(pair, CONFIG)[::2, ::2]
        # 8 bits as the published script writes them; Semantic Palette's 32 are 16 in a PNG.
        kind = np.uint8 if index % 2 else np.uint16
        path = celebamask / "CelebAMask-HQ-mask" / f"{int(pair.id)}.png"
        files.save(path, label.astype(kind))
    parts = run_ingest("parts", source="celebamask", root=celebamask)
    merged = run_ingest(
        "merged", source="celebamask", root=celebamask, celebamask=config.model_dump()
    )
    for split in ("train", "val"):
        one, two = PairSet(parts / split), PairSet(merged / split)
        assert one.ids() == two.ids()
        for first, second in zip(one.pairs(), two.pairs(), strict=True):
            assert (first.label == second.label).all()


def test_merged_maps_of_other_ids_are_refused(celebamask, files) -> None:
    image = celebamask / "CelebA-HQ-img" / "0.jpg"
    files.save(celebamask / "m.png", files.labels(0, [0, 18, 19], (32, 32)))
    with pytest.raises(UserError, match=r"m\.png has label values .*19 \(.*merged CelebAMask-HQ"):
        source.read_label(RawPair("m", "train", image, celebamask / "m.png"), CONFIG)
    files.save(celebamask / "m.png", files.labels(0, [0, 18, 255], (32, 32)))
    label = source.read_label(RawPair("m", "train", image, celebamask / "m.png"), CONFIG)
    assert set(np.unique(label)) == {0, 18}


def test_the_official_split_goes_by_the_file_name(celebamask) -> None:
    # 162771.jpg is the first of val though its orig_idx is 162770, the last of train.
    expected = {"train": ["00000", "00001", "02001"], "val": ["00002", "01999"], "test": ["02000"]}
    assert faces(celebamask) == expected
    mapping = celebamask / "CelebA-HQ-to-CelebA-mapping.txt"
    mapping.write_text("".join(mapping.read_text().splitlines(keepends=True)[1:]))
    assert faces(celebamask) == expected, "some copies have no header"


def test_a_mapping_that_is_missing_short_or_spoilt(celebamask) -> None:
    mapping = celebamask / "CelebA-HQ-to-CelebA-mapping.txt"
    text = mapping.read_text()
    mapping.write_text(text.replace("2001 ", "2002 "))
    with pytest.raises(UserError, match=r"mapping\.txt has no line for face 2001"):
        faces(celebamask)
    mapping.write_text(text + "what\n")
    with pytest.raises(UserError, match=r"has a line 'what'; lines are idx orig_idx orig_file"):
        faces(celebamask)
    mapping.unlink()
    with pytest.raises(UserError, match=r"mapping\.txt is missing; .*celebamask\.split to share"):
        faces(celebamask)


def test_shares_need_no_mapping(celebamask) -> None:
    (celebamask / "CelebA-HQ-to-CelebA-mapping.txt").unlink()
    config = source.Config(split="share", share={"train": 0.5, "val": 0.5})
    drawn = faces(celebamask, config)
    assert len(drawn["train"]) == len(drawn["val"]) == 3 and not drawn["test"]
    assert not set(drawn["train"]) & set(drawn["val"])
    assert faces(celebamask, config) == drawn
    others = [source.Config(split="share", share=config.share, seed=seed) for seed in range(1, 5)]
    assert any(faces(celebamask, other) != drawn for other in others)
    with pytest.raises(
        ValidationError, match=r"of each split must be above 0, and all together at most 1"
    ):
        source.Config(split="share", share={"train": 0.9, "val": 0.3})


def test_files_that_do_not_belong_are_named(celebamask, files) -> None:
    anno = celebamask / "CelebAMask-HQ-mask-anno"
    mask = np.zeros((32, 32), np.uint8)
    files.save(anno / "0" / "00000_beard.png", mask)
    with pytest.raises(
        UserError, match=r"00000_beard\.png is not the mask of a part; parts: skin,"
    ):
        faces(celebamask)
    (anno / "0" / "00000_beard.png").unlink()
    files.save(anno / "1" / "00000_skin.png", mask)
    with pytest.raises(UserError, match=r"00000_skin\.png .* are the same part twice"):
        faces(celebamask)
    (anno / "1" / "00000_skin.png").unlink()
    files.save(celebamask / "CelebA-HQ-img" / "0007.jpg", files.picture(5))
    files.save(celebamask / "CelebA-HQ-img" / "7.jpg", files.picture(6))
    with pytest.raises(UserError, match=r"0007\.jpg and .*/7\.jpg are the same face twice"):
        faces(celebamask)
    (celebamask / "CelebA-HQ-img" / "7.jpg").unlink()
    files.save(celebamask / "CelebA-HQ-img" / "me.jpg", files.picture(5))
    with pytest.raises(UserError, match=r"me\.jpg is not named by the number of a face"):
        faces(celebamask)


def test_a_face_without_masks_and_masks_without_a_face(celebamask) -> None:
    (celebamask / "CelebA-HQ-img" / "2000.jpg").unlink()
    with pytest.raises(UserError, match=r"02000_.*\.png has no image of stem '02000'"):
        faces(celebamask)
    for path in celebamask.rglob("02000_*"):
        path.unlink()
    for path in celebamask.rglob("02001_*"):
        path.unlink()
    with pytest.raises(UserError, match=r"2001\.jpg has no label '02001' in .*K/NNNNN_PART\.png"):
        faces(celebamask)


def test_masks_of_two_sizes(celebamask, files) -> None:
    pair = source.find(celebamask, ["train"], CONFIG)[0]
    files.save(pair.parts[3], np.zeros((8, 8), np.uint8))
    with pytest.raises(UserError, match=r"differ in size; masks of a face have one size"):
        source.read_label(pair, CONFIG)


def test_a_part_is_what_is_not_black_whatever_its_palette(celebamask, files) -> None:
    pair = source.find(celebamask, ["train"], source.Config())[0]
    before = source.read_label(pair, source.Config())
    for path in pair.parts:
        mask = np.asarray(Image.open(path).convert("L"))
        picture = Image.fromarray((mask == 0).astype(np.uint8))
        picture.putpalette([255, 255, 255, 0, 0, 0])
        picture.save(path)
    assert (source.read_label(pair, source.Config()) == before).all() and before.any()
