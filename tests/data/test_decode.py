"""Pictures of every kind are read for what they show, or refused with the file and the fix."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from data.sources import decode
from data.stage.errors import UserError

RAMP = np.arange(0, 240, dtype=np.uint8).reshape(12, 20)
COLORS = np.stack([RAMP, RAMP[::-1], RAMP // 2], axis=-1)


def image(tmp_path, picture: Image.Image, name: str = "p.png", **options) -> np.ndarray:
    picture.save(tmp_path / name, **options)
    return np.asarray(decode.read_image(tmp_path / name))


def read_colors(path) -> np.ndarray:
    return decode.decode_label(path, decode.rgb)


def refused(read, path, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["p.png", "p.PNG", "p.bmp", "p.tif", "p.webp"])
def test_every_lossless_format_gives_the_same_pixels(tmp_path, name) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    assert (image(tmp_path, Image.fromarray(COLORS), name, **options) == COLORS).all()


def test_the_content_counts_not_the_ending(tmp_path) -> None:
    Image.fromarray(COLORS).save(tmp_path / "p.jpg", format="PNG")
    assert (np.asarray(decode.read_image(tmp_path / "p.jpg")) == COLORS).all()


def test_grey_becomes_rgb(tmp_path) -> None:
    assert (image(tmp_path, Image.fromarray(RAMP)) == RAMP[..., None]).all()


@pytest.mark.parametrize("name", ["p.png", "p.tif"])
def test_16_bits_are_scaled_not_clipped(tmp_path, name) -> None:
    deep = Image.fromarray(RAMP.astype(np.uint16) * 257)
    assert (image(tmp_path, deep, name) == RAMP[..., None]).all()


def test_16_bit_masks_keep_their_ids(tmp_path) -> None:
    ids = RAMP.astype(np.uint16) * 200
    Image.fromarray(ids).save(tmp_path / "m.png")
    assert (decode.read_values(tmp_path / "m.png") == ids).all()


@pytest.mark.parametrize(("choice", "below"), [("ignore", None), ("black", 0), ("white", 255)])
def test_transparent_pixels_are_as_stored_or_of_the_colour_asked_for(
    tmp_path, choice, below
) -> None:
    alpha = np.where(RAMP < 100, 0, 255).astype(np.uint8)
    for name, stored in (("p.png", COLORS), ("p.tif", COLORS), ("g.png", RAMP[..., None])):
        Image.fromarray(np.dstack([stored, alpha])).save(tmp_path / name)
        expected = stored if below is None else np.where(alpha[..., None] > 0, stored, below)
        shown = np.asarray(decode.read_image(tmp_path / name, choice))
        assert shown.shape == (*RAMP.shape, 3) and (shown == expected).all()


def test_a_fourth_band_takes_nothing_from_the_colours(tmp_path) -> None:
    for kind in (0, 2):  # of no meaning, or of alpha, as some writers say of infrared
        infrared = (RAMP // 2).astype(np.uint8)
        Image.fromarray(np.dstack([COLORS, infrared])).save(
            tmp_path / "t.tif", tiffinfo={338: kind}
        )
        assert (np.asarray(decode.read_image(tmp_path / "t.tif")) == COLORS).all()


def test_alpha_that_says_nothing_is_none(tmp_path) -> None:
    opaque = np.full(RAMP.shape, 255, np.uint8)
    Image.fromarray(np.dstack([COLORS, opaque])).save(tmp_path / "o.png")
    Image.fromarray(COLORS).save(tmp_path / "c.png")
    assert decode.read_alpha(tmp_path / "o.png") is None
    assert decode.read_alpha(tmp_path / "c.png") is None


@pytest.mark.parametrize("below", [0, 255, None])
def test_an_outline_that_shows_in_the_colours_is_seen(tmp_path, below) -> None:
    alpha = np.where(RAMP < 100, 0, 255).astype(np.uint8)
    stored = COLORS if below is None else np.where(alpha[..., None] > 0, COLORS, np.uint8(below))
    Image.fromarray(np.dstack([stored, alpha])).save(tmp_path / "c.png")
    found = decode.read_alpha(tmp_path / "c.png")
    assert found is not None and found.is_cut == (below is not None)


def palette_image(indices: np.ndarray) -> Image.Image:
    picture = Image.fromarray(indices)
    picture.putpalette([10, 20, 30, 200, 0, 0, 0, 200, 0])
    return picture


def test_transparent_palettes(tmp_path) -> None:
    indices = (RAMP % 3).astype(np.uint8)
    shown = image(tmp_path, palette_image(indices), transparency=bytes([0, 255, 255]))
    assert (shown == np.array([[10, 20, 30], [200, 0, 0], [0, 200, 0]])[indices]).all()
    assert decode.read_image(tmp_path / "p.png", "white").getpixel((0, 0)) == (255,) * 3
    assert (decode.read_values(tmp_path / "p.png") == indices).all()


def test_cmyk_photographs(tmp_path) -> None:
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red = image(tmp_path, flat, "p.jpg", quality=100).reshape(-1, 3).mean(0)
    assert red[0] > 240 and red[1] < 15 and red[2] < 15


def test_lab_and_32_bit_images_are_refused(tmp_path) -> None:
    Image.new("LAB", (8, 8)).save(tmp_path / "lab.tif")
    refused(decode.read_image, tmp_path / "lab.tif", r"has colours of mode LAB; save it as 8-bit")
    Image.new("F", (8, 8)).save(tmp_path / "f.tif")
    for read in (decode.read_image, decode.read_values):
        refused(read, tmp_path / "f.tif", "has 32-bit pixels")


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path, orientation, name) -> None:
    # Grey blocks: a JPEG keeps them well enough to tell the eight orientations apart.
    upright = np.kron(np.array([[0, 60, 120], [250, 200, 150]], np.uint8), np.ones((16, 16)))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(stored.astype(np.uint8))
    if name == "p.tif" and orientation >= 5:
        picture.save(tmp_path / name, exif=exif)
        refused(decode.read_image, tmp_path / name, "TIFF that lies on its side .*; save it uprigh")
        return
    shown = image(tmp_path, picture, name, exif=exif)
    assert np.abs(shown[..., 0] - upright).max() < 12
    assert decode.read_orientation(tmp_path / name) == orientation
    assert decode.read_size(tmp_path / name) == (48, 32)


def test_an_orientation_behind_the_pixels_of_a_png_counts(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = png(3, 2, 8, 0, b"\0\1\2\3\0\4\5\6")
    (tmp_path / "p.png").write_bytes(whole[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + whole[-12:])
    assert decode.read_orientation(tmp_path / "p.png") == 6
    assert (
        decode.read_size(tmp_path / "p.png") == decode.read_image(tmp_path / "p.png").size == (2, 3)
    )


def test_a_header_is_read_without_its_pixels(tmp_path) -> None:
    Image.fromarray(COLORS).save(tmp_path / "p.png", exif=Image.Exif())
    whole = (tmp_path / "p.png").read_bytes()
    place = whole.index(b"IDAT") + 12
    (tmp_path / "p.png").write_bytes(whole[:place] + b"\0" * 20 + whole[place + 20 :])
    assert decode.read_size(tmp_path / "p.png") == (20, 12)
    refused(decode.read_image, tmp_path / "p.png", "is not readable")


def test_masks_of_one_bit_are_0_and_1(tmp_path) -> None:
    Image.fromarray(RAMP > 100).save(tmp_path / "m.png")
    assert (decode.read_values(tmp_path / "m.png") == (RAMP > 100)).all()


def test_opaque_alpha_of_masks_is_dropped(tmp_path) -> None:
    solid = np.full_like(RAMP, 255)
    Image.fromarray(np.dstack([COLORS, solid])).save(tmp_path / "m.png")
    assert (read_colors(tmp_path / "m.png") == COLORS).all()
    Image.fromarray(np.dstack([RAMP] * 3 + [solid])).save(tmp_path / "g.png")
    assert (decode.read_values(tmp_path / "g.png") == RAMP).all()


def test_a_transparent_background_has_its_own_colour(tmp_path) -> None:
    shape = np.where(RAMP > 100, 200, 0).astype(np.uint8)
    Image.fromarray(np.dstack([shape, shape, shape * 0, (shape > 0) * np.uint8(255)])).save(
        tmp_path / "m.png"
    )
    expected = np.dstack([shape, shape, shape * 0])
    assert (read_colors(tmp_path / "m.png") == expected).all()


def test_a_mask_that_lives_in_its_transparency_is_refused(tmp_path) -> None:
    white, alpha = np.full_like(RAMP, 255), np.where(RAMP > 100, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([white, white, white, alpha])).save(tmp_path / "m.png")
    for read in (decode.read_values, read_colors):
        refused(read, tmp_path / "m.png", "tells things apart by transparency alone")


@pytest.mark.parametrize(("name", "options"), [("m.jpg", {}), ("m.webp", {"lossless": False})])
def test_lossy_masks_are_refused(tmp_path, name, options) -> None:
    Image.fromarray(RAMP).save(tmp_path / name, **options)
    refused(decode.read_values, tmp_path / name, "masks must be lossless: export them again")
    Image.fromarray(RAMP).save(tmp_path / "m.tif", compression="jpeg")
    refused(read_colors, tmp_path / "m.tif", "masks must be lossless")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, color: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_colour_masks_of_16_bits_a_channel_are_refused(tmp_path) -> None:
    # Pillow would keep the upper 8 bits: every id below 256 would become 0.
    rows = b"".join(b"\0" + struct.pack(">6H", 7, 7, 7, 9, 9, 9) for _ in range(2))
    (tmp_path / "m.png").write_bytes(png(2, 2, 16, 2, rows))
    refused(decode.read_values, tmp_path / "m.png", "has 16 bits in each of several channels")


def test_absurd_sizes_are_refused_before_they_are_decoded(tmp_path) -> None:
    for width, height in ((9001, 6000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)):
        (tmp_path / "bomb.png").write_bytes(png(width, height, 8, 0, b"\0" * 100))
        for read in (decode.read_image, decode.read_values, decode.read_size):
            refused(read, tmp_path / "bomb.png", r"has more than 54,000,000 pixels, the limit")


def test_huge_tiles_of_a_small_tiff_are_refused(tmp_path) -> None:
    tags = {
        256: 8,
        257: 8,
        258: 8,
        259: 1,
        262: 1,
        277: 1,
        322: 65_536,
        323: 65_536,
        324: 8,
        325: 8,
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    (tmp_path / "m.tif").write_bytes(head + entries + b"\0" * 100)
    refused(decode.read_values, tmp_path / "m.tif", "has more than 54,000,000 pixels")


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.bmp", "p.tif", "p.webp"])
def test_files_cut_short_are_refused(tmp_path, name) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for length in (0, 1, 30, len(whole) // 2, int(len(whole) * 0.9)):
        (tmp_path / name).write_bytes(whole[:length])
        refused(decode.read_image, tmp_path / name, "is not readable")


def test_a_flipped_bit_in_the_pixels_of_a_png_is_refused(tmp_path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "m.png")
    whole = (tmp_path / "m.png").read_bytes()
    start = whole.index(b"IDAT") + 4
    for place in range(start, len(whole) - 16):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        (tmp_path / "m.png").write_bytes(damaged)
        refused(decode.read_values, tmp_path / "m.png", "is not readable")


@pytest.mark.parametrize("name", ["p.png", "p.tif", "p.webp"])
def test_several_frames_are_refused(tmp_path, name) -> None:
    first, second = Image.fromarray(COLORS), Image.fromarray(COLORS[::-1].copy())
    first.save(tmp_path / name, save_all=True, append_images=[second])
    refused(decode.read_image, tmp_path / name, "has several frames or pages")


def test_the_photograph_of_a_phone_is_the_first_frame(tmp_path) -> None:
    flat = [Image.new("RGB", (16, 16), color) for color in ((200, 0, 0), (0, 0, 200))]
    flat[0].save(tmp_path / "p.jpg", format="MPO", save_all=True, append_images=flat[1:])
    assert np.asarray(decode.read_image(tmp_path / "p.jpg"))[8, 8, 0] > 180


def test_other_formats_and_special_files_are_refused(tmp_path) -> None:
    Image.fromarray(COLORS).save(tmp_path / "p.gif")
    refused(
        decode.read_image, tmp_path / "p.gif", "not readable as PNG, JPEG, BMP, TIFF, WebP; con"
    )
    (tmp_path / "p.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    refused(decode.read_image, tmp_path / "p.eps", "not readable as PNG")
    os.mkfifo(tmp_path / "pipe.png")
    refused(decode.read_image, tmp_path / "pipe.png", "is not a regular file")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    refused(decode.read_image, tmp_path / "loop.png", "is not a regular file")


def test_broken_metadata_does_not_warn(tmp_path) -> None:
    Image.fromarray(COLORS).save(tmp_path / "p.png", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert decode.read_image(tmp_path / "p.png").size == (20, 12)


def test_a_mask_in_print_colours_is_refused(tmp_path) -> None:
    # taken as raw values it would be all zeros: its first three channels are empty
    path = tmp_path / "mask.tif"
    Image.fromarray(np.eye(8, dtype=np.uint8)).convert("CMYK").save(path)
    refused(decode.read_values, path, r"mask\.tif has colours of mode CMYK.*RGB values")
