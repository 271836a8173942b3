"""The pinhole camera of a street scene: street coordinates in metres to pixels and back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAR = 0.8
FAR = 400.0


@dataclass(frozen=True)
class Camera:
    """A camera that looks along a street that may bend.

    Street coordinates are (x right, y up, z along the street), in metres, with the camera above
    x = z = 0. `bend` moves what is at depth z sideways by bend * z^2.
    """

    width: int
    height: int
    focal: float
    center: float
    horizon: float
    eye: float
    bend: float

    def project(self, points: NDArray) -> NDArray:
        """Return pixels [..., 2] (column, row) of street points [..., 3] with z >= NEAR."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        scale = self.focal / z
        column = self.center + (x + self.bend * z * z) * scale
        row = self.horizon + (self.eye - y) * scale
        return np.stack((column, row), -1)

    def ground(self) -> tuple[int, NDArray, NDArray]:
        """Return the first row below the horizon and the x, z [rows, width] of the ground there."""
        first = max(0, int(np.ceil(self.horizon)))
        rows = np.arange(first, self.height) + 0.5 - self.horizon
        z = np.minimum(self.focal * self.eye / np.maximum(rows, 1e-3), FAR)[:, None]
        columns = (np.arange(self.width) + 0.5 - self.center)[None, :]
        x = columns * z / self.focal - self.bend * z * z
        return first, x, np.broadcast_to(z, x.shape)


def clip_near(points: NDArray) -> NDArray:
    """Return polygon [N, 3] cut at the near plane; empty when all of it is behind."""
    inside = points[:, 2] >= NEAR
    if inside.all():
        return points
    if not inside.any():
        return points[:0]
    kept = []
    for i in range(len(points)):
        a, b = points[i - 1], points[i]
        if inside[i - 1] != inside[i]:
            t = (NEAR - a[2]) / (b[2] - a[2])
            kept.append(a + t * (b - a))
        if inside[i]:
            kept.append(b)
    return np.array(kept)
