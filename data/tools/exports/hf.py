"""Hugging Face: the shards as they are, and a README.md whose header says how to load them."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from data.pairs.schema import COLUMNS
from data.pairs.shards import MANIFEST, ShardWriter
from data.stage.outputs import write_json
from data.stage.progress import Advance
from data.tools.exports.union import Union

# What the Hub calls our splits.
NAMES = {"train": "train", "val": "validation", "test": "test"}

_CARD = """\
`data/SPLIT/*.parquet` are the shards of the pair sets byte for byte (with `--void ignore` they are
written anew), each split with a `manifest.json`. Nothing but `datasets` is needed to read them:

    from datasets import load_dataset
    pairs = load_dataset("THIS_FOLDER", split="{split}")
    pairs[0]["image"], pairs[0]["label"]        # PIL images; the label holds class ids

`id2label.json` and `label2id.json` name the {num} classes as `transformers` takes them, for example
`AutoModelForSemanticSegmentation.from_pretrained(..., id2label=..., label2id=...)`; 255, where it
occurs, is ignored by its models, and `do_reduce_labels` stays false.

`palette` is the share of each class in the label, `target` the palette that a generator was asked
for, `source` is `real` or the name of a set, `group` the video, city or scene of a real pair.
`parent` is the real pair whose layout a synthetic one starts from, `edited` are the pixels of what
was edited (outside them the label is the parent's), `style` is the real pair whose look was
painted, `donors` are those that parts were taken from; `sha256` is that of the image's and label's
bytes.
`python -m data.tools.verify data/SPLIT` of scene-palette checks all of it."""


def check(splits: Mapping[str, Union]) -> None:
    """Accept every set: it is copied, or several are gathered."""


def write(splits: Mapping[str, Union], out: Path, advance: Advance) -> str:
    """Copy shards and manifests under `out`; return the card's words on them."""
    for split, pairs in splits.items():
        folder = out / "data" / split
        folder.mkdir(parents=True)
        first, *others = pairs.sets
        if not others:
            for shard in first.shards:
                shutil.copyfile(shard, folder / shard.name)
            shutil.copyfile(first.path / MANIFEST, folder / MANIFEST)
            advance(len(first))
            continue
        with ShardWriter(
            folder,
            classes=pairs.classes,
            size=pairs.size,
            fingerprint=pairs.fingerprint,
            starts_from=pairs.starts_from,
        ) as writer:
            for part in pairs.sets:
                writer.add_shards_of(part)
                advance(len(part))
    names = next(iter(splits.values())).classes.names
    write_json(out / "id2label.json", {str(index): name for index, name in enumerate(names)})
    write_json(out / "label2id.json", {name: index for index, name in enumerate(names)})
    return _CARD.format(split=NAMES[next(iter(splits))], num=len(names))


def header(splits: Mapping[str, Union], title: str) -> str:
    """Return the YAML header that the Hub and `datasets` read, between lines of `---`."""
    total = 0
    counts, files = "", ""
    for split, pairs in splits.items():
        size = sum(entry["bytes"] for part in pairs.sets for entry in part.manifest["shards"])
        total += size
        counts += f"  - name: {NAMES[split]}\n    num_bytes: {size}\n"
        counts += f"    num_examples: {len(pairs)}\n"
        files += f"  - split: {NAMES[split]}\n    path: data/{split}/*.parquet\n"
    return (
        f"---\npretty_name: {json.dumps(title)}\nlicense: {_licence(splits)}\n"
        f"task_categories:\n- image-segmentation\nsize_categories:\n- {_size_category(splits)}\n"
        f"configs:\n- config_name: default\n  data_files:\n{files}"
        f"dataset_info:\n{_features()}  splits:\n{counts}"
        f"  download_size: {total}\n  dataset_size: {total}\n---\n"
    )


def _features() -> str:
    lines = ["  features:\n"]
    for column in COLUMNS:
        feature = column.feature
        kind = "dtype: image" if column.picture else f"dtype: {feature.get('dtype')}"
        if feature["_type"] == "List":
            kind = f"list: {feature['feature']['dtype']}"
        lines.append(f"  - name: {column.name}\n    {kind}\n")
    return "".join(lines)


def _licence(splits: Mapping[str, Union]) -> str:
    """Return `other` where the card has the words of a licence, `unknown` where nobody knows."""
    origins = [pairs.origin.get("real", {}) for pairs in splits.values()]
    known = all("licence" in origin and origin.get("dataset") != "folder" for origin in origins)
    return "other" if known else "unknown"


def _size_category(splits: Mapping[str, Union]) -> str:
    count = sum(len(pairs) for pairs in splits.values())
    for limit, name in ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K")):
        if count < limit:
            return name
    return "100K<n<1M"
