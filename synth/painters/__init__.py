"""Painters: layout -> image, one file per published method; `none` paints nothing."""

from synth.painters import none, oasis, pix2pixhd, spade

PAINTERS = {"none": none, "spade": spade, "oasis": oasis, "pix2pixhd": pix2pixhd}
