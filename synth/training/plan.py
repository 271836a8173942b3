"""A schedule of images as a schedule of steps."""

import math

from synth.training.method import Span


class Plan:
    """A schedule in steps: which span a step belongs to and how many images came before it."""

    def __init__(self, spans: tuple[Span, ...]) -> None:
        """Round every span up to whole batches."""
        self._spans = [(s, math.ceil(s.num_images / s.batch_size)) for s in spans]
        self.num_steps = sum(steps for _, steps in self._spans)
        self.num_images = sum(s.batch_size * steps for s, steps in self._spans)

    def at(self, step: int) -> tuple[Span, int, float]:
        """Return the span of a step, the images shown before it and the fraction of the span."""
        images = 0
        for span, steps in self._spans:
            if step < steps:
                return span, images + step * span.batch_size, step / steps
            step -= steps
            images += steps * span.batch_size
        return self._spans[-1][0], images, 1.0
