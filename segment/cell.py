"""One cell of the matrix recipe x seed: train on a recipe's pair set, score on the real splits."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors.torch import save_file
from torch import nn

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.progress import progress
from segment import mm
from segment.archs import ModelConfig
from segment.mixes import make_mix, slice_of
from segment.pool import Pool
from segment.predict import METADATA, WEIGHTS
from segment.scoring import Curves, confusions


@dataclass(frozen=True)
class Cell:
    """A trained segmenter with its curves and, for each split, one confusion matrix per pair."""

    model: nn.Module
    real_share: float
    curves: Curves
    ids: Mapping[str, list[str]]
    matrices: Mapping[str, np.ndarray]


def train_cell(
    sets: Mapping[str, PairSet],
    model_config: ModelConfig,
    *,
    seed: int,
    label: str,
    work_dir: Path,
    iterations: int,
    batch_size: int,
    real_share: float,
    num_slices: int,
    learning_rate: float,
    weight_decay: float,
    crop: tuple[float, float],
    flip: float,
    supervise: Literal["all", "eval"],
    val_every: int,
    precision: Literal["float32", "bfloat16"],
    num_workers: int,
    memory_limit_mb: int,
    weights: Path | None,
    class_weight_power: float,
    class_weight_max: float,
    attach: mm.Attach | None = None,
) -> Cell:
    """Train on `sets["train"]`; score the last weights on every other set, test once.

    `label` names the progress bar. With `supervise` = `eval`, pixels of the other classes are
    left out of the loss; the paper supervises all of them. `attach` may give the segmenter another
    training step.
    """
    train, classes = sets["train"], sets["train"].classes
    real, synthetic = rows_of(train, seed, num_slices)
    supervised = classes.eval_ids if supervise == "eval" else None
    pool_of = partial(Pool, memory_limit_mb=memory_limit_mb, scratch=work_dir.parent)
    pool = pool_of(train, [*real, *synthetic], supervised=supervised)
    splits = {
        name: pool_of(split, range(len(split))) for name, split in sets.items() if name != "train"
    }
    mix = make_mix(
        range(len(real)),
        range(len(real), len(pool)),
        batch_size=batch_size,
        real_share=real_share,
        num_batches=iterations,
        seed=seed,
    )
    curves = Curves(splits["val"], classes, iterations, val_every)
    with progress(iterations, label, "iterations") as advance:

        def watch(iteration: int, loss: float, net: nn.Module) -> None:
            advance(note=curves.add(iteration, loss, lambda batch: mm.label_images(net, batch)))

        model = mm.train(
            model_config,
            pool,
            mix,
            classes=classes,
            size=train.size,
            crop=crop,
            flip=flip,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            precision=precision,
            num_workers=num_workers,
            weights=weights,
            class_weights=class_weights(
                train.column("palette")[real], class_weight_power, class_weight_max
            ),
            attach=attach,
            work_dir=work_dir,
            watch=watch,
        )
    shutil.rmtree(work_dir)
    matrices = {
        name: confusions(lambda batch: mm.label_images(model, batch), pool, classes.num_classes)
        for name, pool in splits.items()
    }
    ids = {name: pool.ids() for name, pool in splits.items()}
    return Cell(model, mix.num_real / batch_size, curves, ids, matrices)


def class_weights(palettes: np.ndarray, power: float, most: float) -> np.ndarray | None:
    """Return loss weights `[C]` from the palettes `[N, C]` of the real pairs, or None for power 0.

    Inverse frequency to a power, at most `most` times that of the average pixel; the mean over
    pixels is 1. The weights follow from the real pairs alone, so they are the same for all recipes.
    """
    if power == 0:
        return None
    shares = palettes.mean(axis=0, dtype=np.float64)
    present = np.where(shares > 0, shares, 1.0)
    raw = np.where(shares > 0, present**-power, 0.0)
    capped = np.minimum(raw / (raw * shares).sum(), most)
    return capped / (capped * shares).sum()


def rows_of(pairs: PairSet, seed: int, num_slices: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the real pairs, and of the synthetic ones that this seed reads."""
    is_real = np.asarray(pairs.column("source")) == "real"
    real, synthetic = np.flatnonzero(is_real), np.flatnonzero(~is_real)
    part = slice_of(synthetic, seed, num_slices)
    if len(synthetic) and not len(part):
        raise UserError(
            f"{pairs.path} has {len(synthetic)} synthetic pairs, fewer than segment.num_slices = "
            f"{num_slices}; raise produce.num_pairs or lower segment.num_slices"
        )
    return real, part


def save_model(folder: Path, model: nn.Module, model_config: ModelConfig, made_of: str) -> None:
    """Write the weights, with the config that `predict.load` builds the model from."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
    about = {"fingerprint": made_of, "model": model_config}
    # one key: safetensors writes several in an order that differs from run to run
    save_file(tensors, folder / WEIGHTS, {METADATA: json.dumps(about, sort_keys=True)})


def save_confusions(folder: Path, cell: Cell) -> None:
    """Write `confusion.npz`: for each split int32 `[N, C, C]`, and the ids of its N pairs."""
    arrays = {f"{name}_ids": np.asarray(ids) for name, ids in cell.ids.items()}
    np.savez_compressed(folder / "confusion.npz", **cell.matrices, **arrays)
