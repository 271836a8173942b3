"""Sets of a small real set, and how to load them."""

import torch

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.shards import PairSet
from synth.making import sets
from synth.making.sets import Artifacts, SetParams

CLASSES = ClassTable(tuple(ClassInfo(name, (0, 0, 0)) for name in ("road", "sky", "car", "void")))
ROWS = {
    "semi": SetParams(layouts="real", painter="oasis", num_pairs=5),
    "palette": SetParams(layouts="semantic_palette", painter="oasis", num_pairs=5),
    "partial": SetParams(layouts="partial_palette", painter="oasis", num_pairs=5),
}


def load(folder, name, row=None, layout=None, painter=None):
    row = row or ROWS[name]
    where = (folder / "palette", folder / (layout or row.layouts), painter or folder / row.painter)
    real = PairSet(folder / "train")
    return sets.load(name, row, real, Artifacts(*where), device=torch.device("cpu"))


def styled(style, layouts="real"):
    return SetParams(layouts=layouts, painter="regions", num_pairs=5, style=style)
