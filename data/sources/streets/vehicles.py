"""Cars, trucks, buses, trams and trailers: boxes with windows, wheels and lights."""

from collections.abc import Sequence
from math import cos, hypot, sin

import numpy as np

from data.sources.streets import ids
from data.sources.streets.canvas import CIRCLE, Canvas, Face, box
from data.sources.streets.light import Color, Rng, pick, vary

_PAINTS: dict[Color, float] = {
    (34, 35, 38): 0.22,
    (212, 212, 210): 0.18,
    (150, 152, 156): 0.2,
    (88, 90, 96): 0.13,
    (48, 62, 104): 0.09,
    (142, 34, 34): 0.08,
    (66, 84, 72): 0.03,
    (170, 146, 100): 0.03,
    (196, 176, 60): 0.02,
    (90, 128, 160): 0.02,
}
_LIVERIES: dict[Color, float] = {
    (206, 206, 202): 3,
    (176, 172, 160): 2,
    (60, 84, 130): 1,
    (160, 50, 44): 1,
    (190, 150, 60): 1,
    (76, 100, 80): 1,
}
_COACHES: dict[Color, float] = {
    (206, 166, 46): 2,
    (176, 44, 40): 2,
    (218, 216, 208): 2,
    (58, 104, 168): 1,
}
_GLASS: Color = (46, 54, 62)
_TYRE: Color = (26, 26, 28)
_HUB: Color = (112, 114, 118)
_TAIL: Color = (190, 28, 24)
_HEAD: Color = (235, 232, 215)

# length, width, top of the lower body, top, and how far the cabin's top is drawn in at the rear
# and at the front; metres.
_CARS = {
    "hatchback": (3.9, 1.75, 0.85, 1.48, 0.35, 1.5),
    "saloon": (4.6, 1.8, 0.85, 1.42, 1.0, 1.6),
    "estate": (4.6, 1.8, 0.88, 1.5, 0.3, 1.6),
    "suv": (4.5, 1.9, 1.0, 1.72, 0.3, 1.4),
    "van": (5.2, 2.0, 1.15, 2.1, 0.1, 1.2),
}
_SHAPES = {"hatchback": 0.34, "saloon": 0.26, "estate": 0.18, "suv": 0.14, "van": 0.08}

Faces = dict[str, Face]


def _wheels(canvas: Canvas, seen: Faces, at: Sequence[float], radius: float, cls: int) -> None:
    """Draw wheels on the visible side, `at` metres from the rear, and tyres under the ends."""
    for name in ("left", "right"):
        if name not in seen:
            continue
        face, normal = seen[name]
        (ax, _, az), (bx, _, bz) = face[:2] if name == "right" else face[1::-1]
        length = hypot(bx - ax, bz - az)
        x, z = (bx - ax) / length, (bz - az) / length
        for distance in at:
            for size, color, class_id in ((radius, _TYRE, cls), (0.55 * radius, _HUB, None)):
                ring = [
                    (
                        ax + x * (distance + size * u),
                        radius + size * v,
                        az + z * (distance + size * u),
                    )
                    for u, v in CIRCLE
                ]
                canvas.face(ring, color, class_id, normal)
    for face, normal in _sides(seen, "rear", "front"):
        (ax, y, az), (bx, _, bz) = face[:2]
        for left in (0.06, 0.74):
            s, t = left, left + 0.2
            x0, z0 = ax + (bx - ax) * s, az + (bz - az) * s
            x1, z1 = ax + (bx - ax) * t, az + (bz - az) * t
            tyre = ((x0, 0.0, z0), (x1, 0.0, z1), (x1, y, z1), (x0, y, z0))
            canvas.face(tyre, _TYRE, cls, normal)


def _sides(seen: Faces, *names: str) -> list[Face]:
    return [seen[name] for name in names if name in seen]


def _lamps(canvas: Canvas, seen: Faces, low: float, high: float) -> None:
    for name, color in (("rear", _TAIL), ("front", _HEAD)):
        if name in seen:
            face, normal = seen[name]
            rects = ((0.03, 0.2, low, high), (0.8, 0.97, low, high))
            canvas.details(face, rects, [color, color], normal)
            canvas.details(face, [(0.34, 0.66, 0.22, 0.42)], [(196, 196, 190)], normal)


def _shadow(canvas: Canvas, x: float, z: float, size: tuple[float, float], yaw: float) -> None:
    corners = box(x, z, (size[0] + 0.3, 0.1, size[1] + 0.3), yaw=yaw)[:4]
    canvas.face(corners, (36, 36, 40), None)


def car(canvas: Canvas, rng: Rng, *, x: float, z: float, yaw: float) -> None:
    """Draw a car; yaw 0 shows its rear to a camera behind it."""
    length, width, waist, top, rear, front = _CARS[pick(rng, _SHAPES)]
    length *= rng.uniform(0.93, 1.07)
    top *= rng.uniform(0.96, 1.05)
    paint = vary(rng, pick(rng, _PAINTS), 0.25)
    _shadow(canvas, x, z, (width, length), yaw)
    body = box(x, z, (width, waist - 0.22, length), base=0.22, yaw=yaw, inset=(0.04, 0.05, 0.1))
    seen = canvas.solid(body, paint, ids.CAR)
    dark: Color = (paint[0] * 0.5, paint[1] * 0.5, paint[2] * 0.5)
    for face, normal in (seen[name] for name in seen if name != "top"):
        canvas.details(face, [(0.0, 1.0, 0.0, 0.2)], [dark], normal)
    _lamps(canvas, seen, 0.55, 0.85)
    # The bonnet is what the cabin leaves free in front; its base is moved back by half of that.
    hood = {"van": 0.5}.get("van" if top > 1.9 else "", 1.0)
    boot = 0.45 if rear > 0.8 else 0.05
    middle = (boot - hood) / 2
    cabin = box(
        x + middle * sin(yaw),
        z + middle * cos(yaw),
        (width - 0.1, top - waist, length - hood - boot),
        base=waist,
        yaw=yaw,
        inset=(0.16, rear * 0.55, front * 0.5),
    )
    glass = canvas.visible(cabin)
    for name, (face, normal) in glass.items():
        canvas.face(face, paint, ids.CAR, normal)
        if name in ("left", "right"):
            panes = ((0.08, 0.48, 0.12, 0.85), (0.53, 0.92, 0.12, 0.85))
            canvas.details(face, panes, [_GLASS, _GLASS], normal)
        elif name != "top":
            canvas.details(face, [(0.06, 0.94, 0.1, 0.88)], [_GLASS], normal)
    _wheels(canvas, seen, (length * 0.2, length * 0.8), 0.32, ids.CAR)


def truck(canvas: Canvas, rng: Rng, *, x: float, z: float, yaw: float) -> None:
    """Draw a lorry: a cab and a cargo box or a flat bed."""
    length, height = rng.uniform(6, 11), rng.uniform(2.4, 3.6)
    cargo = vary(rng, pick(rng, _LIVERIES), 0.2)
    paint = vary(rng, pick(rng, _LIVERIES), 0.2)
    cab_length, width = 2.0, 2.4
    _shadow(canvas, x, z, (width, length), yaw)

    def at(offset: float) -> tuple[float, float]:
        return x + offset * sin(yaw), z + offset * cos(yaw)

    rear = box(
        *at(-cab_length / 2 - 0.1),
        (width, height - 0.8, length - cab_length - 0.2),
        base=0.8,
        yaw=yaw,
    )
    cab = box(
        *at(length / 2 - cab_length / 2),
        (width - 0.1, min(2.2, height - 0.4), cab_length),
        base=0.5,
        yaw=yaw,
        inset=(0.05, 0, 0.2),
    )
    # Far part first: which one that is depends on where the lorry is heading.
    for part in sorted((rear, cab), key=lambda corners: -corners[0][2] - corners[2][2]):
        seen = canvas.solid(part, paint if part is cab else cargo, ids.TRUCK)
        if part is cab:
            for face, normal in _sides(seen, "left", "right", "front"):
                canvas.details(face, [(0.1, 0.9, 0.45, 0.85)], [_GLASS], normal)
            _lamps(canvas, {k: v for k, v in seen.items() if k == "front"}, 0.05, 0.2)
        else:
            under: Color = (56, 56, 58)
            for face, normal in _sides(seen, "left", "right"):
                skirt = [(0.02, 0.98, -0.14, 0.0)]
                canvas.details(face, skirt, [under], normal)
            _lamps(canvas, {k: v for k, v in seen.items() if k == "rear"}, 0.0, 0.1)
        step = min(1.2, length / 4)
        at_wheels = (step, 0.0) if part is rear else (cab_length * 0.45,)
        _wheels(canvas, seen, at_wheels[:1], 0.48, ids.TRUCK)


def bus(canvas: Canvas, rng: Rng, *, x: float, z: float, yaw: float) -> None:
    """Draw a bus with a band of windows."""
    _coach(canvas, rng, x, z, yaw, (2.5, rng.uniform(2.9, 3.3), rng.uniform(9, 13)), ids.BUS)


def tram(canvas: Canvas, rng: Rng, *, x: float, z: float, yaw: float) -> None:
    """Draw a tram, which has the label `train`."""
    _coach(canvas, rng, x, z, yaw, (2.4, 3.5, rng.uniform(16, 26)), ids.TRAIN)


def trailer(canvas: Canvas, rng: Rng, *, x: float, z: float, yaw: float) -> None:
    """Draw a small trailer."""
    _shadow(canvas, x, z, (1.6, 2.4), yaw)
    corners = box(x, z, (1.6, rng.uniform(0.7, 1.4), 2.4), base=0.4, yaw=yaw)
    seen = canvas.solid(corners, vary(rng, pick(rng, _LIVERIES), 0.3), ids.TRAILER)
    _wheels(canvas, seen, (1.2,), 0.3, ids.TRAILER)


def _coach(
    canvas: Canvas,
    rng: Rng,
    x: float,
    z: float,
    yaw: float,
    size: tuple[float, float, float],
    cls: int,
) -> None:
    width, height, length = size
    paint = vary(rng, pick(rng, _COACHES), 0.2)
    stripe = vary(rng, pick(rng, _COACHES), 0.2)
    _shadow(canvas, x, z, (width, length), yaw)
    corners = box(x, z, (width, height - 0.3, length), base=0.3, yaw=yaw, inset=(0.05, 0.05, 0.15))
    seen = canvas.solid(corners, paint, cls)
    for name, (face, normal) in seen.items():
        if name == "top":
            continue
        canvas.details(face, [(0.0, 1.0, 0.0, 0.3)], [stripe], normal)
        if name in ("left", "right"):
            count = int(length / 1.5)
            start = (np.arange(count) + 0.08) / count
            panes = np.stack(
                (start, start + 0.86 / count, np.full(count, 0.4), np.full(count, 0.85)), 1
            )
            canvas.details(face, panes, [_GLASS] * count, normal)
        else:
            canvas.details(face, [(0.05, 0.95, 0.35, 0.8)], [_GLASS], normal)
            canvas.details(face, [(0.2, 0.8, 0.84, 0.95)], [(200, 150, 60)], normal)
    _lamps(canvas, seen, 0.1, 0.2)
    if cls == ids.BUS:
        _wheels(canvas, seen, (length * 0.25, length * 0.8), 0.48, cls)
