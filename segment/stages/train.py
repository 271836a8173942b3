"""STAGE: train one segmenter of one row with one seed, and score it on val and test."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.stage.cli import run
from data.stage.outputs import replacing, write_json
from data.stage.params import read
from data.stage.timings import timed
from segment.batches.sets import open_sets
from segment.config import Config, set_up
from segment.rows import Row, read_row

if TYPE_CHECKING:
    from segment.cell import Cell


def main(*, row: Path, seed: int, pairs: Path, real: Path, trust: Path, out: Path) -> None:
    """Train one segmenter of one row with one seed, and score it on val and test.

    `row` is the file that the stage `rows` wrote; sets other than it names are refused.
    """
    plan = read_row(row)
    config = read("segment", Config)
    sets = open_sets(plan, pairs=pairs, real=real, trust=trust, seam=config.seam)
    setup = set_up(config, sets.real.pairs, f"segment {plan.row} seed {seed}")
    from segment.cell import save_confusions, save_model, train_cell

    with timed(f"segment@{plan.row}-{seed}") as timing, replacing(out) as folder:
        cell = train_cell(
            sets,
            plan,
            setup,
            seed=seed,
            label=f"segment {plan.row} seed {seed}",
            work_dir=folder / "work",
        )
        told = {"row": plan.content(), "seed": seed}
        made_of = setup.made_of(told, sets.paths())
        save_model(folder, cell.model, setup.model, made_of)
        save_confusions(folder, cell)
        about = summary(plan, seed, config, cell) | {"compute": setup.compute.to_json()}
        write_json(folder / "cell.json", about | {"fingerprint": made_of})
        timing.images = config.iterations * cell.mix.batch_size


def summary(row: Row, seed: int, config: Config, cell: "Cell") -> dict[str, Any]:
    """Return the content of `cell.json`; no times and no hosts, so equal cells are equal files.

    `repeats` says how often a synthetic pair was shown on average, `real_ratio` what fraction of a
    mixed batch was real, `real_pairs` how many real pairs there were to learn from.
    """
    return {
        "row": row.row,
        "seed": seed,
        "arch": config.arch,
        "iterations": config.iterations,
        "real": row.real,
        "synthetic": row.synthetic,
        "real_ratio": row.real / cell.mix.batch_size,
        "real_pairs": len(cell.mix.real),
        "until": row.until,
        "repeats": round(cell.mix.repeats, 4),
        "mix": row.mix,
        "adapt": row.adapt,
        "control": row.control,
        "augment": list(row.augment),
        "sets": [entry.name for entry in row.sets],
        "trusted": [entry.set for entry in row.masks],
        "num_params": sum(parameter.numel() for parameter in cell.model.parameters()),
        "splits": {name: len(ids) for name, ids in cell.ids.items()},
        "loss_curve": cell.curves.loss,
        "val_curve": cell.curves.val,
    }


if __name__ == "__main__":
    run(main)
