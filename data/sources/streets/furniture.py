"""Trees and hedges, poles, signs, traffic lights, and the things left on pavements."""

import numpy as np

from data.sources.streets import ids
from data.sources.streets.canvas import Canvas, box, rect
from data.sources.streets.light import Color, Rng, pick, vary

_LEAVES: dict[Color, float] = {
    (70, 98, 48): 0.35,
    (54, 80, 46): 0.25,
    (96, 112, 54): 0.2,
    (120, 104, 52): 0.08,
    (60, 72, 44): 0.12,
}
_METAL: dict[Color, float] = {
    (112, 114, 116): 3,
    (80, 84, 86): 2,
    (150, 150, 148): 1,
    (92, 72, 52): 1,
}
_SIGNS: dict[str, float] = {"blue": 2, "red": 2, "triangle": 1, "yellow": 1, "board": 1.2}


def _blobs(rng: Rng, count: int, radii: np.ndarray, corners: int) -> np.ndarray:
    """Return irregular rounds [count, corners, 2] about 0; `radii` is [count, 2] or [2]."""
    angle = np.arange(corners) * (2 * np.pi / corners) + rng.random((count, 1))
    radius = rng.uniform(0.72, 1.18, (count, corners))
    circle = np.stack((np.cos(angle), np.sin(angle)), -1)
    return circle * radius[..., None] * np.asarray(radii).reshape(-1, 1, 2)


def tree(canvas: Canvas, rng: Rng, *, x: float, z: float, height: float) -> None:
    """Draw a tree: a trunk and a crown of irregular clumps, lit from the sun's side."""
    leaf = vary(rng, pick(rng, _LEAVES), 0.25)
    clear = height * rng.uniform(0.25, 0.42)
    trunk = rng.uniform(0.12, 0.25) * height / 8
    bark = vary(rng, (84, 70, 58), 0.3)
    stem = ((-trunk, 0), (trunk, 0), (trunk * 0.6, height * 0.6), (-trunk * 0.6, height * 0.6))
    canvas.flat(x, z, stem, bark, ids.VEGETATION)
    slim = rng.uniform(0.28, 0.5) * (0.5 if rng.random() < 0.15 else 1.0)
    radii = np.array((height * slim, (height - clear) / 2))
    middle = np.array((0.0, clear + radii[1]))
    if rng.random() < 0.06:  # bare of leaves
        leaf, radii = (bark[0] * 1.2, bark[1] * 1.2, bark[2] * 1.2), radii * (0.6, 0.9)
    crown = middle + _blobs(rng, 1, radii * (0.85, 0.9), 14)
    canvas.flats(x, z, crown, [leaf], ids.VEGETATION)
    count = int(min(14, max(4, 60 / z)))
    spots = rng.uniform(-0.75, 0.75, (count, 2)) * radii
    toward = spots @ canvas.light.direction[:2] / radii.sum()
    gains = 1 + 0.9 * toward + rng.uniform(-0.18, 0.12, count)
    shades = [(leaf[0] * g, leaf[1] * g, leaf[2] * g) for g in gains.tolist()]
    clumps = _blobs(rng, count, radii * rng.uniform(0.2, 0.45, (count, 1)), 9)
    canvas.flats(x, z, middle + spots[:, None] + clumps, shades, ids.VEGETATION)


def hedge(canvas: Canvas, rng: Rng, *, side: int, line: float, near: float, far: float) -> None:
    """Draw a hedge along the street."""
    height, color = rng.uniform(0.7, 2.2), vary(rng, pick(rng, _LEAVES), 0.25)
    corners = box(line + side * 0.5, (near + far) / 2, (1.0, height, far - near), inset=(0.1, 0, 0))
    canvas.solid(corners, color, ids.VEGETATION)


def lamp_post(canvas: Canvas, rng: Rng, *, side: int, x: float, z: float) -> None:
    """Draw a street lamp that leans over the road."""
    height, color = rng.uniform(5, 9), vary(rng, pick(rng, _METAL), 0.2)
    canvas.flat(x, z, rect(-0.12, 0.12, 0.0, height), color, ids.POLE)
    arm = -side * rng.uniform(0.6, 2.0)
    canvas.flat(x, z, rect(min(0, arm), max(0, arm), height - 0.1, height), color, ids.POLE)
    lit = canvas.light.time == "dusk"
    head = rect(min(arm, arm * 0.6), max(arm, arm * 0.6), height - 0.22, height + 0.02)
    canvas.flat(x, z, head, (255, 220, 160) if lit else (90, 90, 92), ids.POLE, glow=lit)


def post(canvas: Canvas, rng: Rng, *, x: float, z: float, height: float) -> None:
    """Draw a bare pole."""
    half = rng.uniform(0.07, 0.14)
    color = vary(rng, pick(rng, _METAL), 0.25)
    canvas.flat(x, z, rect(-half, half, 0.0, height), color, ids.POLE)


def sign(canvas: Canvas, rng: Rng, *, x: float, z: float) -> None:
    """Draw a traffic sign on its pole."""
    kind, top = pick(rng, _SIGNS), rng.uniform(2.3, 3.2)
    canvas.flat(x, z, rect(-0.07, 0.07, 0.0, top), vary(rng, pick(rng, _METAL), 0.2), ids.POLE)
    size = rng.uniform(0.36, 0.55)
    white: Color = (226, 226, 222)
    if kind == "board":
        wide = rng.uniform(0.5, 1.2)
        color = pick(rng, {(206, 180, 60): 1, (42, 76, 140): 1, (220, 220, 214): 1})
        canvas.flat(x, z, rect(-wide, wide, top - 0.4, top + 0.4), color, ids.TRAFFIC_SIGN)
        return
    if kind == "triangle":
        shape = ((-size, top - size), (size, top - size), (0, top + size))
        canvas.flat(x, z, shape, (186, 40, 36), ids.TRAFFIC_SIGN)
        inner = [(0.55 * u, top - 0.06 + 0.55 * (v - top)) for u, v in shape]
        canvas.flat(x, z, inner, white, None)
        return
    outer: Color = {"blue": (36, 82, 160), "red": (186, 40, 36), "yellow": (220, 180, 50)}[kind]
    canvas.disc(x, z, (0.0, top), (size, size), outer, ids.TRAFFIC_SIGN)
    canvas.disc(
        x, z, (0.0, top), (size * 0.6, size * 0.6), white if kind != "blue" else outer, None
    )


def traffic_light(canvas: Canvas, rng: Rng, *, side: int, x: float, z: float) -> None:
    """Draw a traffic light at the kerb, sometimes with a second one above the road."""
    height = rng.uniform(2.6, 3.6)
    metal = vary(rng, (90, 92, 90), 0.3)
    state = int(rng.integers(3))
    heads = [(0.0, height)]
    if rng.random() < 0.35:
        reach = -side * rng.uniform(2.5, 5)
        mast = 5.6
        canvas.flat(x, z, rect(-0.12, 0.12, 0.0, mast), metal, ids.POLE)
        canvas.flat(x, z, rect(min(0, reach), max(0, reach), mast - 0.15, mast), metal, ids.POLE)
        heads.append((reach, mast + 0.3))
    else:
        canvas.flat(x, z, rect(-0.09, 0.09, 0.0, height - 0.8), metal, ids.POLE)
    lamps = ((235, 40, 30), (240, 170, 40), (60, 220, 120))
    for middle, top in heads:
        case = rect(middle - 0.24, middle + 0.24, top - 1.1, top)
        canvas.flat(x, z, case, (34, 36, 34), ids.TRAFFIC_LIGHT)
        lamp = (middle, top - 0.18 - 0.32 * state)
        canvas.disc(x, z, lamp, (0.16, 0.16), lamps[state], None, glow=True)


def litter_bin(canvas: Canvas, rng: Rng, *, x: float, z: float) -> None:
    """Draw a bin, box, bollard or hoarding: things with the label `static`."""
    width, height = rng.uniform(0.3, 1.1), rng.uniform(0.7, 1.4)
    color = vary(rng, pick(rng, {(70, 84, 70): 2, (96, 96, 98): 2, (150, 110, 50): 1}), 0.3)
    canvas.solid(box(x, z, (width, height, width)), color, ids.STATIC)


def pram(canvas: Canvas, rng: Rng, *, x: float, z: float) -> None:
    """Draw a pram, trolley or dog: things with the label `dynamic`."""
    color = vary(rng, (84, 76, 84), 0.4)
    width, height = rng.uniform(0.3, 0.7), rng.uniform(0.5, 1.0)
    canvas.flat(x, z, rect(-width / 2, width / 2, 0.25, height), color, ids.DYNAMIC)
    for foot in (-width / 2, width / 2):
        canvas.flat(x, z, rect(foot - 0.05, foot + 0.05, 0.0, 0.3), (36, 36, 38), ids.DYNAMIC)
