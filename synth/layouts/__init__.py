"""Layout methods by name.

Each module has `Config`, `build`, `draw`, `measures`, and `FOLLOWS_PALETTE`: whether its layouts
have the palette they are asked for, so that a set may control it.
"""

from synth.layouts import (
    cgan,
    none,
    palette_recovery,
    partial_palette,
    real,
    sbgan,
    semantic_palette,
)

LAYOUTS = {
    "none": none,
    "real": real,
    "semantic_palette": semantic_palette,
    "partial_palette": partial_palette,
    "cgan": cgan,
    "palette_recovery": palette_recovery,
    "sbgan": sbgan,
}
