"""Everything a report shows, read once: cells come from the parameters, never from a glob."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data.pairs.shards import PairSet
from data.pairs.spread import TRAIN
from data.stage.errors import UserError
from data.stage.outputs import read_json
from data.stage.params import read, read_raw
from evaluate import collect, scores
from evaluate.cells import Cell, Roles, read_cell, read_splits, roles_of
from evaluate.config import BASELINE, MORE, ReportParams
from evaluate.metrics import METRICS
from evaluate.page import provenance
from evaluate.reference import JUDGE
from evaluate.statistics import Spread, spread_of
from evaluate.verdicts.gains import BOTH, MIOU, MIOU_STAR, Gains, Measured, gains_of, measure
from evaluate.verdicts.labels import Worth, worth_of
from segment.batches.mixes import require_slices

Json = dict[str, Any]
REDISTRIBUTABLE = frozenset({"streets"})  # datasets whose pixels a published report may show
EQUAL = ("arch", "iterations")  # of a cell: equal for every row of the table
KL_ARGMAX = "kl_argmax"


@dataclass(frozen=True)
class Content:
    """What the pages, report.json and metrics.json are made of.

    `measured` and `worth` (in labels; empty without a learning curve) go by split, `sets` (their
    rows of params.yaml) and `scored` by set, `cells` by row; `table` is the tidy scores, `means`
    its numbers of sets; `sources` the pair sets.
    """

    params: ReportParams
    used: Json
    revision: str
    cells: Mapping[str, Sequence[Cell]]
    roles: Roles
    measured: Mapping[str, Measured]
    gains: Gains
    worth: Mapping[str, Worth]
    table: pd.DataFrame
    means: pd.DataFrame
    scored: Mapping[str, Json]
    joints: Mapping[str, Json]
    judge: Json
    classes: Sequence[Json]
    sources: Mapping[str, PairSet]
    train: PairSet

    @property
    def head(self) -> str:
        """The split that the verdict rests on: test where there is one, else val."""
        return list(self.measured)[-1]

    @property
    def alone(self) -> list[str]:
        """Rows whose segmenters saw no real pair (GAN-train): no competitors of the baselines."""
        return list(self.roles.alone)

    @property
    def rows(self) -> list[str]:
        """Rows that compete with the baselines."""
        return list(self.roles.rows)

    @property
    def equal_compute(self) -> bool:
        """Whether there is a baseline that saw as many pairs as rows with synthetic ones."""
        return MORE in self.cells

    @property
    def dataset(self) -> str:
        """The name of the dataset."""
        return self.used["dataset"]["source"]

    @property
    def sets(self) -> Mapping[str, Json]:
        """How the sets of synthetic pairs are made."""
        return self.used["sets"]

    def spread(self, row: str, split: str, metric: str = MIOU) -> Spread:
        """Return the mean of a row over seeds, with its deviation."""
        column = {MIOU: 0, MIOU_STAR: 1}[metric]
        return spread_of(self.measured[split].values(row)[:, column].tolist())

    def about(self, row: str) -> Json:
        """Return what the first cell of a row says of its training."""
        return self.cells[row][0].about


def gather(artifacts: Path) -> Content:
    """Read all that a report shows; what is missing is named before anything is written."""
    params = read("report", ReportParams)
    require_slices(params.seeds, read_raw("segment.num_slices"))
    used = provenance.used_params(params.every)
    cells = {
        row: [
            read_cell(artifacts / "segment" / row / str(seed), row, seed)
            for seed in params.seeds_of(row)
        ]
        for row in params.every
    }
    _check_equal(cells)
    folder, sets = artifacts / "scores", used["sets"]
    judge = scores.read_scored(artifacts / "judge" / JUDGE, "real pairs")
    scored = {name: scores.read_scored(folder / f"{name}.json", name) for name in sets}
    joints = {
        name: scores.read_scored(folder / "joints" / f"{name}.json", f"joint {name}")
        for name in used.get("joints", {})
    }
    train = PairSet(artifacts / "real" / TRAIN)
    roles = roles_of(cells, len(train))
    measured = {
        split.name: measure(cells, split, roles.baselines)
        for split in read_splits(artifacts / "real")
    }
    worth = {name: found for name, entry in measured.items() if (found := worth_of(entry, roles))}
    records = [record for entry in measured.values() for record in scores.of_cells(entry)]
    records += _of_sets(judge, scored, joints)
    records += [record for name in sets for record in _kl_argmax(artifacts, name, sets[name])]
    table = scores.frame(records)
    return Content(
        params=params,
        used=used,
        revision=provenance.revision(),
        cells=cells,
        roles=roles,
        measured=measured,
        gains=Gains([g for entry in measured.values() for g in gains_of(entry, roles.kinds)]),
        worth=worth,
        table=table,
        means=scores.means(table),
        scored=scored,
        joints=joints,
        judge=judge,
        classes=collect.class_fractions(train),
        sources={name: PairSet(artifacts / "pairs" / name) for name in sets},
        train=train,
    )


def _of_sets(judge: Json, scored: Mapping[str, Json], joints: Mapping[str, Json]) -> list[Json]:
    found = {scores.REAL_PAIRS: judge} | dict(scored)
    for name, joint in joints.items():
        found |= {f"{name}, {when}": joint[when] for when in ("before", "after")}
    return [record for name, entry in found.items() for record in scores.records_of(name, entry)]


def to_json(content: Content, figures: Sequence[Json]) -> Json:
    """Return report.json: where the numbers come from, the verdicts, and every summary."""
    measured = content.measured[content.head]
    return {
        "revision": content.revision,
        "dataset": content.dataset,
        "redistributable": content.dataset in REDISTRIBUTABLE,
        "preset": provenance.preset(),
        "size": list(content.train.size),
        "seeds": list(content.params.seeds),
        "segmenter": {key: content.about(BASELINE)[key] for key in EQUAL},
        "groups": {"number": len(measured.split.groups), "named": measured.split.named},
        "verdicts": [_verdict(gain) for gain in content.gains.all(MIOU)],
        "labels": {split: found.to_json() for split, found in content.worth.items()},
        "rows": {
            row: {
                split: {
                    metric: asdict(content.spread(row, split, metric))
                    for metric in (MIOU, MIOU_STAR)
                }
                for split in content.measured
            }
            for row in content.cells
        },
        "sets": {
            name: _metrics_of(content, name, content.means, digits=6) for name in content.sets
        },
        "judge": {key: value for key, value in content.judge.items() if key != "values"},
        "classes": list(content.classes),
        "params": content.used,
        "versions": provenance.versions(),
        "figures": list(figures),
    }


def metrics_json(content: Content) -> Json:
    """Return the summary that `dvc metrics show` and `dvc metrics diff` read."""
    result: dict[str, Json] = {}
    for row in content.cells:
        result[row] = {}
        for split in content.measured:
            result[row][f"{split}_miou"] = round(content.spread(row, split).mean, 3)
            gain = content.gains.of(row, split, BOTH)
            if gain is not None:
                result[row][f"{split}_gain"] = round(gain.interval.mean, 3)
    sets = {name: _metrics_of(content, name, METRICS, digits=4) for name in content.sets}
    return {"rows": result, "sets": sets}


def _metrics_of(content: Content, name: str, metrics: Iterable[str], digits: int) -> Json:
    found = {metric: scores.pick(content.means, name, metric) for metric in metrics}
    return {metric: round(value, digits) for metric, value in found.items() if value is not None}


def _verdict(gain: Any) -> Json:
    interval = asdict(gain.interval)
    named = {"row": gain.row, "split": gain.split, "against": gain.against}
    return named | {"baseline": gain.baseline} | interval | {"says": gain.says}


def _kl_argmax(artifacts: Path, name: str, made: Json) -> list[Json]:
    """Return what the layout method measured of itself before its layouts were rounded."""
    path = artifacts / "layouts" / made["layouts"] / "method.json"
    if not path.is_file():
        raise UserError(f"layout method {made['layouts']} is missing: there is no {path}; train it")
    value = read_json(path)["measures"].get(KL_ARGMAX)
    return [] if value is None else [{"row": name, "metric": KL_ARGMAX, "value": value}]


def _check_equal(cells: Mapping[str, Sequence[Cell]]) -> None:
    """Refuse cells that were trained for longer, or otherwise: the comparison would be unfair."""
    found: dict[tuple[Any, ...], Cell] = {}
    for cell in (cell for entries in cells.values() for cell in entries):
        found.setdefault(tuple(cell.about[key] for key in EQUAL), cell)
    if len(found) > 1:
        said = [
            f"row {cell.row}, seed {cell.seed} with "
            + ", ".join(f"{key} {value}" for key, value in zip(EQUAL, values, strict=True))
            for values, cell in list(found.items())[:2]
        ]
        raise UserError(
            f"cells were trained differently: {', '.join(said)}; run the segment stages again"
        )


def curves(content: Content) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return (iterations `[K]`, mIoU `[S, K]`) of every row while it was trained, on val."""
    return collect.val_curves(
        {
            row: [cell.about["val_curve"] for cell in entries]
            for row, entries in content.cells.items()
        }
    )
