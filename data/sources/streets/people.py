"""Persons, riders, bicycles and motorcycles: flat figures that face the camera."""

from data.sources.streets import ids
from data.sources.streets.canvas import Canvas, rect
from data.sources.streets.light import Color, Rng, pick, vary

_CLOTHES: dict[Color, float] = {
    (40, 42, 50): 0.28,
    (70, 76, 96): 0.16,
    (120, 116, 110): 0.12,
    (150, 50, 50): 0.1,
    (196, 192, 184): 0.12,
    (60, 90, 70): 0.07,
    (190, 160, 90): 0.06,
    (80, 110, 160): 0.09,
}
_SKIN: dict[Color, float] = {(214, 168, 140): 3, (170, 120, 90): 1, (96, 66, 50): 1}
_HAIR: dict[Color, float] = {(44, 34, 28): 3, (120, 92, 60): 1, (170, 165, 160): 1}


def person(canvas: Canvas, rng: Rng, *, x: float, z: float) -> None:
    """Draw a standing or walking person."""
    tall = rng.uniform(1.5, 1.9) * (0.7 if rng.random() < 0.08 else 1.0)
    _contact(canvas, x, z, 0.35)
    coat, trousers = (vary(rng, pick(rng, _CLOTHES), 0.3) for _ in range(2))
    stride = rng.uniform(0.0, 0.28)
    legs = tall * rng.uniform(0.42, 0.5)
    for way in (-1, 1):
        foot = way * (stride + 0.07)
        leg = (
            (foot - 0.07, 0),
            (foot + 0.08, 0),
            (way * 0.05 + 0.1, legs),
            (way * 0.05 - 0.1, legs),
        )
        canvas.flat(x, z, leg, trousers, ids.PERSON)
    shoulder = 0.23 * tall / 1.7
    torso = (
        (-0.17, legs - 0.08),
        (0.17, legs - 0.08),
        (shoulder, tall * 0.8),
        (0.08, tall * 0.86),
        (-0.08, tall * 0.86),
        (-shoulder, tall * 0.8),
    )
    canvas.flat(x, z, torso, coat, ids.PERSON)
    swing = rng.uniform(-0.18, 0.18)
    for way in (-1, 1):
        hand = way * (shoulder + 0.04) + way * swing
        arm = (
            (way * shoulder - 0.04, tall * 0.8),
            (way * shoulder + 0.05, tall * 0.8),
            (hand + 0.05, tall * 0.45),
            (hand - 0.05, tall * 0.45),
        )
        canvas.flat(x, z, arm, _darker(coat), ids.PERSON)
    _head(canvas, rng, x, z, tall, ids.PERSON)
    if rng.random() < 0.15:
        bag = rect(shoulder, shoulder + 0.22, tall * 0.35, tall * 0.55)
        canvas.flat(x, z, bag, vary(rng, pick(rng, _CLOTHES), 0.3), ids.PERSON)


def _head(canvas: Canvas, rng: Rng, x: float, z: float, top: float, cls: int) -> None:
    canvas.disc(x, z, (0.0, top - 0.1), (0.1, 0.13), pick(rng, _HAIR), cls)
    canvas.disc(x, z, (0.0, top - 0.14), (0.08, 0.1), pick(rng, _SKIN), cls)


def _darker(color: Color) -> Color:
    return (color[0] * 0.8, color[1] * 0.8, color[2] * 0.8)


def _contact(canvas: Canvas, x: float, z: float, half: float) -> None:
    canvas.face(
        (
            (x - half, 0.0, z - 0.15),
            (x + half, 0.0, z - 0.15),
            (x + half, 0.0, z + 0.25),
            (x - half, 0.0, z + 0.25),
        ),
        (44, 44, 48),
        None,
    )


def bicycle(canvas: Canvas, rng: Rng, *, x: float, z: float, ridden: bool, sideways: bool) -> None:
    """Draw a bicycle, seen from the side or along the street, with or without its rider."""
    _contact(canvas, x, z, 0.8 if sideways else 0.2)
    frame = vary(rng, pick(rng, _CLOTHES), 0.3)
    tyre: Color = (32, 32, 34)
    if not sideways:
        canvas.flat(x, z, rect(-0.06, 0.06, 0.0, 0.95), tyre, ids.BICYCLE)
        canvas.flat(x, z, rect(-0.28, 0.28, 0.9, 1.0), frame, ids.BICYCLE)
        if ridden:
            _rider(canvas, rng, x, z, seat=0.85, lean=0.0, spread=0.16)
        return
    # Annotators outline a bicycle; they do not cut out what shows between the spokes.
    hull = ((-0.85, 0.05), (0.85, 0.05), (0.85, 0.55), (0.5, 1.0), (-0.3, 0.95), (-0.85, 0.6))
    behind: Color = (96, 96, 98)
    canvas.flat(x, z, hull, behind, ids.BICYCLE)
    for middle in (-0.53, 0.53):
        canvas.disc(x, z, (middle, 0.34), (0.34, 0.34), tyre, ids.BICYCLE)
        canvas.disc(x, z, (middle, 0.34), (0.26, 0.26), behind, None)
    for a, b in (
        ((-0.53, 0.34), (-0.2, 0.9)),
        ((-0.15, 0.35), (0.42, 0.9)),
        ((-0.2, 0.8), (0.42, 0.85)),
    ):
        bar = (a, b, (b[0] + 0.08, b[1]), (a[0] + 0.08, a[1]))
        canvas.flat(x, z, bar, frame, ids.BICYCLE)
    if ridden:
        _rider(canvas, rng, x, z, seat=0.9, lean=0.3 if rng.random() < 0.5 else -0.3, spread=0.12)


def motorcycle(
    canvas: Canvas, rng: Rng, *, x: float, z: float, ridden: bool, sideways: bool
) -> None:
    """Draw a motorcycle or scooter, with or without its rider."""
    _contact(canvas, x, z, 0.9 if sideways else 0.3)
    paint = vary(rng, pick(rng, _CLOTHES), 0.4)
    tyre: Color = (28, 28, 30)
    if sideways:
        for middle in (-0.65, 0.65):
            canvas.disc(x, z, (middle, 0.32), (0.32, 0.32), tyre, ids.MOTORCYCLE)
        body = ((-0.8, 0.55), (-0.4, 0.3), (0.4, 0.28), (0.75, 0.7), (0.4, 1.05), (-0.3, 0.85))
        canvas.flat(x, z, body, paint, ids.MOTORCYCLE)
    else:
        canvas.flat(x, z, rect(-0.1, 0.1, 0.0, 0.6), tyre, ids.MOTORCYCLE)
        canvas.flat(x, z, rect(-0.24, 0.24, 0.4, 1.05), paint, ids.MOTORCYCLE)
        canvas.flat(x, z, rect(-0.4, 0.4, 0.95, 1.05), tyre, ids.MOTORCYCLE)
        canvas.disc(x, z, (0.0, 0.75), (0.09, 0.09), (200, 60, 50), None)
    if ridden:
        _rider(canvas, rng, x, z, seat=0.75, lean=0.1 if sideways else 0.0, spread=0.2)


def _rider(
    canvas: Canvas, rng: Rng, x: float, z: float, *, seat: float, lean: float, spread: float
) -> None:
    coat, trousers = (vary(rng, pick(rng, _CLOTHES), 0.3) for _ in range(2))
    for way in (-1, 1):
        foot = (way * spread, 0.25 + 0.2 * rng.random())
        leg = ((foot[0] - 0.07, foot[1]), (foot[0] + 0.07, foot[1]), (0.12, seat), (-0.12, seat))
        canvas.flat(x, z, leg, trousers, ids.RIDER)
    torso = (
        (-0.18, seat - 0.05),
        (0.18, seat - 0.05),
        (lean + 0.22, seat + 0.5),
        (lean - 0.22, seat + 0.5),
    )
    canvas.flat(x, z, torso, coat, ids.RIDER)
    canvas.disc(x + lean, z, (0.0, seat + 0.66), (0.12, 0.15), pick(rng, _HAIR), ids.RIDER)
    canvas.disc(x + lean, z, (0.0, seat + 0.62), (0.08, 0.1), pick(rng, _SKIN), ids.RIDER)
