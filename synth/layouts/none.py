"""No layouts: nothing to draw from."""

from data.stage.params import Params
from synth.layouts.common.entry import Entry


class Config(Params):
    """Section `layouts.none` of `params.yaml`: empty."""


ENTRY = Entry(Config)
