"""Outputs: whole or not at all; fingerprints: parameters and inputs, nothing volatile."""

import json
import time

import pytest

from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint, scratch
from data.stage.outputs import replacing, require_ours, write_json, write_text
from data.stage.timings import timed


def test_a_failed_stage_leaves_the_old_output(tmp_path):
    out = tmp_path / "out"
    with replacing(out) as folder:
        (folder / "old").touch()
    with pytest.raises(UserError), replacing(out) as folder:
        (folder / "new").touch()
        raise UserError("no")
    assert [file.name for file in out.iterdir()] == ["old"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_stage_replaces_its_output_as_a_whole(tmp_path):
    out = tmp_path / "deep/out"
    for name in ("old", "new"):
        with replacing(out) as folder:
            (folder / name).touch()
    assert [file.name for file in out.iterdir()] == ["new"]


def test_json_bytes_do_not_depend_on_the_order_of_keys(tmp_path):
    write_json(tmp_path / "a", {"x": 1, "y": 2})
    write_json(tmp_path / "b", {"y": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(ValueError):
        write_json(tmp_path / "c", {"x": float("nan")})
    assert not (tmp_path / "c").exists()


def test_fingerprints_follow_content_not_time(tmp_path):
    file = tmp_path / "input/weights"
    file.parent.mkdir()
    file.write_text("1")
    first = fingerprint({"lr": 1}, [tmp_path / "input"])
    time.sleep(0.01)
    file.write_text("1")
    assert fingerprint({"lr": 1}, [tmp_path / "input"]) == first
    assert fingerprint({"lr": 2}, [tmp_path / "input"]) != first
    file.write_text("2")
    assert fingerprint({"lr": 1}, [tmp_path / "input"]) != first


def test_scratch_is_kept_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("SCENE_PALETTE_SCRATCH", str(tmp_path))
    assert scratch("painter-oasis", "a" * 64).parent == tmp_path
    assert scratch("painter-oasis", "a" * 64) != scratch("painter-oasis", "b" * 64)


def test_only_finished_stages_are_timed(tmp_path):
    path = tmp_path / "timings.jsonl"
    with timed("palette", path):
        pass
    with pytest.raises(UserError), timed("ingest", path):
        raise UserError("no")
    with timed("layout@x", path) as timing:
        timing.images = 12
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(entry["stage"], entry["images"]) for entry in entries] == [
        ("palette", None),
        ("layout@x", 12),
    ]


def test_a_folder_that_no_run_wrote_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    require_ours(out, "manifest.json")
    out.mkdir()
    require_ours(out, "manifest.json")
    write_text(out / "train" / "manifest.json", "{}")
    require_ours(out, "manifest.json")
    require_ours(out / "train", "manifest.json")
    write_text(out / "thesis.txt", "years")
    with pytest.raises(UserError, match=r"holds 'thesis\.txt', which no run of this stage wrote"):
        require_ours(out, "manifest.json")
    with pytest.raises(UserError, match="is not a folder"):
        require_ours(out / "thesis.txt", "manifest.json")
    with pytest.raises(UserError, match=r"thesis\.txt is a file, so .* cannot be made"):
        require_ours(out / "thesis.txt" / "set", "manifest.json")


def test_a_file_is_not_written_over_a_folder_or_below_a_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="is a folder; name a file in it"):
        write_text(tmp_path / "folder", "x")
    write_text(tmp_path / "file", "x")
    with pytest.raises(UserError, match="file is a file; write somewhere else"):
        write_text(tmp_path / "file" / "below", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
