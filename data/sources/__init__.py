"""Datasets that `ingest` can read; one module per layout on disk."""

from types import ModuleType

from data.sources import camvid, cityscapes, folder
from data.sources.streets import source as streets

SOURCES: dict[str, ModuleType] = {
    "streets": streets,
    "cityscapes": cityscapes,
    "camvid": camvid,
    "folder": folder,
}
