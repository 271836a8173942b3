"""The formats that pair sets are exported to, by the name that `--to` takes."""

from types import ModuleType

from data.tools.exports import cityscapes, coco, hf, mmseg

EXPORTS: dict[str, ModuleType] = {
    "mmseg": mmseg,
    "cityscapes": cityscapes,
    "coco": coco,
    "hf": hf,
}
"""Each offers `check(splits)`, which refuses what it cannot express, and
`write(splits, out, advance)`, which writes the files and returns a section for the card."""
