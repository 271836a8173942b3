"""Every source goes from its published layout to trained generators, pairs and a segmenter."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from data.pairs.shards import PairSet
from data.sources import SOURCES
from data.tools import preset, verify
from segment.stages import rows as segment_rows
from segment.stages import train as segment_train
from synth.stages import fit_palette, produce, train_layout, train_painter

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = Path("artifacts")
REAL = ARTIFACTS / "real"

pytestmark = pytest.mark.slow


def write_params(dataset: dict[str, object]) -> None:
    """Write params.yaml with the tiny preset, two steps of everything and the given dataset."""
    overlay = (ROOT / "presets/tiny.yaml").read_text()
    text = preset.merged((ROOT / "params.yaml").read_text(), overlay, "tiny", ROOT / "presets")
    yaml = YAML(typ="safe", pure=True)
    params = yaml.load(text)
    params["dataset"] = dataset | {"height": 32, "width": 64, "splits": ["train", "val"]}
    params["layouts"]["semantic_palette"]["levels"] = [[0, 8, 4]]
    params["painters"]["spade"]["num_images"] = 8
    params["segment"] |= {"iterations": 2, "num_slices": 1}
    params["rows"] = {"palette": {"with": ["palette"]}}
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_trains(name, request, files, run_ingest, tmp_path) -> None:
    numbers = {
        "streets": {"num_train": 4, "num_val": 2, "num_test": 1, "seed": 1},
        "folder": files.folder,
        "annotations": files.annotations,
    }
    root = "data/sources/streets" if name == "streets" else request.getfixturevalue(name)
    dataset = {"source": name, "root": str(root)}
    dataset |= {name: numbers[name]} if name in numbers else {}
    run_ingest("artifacts/real", **dataset, height=32, width=64)
    write_params(dataset)

    train, palette = REAL / "train", ARTIFACTS / "palette"
    pairs = ARTIFACTS / "pairs/palette"
    layout, painter = ARTIFACTS / "layout", ARTIFACTS / "painter"
    fit_palette.main(train=train, out=palette)
    train_layout.main(method="semantic_palette", train=train, palette=palette, out=layout)
    train_painter.main(method="spade", train=train, out=painter)
    produce.main(
        set="palette",
        train=train,
        palette=palette,
        layout=layout,
        painter=painter,
        out=pairs,
        repainted=ARTIFACTS / "repainted",
    )
    made = PairSet(pairs)
    assert made.manifest["sources"] == {"palette": 8}
    assert PairSet(train).origin["real"] == {"dataset": name, "licence": SOURCES[name].LICENCE}
    assert list(verify.faults(pairs)) == []

    cell = ARTIFACTS / "cell"
    folders = {"pairs": ARTIFACTS / "pairs", "real": REAL, "trust": ARTIFACTS / "trust"}
    segment_rows.main(**folders, out=ARTIFACTS / "rows")
    row = ARTIFACTS / "rows/palette.json"
    segment_train.main(row=row, seed=0, **folders, out=cell)
    curve = json.loads((cell / "cell.json").read_text())["val_curve"]
    assert [point[0] for point in curve] == [2]
    assert all(0 <= score <= 100 for score in curve[0][1:])
