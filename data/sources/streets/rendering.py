"""Render one street: image and label from a random generator and a size."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from data.sources.streets import ids
from data.sources.streets.camera import NEAR, Camera
from data.sources.streets.canvas import Canvas, box
from data.sources.streets.ground import paint_ground
from data.sources.streets.light import Light, Rng, draw_light, vary
from data.sources.streets.placing import place
from data.sources.streets.scene import draw_scene
from data.sources.streets.texture import develop
from data.sources.streets.thing import Thing


def render_street(
    rng: Rng, height: int, width: int, without: Collection[str] = ()
) -> tuple[NDArray, NDArray]:
    """Return image uint8 [height, width, 3] and label uint8 [height, width] (Cityscapes ids).

    `without` names classes of `placing.OPTIONAL` that are not drawn.

    Everything is painted at twice the size; the image is the mean of 2 x 2 pixels, the label one
    of them, so the label stays crisp and the image has soft edges, as a camera's.
    """
    scene = draw_scene(rng, 2 * width, 2 * height)
    light = draw_light(rng)
    things = place(scene, rng, without)
    shadow = _shadows(things, scene.camera, light)
    ground, label = paint_ground(scene, light, shadow, rng)
    canvas = Canvas(Image.fromarray(ground), Image.fromarray(label), scene.camera, light)
    for thing in things:
        thing.draw(canvas, rng)
    if rng.random() < 0.85:
        _hood(canvas, rng)
    label = np.asarray(canvas.label)
    return develop(np.asarray(canvas.image), label, light, rng), label[1::2, 1::2].copy()


def _shadows(things: list[Thing], camera: Camera, light: Light) -> NDArray:
    """Return how dark the ground is where things stand between it and the sun, [H, W] in 0..1."""
    mask = Image.new("L", (camera.width, camera.height), 0)
    pen = ImageDraw.Draw(mask)
    x_away, up, z_away = light.direction
    x_away, z_away = (-0.8 * a / max(up, 0.2) for a in (x_away, z_away))
    for thing in things:
        if thing.footprint is None or thing.depth > 80:
            continue
        x, z, half, length, height = thing.footprint
        reach = min(height, 12.0)
        base = box(x, z, (2 * half, 0.0, 2 * length))[:4]
        tip = [(a + x_away * reach, 0.0, c + z_away * reach) for a, _, c in base]
        pen.polygon(
            _hull([camera.pixel(a, 0.0, max(c, NEAR + 0.5)) for a, _, c in base + tip]), 255
        )
    soft = mask.filter(ImageFilter.BoxBlur(1.5))
    return np.asarray(soft, np.float32) * np.float32(light.shadow / 255)


def _hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the convex hull of pixels."""
    ordered = sorted(set(points))
    chains = []
    for run in (ordered, ordered[::-1]):
        chain: list[tuple[float, float]] = []
        for p in run:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2], chain[-1]
                if (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax) > 0:
                    break
                chain.pop()
            chain.append(p)
        chains.append(chain[:-1])
    hull = chains[0] + chains[1]
    return hull if len(hull) > 2 else [(-9.0, -9.0)] * 3


def _hood(canvas: Canvas, rng: Rng) -> None:
    """Draw the bonnet of the car that carries the camera."""
    width, height = canvas.camera.width, canvas.camera.height
    rise = height * rng.uniform(0.05, 0.13)
    middle = width * rng.uniform(0.46, 0.54)
    half = width * rng.uniform(0.52, 0.75)
    dark = vary(rng, (44, 46, 52), 0.5)
    across = np.linspace(-1, 1, 25)
    bulge = (1 - np.abs(across) ** 3.0) * rise
    gain = sum(canvas.light.ambient) / 3 + 0.35
    for step, share in enumerate((1.0, 0.8, 0.55, 0.3)):
        shade = gain * (1.6 - 0.3 * step)
        outline = [
            (middle + half * a, height + 1 - b * share)
            for a, b in zip(across.tolist(), bulge.tolist(), strict=True)
        ]
        outline += [(middle + half, height + 2), (middle - half, height + 2)]
        fill = tuple(int(min(255, c * shade)) for c in dark)
        canvas.polygon(outline, (fill[0], fill[1], fill[2]), ids.EGO_VEHICLE)
