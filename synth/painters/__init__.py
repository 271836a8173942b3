"""Painters: layout -> image, one file per published method; `none` paints nothing."""

from synth.painters import none, oasis, spade

PAINTERS = {"none": none, "spade": spade, "oasis": oasis}
