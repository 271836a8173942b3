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


def paint_ground(scene: Scene, light: Light, shadow: NDArray, rng: Rng) -> tuple[NDArray, NDArray]:
    """Return image uint8 [H, W, 3] and label uint8 [H, W] of the empty street under its sky.

    `shadow` [H, W], 0..1, is how much of the ground's light is taken away.
    """
    camera = scene.camera
    image = np.empty((camera.height, camera.width, 3), np.uint8)
    label = np.full((camera.height, camera.width), ids.SKY, np.uint8)
    first, x, z = camera.ground()
    image[:first] = np.clip(_sky(first, camera.width, light, rng), 0, 255)
    classes = _classes(scene, x, z)
    label[first:] = classes
    road = (classes == ids.ROAD) | (classes == ids.RAIL_TRACK)
    gain = _texture(x, z, classes, rng)
    _wear(scene, x, z, road, gain, rng)
    color = _colors(rng)[classes] * gain[..., None]
    _markings(scene, x, z, road, color, rng)
    sunny = np.array(light.sun) * max(0.0, light.direction[1]) + light.ambient
    air = np.exp(-light.haze * z[:, :1], dtype=np.float32)
    lit = air * (1 - shadow[first:])
    color *= lit[..., None] * sunny.astype(np.float32)
    color += (1 - air)[..., None] * np.array(light.sky_low, np.float32)
    np.clip(color, 0, 255, out=color)
    image[first:] = color
    return image, label


def _colors(rng: Rng) -> NDArray:
    table = np.zeros((64, 3), np.float32)
    table[ids.ROAD] = vary(rng, pick(rng, _ASPHALT), 0.15)
    table[ids.PARKING] = table[ids.ROAD] * rng.uniform(0.85, 1.2)
    table[ids.SIDEWALK] = vary(rng, pick(rng, _PAVING), 0.15)
    table[ids.GROUND] = vary(rng, pick(rng, _PAVING), 0.2)
    table[ids.TERRAIN] = vary(rng, pick(rng, _GRASS), 0.15)
    table[ids.RAIL_TRACK] = table[ids.ROAD] * 0.9
    return table


def _sky(rows: int, width: int, light: Light, rng: Rng) -> NDArray:
    t = np.linspace(0, 1, max(rows, 1), dtype=np.float32)[:rows, None, None] ** 1.3
    top, low = (np.array(color, np.float32) for color in (light.sky_top, light.sky_low))
    sky = top * (1 - t) + low * t
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
    row, column = rng.integers(0, SIDE, 2).tolist()
    out = np.ones(x.shape, np.float32)
    near = np.minimum(1, 12 / z[:, :1])
    for scale, per_metre, amount in ((1, 9, 0.025), (5, 2, 0.05), (24, 2, 0.06)):
        # One row of the image is one depth, so only the columns differ within it.
        rows = ((z[:, :1] * per_metre).astype(np.int32) + row) & (SIDE - 1)
        columns = ((x * per_metre).astype(np.int32) + column) & (SIDE - 1)
        out += (amount * (near if scale < 20 else 1)) * noise(scale)[rows, columns]
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
    strength = (worn * fade * mark)[mark][:, None]
    color[mark] += (paint - color[mark]) * strength
    if scene.rails and len(scene.lanes) > 1:
        middle = scene.lanes[-1][0]
        for offset in (-0.72, 0.72):
            color[(np.abs(x - middle - offset) < half) & road] = (60, 58, 60)


def _wear(scene: Scene, x: NDArray, z: NDArray, road: NDArray, gain: NDArray, rng: Rng) -> None:
    for center, _ in scene.lanes:
        tracks = np.abs(np.abs(x - center) - 0.8) < 0.3
        gain[tracks & road] *= rng.uniform(0.9, 1.0)
    for edge in scene.road:
        away = np.abs(x - edge)
        curb = (away < 0.13) & ~road
        if scene.cross is not None:
            curb &= (z < scene.cross[0]) | (z > scene.cross[1])
        gain[curb] *= 1.18
        gain[(away < 0.35) & road] *= 0.86
    for _ in range(int(rng.integers(0, 4))):
        px, pz = rng.uniform(scene.road[0], scene.road[1]), rng.uniform(4, 30)
        patch = (np.abs(x - px) < rng.uniform(0.3, 1.6)) & (np.abs(z - pz) < rng.uniform(0.5, 4))
        gain[patch & road] *= rng.uniform(0.75, 1.15)
