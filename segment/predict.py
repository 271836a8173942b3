"""Label images with a trained segmenter."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from data.stage.errors import UserError
from segment import opencv

WEIGHTS = "model.safetensors"
METADATA = "scene_palette"


def load(cell: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return the segmenter of a cell: uint8 images `[B, H, W, 3]` -> uint8 labels `[B, H, W]`.

    Batch and progress are the caller's; memory grows with B times the number of classes.
    """
    model = _model(cell)
    from segment import mm

    return lambda images: mm.label_images(model, images)


def load_sure(cell: Path) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a segmenter that also says how sure it is: images as `load` takes them -> labels, and
    the posteriors float32 `[B, H, W]` of what it says, in [0, 1].
    """
    model = _model(cell)
    from segment import mm

    def label(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = mm.label_images(model, images)
        return found, mm.posteriors(model, images, found)

    return label


def _model(cell: Path) -> Any:
    file = cell / WEIGHTS
    if not file.is_file():
        raise UserError(f"{file} is missing: no segmenter was trained there; run its segment stage")
    opencv.check()
    from segment import mm

    with safe_open(file, "pt") as weights:
        about = json.loads(weights.metadata()[METADATA])
        model = mm.build_model(about["model"])
        model.load_state_dict({name: weights.get_tensor(name) for name in weights.keys()})  # noqa: SIM118
    return model.eval()
