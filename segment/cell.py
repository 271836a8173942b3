"""One cell of the matrix row x seed: train on the row's sets, score on the real splits."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from data.pairs.pairset import PairSet
from data.pairs.sampling import Shown, chances
from data.stage.errors import UserError
from data.stage.progress import progress
from segment import adapt, mm
from segment.archs import ModelConfig
from segment.batches.blends import Blend, Boxes, RareClasses, rare_classes
from segment.batches.loading import augmentation
from segment.batches.mixes import Chances, Mix, make_mix, slice_of
from segment.batches.pool import Part, Pool
from segment.batches.sets import Sets
from segment.config import Config, Setup
from segment.predict import METADATA, WEIGHTS
from segment.rows import Row, plain
from segment.scoring import Curves, confusions


@dataclass(frozen=True)
class Cell:
    """A trained segmenter with its curves and, for each split, one confusion matrix per pair."""

    model: mm.EncoderDecoder
    mix: Mix
    curves: Curves
    ids: Mapping[str, list[str]]
    matrices: Mapping[str, np.ndarray]


def train_cell(
    sets: Sets,
    row: Row,
    setup: Setup,
    *,
    seed: int,
    label: str,
    work_dir: Path,
) -> Cell:
    """Train on the row's pairs; score the last weights on every split, test once.

    `label` names the progress bar; `work_dir` is removed. On a CPU, equal arguments give equal
    weights.
    """
    classes, config = sets.real.pairs.classes, setup.config
    pool, mix = training_pool(sets, row, config, seed=seed, scratch=work_dir.parent)
    pool_of = partial(Pool, memory_limit_mb=config.memory_limit_mb, scratch=work_dir.parent)
    splits = {name: pool_of([part]) for name, part in sets.splits.items()}
    curves = Curves(splits["val"], classes, config.iterations, config.val_every)
    palettes = sets.real.pairs.column("palette")[sets.real.rows]
    weights = class_weights(palettes, config.class_weight_power, config.class_weight_max)
    model = mm.start(setup.model, weights, seed)
    if row.advent is not None:
        adapt.attach(model, mix, classes.num_classes, row.advent, separate=row.mix == "separate")
    elif row.mix == "separate":
        adapt.Separate(model, mix).attach()
    crop, photometric = row.scale or config.crop, "photometric" in row.augment
    size = sets.real.pairs.size
    pipeline = augmentation(size, crop, config.flip, classes.mirrored, photometric)
    blends = blends_of(row, palettes, classes.eval_ids)
    loader = mm.loader(pool, mix, classes, pipeline, config.num_workers, blends)
    with progress(config.iterations, label, "iterations") as advance:

        def watch(iteration: int, loss: float, net: mm.EncoderDecoder) -> None:
            advance(note=curves.add(iteration, loss, lambda batch: mm.label_images(net, batch)))

        where = {"seed": seed, "work_dir": work_dir}
        model = mm.fit(model, loader, config, setup.compute, **where, watch=watch)
    shutil.rmtree(work_dir)
    matrices = {
        name: confusions(lambda batch: mm.label_images(model, batch), split, classes.num_classes)
        for name, split in splits.items()
    }
    ids = {name: split.ids() for name, split in splits.items()}
    return Cell(model, mix, curves, ids, matrices)


def train_without(
    real: PairSet,
    held_out: np.ndarray,
    setup: Setup,
    *,
    seed: int,
    label: str,
    work_dir: Path,
) -> Cell:
    """Train as the baseline does without rows `[N]` of the real pairs; score it on these, as `val`.

    It is scored once, at the end: nothing is chosen by the others.
    """
    rest = np.setdiff1d(np.arange(len(real)), held_out)
    sets = Sets(Part(real, rest), (), {"val": Part(real, held_out)})
    row = plain(setup.config.per_batch, real.path)
    once = setup.config.model_copy(update={"val_every": setup.config.iterations})
    setup = replace(setup, config=once)
    return train_cell(sets, row, setup, seed=seed, label=label, work_dir=work_dir)


def training_pool(
    sets: Sets, row: Row, config: Config, *, seed: int, scratch: Path
) -> tuple[Pool, Mix]:
    """Return the pairs that one seed of a row learns from, and the plan of its batches.

    With `supervise` = `eval`, pixels of the other classes are left out of the loss; the paper
    supervises all of them.
    """
    classes = sets.real.pairs.classes
    real = [sets.real] if row.real else []
    synthetic = [sliced(part, seed, config.num_slices) for part in sets.synthetic]
    if row.control == "shuffled_labels":
        synthetic = [part.shuffled(seed) for part in synthetic]
    pool = Pool(
        [*real, *synthetic],
        memory_limit_mb=config.memory_limit_mb,
        supervised=classes.eval_ids if config.supervise == "eval" else None,
        scratch=scratch,
    )
    num_real = sum(len(part.rows) for part in real)
    parts = (range(num_real), range(num_real, len(pool)))
    mix = make_mix(
        *parts,
        num_real=row.real,
        num_synthetic=row.synthetic,
        num_batches=config.iterations,
        until=row.until,
        seed=seed,
        chances=(
            _chances(row, pool, parts[0], real),
            _chances(row, pool, parts[1], synthetic),
        ),
    )
    return pool, mix


def _chances(row: Row, pool: Pool, where: range, parts: Sequence[Part]) -> Chances:
    """Return how likely the pairs of some parts are shown, which are at `where` in the pool."""
    if not parts:
        return None
    palettes = np.concatenate([part.pairs.column("palette")[part.rows] for part in parts])
    counted = parts[0].pairs.classes.eval_ids
    return chances(row.sampling, Shown(palettes, counted, lambda: (pool[i] for i in where)))


def blends_of(row: Row, palettes: np.ndarray, eval_ids: Sequence[int]) -> list[Blend]:
    """Return how the pairs of a row's batches are blended, in the order of its `augment`.

    `palettes` `[N, C]` of its real pairs say which classes are rare.
    """
    blends: dict[str, Blend] = {}
    if row.cutmix is not None:
        blends["cutmix"] = Boxes(row.cutmix)
    if row.classmix is not None:
        rare = rare_classes(palettes, eval_ids, row.classmix.below)
        blends["classmix"] = RareClasses(row.classmix, rare)
    return [blends[word] for word in row.augment if word in blends]


def sliced(part: Part, seed: int, num_slices: int) -> Part:
    """Return the slice of a set that one seed reads; an empty one is a `UserError`."""
    rows = slice_of(part.rows, seed, num_slices)
    if not len(rows):
        raise UserError(
            f"{part.pairs.path} has {len(part.rows)} pairs, fewer than segment.num_slices = "
            f"{num_slices}; raise the set's num_pairs or lower segment.num_slices"
        )
    return replace(part, rows=rows)


def class_weights(palettes: np.ndarray, power: float, most: float) -> np.ndarray | None:
    """Return loss weights `[C]` from the palettes `[N, C]` of the real pairs, or None for power 0.

    Inverse frequency to a power, at most `most` times that of the average pixel; the mean over
    pixels is 1. The weights follow from the real pairs alone, so they are the same for all rows.
    """
    if power == 0:
        return None
    shares = palettes.mean(axis=0, dtype=np.float64)
    present = np.where(shares > 0, shares, 1.0)
    raw = np.where(shares > 0, present**-power, 0.0)
    capped = np.minimum(raw / (raw * shares).sum(), most)
    return capped / (capped * shares).sum()


def save_model(
    folder: Path, model: mm.EncoderDecoder, model_config: ModelConfig, made_of: str
) -> None:
    """Write the weights, with the config that `predict.load` builds the model from."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
    about = {"fingerprint": made_of, "model": model_config}
    # one key: safetensors writes several in an order that differs from run to run
    save_file(tensors, folder / WEIGHTS, {METADATA: json.dumps(about, sort_keys=True)})


def save_confusions(folder: Path, cell: Cell) -> None:
    """Write `confusion.npz`: for each split int32 `[N, C, C]`, and the ids of its N pairs."""
    arrays = {f"{name}_ids": np.asarray(ids) for name, ids in cell.ids.items()}
    np.savez_compressed(folder / "confusion.npz", allow_pickle=False, **cell.matrices, **arrays)
