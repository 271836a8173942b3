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


def main(
    demo: Annotated[str, "palette, latent, partial, edit, face or walk"],
    *,
    artifacts: Path = Path("artifacts"),
    layout: Path | None = None,
    painter: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    frames: int = 16,
    share: list[str] | None = None,
) -> None:
    """Write DEMO.png, .gif and .json, into ARTIFACTS/demo unless `out` says where.

    palette: from one sampled palette to another. latent: from one noise to another. partial: bands
    of real layouts made anew. edit: --share CLASS=FRACTION, may be repeated; 0 takes a class out.
    face: classes grow, the look stays; --share CLASS=FRACTION. walk: an object comes nearer.
    """
    entry = choose(demo, DEMOS, "demo")
    if share and entry not in (edit, face):
        raise UserError(f"--share belongs to the demos edit and face, not to {demo}")
    if frames < 2 or seed < 0:
        raise UserError(f"--frames {frames} --seed {seed}: frames are 2 or more, seeds 0 or more")
    asked = dict(_share(text) for text in share or ())
    torch.set_num_threads(1)  # so that the bytes do not depend on the machine's cores
    request = Request(
        layout=artifacts / "layouts" / entry.LAYOUT if layout is None else layout,
        painter=_painter(artifacts / "painters") if painter is None else painter,
        palette=artifacts / "palette",
        real=artifacts / "real" / "train",
        seed=seed,
        frames=frames,
        remove=tuple(name for name, fraction in asked.items() if fraction == 0),
        add=tuple((name, fraction) for name, fraction in asked.items() if fraction != 0),
    )
    shown = entry.show(request)
    out = artifacts / "demo" if out is None else out
    write_bytes(out / f"{demo}.png", png(shown.strip))
    write_bytes(out / f"{demo}.gif", gif(shown.frames))
    write_json(out / f"{demo}.json", {"demo": demo, "seed": seed, **shown.numbers})
    log.info(shown.said)
    log.info(f"strip, animation and numbers: {out / demo}.png, .gif, .json")


def _painter(folder: Path) -> Path:
    """Return the first trained painter, by name; where there is none, one that will be missed."""
    found = sorted(path.parent for path in folder.glob("*/weights.safetensors"))
    return found[0] if found else folder / "regions"


def _share(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        return name, float(number)
    except ValueError:
        raise UserError(f"--share {text} is not CLASS=FRACTION, such as --share car=0.1") from None


if __name__ == "__main__":
    run(main)
