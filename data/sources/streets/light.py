"""Light and air of a scene: sun, sky, haze, and what they do to a colour."""

from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np

Color = tuple[float, float, float]
Rng = np.random.Generator


def pick(rng: Rng, weights: dict[Any, float]) -> Any:
    """Draw a key with probability proportional to its weight."""
    mark = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        mark -= weight
        if mark < 0:
            return key
    return next(reversed(weights))


def vary(rng: Rng, color: Color, spread: float) -> Color:
    """Return the colour with jittered brightness and, less, hue."""
    bright, red, green, blue = rng.random(4).tolist()
    gain, shift = 1 + spread * (bright * 2 - 1), spread * 60
    return (
        color[0] * gain + shift * (red - 0.5),
        color[1] * gain + shift * (green - 0.5),
        color[2] * gain + shift * (blue - 0.5),
    )


@dataclass(frozen=True)
class Light:
    """Sun and sky of one scene; colours are gains (sun, ambient) or 0..255 (sky)."""

    time: str
    sun: Color
    ambient: Color
    direction: Color
    sky_top: Color
    sky_low: Color
    haze: float
    clouds: float
    shadow: float
    exposure: float
    noise: float

    def shade(self, color: Color, normal: Color | None, z: float) -> tuple[int, int, int]:
        """Return the colour of a face at depth z as 0..255 integers; no normal = half lit."""
        facing = 0.45
        if normal is not None:
            x, y, z_sun = self.direction
            facing = max(0.0, normal[0] * x + normal[1] * y + normal[2] * z_sun)
        air = exp(-self.haze * z)
        (r, g, b), (ar, ag, ab), (sr, sg, sb) = color, self.ambient, self.sun
        veil, (hr, hg, hb) = 1 - air, self.sky_low
        red = r * (ar + sr * facing) * air + hr * veil
        green = g * (ag + sg * facing) * air + hg * veil
        blue = b * (ab + sb * facing) * air + hb * veil
        return (
            int(min(255.0, max(0.0, red))),
            int(min(255.0, max(0.0, green))),
            int(min(255.0, max(0.0, blue))),
        )


_TIMES = {"day": 0.5, "overcast": 0.3, "dusk": 0.2}


def draw_light(rng: Rng) -> Light:
    """Draw time of day, sun position, sky, haze and camera noise."""
    time = pick(rng, _TIMES)
    azimuth = rng.uniform(0, 2 * np.pi)
    height = rng.uniform(0.35, 0.95) if time != "dusk" else rng.uniform(0.15, 0.4)
    flat = np.sqrt(1 - height * height)
    direction = np.array([flat * np.cos(azimuth), height, flat * np.sin(azimuth)])
    warm = rng.uniform(-0.05, 0.07)
    tint = np.array([1 + warm, 1.0, 1 - warm])
    if time == "day":
        sky_top = np.array([95, 140, 205]) + rng.uniform(-25, 25, 3)
        sky_low = np.array([190, 210, 230]) + rng.uniform(-15, 15, 3)
        sun, ambient = 0.75 * tint, np.array([0.5, 0.53, 0.58])
        shadow, exposure = rng.uniform(0.35, 0.6), rng.uniform(0.95, 1.35)
    elif time == "overcast":
        sky_top = np.array([175, 180, 188]) + rng.uniform(-35, 25)
        sky_low = np.array([208, 210, 214]) + rng.uniform(-20, 20)
        sun, ambient = 0.15 * tint, np.array([0.78, 0.79, 0.82]) * tint
        shadow, exposure = 0.08, rng.uniform(0.95, 1.3)
    else:
        sky_top = np.array([70, 80, 125]) + rng.uniform(-20, 20, 3)
        sky_low = np.array([225, 165, 125]) + rng.uniform(-30, 25, 3)
        sun, ambient = np.array([0.5, 0.36, 0.24]), np.array([0.42, 0.40, 0.46])
        shadow, exposure = 0.25, rng.uniform(0.9, 1.3)
    return Light(
        time=time,
        sun=tuple(sun.tolist()),
        ambient=tuple(ambient.tolist()),
        direction=tuple(direction.tolist()),
        sky_top=tuple(np.clip(sky_top, 0, 255).tolist()),
        sky_low=tuple(np.clip(sky_low, 0, 255).tolist()),
        haze=pick(rng, {0.001: 1, 0.0025: 1, 0.005: 1}),
        clouds=float(rng.uniform(0, 1)),
        shadow=float(shadow),
        exposure=float(exposure),
        noise=float(rng.uniform(0.5, 3)),
    )
