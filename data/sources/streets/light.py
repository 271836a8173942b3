"""Light and air of a scene: sun, sky, haze, and what they do to a colour."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Color = tuple[float, float, float]
Rng = np.random.Generator


def pick(rng: Rng, weights: dict[Any, float]) -> Any:
    """Draw a key with probability proportional to its weight."""
    mark = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        mark -= weight
        if mark < 0:
            return key
    return key


def vary(rng: Rng, color: Color, spread: float) -> Color:
    """Return the colour with jittered brightness and, less, hue."""
    gain = 1 + spread * (rng.random() * 2 - 1)
    shift = spread * 60 * (rng.random(3) - 0.5)
    red, green, blue = (float(c) * gain + float(s) for c, s in zip(color, shift, strict=True))
    return (red, green, blue)


@dataclass(frozen=True)
class Light:
    """Sun and sky of one scene; colours are gains (sun, ambient) or 0..255 (sky, haze)."""

    time: str
    sun: NDArray
    ambient: NDArray
    direction: NDArray
    sky_top: NDArray
    sky_low: NDArray
    haze: float
    clouds: float
    shadow: float
    exposure: float
    noise: float

    def shade(self, color: Color, normal: NDArray | None, z: float) -> tuple[int, int, int]:
        """Return the colour of a face at depth z as 0..255 integers; no normal = half lit."""
        facing = 0.45 if normal is None else max(0.0, float(normal @ self.direction))
        air = float(np.exp(-self.haze * z))
        a, s, h = self.ambient, self.sun, self.sky_low
        out = []
        for i in range(3):
            value = color[i] * (a[i] + s[i] * facing) * air + h[i] * (1 - air)
            out.append(int(min(255.0, max(0.0, value))))
        return (out[0], out[1], out[2])


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
        shadow, exposure = rng.uniform(0.35, 0.6), rng.uniform(0.8, 1.15)
    elif time == "overcast":
        sky_top = np.array([175, 180, 188]) + rng.uniform(-35, 25)
        sky_low = np.array([208, 210, 214]) + rng.uniform(-20, 20)
        sun, ambient = 0.15 * tint, np.array([0.78, 0.79, 0.82]) * tint
        shadow, exposure = 0.08, rng.uniform(0.7, 1.05)
    else:
        sky_top = np.array([70, 80, 125]) + rng.uniform(-20, 20, 3)
        sky_low = np.array([225, 165, 125]) + rng.uniform(-30, 25, 3)
        sun, ambient = np.array([0.5, 0.36, 0.24]), np.array([0.42, 0.40, 0.46])
        shadow, exposure = 0.25, rng.uniform(0.7, 1.05)
    return Light(
        time=time,
        sun=sun,
        ambient=ambient,
        direction=direction,
        sky_top=np.clip(sky_top, 0, 255),
        sky_low=np.clip(sky_low, 0, 255),
        haze=float(rng.choice([0.001, 0.003, 0.007])),
        clouds=float(rng.uniform(0, 1)),
        shadow=float(shadow),
        exposure=float(exposure),
        noise=float(rng.uniform(1, 5)),
    )
