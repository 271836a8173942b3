"""Layout methods by name."""

from synth.layouts import (
    cgan,
    none,
    palette_recovery,
    partial_palette,
    real,
    sbgan,
    semantic_palette,
)
from synth.layouts.common.entry import Entry

LAYOUTS: dict[str, Entry] = {
    "none": none.ENTRY,
    "real": real.ENTRY,
    "semantic_palette": semantic_palette.ENTRY,
    "partial_palette": partial_palette.ENTRY,
    "cgan": cgan.ENTRY,
    "palette_recovery": palette_recovery.ENTRY,
    "sbgan": sbgan.ENTRY,
}
