"""No painter: the entry of what makes no images."""

from data.stage.params import Params


class Config(Params):
    """Nothing to set."""


def build(*, num_classes: int, size: tuple[int, int]) -> None:
    """Return None: there is nothing to train and nothing to paint with."""
