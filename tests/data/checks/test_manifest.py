"""Every fault of a manifest is found and named."""

import pytest

from data.pairs.shards import MANIFEST
from data.tools import verify
from tests.data.checks.forgery import seal
from tests.data.checks.helpers import found


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
