"""The card of an export: what is real, what is synthetic, and what may be done with it."""

from collections.abc import Mapping

import numpy as np

from data.pairs.shards import PairSet

_CHECKED = """\
Before the export, `python -m data.tools.verify` found no fault in any of the sets below. It
compares the length and sha256 of every file and the sha256 of every pair, decodes every image and
label, counts every palette again, resolves every parent, and compares the labels of edited pairs
with those of their parents. No pair is in two splits, but for blank images."""

_SYNTHETIC = """\
The label of a synthetic pair is the layout that its image was painted from, not an annotation of
that image: nobody has looked whether the two agree. Do not score on synthetic pairs."""

_LICENCE = """\
The synthetic pairs were made by models that learned from the real pairs above. Assume that the
licence of those extends to them, unless you know better."""


def card(splits: Mapping[str, PairSet], title: str, layout: str) -> str:
    """Return the Markdown page of an export; `layout` is the format's words on its files."""
    first = next(iter(splits.values()))
    height, width = first.size
    counts = {name: _counts(pairs) for name, pairs in splits.items()}
    real = sum(sources.get("real", 0) for sources in counts.values())
    total = sum(sum(sources.values()) for sources in counts.values())
    sections = [
        f"# {_line(title)}",
        f"{total} images of {width}x{height} pixels with label maps of {first.classes.num_classes} "
        f"classes. **{real} pairs are real, {total - real} synthetic.** Exported by scene-palette.",
        "## What is real and what is synthetic",
        _origins(splits, counts),
        *([_SYNTHETIC] if real < total else []),
        "## Classes",
        _classes(splits),
        "## Licence",
        _licences(splits),
        *([_LICENCE] if real < total else []),
        "## Files",
        layout,
        "## How it was checked",
        _CHECKED,
        _hashes(splits),
    ]
    return "\n\n".join(sections) + "\n"


def _counts(pairs: PairSet) -> dict[str, int]:
    """Return the number of pairs by source, `real` first."""
    sources: dict[str, int] = pairs.manifest["sources"]
    return dict(sorted(sources.items(), key=lambda entry: (entry[0] != "real", entry[0])))


def _origins(splits: Mapping[str, PairSet], counts: Mapping[str, Mapping[str, int]]) -> str:
    rows = []
    for split, pairs in splits.items():
        for source, count in counts[split].items():
            rows.append((split, source, str(count), *_made_by(pairs, source)))
    return _table(("split", "source", "pairs", "images and labels", "made by"), rows)


def _made_by(pairs: PairSet, source: str) -> tuple[str, str]:
    """Return what of a source's pairs is real, and what made them."""
    facts = pairs.origin.get(source, {})
    if source == "real":
        return "real", f"dataset `{facts.get('dataset', 'unknown')}`"
    said = ", ".join(f"{key} `{value}`" for key, value in facts.items()) or "unknown"
    if facts.get("layouts") == "real":
        return "labels real, images synthetic", said
    parents = zip(pairs.column("source"), pairs.column("parent"), strict=True)
    if any(name == source and parent is not None for name, parent in parents):
        return "labels real in part, images synthetic", said
    return "synthetic", said


def _classes(splits: Mapping[str, PairSet]) -> str:
    """Return the class table with the share of pixels in real and in synthetic pairs."""
    classes = next(iter(splits.values())).classes
    shares: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for pairs in splits.values():
        palette = pairs.column("palette")
        is_real = np.asarray(pairs.column("source"), object) == "real"
        for key in (True, False):
            shares[key].append(palette[is_real == key])
    columns = {
        name: np.concatenate(shares[key]).mean(axis=0, dtype=np.float64)
        for key, name in ((True, "% of real pixels"), (False, "% of synthetic pixels"))
        if sum(map(len, shares[key]))
    }
    rows = [
        (
            str(index),
            entry.name,
            "#{:02x}{:02x}{:02x}".format(*entry.color),
            "yes" if entry.eval else "no",
            *(f"{100 * share[index]:.2f}" for share in columns.values()),
        )
        for index, entry in enumerate(classes.classes)
    ]
    return _table(("id", "class", "colour", "in mIoU", *columns), rows)


def _licences(splits: Mapping[str, PairSet]) -> str:
    found = {}
    for pairs in splits.values():
        facts = pairs.origin.get("real", {})
        words = facts.get("licence", "nothing is known of the licence")
        found[f"Real pairs (dataset `{facts.get('dataset', 'unknown')}`): {_line(words)}."] = None
    return "\n".join(found)


def _hashes(splits: Mapping[str, PairSet]) -> str:
    rows = [
        (split, str(len(pairs)), f"`{pairs.manifest['sha256']}`") for split, pairs in splits.items()
    ]
    return _table(("split", "pairs", "sha256 of the set's manifest"), rows)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_line, line)) + " |" for line in lines)


def _line(text: str) -> str:
    """Return a text that stays in its line and its cell."""
    return " ".join(text.split()).replace("|", "\\|")
