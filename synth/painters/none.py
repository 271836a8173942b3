"""No painter: the entry of what makes no images."""

from data.stage.params import Params
from synth.painters.common.entry import Entry


class Config(Params):
    """Section `painters.none` of `params.yaml`: empty."""


ENTRY = Entry(Config)
