"""Noise that everything is textured with, made once per process from a fixed seed."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from data.sources.streets import ids
from data.sources.streets.light import Light, Rng

SIDE = 512


@cache
def noise(scale: int) -> NDArray:
    """Return a tileable [SIDE, SIDE] noise of unit deviation with features of `scale` pixels."""
    rng = np.random.default_rng([7, scale])
    tile = rng.standard_normal((SIDE, SIDE)).astype(np.float32)
    for _ in range(2 if scale > 1 else 0):
        for axis in (0, 1):
            tile = sum((np.roll(tile, shift, axis) for shift in range(1, scale)), tile)
    return tile / tile.std()


# Screen-space texture (fine, coarse) as a share of the brightness; the ground has its own texture.
_AMOUNT = {
    ids.VEGETATION: (0.13, 0.18),
    ids.TERRAIN: (0.05, 0.06),
    ids.BUILDING: (0.02, 0.05),
    ids.WALL: (0.05, 0.08),
    ids.FENCE: (0.06, 0.05),
    ids.SKY: (0.004, 0.0),
    ids.CAR: (0.015, 0.03),
    ids.EGO_VEHICLE: (0.01, 0.02),
    ids.PERSON: (0.04, 0.03),
    ids.RIDER: (0.04, 0.03),
}


@cache
def _amounts() -> NDArray:
    table = np.full((256, 2), 0.015, np.float32)
    for class_id, pair in _AMOUNT.items():
        table[class_id] = pair
    return table


def window(rng: Rng, scale: int, height: int, width: int) -> NDArray:
    """Return a random [height, width] cut of the noise of a scale."""
    tile = noise(scale)
    rows = (int(rng.integers(SIDE)) + np.arange(height)) % SIDE
    columns = (int(rng.integers(SIDE)) + np.arange(width)) % SIDE
    return tile[rows[:, None], columns[None, :]]


def develop(image: NDArray, label: NDArray, light: Light, rng: Rng) -> NDArray:
    """Return the camera's view, uint8 [H/2, W/2, 3], of a painted image uint8 [H, W, 3].

    Adds texture by class [H, W], halves the size (2 x 2 mean), and applies exposure, vignette,
    contrast, colour cast and sensor noise.
    """
    height, width = label.shape
    amount = _amounts()[label]
    gain = amount[..., 0] * window(rng, 2, height, width)
    gain += amount[..., 1] * window(rng, 5, height, width)
    gain += 1
    lit = image.astype(np.float32)
    lit *= gain[..., None]
    lit = lit.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3), dtype=np.float32)
    h, w = lit.shape[:2]
    y = np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
    vignette = 1 - np.float32(rng.uniform(0.0, 0.12)) * (x * x + y * y)
    cast = (light.exposure * (1 + rng.uniform(-0.04, 0.04, 3))).astype(np.float32)
    lit *= vignette[..., None] * cast
    contrast = np.float32(rng.uniform(0.85, 1.1))
    lit -= 110
    lit *= contrast
    lit += 110 + np.float32(rng.uniform(-8, 8))
    lit += light.noise * window(rng, 1, h, w)[..., None]
    lit[..., ::2] += 0.5 * light.noise * window(rng, 1, h, w)[..., None]
    np.clip(lit, 0, 255, out=lit)
    return lit.astype(np.uint8)
