"""STAGE: say of every pixel of a set whether its label is to be trusted; the set stays as it is."""

from pathlib import Path

import numpy as np

from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import replacing, write_json
from data.stage.params import check_name, read, read_raw
from data.stage.timings import timed
from segment.batches.masks import write_masks
from segment.batches.sets import synthetic_set
from segment.config import Config, set_up
from segment.rows import manifest_of
from segment.trust import TRUST, read_filter
from segment.trust.judging import Judging, Posteriors


def main(*, set: str, pairs: Path, train: Path, out: Path) -> None:
    """Make the masks of one set by the label filter that section `trust` names for it."""
    check_name(set)
    numbers = read_filter(set, read_raw("trust") or {})
    config = read("segment", Config)
    synthetic, real = synthetic_set(pairs), PairSet(train)
    if (synthetic.classes, synthetic.size) != (real.classes, real.size):
        raise UserError(f"{pairs} has other classes or another size than {train}; make it again")
    setup = set_up(config, real, f"trust {set}")
    from segment import mm
    from segment.cell import train_without

    with timed(f"trust@{set}"), replacing(out) as folder:

        def fit(held_out: np.ndarray, number: int) -> Posteriors:
            cell = train_without(
                real,
                held_out,
                setup,
                seed=number,
                label=f"trust {set} fold {number}",
                work_dir=folder / "work",
            )
            return lambda images, labels: mm.posteriors(cell.model, images, labels)

        found = TRUST[numbers.method].trusted(Judging(synthetic, real, fit), numbers)
        write_masks(folder, synthetic.ids(), found.bits, synthetic.size)
        content = {
            "set": set,
            "manifest": manifest_of(pairs),
            "real_pairs": manifest_of(train),
            **numbers.model_dump(),
            **found.facts,
            "fingerprint": setup.made_of({"numbers": numbers.model_dump()}, [pairs, train]),
        }
        write_json(folder / "trust.json", content)


if __name__ == "__main__":
    run(main)
