"""Houses, blocks of flats, walls, fences, bridges and what closes the view far away."""

from collections.abc import Sequence
from math import hypot

import numpy as np
from numpy.typing import NDArray

from data.sources.streets import ids
from data.sources.streets.camera import Point
from data.sources.streets.canvas import Canvas, box, normal_of, rect
from data.sources.streets.light import Color, Rng, pick, vary

_WALLS: dict[Color, float] = {
    (196, 182, 158): 0.2,
    (172, 168, 162): 0.2,
    (214, 206, 190): 0.15,
    (148, 92, 74): 0.12,
    (122, 104, 92): 0.1,
    (190, 150, 100): 0.08,
    (134, 140, 150): 0.08,
    (184, 160, 150): 0.07,
    (96, 98, 104): 0.06,
    (170, 182, 172): 0.04,
}
_ROOFS: dict[Color, float] = {(140, 74, 56): 0.45, (84, 80, 82): 0.4, (110, 92, 80): 0.15}
_SHOPS: dict[Color, float] = {
    (150, 40, 40): 1,
    (40, 70, 120): 1,
    (40, 90, 60): 1,
    (190, 150, 50): 1,
    (60, 60, 64): 2,
}


def _windows(
    rng: Rng, floors: int, bays: int, dark: Color, lit: float
) -> tuple[NDArray, list[Color]]:
    """Return the window rectangles [N, 4] of a facade and their colours."""
    wide, tall = rng.uniform(0.35, 0.7), rng.uniform(0.45, 0.65)
    columns = (np.arange(bays) + 0.5) / bays
    rows = (np.arange(floors) + 0.55) / floors
    column, row = (grid.ravel() for grid in np.meshgrid(columns, rows))
    half, rise = wide / bays / 2, tall / floors / 2
    rects = np.stack((column - half, column + half, row - rise, row + rise), 1)
    glow = (235.0, 205.0, 140.0)
    sheen: Color = (dark[0] * 1.7 + 12, dark[1] * 1.7 + 14, dark[2] * 1.7 + 18)
    marks = rng.random(len(rects)).tolist()
    return rects, [glow if m < lit else sheen if m > 0.75 else dark for m in marks]


def _facade(
    canvas: Canvas,
    rng: Rng,
    face: Sequence[Point],
    normal: Point,
    wall: Color,
    floors: int,
    windows: tuple[Color, float, float],
    shop: Color | None,
) -> None:
    dark, lit, spacing = windows
    length = hypot(face[1][0] - face[0][0], face[1][2] - face[0][2])
    bays = max(1, round(length / spacing))
    near, far = (limit(corner[2] for corner in face) for limit in (min, max))
    pixels = canvas.camera.focal * face[2][1] / floors / max(near, 1)
    if pixels < 3 or bays * floors > 160:
        return
    ledge: Color = (wall[0] * 0.82, wall[1] * 0.82, wall[2] * 0.82)
    if rng.random() < 0.5 and far < 60:
        edges = [(0.0, 1.0, (i - 0.04) / floors, i / floors) for i in range(1, floors + 1)]
        canvas.details(face, edges, [ledge] * floors, normal)
    rects, colors = _windows(rng, floors, bays, dark, lit)
    if shop is not None:
        keep = rects[:, 2] > 1 / floors
        rects, colors = rects[keep], [c for c, k in zip(colors, keep.tolist(), strict=True) if k]
        canvas.details(face, [(0.0, 1.0, 0.72 / floors, 0.95 / floors)], [shop], normal)
        fronts = [
            ((i + 0.1) / bays, (i + 0.9) / bays, 0.05 / floors, 0.68 / floors) for i in range(bays)
        ]
        glass = dark if lit < 0.2 else (220.0, 195.0, 150.0)
        canvas.details(face, fronts, [glass] * bays, normal)
    if len(rects):
        canvas.details(face, rects, colors, normal)
    if shop is None:
        door = (int(rng.integers(bays)) + 0.3) / bays
        rects = [(door, door + 0.35 / bays, 0.0, 0.72 / floors)]
        canvas.details(face, rects, [vary(rng, (84, 62, 50), 0.3)], normal)


def building(
    canvas: Canvas,
    rng: Rng,
    *,
    side: int,
    line: float,
    near: float,
    far: float,
    floors: int,
    pitched: bool,
) -> None:
    """Draw a building whose street side stands at x = line, on the left (-1) or right (1)."""
    depth = rng.uniform(8, 14)
    storey = rng.uniform(2.8, 3.6)
    height = floors * storey + rng.uniform(0.2, 1.2)
    wall = vary(rng, pick(rng, _WALLS), 0.18)
    corners = box(line + side * depth / 2, (near + far) / 2, (depth, height, far - near))
    seen = canvas.solid(corners, wall, ids.BUILDING)
    if pitched:
        _roof(canvas, corners, height, side, vary(rng, pick(rng, _ROOFS), 0.2), wall)
    lit = 0.35 if canvas.light.time == "dusk" else 0.02
    dark: Color = pick(rng, {(52, 58, 66): 3, (74, 84, 96): 2, (38, 38, 42): 1, (104, 120, 134): 1})
    spacing = rng.uniform(1.9, 3.6)
    shop = pick(rng, _SHOPS) if floors > 2 and rng.random() < 0.5 else None
    for name, (face, normal) in seen.items():
        if name == "top":
            continue
        if name == "rear" and rng.random() < 0.35:
            continue
        _facade(canvas, rng, face, normal, wall, floors, (dark, lit, spacing), shop)


def _roof(
    canvas: Canvas, corners: Sequence[Point], height: float, side: int, roof: Color, wall: Color
) -> None:
    across, along = [corner[0] for corner in corners], [corner[2] for corner in corners]
    left, right, near, far = min(across), max(across), min(along), max(along)
    street, back = (right, left) if side < 0 else (left, right)
    middle, ridge = (left + right) / 2, height + 0.28 * (right - left)
    gable = ((street, height, near), (back, height, near), (middle, ridge, near))
    slope = (
        (street, height, near),
        (street, height, far),
        (middle, ridge, far),
        (middle, ridge, near),
    )
    x, y, z = normal_of(slope)
    canvas.face(slope, roof, ids.BUILDING, (-side * abs(x), abs(y), z))
    canvas.face(gable, wall, ids.BUILDING, (0.0, 0.0, -1.0))


def wall(
    canvas: Canvas, rng: Rng, *, side: int, line: float, near: float, far: float, height: float
) -> None:
    """Draw a free-standing wall along the street."""
    color = vary(rng, pick(rng, _WALLS), 0.2)
    corners = box(line + side * 0.15, (near + far) / 2, (0.3, height, far - near))
    seen = canvas.solid(corners, color, ids.WALL)
    for name, (face, normal) in seen.items():
        if name in ("left", "right"):
            cap: Color = (color[0] * 0.75, color[1] * 0.75, color[2] * 0.75)
            canvas.details(face, [(0.0, 1.0, 0.88, 1.0)], [cap], normal)


def fence(
    canvas: Canvas, rng: Rng, *, side: int, line: float, near: float, far: float, rail: bool
) -> None:
    """Draw a fence, or a guard rail, along the street; its label is a filled strip."""
    height = 0.8 if rail else rng.uniform(0.9, 2.0)
    class_id = ids.GUARD_RAIL if rail else ids.FENCE
    base: Color = (
        (150, 154, 158)
        if rail
        else pick(rng, {(96, 74, 56): 2, (70, 76, 72): 2, (176, 176, 170): 1})
    )
    color = vary(rng, base, 0.2)
    corners = [(line, 0.0, near), (line, 0.0, far), (line, height, far), (line, height, near)]
    normal = (-float(side), 0.0, 0.0)
    behind: Color = (color[0] * 0.55 + 20, color[1] * 0.55 + 26, color[2] * 0.55 + 16)
    canvas.face(corners, behind, class_id, normal)
    if rail:
        rects = [(0.0, 1.0, 0.45, 0.95)]
    else:
        count = min(40, max(2, int((far - near) / 0.45)))
        start = np.arange(count) / count
        rects = np.stack((start, start + 0.5 / count, np.zeros(count), np.ones(count)), 1)
        rects = np.concatenate((rects, [(0.0, 1.0, 0.8, 0.9)]))
    canvas.details(corners, rects, [color] * len(rects), normal)


def bridge(canvas: Canvas, rng: Rng, z: float) -> None:
    """Draw a bridge that crosses the street."""
    color = vary(rng, (140, 136, 130), 0.2)
    deck = box(0.0, z, (160.0, rng.uniform(1.2, 2.2), 7.0), base=rng.uniform(4.8, 6.5))
    canvas.solid(deck, color, ids.BRIDGE)


def skyline(canvas: Canvas, rng: Rng, z: float, class_id: int) -> None:
    """Draw a far row of roofs or tree tops across the whole view."""
    camera = canvas.camera
    half = 1.2 * camera.width * z / camera.focal
    shift = -camera.bend * z * z
    count = int(rng.integers(10, 26))
    edges = np.sort(rng.uniform(-half, half, count))
    if class_id == ids.BUILDING:
        tops = rng.uniform(5, 22) + rng.uniform(-4, 6, count)
        for left, right, top in zip(edges[:-1], edges[1:], tops[1:], strict=True):
            color = vary(rng, pick(rng, _WALLS), 0.2)
            canvas.flat(shift, z, rect(left - 0.5, right + 0.5, -3, max(4, top)), color, class_id)
        return
    base, tops = rng.uniform(4, 13), rng.uniform(-2.0, 3.0, 40)
    x = np.linspace(-half, half, 40)
    outline = np.stack((x, np.maximum(2.5, base + tops)), 1)
    ends = [(half, -3.0), (-half, -3.0)]
    color = vary(rng, pick(rng, {(70, 92, 52): 3, (92, 100, 60): 1, (56, 70, 48): 2}), 0.2)
    canvas.flat(shift, z, outline.tolist() + ends, color, class_id)
