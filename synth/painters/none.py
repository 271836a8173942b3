"""No painter: for what makes no images, such as the real-only baseline."""

from data.stage.params import Params
from synth.painters.common.entry import Entry


class Config(Params):
    """Section `painters.none` of `params.yaml`: empty."""


ENTRY = Entry(Config)
