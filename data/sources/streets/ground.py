"""Sky and ground: what every pixel of the image plane shows before anything stands on it."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from data.sources.streets import ids
from data.sources.streets.light import Light, Rng, pick, vary
from data.sources.streets.scene import Scene
from data.sources.streets.texture import SIDE, noise, window

_ASPHALT = {(92, 92, 95): 0.5, (74, 75, 80): 0.25, (118, 115, 112): 0.2, (105, 92, 86): 0.05}
_PAVING = {
    (150, 146, 140): 0.4,
    (128, 126, 126): 0.3,
    (165, 145, 130): 0.2,
    (112, 104, 100): 0.1,
}
_GRASS = {(88, 112, 58): 0.6, (122, 118, 74): 0.25, (128, 106, 80): 0.15}


def paint_ground(scene: Scene, light: Light, rng: Rng) -> tuple[NDArray, NDArray]:
    """Return image uint8 [H, W, 3] and label uint8 [H, W] of the empty street under its sky."""
    camera = scene.camera
    image = np.empty((camera.height, camera.width, 3), np.float32)
    label = np.full((camera.height, camera.width), ids.SKY, np.uint8)
    first, x, z = camera.ground()
    image[:first] = _sky(first, camera.width, light, rng)
    x, z = x.astype(np.float32), z.astype(np.float32)
    classes = _classes(scene, x, z)
    label[first:] = classes
    table = np.zeros((64, 3), np.float32)
    table[ids.ROAD] = vary(rng, pick(rng, _ASPHALT), 0.15)
    table[ids.PARKING] = table[ids.ROAD] * rng.uniform(0.85, 1.2)
    table[ids.SIDEWALK] = vary(rng, pick(rng, _PAVING), 0.15)
    table[ids.GROUND] = vary(rng, pick(rng, _PAVING), 0.2)
    table[ids.TERRAIN] = vary(rng, pick(rng, _GRASS), 0.15)
    table[ids.RAIL_TRACK] = table[ids.ROAD] * 0.9
    color = table[classes]
    road = (classes == ids.ROAD) | (classes == ids.RAIL_TRACK)
    color *= _texture(x, z, classes, rng)[..., None]
    _markings(scene, x, z, road, color, rng)
    _wear(scene, x, z, road, color, rng)
    facing = max(0.0, float(light.direction[1]))
    color *= (light.ambient + light.sun * facing).astype(np.float32)
    air = np.exp(-light.haze * z)[..., None]
    image[first:] = color * air + light.sky_low.astype(np.float32) * (1 - air)
    return np.clip(image, 0, 255).astype(np.uint8), label


def _sky(rows: int, width: int, light: Light, rng: Rng) -> NDArray:
    t = np.linspace(0, 1, max(rows, 1), dtype=np.float32)[:rows, None, None] ** 1.3
    sky = light.sky_top * (1 - t) + light.sky_low * t
    sky = np.broadcast_to(sky, (rows, width, 3)).astype(np.float32)
    clouds = window(rng, 24, rows, width) + 0.5 * window(rng, 9, rows, width)
    cover = np.clip(clouds * 0.5 + light.clouds - 0.5, 0, 1)[..., None]
    bright = {"day": 238, "overcast": 205, "dusk": 150}[light.time]
    amount = 0.35 if light.time == "overcast" else 0.8
    return sky + (bright - sky) * cover * amount


def _classes(scene: Scene, x: NDArray, z: NDArray) -> NDArray:
    left, right = scene.road
    out = np.where(x < 0, np.uint8(scene.verge[0]), np.uint8(scene.verge[1]))
    out[(x > left - scene.walk[0]) & (x < right + scene.walk[1])] = ids.SIDEWALK
    out[(x > left) & (x < right)] = ids.ROAD
    if scene.marked_bay:
        out[(x > left) & (x < left + scene.bay[0])] = ids.PARKING
        out[(x > right - scene.bay[1]) & (x < right)] = ids.PARKING
    if scene.cross is not None:
        near, far = scene.cross
        out[(z > near) & (z < far)] = ids.ROAD
    if scene.end < 100:
        beyond = z > scene.end - 3
        out[beyond] = ids.SIDEWALK
        out[(z > scene.end - 12) & ~beyond] = ids.ROAD
    if scene.rails and len(scene.lanes) > 1:
        middle = scene.lanes[-1][0]
        out[(np.abs(x - middle) < 1.2) & (out == ids.ROAD)] = ids.RAIL_TRACK
    return out


def _texture(x: NDArray, z: NDArray, classes: NDArray, rng: Rng) -> NDArray:
    offset = rng.integers(0, SIDE, 2)
    out = np.ones(x.shape, np.float32)
    for scale, per_metre, amount in ((1, 9.0, 0.05), (5, 2.0, 0.05), (24, 2.0, 0.06)):
        rows = ((z * per_metre).astype(np.int32) + offset[0]) % SIDE
        columns = ((x * per_metre).astype(np.int32) + offset[1]) % SIDE
        fade = np.minimum(1, 12 / z) if scale < 20 else 1
        out += amount * fade * noise(scale)[rows, columns]
    tiles = (classes == ids.SIDEWALK) & (z < 25)
    size = rng.uniform(0.5, 1.5)
    joints = ((x % size) < 0.07) | ((z % size) < 0.09)
    out[tiles & joints] *= 0.88
    return out


def _markings(
    scene: Scene, x: NDArray, z: NDArray, road: NDArray, color: NDArray, rng: Rng
) -> None:
    paint = np.float32(rng.uniform(165, 225)) * np.array((1, 1, 0.97), np.float32)
    worn = rng.uniform(0.45, 0.95)
    left, right = scene.road[0] + scene.bay[0], scene.road[1] - scene.bay[1]
    # Far away a line is thinner than a pixel: it keeps a width of about one, and fades.
    half = np.maximum(0.07, 0.6 * z / scene.camera.focal)
    fade = np.minimum(1, 0.07 / half + 0.15)
    mark = np.zeros(x.shape, bool)
    centers = sorted(center for center, _ in scene.lanes)
    between = [(a + b) / 2 for a, b in pairwise(centers)]
    period = rng.uniform(6, 12)
    dashed = ((z + rng.uniform(0, 10)) % period) < period * rng.uniform(0.35, 0.55)
    has_lines = rng.random() < 0.8
    for edge in between:
        solid = rng.random() < 0.25
        if has_lines:
            mark |= (np.abs(x - edge) < half) & (dashed if not solid else True)
    if rng.random() < 0.35:
        mark |= np.abs(x - left - 0.15) < half
        mark |= np.abs(x - right + 0.15) < half
    if scene.cross is not None:
        near, far = scene.cross
        mark &= (z < near - 1) | (z > far + 1)
        if rng.random() < 0.6:
            stripes = (x % 1.0) < 0.5
            for start in (near - 3.5, far + 0.8):
                mark |= (z > start) & (z < start + 2.6) & stripes
        else:
            ahead = x > min(c for c, way in scene.lanes if way > 0) - 1.6
            mark |= (z > near - 1.6) & (z < near - 1.1) & ahead
    elif rng.random() < 0.15:
        start = rng.uniform(7, 35)
        mark |= (z > start) & (z < start + 3) & ((x % 1.0) < 0.5)
    mark &= road
    strength = (worn * fade * mark)[..., None]
    color += (paint - color) * strength
    if scene.rails and len(scene.lanes) > 1:
        middle = scene.lanes[-1][0]
        for offset in (-0.72, 0.72):
            color[(np.abs(x - middle - offset) < half) & road] = (60, 58, 60)


def _wear(scene: Scene, x: NDArray, z: NDArray, road: NDArray, color: NDArray, rng: Rng) -> None:
    for center, _ in scene.lanes:
        tracks = np.abs(np.abs(x - center) - 0.8) < 0.3
        color[tracks & road] *= rng.uniform(0.9, 1.0)
    for edge in scene.road:
        curb = (np.abs(x - edge) < 0.13) & ~road
        if scene.cross is not None:
            curb &= (z < scene.cross[0]) | (z > scene.cross[1])
        color[curb] *= 1.18
        gutter = (np.abs(x - edge) < 0.35) & road
        color[gutter] *= 0.86
    for _ in range(int(rng.integers(0, 4))):
        px, pz = rng.uniform(scene.road[0], scene.road[1]), rng.uniform(4, 30)
        patch = (np.abs(x - px) < rng.uniform(0.3, 1.6)) & (np.abs(z - pz) < rng.uniform(0.5, 4))
        color[patch & road] *= rng.uniform(0.75, 1.15)
