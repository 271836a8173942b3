"""MMSegmentation: img_dir/ and ann_dir/ by split, and a config that loads them."""

from collections.abc import Container, Mapping
from pathlib import Path

from data.pairs.classes import ClassTable
from data.pairs.shards import PairSet
from data.stage.outputs import write_text
from data.stage.progress import Advance
from data.tools.exports.files import TABLE, encoded, write_table
from data.tools.exports.names import safe_names

CONFIG = "dataset.py"

_CARD = """\
`img_dir/SPLIT/NAME.png` are the images, `ann_dir/SPLIT/NAME.png` the labels: 8-bit class ids in the
order of the table above. 255, where it occurs, is ignored, as MMSegmentation does by default.
`dataset.py` is a config of MMSegmentation and finds this folder by itself. A config that trains on
it, CONFIGS being the folder `configs` of MMSegmentation:

    _base_ = [
        "CONFIGS/_base_/models/segformer_mit-b0.py",
        "THIS_FOLDER/dataset.py",
        "CONFIGS/_base_/default_runtime.py",
        "CONFIGS/_base_/schedules/schedule_40k.py",
    ]
    model = dict(
        data_preprocessor=dict(size={{{{_base_.crop_size}}}}),
        decode_head=dict(num_classes={{{{_base_.num_classes}}}}),
    )
{without}
`IoUMetric` averages over all classes; `evaluated` in `dataset.py` lists the ids of those that count
in mIoU."""

_WITHOUT = """\
    {split}_cfg = None  # there is no split to score
"""

_CONFIG = """\
# A dataset for MMSegmentation; name it in `_base_`, see README.md beside it.
dataset_type = "BaseSegDataset"
data_root = "{{{{ fileDirname }}}}"
num_classes = {num_classes}
classes = {classes}
palette = {palette}
# Ids of the classes that count in mIoU. `reduce_zero_label` stays false, as 0 is a class, and the
# only value that is ignored is 255 (`ignore_index`).
evaluated = {evaluated}
metainfo = dict(classes=classes, palette=palette)
image_size = {size}  # height, width
crop_size = {size}

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(
        type="RandomResize", scale=({width}, {height}), ratio_range=(0.5, 2.0), keep_ratio=True
    ),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5{swap}),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
"""

_LOADER = """
{name}_dataloader = dict(
    batch_size={batch_size},
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="{sampler}", shuffle={shuffle}),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        img_suffix=".png",
        seg_map_suffix=".png",
        data_prefix=dict(img_path="img_dir/{split}", seg_map_path="ann_dir/{split}"),
        pipeline={pipeline},
    ),
)
"""


def check(splits: Mapping[str, PairSet]) -> None:
    """Accept every set: ids 0..C-1 and 255 are what MMSegmentation reads."""


def write(splits: Mapping[str, PairSet], out: Path, advance: Advance) -> str:
    """Write images, labels and the config under `out`; return the card's words on them."""
    names = safe_names(pair for pairs in splits.values() for pair in pairs.ids())
    for split, pairs in splits.items():
        folders = out / "img_dir" / split, out / "ann_dir" / split
        for folder in folders:
            folder.mkdir(parents=True)
        for pair in encoded(pairs):
            for folder, content in zip(folders, (pair.image, pair.label), strict=True):
                (folder / f"{names[pair.id]}.png").write_bytes(content)
            advance()
    write_table(out, splits, names)
    first = next(iter(splits.values()))
    write_text(out / CONFIG, _config(first.classes, first.size, tuple(splits)))
    absent = [role for role, split in _roles(splits).items() if split not in splits]
    without = "".join(_WITHOUT.format(split=role) for role in absent)
    return _CARD.format(without=without) + "\n\n" + TABLE


def _config(classes: ClassTable, size: tuple[int, int], splits: tuple[str, ...]) -> str:
    swapped = [(a, b) for a, b in enumerate(classes.mirrored) if a < b]
    content = _CONFIG.format(
        num_classes=classes.num_classes,
        # ascii: `Config` reads the file in the encoding of the machine
        classes=ascii(classes.names),
        palette=[list(entry.color) for entry in classes.classes],
        evaluated=list(classes.eval_ids),
        size=size,
        height=size[0],
        width=size[1],
        swap=f", swap_seg_labels={swapped}" if swapped else "",
    )
    for role, split in _roles(splits).items():
        if split not in splits:
            continue
        is_train = role == "train"
        content += _LOADER.format(
            name=role,
            split=split,
            batch_size=4 if is_train else 1,
            sampler="InfiniteSampler" if is_train else "DefaultSampler",
            shuffle=is_train,
            pipeline="train_pipeline" if is_train else "test_pipeline",
        )
        if not is_train:
            content += f'{role}_evaluator = dict(type="IoUMetric", iou_metrics=["mIoU"])\n'
    return content


def _roles(splits: Container[str]) -> dict[str, str]:
    """Return the split of each of MMSegmentation's loops: without a test split, val is tested."""
    return {"train": "train", "val": "val", "test": "test" if "test" in splits else "val"}
