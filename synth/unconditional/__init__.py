"""Generators of images from noise alone: no layout, so no label, so no pair and no set.

They are references: `make bench-painters` compares their images with those of painters.
"""

from synth.unconditional import biggan, progan
from synth.unconditional.entry import Entry

UNCONDITIONAL: dict[str, Entry] = {
    "progan": progan.ENTRY,
    "biggan": biggan.ENTRY,
}
