"""Decoded pairs on disk, for sets that do not fit into memory."""

import mmap
import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from data.stage.progress import log

BYTES_PER_PIXEL = 4  # three of the image, one of the label


class DecodedFile:
    """Room for `num_pairs` decoded pairs in a file without a name, which ends with the process.

    Every pair is decoded once, by whichever process asks for it first, and read by all: the file
    is mapped into memory and shared with forked processes, its pages are the system's to drop.
    """

    def __init__(self, folder: Path, num_pairs: int, size: tuple[int, int]) -> None:
        """Reserve the room in a folder, or raise `OSError` when the disk has none."""
        height, width = size
        pixels = height * width
        length = num_pairs * pixels * BYTES_PER_PIXEL
        with tempfile.TemporaryFile(dir=folder) as file:
            # writing to a mapped page on a full disk raises SIGBUS; reserve the space first
            os.posix_fallocate(file.fileno(), 0, length)
            content = np.frombuffer(mmap.mmap(file.fileno(), length), np.uint8)
        content = content.reshape(num_pairs, BYTES_PER_PIXEL * pixels)
        self._images = content[:, : 3 * pixels].reshape(num_pairs, height, width, 3)
        self._labels = content[:, 3 * pixels :].reshape(num_pairs, height, width)
        self._ready = np.frombuffer(mmap.mmap(-1, num_pairs), np.uint8)
        # for order, not for turns: a process that sees the mark must see the pixels
        self._lock = multiprocessing.get_context("fork").Lock()

    def __contains__(self, index: int) -> bool:
        """Say whether a pair has been put."""
        with self._lock:
            return bool(self._ready[index])

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image and label of a pair that has been put; do not write into them."""
        return self._images[index], self._labels[index]

    def put(self, index: int, image: np.ndarray, label: np.ndarray) -> None:
        """Keep a pair, image uint8 `[H, W, 3]` and label uint8 `[H, W]`."""
        self._images[index], self._labels[index] = image, label
        with self._lock:
            self._ready[index] = 1


def reserve(folder: Path, num_pairs: int, size: tuple[int, int]) -> DecodedFile | None:
    """Return a file for decoded pairs, or None when it would take more than half of the free disk.

    Half, because weights and reports have to be written as well.
    """
    length = num_pairs * size[0] * size[1] * BYTES_PER_PIXEL
    try:
        if length <= shutil.disk_usage(folder).free / 2:
            return DecodedFile(folder, num_pairs, size)
    except OSError:  # a quota, or a file system that cannot reserve
        pass
    log.warning(
        f"{num_pairs} decoded pairs need {length / 2**30:.1f} GB, more than "
        f"segment.memory_limit_mb and half of the free disk at {folder}: they are decoded again "
        "at every access"
    )
    return None
