"""Draw image and label from the same geometry: faces and boxes in street coordinates."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data.sources.streets.camera import NEAR, Camera, clip_near
from data.sources.streets.light import Color, Light

Point = tuple[float, float]

# Corner indices of the faces of a box, seen from outside: bottom left, bottom right, top right, top
# left. Corners 0-3 are the bottom (rear left, rear right, front right, front left), 4-7 the top.
FACES = {
    "rear": (0, 1, 5, 4),
    "right": (1, 2, 6, 5),
    "front": (2, 3, 7, 6),
    "left": (3, 0, 4, 7),
    "top": (4, 5, 6, 7),
}


def box(
    x: float,
    z: float,
    size: tuple[float, float, float],
    *,
    base: float = 0.0,
    yaw: float = 0.0,
    inset: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> NDArray:
    """Return the corners [8, 3] of a box of (width, height, length) centred at x, z.

    `yaw` turns it about the vertical (0 = its front looks down the street, away from the camera);
    `inset` narrows its top at the sides, at the rear and at the front, in metres.
    """
    w, h, d = size[0] / 2, size[1], size[2] / 2
    side, rear, front = inset
    bottom = [(-w, base, -d), (w, base, -d), (w, base, d), (-w, base, d)]
    t, top = w - side, base + h
    roof = [(-t, top, -d + rear), (t, top, -d + rear), (t, top, d - front), (-t, top, d - front)]
    corners = np.array(bottom + roof)
    cos, sin = np.cos(yaw), np.sin(yaw)
    out = corners.copy()
    out[:, 0] = x + corners[:, 0] * cos + corners[:, 2] * sin
    out[:, 2] = z - corners[:, 0] * sin + corners[:, 2] * cos
    return out


def patches(face: NDArray, rects: NDArray) -> NDArray:
    """Return the quads [N, 4, 3] of rectangles [N, 4] (left, right, low, high; 0..1) on a face."""
    left, right, low, high = rects.T
    s = np.stack((left, right, right, left), 1)[..., None]
    t = np.stack((low, low, high, high), 1)[..., None]
    return (1 - t) * ((1 - s) * face[0] + s * face[1]) + t * ((1 - s) * face[3] + s * face[2])


def normal_of(face: NDArray) -> NDArray:
    """Return the outward unit normal of a face given as in FACES."""
    a, b = face[1] - face[0], face[-1] - face[0]
    cross = np.array(
        (
            b[1] * a[2] - b[2] * a[1],
            b[2] * a[0] - b[0] * a[2],
            b[0] * a[1] - b[1] * a[0],
        )
    )
    return cross / (np.sqrt(cross @ cross) + 1e-9)


class Canvas:
    """An image and a label that are painted together, far things first."""

    def __init__(self, image: Image.Image, label: Image.Image, camera: Camera, light: Light):
        self.image, self.label = image, label
        self.camera, self.light = camera, light
        self._pen, self._marker = ImageDraw.Draw(image), ImageDraw.Draw(label)

    def polygon(
        self, points: Sequence[Point], fill: tuple[int, int, int], class_id: int | None
    ) -> None:
        """Fill a polygon of pixels; the label stays as it is when there is no class."""
        self._pen.polygon(points, fill)
        if class_id is not None:
            self._marker.polygon(points, class_id)

    def face(
        self, corners: NDArray, color: Color, class_id: int | None, normal: NDArray | None = None
    ) -> None:
        """Fill a polygon of street points [N, 3], lit by its normal."""
        shape = clip_near(corners)
        if len(shape) < 3:
            return
        pixels = self.camera.project(shape)
        fill = self.light.shade(color, normal, float(shape[:, 2].mean()))
        self.polygon([(u, v) for u, v in pixels.tolist()], fill, class_id)

    def visible(self, corners: NDArray) -> dict[str, tuple[NDArray, NDArray]]:
        """Return name -> (face [4, 3], normal) of the faces of a box that look at the camera."""
        eye = np.array((0.0, self.camera.eye, 0.0))
        seen = {}
        for name, index in FACES.items():
            face = corners[list(index)]
            normal = normal_of(face)
            if normal @ (face.mean(0) - eye) < 0:
                seen[name] = (face, normal)
        return seen

    def solid(
        self, corners: NDArray, color: Color, class_id: int | None
    ) -> dict[str, tuple[NDArray, NDArray]]:
        """Fill the visible faces of a box and return them."""
        seen = self.visible(corners)
        for face, normal in seen.values():
            self.face(face, color, class_id, normal)
        return seen

    def details(self, face: NDArray, rects: NDArray, colors: Sequence[Color], normal) -> None:
        """Fill rectangles [N, 4] on a face (left, right, low, high in 0..1); only the image."""
        quads = patches(face, np.asarray(rects, float))
        keep = quads[..., 2].min(1) >= NEAR
        if not keep.any():
            return
        z = float(quads[keep][..., 2].mean())
        cache: dict[Color, tuple[int, int, int]] = {}
        pixels = self.camera.project(quads[keep]).reshape(-1, 8).tolist()
        shades = [c for c, k in zip(colors, keep.tolist(), strict=True) if k]
        for points, color in zip(pixels, shades, strict=True):
            if color not in cache:
                cache[color] = self.light.shade(color, normal, z)
            self._pen.polygon(points, cache[color])

    def flat(
        self,
        x: float,
        z: float,
        shape: NDArray,
        color: Color,
        class_id: int | None,
        glow: bool = False,
    ) -> None:
        """Fill a polygon [N, 2] (right, up, in metres from x and the ground) facing the camera."""
        if z < NEAR:
            return
        foot = self.camera.project(np.array((x, 0.0, z)))
        scale = self.camera.focal / z
        pixels = foot + np.asarray(shape, float) * (scale, -scale)
        if np.ptp(pixels[:, 0]) < 2:
            # A thing thinner than one label pixel would come and go with its position.
            middle = pixels[:, 0].mean()
            spread = pixels[:, 0] - middle
            pixels[:, 0] = middle + np.where(spread < 0, -1.0, 0.9)
        fill = _bright(color) if glow else self.light.shade(color, None, z)
        self.polygon([(u, v) for u, v in pixels.tolist()], fill, class_id)

    def disc(
        self,
        x: float,
        z: float,
        middle: Point,
        radii: Point,
        color: Color,
        class_id: int | None,
        glow: bool = False,
    ) -> None:
        """Fill an ellipse facing the camera; middle and radii in metres from x and the ground."""
        angle = np.arange(10) * (2 * np.pi / 10)
        shape = np.stack((np.cos(angle) * radii[0], np.sin(angle) * radii[1]), 1) + middle
        self.flat(x, z, shape, color, class_id, glow)


def _bright(color: Color) -> tuple[int, int, int]:
    red, green, blue = (int(min(255, max(0, c))) for c in color)
    return (red, green, blue)


def rect(left: float, right: float, low: float, high: float) -> NDArray:
    """Return the corners [4, 2] of an upright rectangle."""
    return np.array(((left, low), (right, low), (right, high), (left, high)))
