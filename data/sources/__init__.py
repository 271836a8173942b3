"""Datasets that `ingest` can read; one module per layout on disk."""

from types import ModuleType

from data.sources import (
    ade20k,
    camvid,
    celebamask,
    cityscapes,
    cityscapes_25k,
    coco_stuff,
    folder,
    gta5,
    idd,
)
from data.sources.annotations import source as annotations
from data.sources.streets import source as streets

SOURCES: dict[str, ModuleType] = {
    "streets": streets,
    "cityscapes": cityscapes,
    "cityscapes_25k": cityscapes_25k,
    "camvid": camvid,
    "idd": idd,
    "gta5": gta5,
    "celebamask": celebamask,
    "ade20k": ade20k,
    "coco_stuff": coco_stuff,
    "folder": folder,
    "annotations": annotations,
}
