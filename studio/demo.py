"""Show what trained artifacts can do: a strip, an animation and numbers, in seconds on a CPU."""

from pathlib import Path
from typing import Annotated

import torch

from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import write_bytes, write_json
from data.stage.params import choose
from data.stage.progress import log
from studio.demos import edit, face, latent, palette, partial, walk
from studio.demos.models import Request
from studio.demos.panels import gif, png

DEMOS = {
    "palette": palette,
    "latent": latent,
    "partial": partial,
    "edit": edit,
    "face": face,
    "walk": walk,
}
ARTIFACTS = Path("artifacts")


def main(
    demo: Annotated[str, "palette, latent, partial, edit, face or walk"],
    *,
    layout: Path | None = None,
    painter: Path | None = None,
    palette: Path = ARTIFACTS / "palette",
    real: Path = ARTIFACTS / "real" / "train",
    out: Path = ARTIFACTS / "demo",
    seed: int = 0,
    frames: int = 16,
    remove: list[str] | None = None,
    add: list[str] | None = None,
) -> None:
    """Write OUT/DEMO.png, .gif and .json.

    palette: from one sampled palette to another. latent: from one noise to another. partial: bands
    of real layouts made anew. edit: --remove CLASS or --add CLASS=FRACTION, each may be repeated.
    face: classes grow, the look stays; --add CLASS=FRACTION. walk: an object comes nearer.
    """
    entry = choose(demo, DEMOS, "demo")
    if (remove and entry is not edit) or (add and entry not in (edit, face)):
        raise UserError(f"--remove and --add belong to the demo edit, not to {demo}")
    if frames < 2 or seed < 0:
        raise UserError(f"--frames {frames} --seed {seed}: frames are 2 or more, seeds 0 or more")
    torch.set_num_threads(1)  # so that the bytes do not depend on the machine's cores
    request = Request(
        layout=ARTIFACTS / "layouts" / entry.LAYOUT if layout is None else layout,
        painter=_painter() if painter is None else painter,
        palette=palette,
        real=real,
        seed=seed,
        frames=frames,
        remove=tuple(dict.fromkeys(remove or ())),
        add=tuple(dict(_share(text) for text in add or ()).items()),
    )
    shown = entry.show(request)
    write_bytes(out / f"{demo}.png", png(shown.strip))
    write_bytes(out / f"{demo}.gif", gif(shown.frames))
    write_json(out / f"{demo}.json", {"demo": demo, "seed": seed, **shown.numbers})
    log.info(shown.said)
    log.info(f"strip, animation and numbers: {out / demo}.png, .gif, .json")


def _painter() -> Path:
    """Return the first trained painter, by name; where there is none, one that will be missed."""
    folder = ARTIFACTS / "painters"
    found = sorted(path.parent for path in folder.glob("*/weights.safetensors"))
    return found[0] if found else folder / "regions"


def _share(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        return name, float(number)
    except ValueError:
        raise UserError(f"--add {text} is not CLASS=FRACTION, such as --add car=0.1") from None


if __name__ == "__main__":
    run(main)
