"""Layout methods by name; each module has `Config`, `build`, `draw` and `measures`."""

from synth.layouts import none, partial_palette, real, semantic_palette

LAYOUTS = {
    "none": none,
    "real": real,
    "semantic_palette": semantic_palette,
    "partial_palette": partial_palette,
}
