"""What a scene is before anything is drawn: the plan of the street and the camera in it."""

from dataclasses import dataclass

from data.sources.streets import ids
from data.sources.streets.camera import Camera
from data.sources.streets.light import Rng, pick


@dataclass(frozen=True)
class Style:
    """How one kind of street is built: ranges and chances, drawn from once per scene or lot."""

    floors: tuple[int, int]
    lot: tuple[float, float]
    lots: dict[str, float]
    verge: dict[int, float]
    setback: tuple[float, float]
    lanes: tuple[int, int]
    trees: float
    parked: float
    people: float
    traffic: float
    pitched: float


STYLES = {
    "canyon": Style(
        floors=(3, 7),
        lot=(9, 22),
        lots={"building": 0.9, "gap": 0.03, "trees": 0.02, "wall": 0.03, "fence": 0.02},
        verge={ids.SIDEWALK: 1.0},
        setback=(0, 0.3),
        lanes=(1, 3),
        trees=0.25,
        parked=0.7,
        people=1.5,
        traffic=1.0,
        pitched=0.2,
    ),
    "residential": Style(
        floors=(1, 3),
        lot=(8, 14),
        lots={"building": 0.54, "gap": 0.06, "trees": 0.14, "wall": 0.12, "fence": 0.14},
        verge={ids.TERRAIN: 0.8, ids.SIDEWALK: 0.2},
        setback=(1.5, 7),
        lanes=(1, 2),
        trees=0.6,
        parked=0.6,
        people=0.5,
        traffic=0.5,
        pitched=0.8,
    ),
    "boulevard": Style(
        floors=(3, 6),
        lot=(12, 26),
        lots={"building": 0.78, "gap": 0.06, "trees": 0.1, "wall": 0.03, "fence": 0.03},
        verge={ids.SIDEWALK: 0.5, ids.TERRAIN: 0.5},
        setback=(1, 5),
        lanes=(2, 4),
        trees=0.95,
        parked=0.45,
        people=1.0,
        traffic=1.4,
        pitched=0.3,
    ),
    "suburb": Style(
        floors=(1, 3),
        lot=(12, 28),
        lots={"building": 0.16, "gap": 0.14, "trees": 0.3, "wall": 0.18, "fence": 0.22},
        verge={ids.TERRAIN: 0.9, ids.SIDEWALK: 0.1},
        setback=(2, 10),
        lanes=(1, 4),
        trees=0.7,
        parked=0.15,
        people=0.2,
        traffic=0.9,
        pitched=0.6,
    ),
    "square": Style(
        floors=(2, 6),
        lot=(12, 25),
        lots={"building": 0.6, "gap": 0.16, "trees": 0.14, "wall": 0.04, "fence": 0.06},
        verge={ids.SIDEWALK: 0.7, ids.GROUND: 0.3},
        setback=(3, 12),
        lanes=(2, 4),
        trees=0.5,
        parked=0.2,
        people=1.6,
        traffic=1.2,
        pitched=0.3,
    ),
}
_KINDS = {"canyon": 0.32, "residential": 0.22, "boulevard": 0.2, "suburb": 0.14, "square": 0.12}


@dataclass(frozen=True)
class Scene:
    """The plan of one street; lengths in metres, pairs are (left, right) of the camera's lane."""

    style: Style
    camera: Camera
    lanes: tuple[tuple[float, int], ...]
    road: tuple[float, float]
    bay: tuple[float, float]
    walk: tuple[float, float]
    verge: tuple[int, int]
    lots: tuple[float, float]
    cross: tuple[float, float] | None
    end: float
    rails: bool
    marked_bay: bool
    flow: float

    def blocked(self, z: float, margin: float = 1.0) -> bool:
        """Tell whether depth z lies in the crossing street, where no lot and no pole stands."""
        return self.cross is not None and self.cross[0] - margin < z < self.cross[1] + margin


def draw_scene(rng: Rng, width: int, height: int) -> Scene:
    """Draw the plan of a street and the camera, for an image of width x height pixels."""
    style = STYLES[pick(rng, _KINDS)]
    lane = rng.uniform(2.9, 3.6)
    ahead = int(rng.integers(1, 3)) if style.lanes[1] > 2 else 1
    oncoming = int(rng.integers(*style.lanes, endpoint=True)) - ahead
    oncoming = max(0 if rng.random() < 0.2 else 1, oncoming)
    own = int(rng.integers(0, ahead))
    lanes = [((i - own) * lane, 1) for i in range(ahead)]
    lanes += [(-(own + 1 + i) * lane, -1) for i in range(oncoming)]
    left, right = -(own + oncoming + 0.5) * lane, (ahead - own - 0.5) * lane
    # The camera is rarely in the exact middle of its lane.
    drift = rng.uniform(-0.6, 0.6)
    lanes = [(x + drift, way) for x, way in lanes]
    bay = tuple(2.3 if rng.random() < style.parked else 0.0 for _ in range(2))
    walk = tuple(float(rng.uniform(1.6, 4.5)) for _ in range(2))
    verge = tuple(pick(rng, style.verge) for _ in range(2))
    setback = [float(rng.uniform(*style.setback)) for _ in range(2)]
    road = (left + drift - bay[0], right + drift + bay[1])
    lots = (road[0] - walk[0] - setback[0], road[1] + walk[1] + setback[1])
    cross = None
    if rng.random() < (0.75 if style is STYLES["square"] else 0.35):
        near = float(rng.uniform(9, 45))
        cross = (near, near + float(rng.uniform(8, 18)))
    bend = 0.0 if rng.random() < 0.45 else float(rng.uniform(-0.007, 0.007))
    end = float(rng.uniform(35, 80)) if rng.random() < 0.22 else 120.0
    camera = Camera(
        width=width,
        height=height,
        focal=width * rng.uniform(0.75, 1.15),
        center=width * rng.uniform(0.36, 0.64),
        horizon=height * rng.uniform(0.36, 0.52),
        eye=rng.uniform(1.15, 1.7),
        bend=bend,
    )
    return Scene(
        style=style,
        camera=camera,
        lanes=tuple(lanes),
        road=road,
        bay=(bay[0], bay[1]),
        walk=(walk[0], walk[1]),
        verge=(verge[0], verge[1]),
        lots=lots,
        cross=cross,
        end=end,
        rails=rng.random() < 0.1,
        marked_bay=rng.random() < 0.2,
        flow=float(rng.uniform(0.2, 1.6)),
    )
