"""No painter: the entry of recipes that make no images, such as the real-only baseline."""

from data.stage.params import Params


class Config(Params):
    """Nothing to set."""


def build(*, num_classes: int, size: tuple[int, int]) -> None:
    """Return None: there is nothing to train and nothing to paint with."""
