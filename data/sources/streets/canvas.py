"""Draw image and label from the same geometry: faces and boxes in street coordinates."""

from collections.abc import Iterable, Iterator, Sequence
from math import cos, pi, sin, sqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data.sources.streets.camera import NEAR, Camera, clip_near
from data.sources.streets.light import Color, Light

# Most polygons have four corners: plain floats are several times faster for them than arrays.
Pixel = tuple[float, float]
Point = tuple[float, float, float]
Shape = Sequence[Pixel]
Rects = Sequence[tuple[float, float, float, float]] | NDArray
Face = tuple[list[Point], Point]

# Corner indices of the faces of a box, seen from outside: bottom left, bottom right, top right, top
# left. Corners 0-3 are the bottom (rear left, rear right, front right, front left), 4-7 the top.
FACES = {
    "rear": (0, 1, 5, 4),
    "right": (1, 2, 6, 5),
    "front": (2, 3, 7, 6),
    "left": (3, 0, 4, 7),
    "top": (4, 5, 6, 7),
}
CIRCLE = [(cos(i * pi / 5), sin(i * pi / 5)) for i in range(10)]


def box(
    x: float,
    z: float,
    size: tuple[float, float, float],
    *,
    base: float = 0.0,
    yaw: float = 0.0,
    inset: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> list[Point]:
    """Return the 8 corners of a box of (width, height, length) centred at x, z.

    `yaw` turns it about the vertical (0 = its front looks down the street, away from the camera);
    `inset` narrows its top at the sides, at the rear and at the front, in metres.
    """
    w, top, d = size[0] / 2, base + size[1], size[2] / 2
    side, rear, front = inset
    c, s = cos(yaw), sin(yaw)
    plan = [(-w, -d), (w, -d), (w, d), (-w, d)]
    t = w - side
    roof = [(-t, -d + rear), (t, -d + rear), (t, d - front), (-t, d - front)]
    corners = [(x + a * c + b * s, base, z - a * s + b * c) for a, b in plan]
    return corners + [(x + a * c + b * s, top, z - a * s + b * c) for a, b in roof]


def normal_of(face: Sequence[Point]) -> Point:
    """Return the outward unit normal of a face given as in FACES."""
    o, p, q = face[0], face[1], face[-1]
    ax, ay, az = p[0] - o[0], p[1] - o[1], p[2] - o[2]
    bx, by, bz = q[0] - o[0], q[1] - o[1], q[2] - o[2]
    x, y, z = by * az - bz * ay, bz * ax - bx * az, bx * ay - by * ax
    length = sqrt(x * x + y * y + z * z) + 1e-9
    return (x / length, y / length, z / length)


class Canvas:
    """An image and a label that are painted together, far things first."""

    def __init__(self, image: Image.Image, label: Image.Image, camera: Camera, light: Light):
        self.image, self.label = image, label
        self.camera, self.light = camera, light
        self._pen, self._marker = ImageDraw.Draw(image), ImageDraw.Draw(label)

    def polygon(self, points: Sequence, fill: tuple[int, int, int], class_id: int | None) -> None:
        """Fill a polygon of pixels; the label stays as it is when there is no class."""
        self._pen.polygon(points, fill)
        if class_id is not None:
            self._marker.polygon(points, class_id)

    def face(
        self,
        corners: Sequence[Point],
        color: Color,
        class_id: int | None,
        normal: Point | None = None,
    ) -> None:
        """Fill a polygon of street points, lit by its normal."""
        shape = clip_near(corners)
        if len(shape) < 3:
            return
        depth = sum(point[2] for point in shape) / len(shape)
        pixels = [self.camera.pixel(*point) for point in shape]
        self.polygon(pixels, self.light.shade(color, normal, depth), class_id)

    def visible(self, corners: Sequence[Point]) -> dict[str, Face]:
        """Return name -> (face, normal) of the faces of a box that look at the camera."""
        eye, seen = self.camera.eye, {}
        for name, index in FACES.items():
            face = [corners[i] for i in index]
            normal = normal_of(face)
            x, y, z = face[0]
            if normal[0] * x + normal[1] * (y - eye) + normal[2] * z < 0:
                seen[name] = (face, normal)
        return seen

    def solid(
        self, corners: Sequence[Point], color: Color, class_id: int | None
    ) -> dict[str, Face]:
        """Fill the visible faces of a box and return them."""
        seen = self.visible(corners)
        for face, normal in seen.values():
            self.face(face, color, class_id, normal)
        return seen

    def details(
        self,
        face: Sequence[Point],
        rects: Rects,
        colors: Sequence[Color],
        normal: Point,
    ) -> None:
        """Fill rectangles [N, 4] on a face (left, right, low, high in 0..1); only the image."""
        if self._tiny(face):
            return
        depth = sum(corner[2] for corner in face) / len(face)
        shades = {color: self.light.shade(color, normal, depth) for color in set(colors)}
        find = self._few if len(rects) < 8 else self._many
        for points, color in zip(find(face, rects), colors, strict=True):
            if points is not None:
                self._pen.polygon(points, shades[color])

    def _tiny(self, face: Sequence[Point]) -> bool:
        """Tell whether a face is too small for its details to be seen."""
        if face[0][2] < NEAR or face[2][2] < NEAR:
            return False
        (a, b), (c, d) = (self.camera.pixel(*face[corner]) for corner in (0, 2))
        return abs(a - c) < 4 and abs(b - d) < 4

    def _few(self, face: Sequence[Point], rects: Rects) -> Iterator[list[Pixel] | None]:
        """Yield the pixels of rectangles on a face; None where one reaches behind the camera."""
        pixel = self.camera.pixel
        (ax, ay, az), (bx, by, bz), (cx, cy, cz), (dx, dy, dz) = face
        for left, right, low, high in rects:
            points = []
            for s, t in ((left, low), (right, low), (right, high), (left, high)):
                a, b, c, d = (1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t
                z = a * az + b * bz + c * cz + d * dz
                if z < NEAR:
                    break
                x = a * ax + b * bx + c * cx + d * dx
                points.append(pixel(x, a * ay + b * by + c * cy + d * dy, z))
            yield points if len(points) == 4 else None

    def _many(self, face: Sequence[Point], rects: Rects) -> Iterator[list[float] | None]:
        """Do what `_few` does, for all rectangles at once."""
        a, b, c, d = np.asarray(face, np.float64)
        rects = np.asarray(rects, np.float64)
        s, t = rects[:, (0, 1, 1, 0), None], rects[:, (2, 2, 3, 3), None]
        quads = a + s * (b - a) + t * (d - a) + (s * t) * (a - b + c - d)
        kept = (quads[..., 2].min(1) >= NEAR).tolist()
        quads[..., 2] = np.maximum(quads[..., 2], NEAR)
        pixels = self.camera.project(quads).reshape(-1, 8).tolist()
        return iter(points if keep else None for points, keep in zip(pixels, kept, strict=True))

    def flat(
        self,
        x: float,
        z: float,
        shape: Shape,
        color: Color,
        class_id: int | None,
        glow: bool = False,
    ) -> None:
        """Fill a polygon of (right, up), metres from x and the ground, facing the camera."""
        if z < NEAR:
            return
        scale = self.camera.focal / z
        column, row = self.camera.pixel(x, 0.0, z)
        pixels = [(column + u * scale, row - v * scale) for u, v in shape]
        across = [point[0] for point in pixels]
        if max(across) - min(across) < 2:
            # A thing thinner than one label pixel would come and go with its position.
            middle = sum(across) / len(across)
            pixels = [(middle + (0.9 if u >= middle else -1.0), v) for u, v in pixels]
        fill = _bright(color) if glow else self.light.shade(color, None, z)
        self.polygon(pixels, fill, class_id)

    def flats(
        self, x: float, z: float, shapes: NDArray, colors: Iterable[Color], class_id: int
    ) -> None:
        """Fill many polygons [K, N, 2] as `flat` does."""
        scale = self.camera.focal / z
        pixels = np.array(self.camera.pixel(x, 0.0, z)) + shapes * (scale, -scale)
        for points, color in zip(pixels.reshape(len(shapes), -1).tolist(), colors, strict=True):
            self.polygon(points, self.light.shade(color, None, z), class_id)

    def disc(
        self,
        x: float,
        z: float,
        middle: Pixel,
        radii: Pixel,
        color: Color,
        class_id: int | None,
        glow: bool = False,
    ) -> None:
        """Fill an ellipse facing the camera; middle and radii in metres from x and the ground."""
        (u, v), (wide, tall) = middle, radii
        shape = [(u + wide * a, v + tall * b) for a, b in CIRCLE]
        self.flat(x, z, shape, color, class_id, glow)


def _bright(color: Color) -> tuple[int, int, int]:
    red, green, blue = (int(min(255, max(0, c))) for c in color)
    return (red, green, blue)


def rect(left: float, right: float, low: float, high: float) -> Shape:
    """Return the corners of an upright rectangle."""
    return ((left, low), (right, low), (right, high), (left, high))
