"""Place things in a street: what stands where, in which order it is painted."""

from collections.abc import Collection
from functools import partial

import numpy as np

from data.sources.streets import buildings, furniture, people, vehicles
from data.sources.streets.light import Rng, pick
from data.sources.streets.lots import far_away, lots, tree
from data.sources.streets.scene import Scene
from data.sources.streets.thing import SEEN, Draw, Thing

# What can be left out, by the name of its class.
OPTIONAL: dict[str, Draw] = {
    "wall": buildings.wall,
    "fence": buildings.fence,
    "truck": vehicles.truck,
    "train": vehicles.tram,
    "motorcycle": people.motorcycle,
}


def place(scene: Scene, rng: Rng, without: Collection[str] = ()) -> list[Thing]:
    """Return everything that stands in the street, farthest first, `without` some classes."""
    things = far_away(scene, rng)
    for side in (-1, 1):
        things += lots(scene, rng, side)
        things += _kerb(scene, rng, side)
        things += _bay(scene, rng, side)
        things += _walk(scene, rng, side)
    things += _traffic(scene, rng)
    things += _crossing(scene, rng)
    left_out = [OPTIONAL[name] for name in without]
    kept = [t for t in things if not (isinstance(t.draw, partial) and t.draw.func in left_out)]
    return sorted(kept, key=lambda thing: -thing.depth)


def _kerb(scene: Scene, rng: Rng, side: int) -> list[Thing]:
    """Trees, lamps, poles, signs, lights and bins along the outer edge of the pavement."""
    style, things = scene.style, []
    edge = scene.road[0 if side < 0 else 1]
    row = edge + side * float(rng.uniform(0.4, 0.9))
    limit = min(scene.end - 4, 100)
    if rng.random() < style.trees:
        gap, z = float(rng.uniform(7, 16)), float(rng.uniform(2, 12))
        height = float(rng.uniform(5, 11))
        place_x = row + side * float(rng.uniform(0, 1.0))
        while z < limit:
            if not scene.blocked(z, 2) and rng.random() < 0.85:
                things.append(tree(rng, place_x + float(rng.uniform(-0.3, 0.3)), z, height))
            z += gap * float(rng.uniform(0.8, 1.2))
    gap, z = float(rng.uniform(14, 32)), float(rng.uniform(4.5, 24))
    while z < min(limit, SEEN):
        if not scene.blocked(z):
            kind = pick(rng, {"lamp": 0.5, "post": 0.3, "sign": 0.2})
            if kind == "lamp":
                draw = partial(furniture.lamp_post, side=side, x=row, z=z)
            elif kind == "post":
                draw = partial(furniture.post, x=row, z=z, height=float(rng.uniform(2.5, 8)))
            else:
                draw = partial(furniture.sign, x=row, z=z)
            things.append(Thing(z, draw, (row, z, 0.1, 0.1, 5.0)))
        z += gap * float(rng.uniform(0.6, 1.4))
    for _ in range(int(rng.poisson(0.8))):
        z = float(rng.uniform(7, 45))
        if not scene.blocked(z):
            x = row + side * float(rng.uniform(0, 0.6))
            things.append(Thing(z, partial(furniture.sign, x=x, z=z)))
    if rng.random() < 0.3:
        z = float(rng.uniform(4, 25))
        x = row + side * float(rng.uniform(0, 1.5))
        things.append(Thing(z, partial(furniture.litter_bin, x=x, z=z)))
    if scene.cross is not None and scene.cross[0] < 36 and rng.random() < 0.7:
        for z in (scene.cross[0] - 1.2, scene.cross[1] + 1.0):
            things.append(Thing(z, partial(furniture.traffic_light, side=side, x=row, z=z)))
    return things


def _bay(scene: Scene, rng: Rng, side: int) -> list[Thing]:
    """Parked vehicles."""
    width = scene.bay[0 if side < 0 else 1]
    if not width:
        return []
    x = scene.road[0 if side < 0 else 1] - side * 1.1
    full, z, things = float(rng.uniform(0.35, 0.95)), float(rng.uniform(2, 9)), []
    turned = 0.0 if side > 0 or rng.random() < 0.3 else np.pi
    while z < min(scene.end - 8, 85):
        if not scene.blocked(z, 4) and rng.random() < full:
            yaw = turned + float(rng.normal(0, 0.03)) + _heading(scene, z)
            spot = {"x": x + float(rng.uniform(-0.2, 0.2)), "z": z, "yaw": yaw}
            kind = pick(rng, {vehicles.car: 0.975, vehicles.truck: 0.015, vehicles.trailer: 0.01})
            things.append(_vehicle(kind, spot))
        z += float(rng.uniform(5.2, 7.0))
    return things


def _heading(scene: Scene, z: float) -> float:
    return float(np.arctan(2 * scene.camera.bend * z))


_SIZES = {
    vehicles.car: (0.9, 2.2, 1.4),
    vehicles.truck: (1.2, 4.5, 3.0),
    vehicles.bus: (1.25, 5.5, 3.0),
    vehicles.tram: (1.2, 10.0, 3.4),
    vehicles.trailer: (0.8, 1.2, 1.2),
}


def _vehicle(kind: Draw, spot: dict[str, float]) -> Thing:
    half, length, height = _SIZES[kind]
    return Thing(spot["z"], partial(kind, **spot), (spot["x"], spot["z"], half, length, height))


def _traffic(scene: Scene, rng: Rng) -> list[Thing]:
    """Vehicles and riders on the lanes; the space right ahead of the camera stays free."""
    things = []
    weights = {vehicles.car: 0.88, vehicles.truck: 0.045, vehicles.bus: 0.045, "two": 0.07}
    for center, way in scene.lanes:
        own = abs(center) < 1.5
        z = float(rng.uniform(9, 30) if own else rng.uniform(3, 30))
        while z < min(scene.end - 8, 95):
            if rng.random() < 0.55 * scene.flow * scene.style.traffic and not scene.blocked(z, 2):
                yaw = (0.0 if way > 0 else np.pi) + _heading(scene, z)
                x = center + float(rng.uniform(-0.4, 0.4))
                kind = pick(rng, weights)
                if kind == "two" and z < SEEN:
                    things.append(_two_wheels(rng, x, z, motor=0.5, sideways=False))
                elif kind != "two":
                    at = z + _SIZES[kind][1] - 2
                    things.append(_vehicle(kind, {"x": x, "z": at, "yaw": yaw}))
            z += float(rng.uniform(9, 28))
    if scene.rails and len(scene.lanes) > 1 and rng.random() < 0.85:
        z = float(rng.uniform(16, 45))
        spot = {"x": scene.lanes[-1][0], "z": z, "yaw": _heading(scene, z)}
        things.append(_vehicle(vehicles.tram, spot))
    return things


def _two_wheels(rng: Rng, x: float, z: float, *, motor: float, sideways: bool) -> Thing:
    kind = people.motorcycle if rng.random() < motor else people.bicycle
    draw = partial(kind, x=x, z=z, ridden=True, sideways=sideways)
    return Thing(z, draw, (x, z, 0.3, 0.8, 1.6))


def _walk(scene: Scene, rng: Rng, side: int) -> list[Thing]:
    """Persons, bicycles and small things on the pavement."""
    edge = scene.road[0 if side < 0 else 1]
    things = []
    for _ in range(int(rng.poisson(1.9 * scene.style.people))):
        z = float(5 + 28 * rng.random() ** 1.2)
        x = edge + side * float(rng.uniform(0.7, scene.walk[0 if side < 0 else 1] - 0.2))
        for _ in range(1 + int(rng.poisson(0.6))):
            shift = rng.uniform(-0.7, 0.7, 2).tolist()
            spot = {"x": x + shift[0], "z": max(4.0, z + shift[1])}
            draw = partial(people.person, **spot)
            things.append(Thing(spot["z"], draw, (spot["x"], spot["z"], 0.2, 0.2, 1.7)))
        if rng.random() < 0.05:
            things.append(Thing(z, partial(furniture.pram, x=x + 0.8, z=z)))
    for _ in range(int(rng.poisson(0.45 * scene.style.people))):
        z, x = float(rng.uniform(4.5, 17)), edge + side * float(rng.uniform(0.5, 1.4))
        for i in range(1 + int(rng.poisson(0.8))):
            kind = people.motorcycle if rng.random() < 0.15 else people.bicycle
            at = {"x": x, "z": z + 0.7 * i, "ridden": False, "sideways": rng.random() < 0.6}
            things.append(Thing(at["z"], partial(kind, **at)))
    if rng.random() < 0.14:
        z = float(rng.uniform(6, 30))
        things.append(_two_wheels(rng, edge - side * 0.7, z, motor=0.1, sideways=False))
    return things


def _crossing(scene: Scene, rng: Rng) -> list[Thing]:
    """What moves across the street ahead."""
    things = []
    if scene.cross is not None:
        near, far = scene.cross
        for _ in range(int(rng.poisson(0.7 * scene.flow))):
            z, x = float(rng.uniform(near + 2, far - 2)), float(rng.uniform(-22, 22))
            yaw = (np.pi / 2 if rng.random() < 0.5 else -np.pi / 2) + float(rng.normal(0, 0.2))
            kind = pick(rng, {vehicles.car: 0.93, vehicles.bus: 0.04, vehicles.truck: 0.03})
            things.append(_vehicle(kind, {"x": x, "z": z, "yaw": yaw}))
        if rng.random() < 0.12:
            x = float(rng.uniform(*scene.road))
            things.append(_two_wheels(rng, x, near + 1, motor=0.25, sideways=True))
        count = rng.poisson(0.8 * scene.style.people)
        depth = near - 2
    else:
        count = rng.poisson(0.12)
        depth = float(rng.uniform(12, 40))
    for _ in range(int(count)):
        x, z = float(rng.uniform(*scene.road)), max(6.0, depth + float(rng.uniform(-1, 1)))
        things.append(Thing(z, partial(people.person, x=x, z=z), (x, z, 0.2, 0.2, 1.7)))
    return things
