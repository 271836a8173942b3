"""The alpha channel of images: what becomes of it, and how much of it there is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from data.stage.errors import some

Alpha = Literal["ignore", "black", "white"]
"""`ignore` keeps the colours as stored: where the alpha is a fourth band, such as infrared, they
are the picture, and where a background was cut out, laying the rest on one colour would show its
outline, which is often that of the mask. `black` and `white` lay the picture on that."""

# Colours that differ less than this below an alpha of 0 are not a picture.
PLAIN = 2


@dataclass(frozen=True)
class Transparency:
    """What an alpha channel that is not opaque everywhere says.

    `is_cut` means that all pixels of alpha 0 have one colour, so that the outline shows.
    """

    is_cut: bool


def flatten(file: Image.Image, alpha: Alpha) -> Image.Image:
    """Return a picture with transparency data as RGB."""
    if alpha == "ignore":
        return file.convert("RGB")
    layers = file.convert("RGBA")
    picture = Image.new("RGB", file.size, alpha)
    picture.paste(layers, mask=layers.getchannel("A"))
    return picture


def transparency(file: Image.Image) -> Transparency | None:
    """Return what the alpha channel of a decoded picture says, None where all is opaque."""
    if not file.has_transparency_data:
        return None
    pixels = np.asarray(file.convert("RGBA"))
    if pixels[..., 3].min() == 255:
        return None
    clear = pixels[..., 3] == 0
    below = pixels[clear][:, :3]
    is_cut = bool(len(below) and not clear.all() and np.ptp(below, axis=0).max() < PLAIN)
    return Transparency(is_cut)


def note(found: Iterable[tuple[str, Transparency]], num_images: int, alpha: Alpha) -> str:
    """Say in one line how many images have transparent pixels, and what is done with them."""
    every = list(found)
    if not every:
        return ""
    done = {
        "ignore": "their colours are taken as stored",
        "black": "they are laid on black",
        "white": "they are laid on white",
    }[alpha]
    text = (
        f"{len(every)} of {num_images} images have a partly transparent alpha channel "
        f"({some(name for name, _ in every)}); {done} (dataset.folder.alpha is "
        f"{alpha}; there is ignore, black, white)"
    )
    cut = sum(entry.is_cut for _, entry in every)
    if cut and alpha == "ignore":
        text += (
            f"; what is transparent in {cut} of them is one colour, which shows its outline: if "
            "the mask was cut out so, take the photographs before that"
        )
    return text
