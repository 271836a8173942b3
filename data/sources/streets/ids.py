"""The Cityscapes label ids that the renderer draws, by name."""

from typing import Final

UNLABELED: Final = 0
EGO_VEHICLE: Final = 1
STATIC: Final = 4
DYNAMIC: Final = 5
GROUND: Final = 6
ROAD: Final = 7
SIDEWALK: Final = 8
PARKING: Final = 9
RAIL_TRACK: Final = 10
BUILDING: Final = 11
WALL: Final = 12
FENCE: Final = 13
GUARD_RAIL: Final = 14
BRIDGE: Final = 15
POLE: Final = 17
TRAFFIC_LIGHT: Final = 19
TRAFFIC_SIGN: Final = 20
VEGETATION: Final = 21
TERRAIN: Final = 22
SKY: Final = 23
PERSON: Final = 24
RIDER: Final = 25
CAR: Final = 26
TRUCK: Final = 27
BUS: Final = 28
TRAILER: Final = 30
TRAIN: Final = 31
MOTORCYCLE: Final = 32
BICYCLE: Final = 33
