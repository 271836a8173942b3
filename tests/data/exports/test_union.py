"""Several sets are exported as one split."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pytest

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.tools import export, verify
from data.tools.exports import EXPORTS
from tests.data.exports.helpers import CLASSES, pair_of, picture, table_of, write_set


@pytest.mark.parametrize("to", EXPORTS)
def test_the_union_of_several_sets_is_written_with_every_parent(apart, tmp_path, to) -> None:
    train, val, out = apart / "real/train", apart / "real/val", tmp_path / "out"
    export.main([train, apart / "semi", apart / "more"], out, to=to, val=val)
    page = (out / "README.md").read_text()
    assert "**10 pairs are real, 6 synthetic.**" in page
    assert all(f"`{PairSet(path).manifest['sha256']}`" in page for path in (train, apart / "semi"))
    if to == "hf":
        union = PairSet(out / "data/train")
        assert union.manifest["sources"] == {"more": 3, "real": 8, "semi": 3}
        assert [list(verify.faults(out / "data" / split)) for split in ("train", "val")] == [[], []]
        loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
        donors = {row["id"]: row["donors"] for row in loaded["train"]}
        assert len(donors) == 14 and (donors["semi-0"], donors["r0"]) == (["r1"], None)
    elif to == "mmseg":
        rows = table_of(out)
        parents = {row["parent"] for row in rows.values() if row["split"] == "train"} - {""}
        assert parents <= rows.keys() and rows["more-2"]["donors"] == "r1"
        assert rows["r0"]["group"] == "v"
        for path in (train, apart / "semi", apart / "more"):
            for pair in PairSet(path).pairs():
                name = f"train/{rows[pair.id]['name']}.png"
                np.testing.assert_array_equal(picture(out / "img_dir" / name), pair.image)


def test_sets_are_added_to_the_train_split_of_a_folder(apart, tmp_path) -> None:
    flags = [apart / "real", apart / "semi", tmp_path / "out", "--to", "mmseg"]
    done = subprocess.run(
        [sys.executable, "-m", "data.tools.export", *flags],
        cwd=Path(export.__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = table_of(tmp_path / "out").values()
    assert Counter(row["split"] for row in rows) == {"train": 11, "val": 2}


def test_synthetic_pairs_alone_and_a_real_set_that_was_moved(apart, tmp_path) -> None:
    export.main([apart / "semi"], tmp_path / "alone", to="hf")
    assert list(verify.faults(tmp_path / "alone/data/train")) == []
    assert "No real pairs are here" in (tmp_path / "alone/README.md").read_text()
    (apart / "real").rename(apart / "moved")
    export.main([apart / "moved", apart / "semi"], tmp_path / "out", to="coco")
    with pytest.raises(UserError, match=r"semi has faults \(manifest\.json: .* is not there"):
        export.main([apart / "semi"], tmp_path / "again", to="coco")


def test_sets_that_do_not_belong_together_are_refused(apart, tmp_path) -> None:
    def refused(message: str, *paths: Path) -> None:
        with pytest.raises(UserError, match=message) as caught:
            export.main(list(paths), tmp_path / "out", to="mmseg")
        assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()

    train, semi = apart / "real/train", apart / "semi"
    refused("id 'r0' is in .*/train and in .*/copy", train, shutil.copytree(train, apart / "copy"))
    refused("starts from another real set .*; name that one", apart / "real/val", semi)
    other = write_set(apart / "other", CLASSES, [pair_of(5, "o", "real", CLASSES)])
    refused("has other classes or another size than", train, other)
    refused("is a folder of pair sets; name them", train, apart / "real")
