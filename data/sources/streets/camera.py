"""The pinhole camera of a street scene: street coordinates in metres to pixels and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]

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

    def pixel(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Return the pixel (column, row) of one street point with z >= NEAR."""
        scale = self.focal / z
        column = self.center + (x + self.bend * z * z) * scale
        return column, self.horizon + (self.eye - y) * scale

    def ground(self) -> tuple[int, NDArray, NDArray]:
        """Return the first row below the horizon and the x, z [rows, width] of the ground there."""
        first = max(0, int(np.ceil(self.horizon)))
        rows = np.arange(first, self.height) + 0.5 - self.horizon
        z = np.minimum(self.focal * self.eye / np.maximum(rows, 1e-3), FAR)[:, None]
        columns = (np.arange(self.width) + 0.5 - self.center)[None, :]
        x = (columns * z / self.focal - self.bend * z * z).astype(np.float32)
        return first, x, np.broadcast_to(z.astype(np.float32), x.shape)


def clip_near(points: Sequence[Point]) -> Sequence[Point]:
    """Return a polygon cut at the near plane; empty when all of it is behind."""
    if all(point[2] >= NEAR for point in points):
        return points
    kept: list[Point] = []
    for (ax, ay, az), (bx, by, bz) in pairwise((points[-1], *points)):
        if (az >= NEAR) != (bz >= NEAR):
            t = (NEAR - az) / (bz - az)
            kept.append((ax + t * (bx - ax), ay + t * (by - ay), NEAR))
        if bz >= NEAR:
            kept.append((bx, by, bz))
    return kept
