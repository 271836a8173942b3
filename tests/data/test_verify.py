"""Every fault of a pair set is found and named, whatever file, pair or byte it is in."""

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.manifest import StartsFrom
from data.pairs.pair import Pair, content_hash, encode_png
from data.pairs.shards import MANIFEST, Cut, PairSet, ShardWriter
from data.stage.errors import UserError
from data.tools import verify
from tests.data.forgery import bomb, encoded, forge, repaint, reseal, seal, set_value, swap

SIZE = (16, 32)
CLASSES = ClassTable(
    (
        ClassInfo("road", (128, 64, 128)),
        ClassInfo("sky", (70, 130, 180)),
        ClassInfo("void", (0, 0, 0), eval=False),
    )
)
ORIGIN = {
    "real": {"dataset": "folder", "licence": "mine"},
    "partial": {"layouts": "partial_palette", "painter": "spade"},
}


def write(out: Path) -> Path:
    """Write 6 real pairs in two shards, and 3 with a band that was made anew in a third."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (6, *SIZE), dtype=np.uint8)
    pictures = iter(rng.integers(0, 256, (9, *SIZE, 3), dtype=np.uint8))
    writer = {"classes": CLASSES, "size": SIZE, "fingerprint": "f", "cut": Cut(rows=4)}
    real = out.parent / "real"
    with ShardWriter(real, **writer, origin={"real": ORIGIN["real"]}) as shards:
        for index, label in enumerate(labels):
            shards.write(Pair(f"r{index}", next(pictures), label, "real"))
    with ShardWriter(out, **writer, prefix="partial", origin=ORIGIN) as shards:
        shards.add_shards_of(PairSet(real))
        for index in range(3):
            edited = np.zeros(SIZE, bool)
            edited[4:8] = True
            label = np.where(edited, np.uint8(1), labels[index])
            target = np.array([0.25, 0.5, 0.25], np.float32)
            pair = Pair(f"p{index}", next(pictures), label, "partial", target, f"r{index}", edited)
            shards.write(pair)
    return out


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set that no test changes."""
    return write(tmp_path_factory.mktemp("sets") / "set")


@pytest.fixture
def pairs(pristine: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(pristine, tmp_path / "set"))


def found(path: Path) -> list[str]:
    return list(verify.faults(path))


REAL, PARTIAL = "real-00000.parquet", "partial-00000.parquet"


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


def test_no_byte_of_the_manifest_is_free(pairs) -> None:
    # white space and the order of keys are not covered by the hash inside
    file = pairs / MANIFEST
    content = file.read_bytes()
    blanks = [position for position, byte in enumerate(content) if byte in b" \n"]
    for position in {*blanks, *range(0, len(content), 3)}:
        spoilt = bytearray(content)
        spoilt[position] ^= 1
        file.write_bytes(spoilt)
        assert verify.read(file)[1], f"byte {position}, {content[position - 9 : position + 9]!r}"
    for other in (content + b"\n", content[:-1], b"", b"[]", b"[" * 10**6, b"null", b"\xff"):
        file.write_bytes(other)
        assert verify.read(file)[1], other[:20]


@pytest.mark.parametrize("length", [0, 3, 11, -1])
def test_a_shard_cut_short_is_named(pairs, length) -> None:
    file = pairs / REAL
    file.write_bytes(file.read_bytes()[:length])
    (fault,) = found(pairs)
    assert fault.startswith(f"{REAL}: has ") and "the manifest says" in fault


# shard, what the forger does, the pair that is named, what is said of it
FORGED = {
    "image swapped": (REAL, swap, "r0", "sha256 is not that of its image and label"),
    "label": (REAL, repaint(1, lambda x: x.fill(2), False), "r1", "sha256 is not that"),
    "palette": (REAL, repaint(1, lambda x: x.fill(2)), "r1", "palette is not the class shares"),
    "palette bits": (
        REAL,
        lambda rows: rows[2]["palette"].__setitem__(0, rows[2]["palette"][0] + 1e-6),
        "r2",
        "palette is not the class shares",
    ),
    "no class": (REAL, repaint(0, lambda x: x.fill(3)), "r0", r"not classes \(3\); there are 3"),
    "ignored": (REAL, repaint(0, lambda x: x.fill(255)), "r0", r"not classes \(255\)"),
    "id twice": (REAL, set_value(3, id="r1"), "r1", "occurs twice"),
    "no image": (REAL, set_value(0, image=None), "r0", "image is null"),
    "no id": (REAL, set_value(0, id=None), None, "id is null"),
    "image size": (
        REAL,
        set_value(0, image=encoded(np.zeros((16, 16, 3), np.uint8))),
        "r0",
        "image is 16x16 pixels, the set 32x16",
    ),
    "image text": (
        REAL,
        set_value(0, image={"bytes": b"GIF89a", "path": ""}),
        "r0",
        "image is not an intact PNG or JPEG or WEBP",
    ),
    "label bomb": (REAL, set_value(0, label=bomb()), "r0", "label is"),
    "label colour": (
        REAL,
        set_value(0, label=encoded(np.zeros((*SIZE, 3), np.uint8))),
        "r0",
        "label has the mode RGB, it must be L",
    ),
    "label jpeg": (
        REAL,
        set_value(0, label=encoded(np.zeros(SIZE, np.uint8), "JPEG")),
        "r0",
        "label is not an intact PNG",
    ),
    "source": (REAL, set_value(0, source="web"), "r0", "does not know its source 'web'"),
    "target": (PARTIAL, set_value(0, target=[0.5, 0.4, 0.0]), "p0", "add up to 0.9000"),
    "target length": (PARTIAL, set_value(0, target=[0.5, 0.5]), "p0", "has 2 shares"),
    "target NaN": (PARTIAL, set_value(0, target=[float("nan")] * 3), "p0", "is not a palette"),
    "parent": (PARTIAL, set_value(1, parent="r99"), "p1", "'r99' is not a pair of the set"),
    "parent not real": (PARTIAL, set_value(1, parent="p0"), "p1", "'p0' is a synthetic pair"),
    "edited values": (
        PARTIAL,
        set_value(2, edited=encoded(np.ones(SIZE, np.uint8))),
        "p2",
        "edited has values other than 0 and 255",
    ),
    "edited size": (
        PARTIAL,
        set_value(2, edited=encoded(np.zeros((8, 8), np.uint8))),
        "p2",
        "edited is 8x8 pixels, the set 32x16",
    ),
    "edited orphan": (PARTIAL, set_value(2, parent=None), "p2", "is edited but has no parent"),
    "outside edited": (
        PARTIAL,
        set_value(2, edited=encoded(np.zeros(SIZE, np.uint8))),
        "p2",
        r"differs from its parent 'r2' in \d+ pixels outside `edited`",
    ),
    "other parent": (PARTIAL, set_value(0, parent="r5"), "p0", "differs from its parent 'r5'"),
}


@pytest.mark.parametrize("case", FORGED)
def test_what_is_wrong_with_a_pair_is_said_of_the_pair(pairs, case) -> None:
    shard, change, pair, message = FORGED[case]
    forge(pairs, shard, change)
    faults = found(pairs)
    named = re.escape(f"{shard}: pair {pair!r}: ")
    assert any(re.match(f"{named}.*{message}", fault) for fault in faults), faults


def test_a_filter_may_ignore_pixels_of_synthetic_labels(pairs) -> None:
    def ignore(rows: list[dict[str, Any]]) -> None:
        repaint(0, lambda label: label[10:].fill(255))(rows)
        label = np.asarray(Image.open(io.BytesIO(rows[0]["label"]["bytes"])))
        shares = np.bincount(label[:10].ravel(), minlength=3) / 320
        rows[0]["palette"] = shares.astype(np.float32)

    forge(pairs, PARTIAL, ignore)
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


@pytest.mark.parametrize(
    "name",
    ["../real/real-00000.parquet", "/etc/passwd", "..", "a/b.parquet", "manifest.json", "", "a\0b"],
)
def test_a_manifest_that_points_outside_its_folder(pairs, name) -> None:
    seal(pairs, lambda manifest: manifest["shards"][0].update(name=name))
    assert any(f"points outside its folder: {name!r}" in fault for fault in found(pairs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(num_pairs=8), "counts 9 pairs in its shards, but num_pairs is 8"),
        (lambda m: m["sources"].update(real=5), "counts 8 pairs in its sources"),
        (lambda m: m["sources"].update(real=5, partial=4), "the shards hold"),
        (lambda m: m["origin"].pop("partial"), "does not say what made the source 'partial'"),
        (lambda m: m.update(version=1), "has version 1, this program reads 2"),
        (lambda m: m["classes"][0].update(name="lane"), "scene_palette metadata is not"),
        (lambda m: m.update(size=[32, 16]), "scene_palette metadata is not"),
        (lambda m: m["shards"].append(m["shards"][0]), "names the shard 'partial"),
        (lambda m: m["classes"][0].update(name="sky"), "occur twice"),
        (lambda m: m.update(classes=[]), "0 classes"),
        (lambda m: [c.update(name="\x1b[2J\n") for c in m["classes"]], "class names occur twice"),
        (lambda m: m["shards"][0].update(rows="4"), "shards.0.rows"),
        (lambda m: m.pop("origin"), "origin: "),
        (lambda m: m["shards"][0].update(rows=5), "holds 3 pairs, the manifest says 5"),
    ],
)
def test_a_forged_manifest(pairs, change, message) -> None:
    seal(pairs, lambda m: m["shards"].sort(key=lambda entry: entry["name"]))
    seal(pairs, change)
    faults = found(pairs)
    assert any(message in fault for fault in faults), faults
    assert all(fault.isprintable() for fault in faults)


def test_links_and_strangers(pairs) -> None:
    outside = (pairs / REAL).rename(pairs.parent / "elsewhere")
    (pairs / REAL).symlink_to(outside)
    (pairs / ".partial").mkdir()
    (pairs / "notes.txt").write_text("x")
    faults = found(pairs)
    assert faults == [
        "'.partial': is not part of the set; the manifest does not know it",
        "'notes.txt': is not part of the set; the manifest does not know it",
        f"{REAL}: is a symbolic link; a set holds its own files",
    ]


def test_a_pipe_in_place_of_a_shard_does_not_hang(pairs) -> None:
    (pairs / REAL).unlink()
    os.mkfifo(pairs / REAL)
    assert found(pairs) == [f"{REAL}: is missing"]


@pytest.mark.parametrize(
    "content", [b"PAR1" + b"\0" * 100 + b"PAR1", b"x", b"PAR1\xff\xff\xff\x7fPAR1"]
)
def test_a_shard_that_is_no_parquet(pairs, content) -> None:
    (pairs / REAL).write_bytes(content)
    reseal(pairs, REAL)
    (fault,) = found(pairs)
    assert fault.startswith(f"{REAL}: ") and "\n" not in fault


def test_a_damaged_page_under_a_hash_that_fits(pairs) -> None:
    forge(pairs, REAL, lambda rows: None, write_page_checksum=True)
    content = bytearray((pairs / REAL).read_bytes())
    content[content.index(b"IDAT") + 20] ^= 1
    (pairs / REAL).write_bytes(content)
    reseal(pairs, REAL)
    (fault,) = found(pairs)
    assert fault.startswith(f"{REAL}: ") and "CRC" in fault


def test_a_shard_that_could_unpack_to_any_size(pairs) -> None:
    forge(pairs, REAL, lambda rows: None, use_dictionary=True)
    assert f"{REAL}: keeps id as a dictionary; only source is one" in found(pairs)
    forge(pairs, REAL, lambda rows: None, compression="zstd")
    assert f"{REAL}: packs image.bytes; pictures are stored as they are" in found(pairs)


def test_other_columns_and_other_metadata(pairs) -> None:
    table = pq.read_table(pairs / REAL)
    for spoilt, message in (
        (table.drop_columns(["seed"]), "other columns"),
        (table.replace_schema_metadata({}), "scene_palette metadata"),
        (
            table.replace_schema_metadata(table.schema.metadata | {b"huggingface": b"{}"}),
            "huggingface metadata",
        ),
    ):
        pq.write_table(spoilt, pairs / REAL, use_dictionary=["source"])
        reseal(pairs, REAL)
        (fault,) = found(pairs)
        assert fault.startswith(f"{REAL}: ") and message in fault


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


# == a set that names the real set it starts from ==

KEEPS = {"partial": ORIGIN["partial"] | {"keep": "true"}}


@pytest.fixture
def kept(pairs: Path, tmp_path: Path) -> Path:
    """`real` and, in the folder returned, 3 pairs that keep the pixels of theirs outside a band."""
    originals = [pair for pair in PairSet(pairs).pairs() if pair.source == "real"]
    writer = {"classes": CLASSES, "size": SIZE, "fingerprint": "f"}
    with ShardWriter(tmp_path / "real", **writer, origin={"real": ORIGIN["real"]}) as shards:
        for pair in originals:
            shards.write(pair)
    named = {"prefix": "partial", "starts_from": StartsFrom.of(tmp_path / "real")}
    with ShardWriter(tmp_path / "kept", **writer, **named, origin=KEEPS) as shards:
        for index, pair in enumerate(originals[:3]):
            edited = np.zeros(SIZE, bool)
            edited[4:8] = True
            image = np.where(edited[..., None], 255 - pair.image, pair.image)
            facts = {"parent": pair.id, "donors": ("r5",), "style": "r4", "edited": edited}
            shards.write(Pair(f"p{index}", image, pair.label, "partial", **facts))
    return tmp_path / "kept"


def test_parents_are_found_in_the_real_set_that_is_named(kept, capsys) -> None:
    assert found(kept) == []
    (kept.parent / "real").rename(kept.parent / "moved")
    (fault,) = found(kept)
    assert re.match(r"manifest\.json: .*/real', which is not there; say where .* --real", fault)
    verify.main([kept], real=kept.parent / "moved")
    assert capsys.readouterr().out.splitlines() == [f"{kept}: 3 pairs in 1 shard, all intact"]


def test_another_real_set_is_not_taken_for_the_one_that_is_named(kept) -> None:
    forge(kept.parent / "real", REAL, lambda rows: rows.reverse())
    (fault,) = found(kept)
    assert "but another one is there now; make the set again" in fault


@pytest.mark.parametrize("path", ["/etc/passwd", "a\0b", "", "\x1b[2J\n", "x" * 9999])
def test_a_name_that_leads_nowhere_is_a_fault_in_one_line(kept, path) -> None:
    seal(kept, lambda manifest: manifest["starts_from"].update(path=path))
    (fault,) = found(kept)
    assert "is not there" in fault and fault.isprintable()


def spoil(row: int, place: tuple[int, int]):
    """Change one pixel of an image; its sha256 follows."""

    def edit(rows: list[dict[str, Any]]) -> None:
        image = np.asarray(Image.open(io.BytesIO(rows[row]["image"]["bytes"]))).copy()
        image[place] ^= 1
        rows[row]["image"]["bytes"] = encode_png(image)
        contents = (rows[row]["image"]["bytes"], rows[row]["label"]["bytes"])
        rows[row]["sha256"] = content_hash(*contents)

    return edit


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil(0, (0, 0)), "should keep the image of its parent 'r0' .* differs in 1 pixels"),
        (set_value(0, edited=None), "has no `edited`, though its set keeps real pixels"),
        (set_value(0, parent="r9"), "its parent 'r9' is not a real pair of "),
        (set_value(0, style="p1"), "its style 'p1' is not a real pair of "),
        (set_value(0, donors=["r1", "p1"]), "its donor 'p1' is not a real pair of "),
        (set_value(0, parent="r1"), "differs from its parent 'r1'"),
    ],
)
def test_what_is_wrong_with_real_pixels_and_names_is_said(kept, change, message) -> None:
    forge(kept, PARTIAL, change)
    assert any(re.match(f"{PARTIAL}: pair 'p0': .*{message}", fault) for fault in found(kept))


def test_pixels_inside_the_edit_are_free_and_so_are_those_of_a_set_that_keeps_none(kept) -> None:
    forge(kept, PARTIAL, spoil(0, (5, 0)))
    assert found(kept) == []
    forge(kept, PARTIAL, spoil(0, (0, 0)))
    assert len(found(kept)) == 1
    seal(kept, lambda manifest: manifest["origin"]["partial"].pop("keep"))
    assert found(kept) == []
