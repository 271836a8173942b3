"""Images with annotations of every format, and a way to draw their masks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.sources.annotations import source
from tests.data.annotations.writers import write_scene


@pytest.fixture
def scene(tmp_path, files) -> Callable[..., dict[str, Any]]:
    """Write some images and their annotations below own/; return the section that reads them."""

    def write(kind: str, keys: Sequence[int] = range(4)) -> dict[str, Any]:
        return write_scene(tmp_path / "own", kind, keys, files)

    return write


@pytest.fixture
def drawn(tmp_path) -> Callable[..., dict[str, np.ndarray]]:
    """Draw the masks of own/; return id -> label."""

    def run(**section: Any) -> dict[str, np.ndarray]:
        config = source.Config.model_validate(section)
        scratch = tmp_path / f"scratch{len(list(tmp_path.glob('scratch*')))}"
        scratch.mkdir()
        splits = ("train", "val")
        root = source.prepare(tmp_path / "own", splits, config, (1, 1), Path(scratch))
        pairs = source.find(root, splits, config)
        return {pair.id.split("-")[-1]: source.read_label(pair, config) for pair in pairs}

    return run
