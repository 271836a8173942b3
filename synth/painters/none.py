"""No painter: pixels stay as the layouts draw them."""

from data.stage.params import Params
from synth.painters.common.entry import Entry


class Config(Params):
    """Section `painters.none` of `params.yaml`: empty."""


ENTRY = Entry(Config)
