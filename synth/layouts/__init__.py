"""Layout methods by name."""

from synth.layouts import (
    cgan,
    gpnn,
    palette_recovery,
    partial_palette,
    real,
    sbgan,
    semantic_palette,
    transplant,
)
from synth.layouts.common.entry import Entry

LAYOUTS: dict[str, Entry] = {
    "real": real.ENTRY,
    "semantic_palette": semantic_palette.ENTRY,
    "partial_palette": partial_palette.ENTRY,
    "transplant": transplant.ENTRY,
    "gpnn": gpnn.ENTRY,
    "cgan": cgan.ENTRY,
    "palette_recovery": palette_recovery.ENTRY,
    "sbgan": sbgan.ENTRY,
}
