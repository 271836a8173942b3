"""Tidy scores: one row for each number, from which every table of the report is a pivot.

Columns: `row` (of the table, or the name of a set of pairs), `seed`, `split` and `group` (null for
sets; a null group is the whole split), `class` (null for means), `metric`, `value`.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from data.stage.errors import UserError
from data.stage.outputs import read_json, write_bytes
from evaluate.cells import values
from evaluate.verdicts.gains import IOU, MIOU, MIOU_STAR, Measured

Json = dict[str, Any]
COLUMNS = ("row", "seed", "split", "group", "class", "metric", "value")
REAL_PAIRS = "real pairs"  # row of the yardsticks; no row or set can have a name with a space


def frame(records: Sequence[Json]) -> pd.DataFrame:
    """Return records as the tidy table; keys that they lack are null."""
    table = pd.DataFrame.from_records(list(records)).reindex(columns=list(COLUMNS))
    text = {name: "string" for name in COLUMNS if name not in ("seed", "value")}
    return table.astype(text | {"seed": "Int64", "value": "float64"})


def write(path: Path, table: pd.DataFrame) -> None:
    """Write the table as one Parquet file."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_bytes(path, buffer.getvalue())


def of_cells(measured: Measured) -> Iterator[Json]:
    """Yield the scores of every cell on a split, and its mIoU on every group of images."""
    names = measured.split.pairs.classes.names
    for row, sums in measured.sums.items():
        for seed, total, by_group in zip(
            measured.seeds[row], measured.values(row), sums, strict=True
        ):
            cell = {"row": row, "seed": seed, "split": measured.split.name}
            yield cell | {"metric": MIOU, "value": total[0]}
            yield cell | {"metric": MIOU_STAR, "value": total[1]}
            for name, value in zip(names, total[2:], strict=True):
                yield cell | {"metric": IOU, "class": name, "value": value}
            if measured.split.named:
                of_groups = values(by_group, measured.split.eval_ids)[:, 0]
                for group, value in zip(measured.split.groups, of_groups, strict=True):
                    yield cell | {"group": group, "metric": MIOU, "value": value}


def read_scored(path: Path, row: str) -> Json:
    """Return a score file; a missing one is named."""
    if not path.is_file():
        raise UserError(f"scores of {row} are missing: there is no {path}; run its stage")
    return read_json(path)


def records_of(row: str, scored: Mapping[str, Any]) -> list[Json]:
    """Return the records of a score file, which name neither their row nor a split."""
    return [{"row": row} | record for record in scored["values"]]


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers that are not a cell's, by row and metric: a pivot of the tidy table."""
    chosen = table[table["seed"].isna() & table["class"].isna()]
    return chosen.pivot_table(index="row", columns="metric", values="value", sort=False)


def pick(table: pd.DataFrame, row: str, metric: str) -> float | None:
    """Return one number of `means`, None where there is none."""
    if row not in table.index or metric not in table.columns or pd.isna(table.at[row, metric]):
        return None
    return float(table.at[row, metric])
