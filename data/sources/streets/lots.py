"""Fill the sides and the end of a street: buildings, gardens, walls, fences, skyline."""

from functools import partial

import numpy as np

from data.sources.streets import buildings, furniture, ids
from data.sources.streets.light import Rng, pick
from data.sources.streets.scene import Scene
from data.sources.streets.thing import Thing


def far_away(scene: Scene, rng: Rng) -> list[Thing]:
    """Place what closes the view: far roofs and trees, houses across the end, a bridge."""
    things = []
    for z in (170.0, 140.0):
        kind = ids.BUILDING if rng.random() < 0.45 else ids.VEGETATION
        if rng.random() < 0.9:
            things.append(Thing(z, partial(buildings.skyline, z=z, class_id=kind)))
    if scene.end < 100:
        shift = -scene.camera.bend * scene.end**2 * 0.5
        left = scene.lots[0] - 14
        while left < scene.lots[1] + 14:
            width = rng.uniform(8, 16)
            things.append(
                Thing(
                    scene.end + 12,
                    partial(
                        buildings.building,
                        side=1,
                        line=left + shift,
                        near=scene.end + 3,
                        far=scene.end + 3 + width,
                        floors=int(rng.integers(*scene.style.floors, endpoint=True)),
                        pitched=rng.random() < scene.style.pitched,
                    ),
                )
            )
            left += width
    if rng.random() < 0.02:
        z = float(rng.uniform(25, 60))
        things.append(Thing(z, partial(buildings.bridge, z=z)))
    return things


def lots(scene: Scene, rng: Rng, side: int) -> list[Thing]:
    """Fill one side of the street with buildings, walls, fences, trees and gaps."""
    style, things = scene.style, []
    line = scene.lots[0 if side < 0 else 1]
    z = float(rng.uniform(-6, 2))
    base = int(rng.integers(*style.floors, endpoint=True))
    while z < min(scene.end, 115):
        length = float(rng.uniform(*style.lot))
        near, far = z, z + length
        z = far + (0.0 if rng.random() < 0.7 else float(rng.uniform(0.5, 4)))
        if scene.cross is not None and far > scene.cross[0] - 3 and near < scene.cross[1] + 3:
            if near > scene.cross[0] - 8:
                z = max(z, scene.cross[1] + 3)
                continue
            far = scene.cross[0] - 3
            z = scene.cross[1] + 3
        if far < 1.5:
            continue
        kind = pick(rng, style.lots)
        at = {"side": side, "line": line, "near": near, "far": far}
        if kind == "building":
            floors = int(np.clip(base + rng.integers(-1, 2), *style.floors))
            pitched = rng.random() < style.pitched
            draw = partial(buildings.building, **at, floors=floors, pitched=pitched)
            shadow = (line + side * 5, (near + far) / 2, 5.0, (far - near) / 2, floors * 3.2)
            things.append(Thing(far, draw, shadow))
        else:
            things += _open_lot(scene, rng, kind, at)
        if kind == "building" and style.setback[1] > 2 and rng.random() < 0.4:
            things += _boundary(scene, rng, at)
    return things


def _open_lot(scene: Scene, rng: Rng, kind: str, at: dict) -> list[Thing]:
    side, line, near, far = at["side"], at["line"], at["near"], at["far"]
    things = []
    if kind == "wall":
        height = float(rng.uniform(1.2, 3.5))
        things.append(Thing(far, partial(buildings.wall, **at, height=height)))
    elif kind == "fence":
        rail = rng.random() < 0.12
        things.append(Thing(far, partial(buildings.fence, **at, rail=rail)))
    count = {"trees": 5, "wall": 2, "fence": 2, "gap": 0.4}[kind] * (far - near) / 14
    for _ in range(int(rng.poisson(count))):
        z = float(rng.uniform(max(near, 2), far))
        x = line + side * float(rng.uniform(1.5, 12))
        things.append(tree(rng, x, z, scene.style.floors[1] + 3))
    if kind == "trees" and rng.random() < 0.4:
        things.append(Thing(far, partial(furniture.hedge, **at)))
    return things


def _boundary(scene: Scene, rng: Rng, at: dict) -> list[Thing]:
    """Close a front garden by a hedge, a fence or a low wall, and plant it."""
    side, near, far = at["side"], at["near"], at["far"]
    edge = scene.road[0] - scene.walk[0] if side < 0 else scene.road[1] + scene.walk[1]
    room = abs(at["line"] - edge)
    spot = {"side": side, "line": edge + side * 0.2, "near": near, "far": far}
    kind = pick(rng, {"hedge": 0.4, "fence": 0.3, "wall": 0.3})
    if kind == "hedge":
        things = [Thing(far, partial(furniture.hedge, **spot))]
    elif kind == "fence":
        things = [Thing(far, partial(buildings.fence, **spot, rail=False))]
    else:
        things = [Thing(far, partial(buildings.wall, **spot, height=float(rng.uniform(0.5, 1.3))))]
    if room > 2.5 and rng.random() < 0.5:
        x = edge + side * float(rng.uniform(1, room - 0.8))
        things.append(tree(rng, x, float(rng.uniform(max(near, 3), max(far, 4))), 6))
    return things


def tree(rng: Rng, x: float, z: float, height: float) -> Thing:
    """Place a tree of about a height."""
    height = float(height * rng.uniform(0.6, 1.3))
    draw = partial(furniture.tree, x=x, z=z, height=height)
    return Thing(z, draw, (x, z, height * 0.25, height * 0.25, height))
