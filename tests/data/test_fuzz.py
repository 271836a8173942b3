"""Hostile and broken input: every case ends in a one-line error that names a file, or in the truth.

A case is a pure function of its number. All cases run in a child process, so that its peak memory
can be told and a hang is cut off; the child reports what it did not like, the test shows it.
"""

import hashlib
import io
import json
import multiprocessing
import os
import resource
import shutil
import signal
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from ruamel.yaml import YAML

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import MANIFEST, Cut, PairSet, ShardWriter
from data.sources import ingest
from data.stage.errors import UserError
from data.tools import verify

SECONDS, GIBIBYTE = 5, 2**30
NUM_FILES, SHAPE = 6, (24, 32)
CLASSES = ClassTable((ClassInfo("rest", (0, 0, 0)), ClassInfo("leaf", (0, 200, 0))))
Rng = np.random.Generator
Case = Callable[[Path, Rng], None]


def picture(rng: Rng) -> np.ndarray:
    return rng.integers(0, 256, (*SHAPE, 3), np.uint8)


def mask(rng: Rng) -> np.ndarray:
    return rng.integers(0, 2, SHAPE, np.uint8)


# Broken files -------------------------------------------------------------------------------------


def flip_bits(content: bytes, rng: Rng) -> bytes:
    broken = bytearray(content)
    for place in rng.integers(0, 8 * len(content), int(rng.integers(1, 9))):
        broken[place // 8] ^= 1 << (place % 8)
    return bytes(broken)


def cut(content: bytes, rng: Rng) -> bytes:
    return content[: int(rng.integers(0, len(content)))]


def overwrite(content: bytes, rng: Rng) -> bytes:
    start = int(rng.integers(0, len(content)))
    noise = rng.bytes(int(rng.integers(1, 64)))
    return content[:start] + noise + content[start + len(noise) :]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bomb(content: bytes, rng: Rng) -> bytes:
    """An image that says it is huge; some hold what they say, in few bytes."""
    side = int(rng.choice([20_000, 60_000, 2**31 - 1]))
    return png(side, side, 8, int(rng.choice([0, 2])), bytes(1 << 20))


def long_line(content: bytes, rng: Rng) -> bytes:
    """A picture of one row and a million columns, complete."""
    return png(1_000_000, 1, 8, 0, bytes(1_000_001))


def foreign(content: bytes, rng: Rng) -> bytes:
    """Another kind of file under the name of an image."""
    return [
        b"",
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94.",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 24\nshowpage\n",
        b"<!DOCTYPE html><title>404</title>",
        b"GIF89a\xff\xff\xff\xff\x00\x00\x00,",
        rng.bytes(300),
    ][int(rng.integers(0, 6))]


def other_mode(content: bytes, rng: Rng) -> bytes:
    """A label map in a mode, of values or at a size that it cannot have, or a right one."""
    values = rng.integers(2, 255, SHAPE, np.uint8)
    label = np.asarray(Image.open(io.BytesIO(content)))
    made = [
        Image.fromarray(picture(rng)),
        Image.fromarray(values),
        Image.fromarray(values.astype(np.uint16) * 257),
        Image.fromarray(values.astype(np.int32) * 70_000),
        Image.fromarray(values.astype(np.float32) / 3),
        Image.fromarray(values).convert("CMYK"),
        Image.fromarray(mask(rng)[:, :-1]),
        Image.fromarray(np.dstack([label, values]), "LA"),  # right: no pixel is transparent
    ][int(rng.integers(0, 8))]
    buffer = io.BytesIO()
    made.save(buffer, "PNG" if made.mode in ("L", "RGB", "I;16", "LA") else "TIFF")
    return buffer.getvalue()


BREAK = (flip_bits, cut, overwrite, bomb, long_line, foreign)


def write_folder(root: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    for index in range(NUM_FILES):
        for kind, array in (("photos", picture(rng)), ("masks", mask(rng))):
            ending = suffix if kind == "photos" else ".png"
            path = root / kind / f"straße {index}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)


def decoded(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file)


def break_dataset(root: Path, rng: Rng) -> Path:
    """Spoil one file of a user's folder of images and masks; return it."""
    files = sorted((root / str(rng.choice(["photos", "masks"]))).iterdir())
    path = files[int(rng.integers(0, NUM_FILES))]
    what = int(rng.integers(0, len(BREAK) + 5))
    if what < len(BREAK):
        path.write_bytes(BREAK[what](path.read_bytes(), rng))
    elif what == len(BREAK):
        path.unlink()
        path.symlink_to(path.name)
    elif what == len(BREAK) + 1:
        path.unlink()
    elif what == len(BREAK) + 2:
        shutil.copy(path, path.with_suffix(path.suffix.upper()))
    elif what == len(BREAK) + 3:
        path.unlink()
        path.mkdir()
    else:
        path = root / "masks" / f"{path.stem}.png"
        path.write_bytes(other_mode(path.read_bytes(), rng))
    return path


def run_ingest(work: Path, rng: Rng) -> None:
    """Ingest a spoiled folder; what is written must be the pairs of the unspoiled one."""
    root = work / "mine"
    suffix = str(rng.choice([".png", ".jpg"]))
    write_folder(root, suffix)
    truth = {
        path.stem: (decoded(path), decoded(root / "masks" / f"{path.stem}.png"))
        for path in sorted((root / "photos").iterdir())
    }
    broken = break_dataset(root, rng)
    folder = {
        "images": f"photos/*{suffix}",
        "masks": "masks/*.png",
        "unlabelled": [],
        "classes": [{"value": 0, "name": "rest"}, {"value": 1, "name": "leaf"}],
    }
    section = {"source": "folder", "root": str(root), "height": SHAPE[0], "width": SHAPE[1]}
    section |= {"splits": ["train", "val"], "folder": folder}
    os.chdir(work)
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump({"dataset": section}, file)
    ingest.main(out=Path("real"))
    for split in ("train", "val"):
        for pair in PairSet(work / "real" / split).pairs():
            image, label = truth[pair.id.removeprefix("photos-")]
            # a JPEG has no checksum: a flipped bit makes another picture
            unknowable = broken.suffix == ".jpg" and broken.stem in pair.id
            assert unknowable or np.array_equal(pair.image, image), f"{pair.id}: image differs"
            assert np.array_equal(pair.label, label), f"{pair.id}: label differs"


# Broken pair sets ---------------------------------------------------------------------------------


def write_set(out: Path) -> None:
    rng = np.random.default_rng(1)
    with ShardWriter(out, classes=CLASSES, size=SHAPE, fingerprint="f", cut=Cut(rows=4)) as writer:
        for index in range(NUM_FILES):
            writer.write(Pair(f"pair-{index}", picture(rng), mask(rng), "real"))


def seal(manifest: dict[str, Any]) -> bytes:
    """Give a manifest the hash it should have, as one who knows the format would."""
    body = {key: value for key, value in manifest.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return (json.dumps(body | {"sha256": digest}, indent=1, sort_keys=True) + "\n").encode()


def break_manifest(manifest: dict[str, Any], rng: Rng) -> None:
    entry = manifest["shards"][0]
    changes: list[Callable[[], Any]] = [
        lambda: entry.update(name="../outside.parquet"),
        lambda: entry.update(name="/etc/passwd"),
        lambda: entry.update(name="link.parquet"),
        lambda: entry.update(name=""),
        lambda: entry.update(name=7),
        lambda: entry.update(rows=entry["rows"] + 1),
        lambda: entry.update(bytes=2**60),
        lambda: entry.update(sha256="0" * 64),
        lambda: entry.pop("rows"),
        lambda: manifest["shards"].append(dict(entry)),
        lambda: manifest.update(shards=None),
        lambda: manifest.update(num_pairs=10**9),
        lambda: manifest.update(num_pairs="six"),
        lambda: manifest.update(size=[10**6, 10**6]),
        lambda: manifest.update(size=[-1]),
        lambda: manifest.update(version=99),
        lambda: manifest.update(classes=manifest["classes"][:1]),
        lambda: manifest.update(
            classes=[{"name": f"c{i}", "color": [0, 0, 0], "eval": True} for i in range(300)]
        ),
        lambda: manifest.update(classes=[{"name": "rest"}]),
        lambda: manifest.update(classes="rest"),
        lambda: manifest.pop("sources"),
        lambda: manifest.update(sources={"real": 10**6}),
    ]
    changes[int(rng.integers(0, len(changes)))]()


def encoded(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def break_rows(rows: list[dict[str, Any]], rng: Rng) -> None:
    row = rows[int(rng.integers(0, len(rows)))]
    picture_of = {"bytes": bomb(b"", rng), "path": "x.png"}
    changes: list[Callable[[], Any]] = [
        lambda: row.update(id=rows[0]["id"] if row is not rows[0] else rows[1]["id"]),
        lambda: row.update(id=None),
        lambda: row.update(image=picture_of),
        lambda: row.update(label=picture_of),
        lambda: row.update(image=None),
        lambda: row["image"].update(bytes=None),
        lambda: row["label"].update(bytes=encoded(mask(rng)[:-2])),
        lambda: row["label"].update(bytes=encoded(mask(rng) + 9)),
        lambda: row["label"].update(bytes=encoded(picture(rng))),
        lambda: row["image"].update(bytes=cut(row["image"]["bytes"], rng)),
        lambda: row["image"].update(bytes=foreign(b"", rng)),
        lambda: row.update(palette=[1.0]),
        lambda: row.update(palette=[0.25, 0.75]),
        lambda: row.update(sha256="0" * 64),
        lambda: row.update(source="nobody"),
        lambda: row.update(parent="nobody"),
    ]
    changes[int(rng.integers(0, len(changes)))]()


def rewrite_shard(path: Path, rng: Rng) -> None:
    """Rewrite a shard with spoiled rows or columns; lengths and hashes are made to fit."""
    table = pq.read_table(path)
    if rng.random() < 0.2:
        table = table.drop_columns([str(rng.choice(table.column_names))])
    else:
        rows = table.to_pylist()
        break_rows(rows, rng)
        table = pa.Table.from_pylist(rows, schema=table.schema)
    pq.write_table(table, path)


def break_set(root: Path, rng: Rng) -> bool:
    """Spoil one file of a set; say whether it was forged: consistent with its own hashes."""
    shards = sorted(root.glob("*.parquet"))
    path = shards[int(rng.integers(0, len(shards)))]
    what = int(rng.integers(0, 6))
    manifest = json.loads((root / MANIFEST).read_text())
    if what == 0:
        break_manifest(manifest, rng)
        (root / "link.parquet").symlink_to("link.parquet")  # a loop
        (root / MANIFEST).write_bytes(seal(manifest))
    elif what == 1:
        rewrite_shard(path, rng)
        content = path.read_bytes()
        entry = next(e for e in manifest["shards"] if e["name"] == path.name)
        entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        (root / MANIFEST).write_bytes(seal(manifest))
    elif what == 2:
        target = root / MANIFEST if rng.random() < 0.5 else path
        target.write_bytes((b"", rng.bytes(200), b"PAR1" * 4)[int(rng.integers(0, 3))])
    else:
        target = root / MANIFEST if rng.random() < 0.3 else path
        target.write_bytes((flip_bits, cut, overwrite)[what - 3](target.read_bytes(), rng))
    return what < 2


def run_set(work: Path, rng: Rng) -> None:
    """Verify and read a spoiled set: verify objects to it; what is read is the truth or refused."""
    root = work / "set"
    write_set(root)
    truth = {pair.id: pair for pair in PairSet(root).pairs()}
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    forged = break_set(root, rng)
    after = {p.name: b"" if p.is_symlink() else p.read_bytes() for p in root.iterdir()}
    if after == before:
        return  # noise that happens to be what was there
    found = list(verify.faults(root))
    assert found, "verify finds nothing"
    for fault in found:
        assert one_line(fault), fault
        assert any(name in fault for name in after) or forged, f"no file is named: {fault}"
    try:
        for pair in PairSet(root).pairs():
            assert pair.image.shape == (*SHAPE, 3) and pair.label.shape == SHAPE
            if not forged:
                was = truth[pair.id]
                assert np.array_equal(pair.image, was.image), f"{pair.id}: image differs"
                assert np.array_equal(pair.label, was.label), f"{pair.id}: label differs"
    except UserError as error:
        assert str(root) in str(error), f"no file is named: {error}"
        raise


# The child process --------------------------------------------------------------------------------


def one_line(text: str) -> bool:
    return "\n" not in text and "Traceback" not in text and 0 < len(text) < 2000


def too_slow(signum: int, frame: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def run_case(number: int, work: Path) -> str | None:
    """Run one case; return what is wrong with how it ended, None for nothing."""
    rng = np.random.default_rng(np.random.SeedSequence([20, number]))
    case = run_ingest if number % 2 else run_set
    work.mkdir()
    signal.alarm(SECONDS)
    try:
        case(work, rng)
    except UserError as error:
        if not one_line(str(error)):
            return f"not one line: {error}"
        if str(work) not in str(error) and case is run_ingest:
            return f"no file is named: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        os.chdir(work.parent)
        shutil.rmtree(work)
    return None


def run_cases(numbers: range, work: Path, answer: Any) -> None:
    """Run cases in this process; send back complaints and the growth of its peak memory, bytes."""
    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, too_slow)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    complaints = {n: said for n in numbers if (said := run_case(n, work / str(n)))}
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
    answer.put((complaints, grown * 1024))


def check_cases(numbers: range, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=run_cases, args=(numbers, tmp_path, answer))
    child.start()
    complaints, grown = answer.get()
    child.join()
    assert not complaints, "\n".join(f"case {n}: {said}" for n, said in complaints.items())
    assert grown < GIBIBYTE, f"memory grew by {grown / GIBIBYTE:.1f} GiB"


def test_120_hostile_inputs_end_in_one_line_or_in_the_truth(tmp_path: Path) -> None:
    check_cases(range(120), tmp_path)


@pytest.mark.slow
def test_1000_hostile_inputs_end_in_one_line_or_in_the_truth(tmp_path: Path) -> None:
    check_cases(range(120, 1120), tmp_path)
