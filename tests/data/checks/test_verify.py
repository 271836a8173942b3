"""The command: an intact set, faults of several shards together, what is no set."""

import subprocess
import sys

import numpy as np
import pytest

from data.pairs.shards import MANIFEST
from data.stage.errors import UserError
from data.tools import verify
from tests.data.checks.forgery import forge, set_value
from tests.data.checks.helpers import PARTIAL, REAL, found


def test_an_intact_set_has_no_fault(pairs, capsys) -> None:
    verify.main([pairs, pairs.parent / "set"])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{pairs}: 9 pairs in 3 shards, all intact"] * 2


def test_200_flipped_bytes_are_found_and_named(pairs) -> None:
    rng = np.random.default_rng(2026)
    files = sorted(pairs.iterdir())
    assert len(files) == 4
    for number in range(200):
        file = files[number % len(files)]
        content = file.read_bytes()
        spoilt = bytearray(content)
        spoilt[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        file.write_bytes(spoilt)
        first = next(verify.faults(pairs), "nothing")  # found() would check the other shards too
        assert first.startswith(f"{file.name}: "), (file.name, number, first)
        file.write_bytes(content)
    assert found(pairs) == []


def test_faults_of_several_shards_are_collected(pairs, capsys) -> None:
    forge(pairs, REAL, set_value(0, sha256="0" * 64))
    forge(pairs, PARTIAL, lambda rows: [row.update(target=[1.0, 1.0, 0.0]) for row in rows])
    (pairs / "real-00001.parquet").unlink()
    with pytest.raises(SystemExit) as left:
        verify.main([pairs])
    assert left.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.removeprefix(f"{pairs}: ")[:26] for line in lines] == [
        "real-00001.parquet: is missing"[:26],
        f"{REAL}: pair 'r0'"[:26],
        *[f"{PARTIAL}: pair"[:26]] * 3,
        "5 faults",
    ]


def test_what_is_no_set_is_a_user_error(pairs, tmp_path) -> None:
    (pairs / MANIFEST).unlink()
    with pytest.raises(UserError, match=r"has no manifest\.json.*did not finish"):
        verify.main([pairs])
    with pytest.raises(UserError, match="is not a folder"):
        verify.main([tmp_path / "absent"])
    (pairs / "train").mkdir()
    (pairs / "train" / MANIFEST).write_text("{}")
    with pytest.raises(UserError, match=f"is a folder of pair sets; name them: {pairs}/train"):
        verify.main([pairs])


def test_the_command_ends_with_a_status(pairs, root) -> None:
    (pairs / PARTIAL).unlink()
    done = subprocess.run(
        [sys.executable, "-m", "data.tools.verify", pairs], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr == ""
    assert f"{pairs}: {PARTIAL}: is missing" in done.stdout.splitlines()
