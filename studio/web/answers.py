"""What the page asks, and what it is told: JSON in, JSON out, one function each."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from data.pairs.pair import Pair
from data.stage.errors import UserError
from data.stage.params import Params
from data.tools import export
from studio.acts import edit, gallery, judge, keep, scene, walk
from studio.acts.gallery import Filter
from studio.shelf import Shelf, default_state, pages_of
from studio.state import FACES, Name, parse
from studio.web import pictures
from studio.web.pictures import url

Answer = dict[str, Any]
MADE_IN = "about a quarter of an hour on two cores; `python -m bench.estimate` says it for yours"


class Kept(Params):
    """A set that somebody keeps pairs in."""

    set: Name
    ids: tuple[Name, ...] = Field(default=(), max_length=10_000)


class Where(Params):
    """A pair of a set."""

    set: Name
    id: Name


class Exported(Params):
    """A set, and the format it is written in."""

    set: Name
    to: Name


def shelf_of(shelf: Shelf, asked: Any) -> Answer:
    """Say what there is to show, and what is missing."""
    missing = shelf.missing()
    common = {"artifacts": str(shelf.artifacts), "pages": [*pages_of(shelf.artifacts)]}
    if missing:
        return {**common, "missing": missing, "command": "make repro", "takes": MADE_IN}
    real, bank = shelf.real, shelf.objects()
    classes = real.classes
    return {
        **common,
        "missing": [],
        "classes": [
            {"name": c.name, "color": list(c.color), "mean": float(mean), "face": c.name in FACES}
            for c, mean in zip(classes.classes, real.column("palette").mean(0), strict=True)
        ],
        "size": list(real.size),
        "train": real.ids(),
        "layouts": shelf.layouts(),
        "painters": [
            {
                "name": name,
                "looks": bank is not None,
                "by_class": bank is not None and bank.by_class,
            }
            for name in shelf.painters()
            for bank in [shelf.painting(name).bank]
        ],
        "editor": shelf.editor() is not None,
        "objects": [] if bank is None else bank.counts.tolist(),
        "cells": shelf.cells(),
        "sets": keep.sets_of(shelf.artifacts),
        "state": parse(default_state(shelf)).model_dump(mode="json"),
    }


def make_scene(shelf: Shelf, asked: Any) -> Answer:
    """Make a scene from its palette."""
    began = time.perf_counter()
    made = scene.show(shelf, parse(asked).scene)
    return {
        **_pair(shelf, made.pair),
        "asked": made.asked.tolist(),
        "warnings": list(made.warnings),
        "ms": round(1000 * (time.perf_counter() - began)),
    }


def make_variants(shelf: Shelf, asked: Any) -> Answer:
    """Make twelve variants of a scene."""
    found = scene.variants(shelf, parse(asked).scene)
    return {
        "variants": [
            {
                "scene": one.model_dump(mode="json"),
                "image": url(pair.image),
                "layout": url(shelf.real.classes.colorize(pair.label)),
            }
            for one, pair in found
        ]
    }


def make_edit(shelf: Shelf, asked: Any) -> Answer:
    """Apply the edits to their pair."""
    began = time.perf_counter()
    made = edit.show(shelf, parse(asked).edit)
    edited = made.pair.edited
    assert edited is not None
    outside = (made.pair.image != made.before.image).any(2) & ~edited
    return {
        **_pair(shelf, made.pair),
        "before": url(made.before.image),
        "layout_before": url(shelf.real.classes.colorize(made.before.label)),
        "was": scene.shares_of(shelf.real, made.before.label).tolist(),
        "edited": float(edited.mean()),
        "outside": int(outside.sum()),
        "ms": round(1000 * (time.perf_counter() - began)),
    }


def make_walk(shelf: Shelf, asked: Any) -> Answer:
    """Walk from one scene to another."""
    walked = walk.show(shelf, parse(asked))
    colors = shelf.real.classes.colorize(walked.labels)
    both = [np.concatenate(pair) for pair in zip(colors, walked.images, strict=True)]
    return {
        "frames": [url(image) for image in walked.images],
        "layouts": [url(color) for color in colors],
        "gif": pictures.animation(both),
        "differences": walked.differences,
        "said": walked.said,
    }


def make_judgement(shelf: Shelf, asked: Any) -> Answer:
    """Judge what a state shows."""
    content = _fields(asked, {"cell", "state"})
    state = parse(content["state"])
    if state.shown == "edit":
        pair = edit.show(shelf, state.edit).pair
    else:
        pair = scene.show(shelf, state.scene).pair
    return judged(shelf, str(content["cell"]), pair.image, pair.label, pair.parent)


def judged(
    shelf: Shelf, cell: str, image: np.ndarray, label: np.ndarray | None, parent: str | None
) -> Answer:
    """Judge an image."""
    found = judge.show(shelf, cell, image, label, parent)
    answer: Answer = {
        "image": url(image),
        "read": url(shelf.real.classes.colorize(found.read)),
        "sure": url(pictures.heat(found.sure)),
        "mean_sure": float(found.sure.mean()),
        "agree": found.agree,
        "missed": list(found.missed),
        "nearest": {"id": found.nearest, "row": shelf.row_of(found.nearest)},
        "copy": found.copy,
        "said": found.said,
    }
    if label is not None:
        answer["wrong"] = url((found.read != label) & (label != 255))
    return answer


def keep_pair(shelf: Shelf, asked: Any) -> Answer:
    """Put what is shown into a set."""
    content = _fields(asked, {"set", "state"})
    name = str(content["set"])
    made = keep.keep(shelf, name, parse(content["state"]))
    return {"id": made, "set": f"{keep.KEPT}/{name}", "sets": keep.sets_of(shelf.artifacts)}


def drop_pairs(shelf: Shelf, asked: Any) -> Answer:
    """Delete pairs from a kept set."""
    wanted = _checked(Kept, asked)
    left = keep.drop(shelf, _kept(wanted.set), wanted.ids)
    return {"left": left, "sets": keep.sets_of(shelf.artifacts)}


def make_gallery(shelf: Shelf, asked: Any) -> Answer:
    """Show a set."""
    wanted = _checked(Filter, asked)
    items, total, sources = gallery.show(shelf, wanted)
    return {
        "items": [asdict(item) for item in items],
        "total": total,
        "sources": sources,
        "page": gallery.PAGE,
        "kept": wanted.set.startswith(f"{keep.KEPT}/"),
    }


def state_of(shelf: Shelf, asked: Any) -> Answer:
    """Return the state that a kept pair was made from."""
    wanted = _checked(Where, asked)
    found = keep.state_of(shelf, wanted.set, wanted.id)
    return {"state": None if found is None else found.model_dump(mode="json")}


def export_set(shelf: Shelf, asked: Any) -> Answer:
    """Write a kept set in another format, beside it."""
    wanted = _checked(Exported, asked)
    folder = keep.folder_of(shelf.artifacts, wanted.set)
    name = wanted.set.replace("/", "-")
    out = Path(shelf.artifacts) / "exports" / f"{name}-{wanted.to}"
    export.main([folder], out, to=wanted.to)
    return {"said": f"written to {out}"}


ANSWERS: Mapping[str, Callable[[Shelf, Any], Answer]] = {
    "shelf": shelf_of,
    "scene": make_scene,
    "variants": make_variants,
    "edit": make_edit,
    "walk": make_walk,
    "judge": make_judgement,
    "keep": keep_pair,
    "drop": drop_pairs,
    "gallery": make_gallery,
    "state": state_of,
    "export": export_set,
}


def _pair(shelf: Shelf, pair: Pair) -> Answer:
    return {
        "image": url(pair.image),
        "layout": url(shelf.real.classes.colorize(pair.label)),
        "made": scene.shares_of(shelf.real, pair.label).tolist(),
        "parent": pair.parent,
        "style": pair.style,
        "donors": list(pair.donors or ()),
        "seed": pair.seed,
    }


def _kept(name: str) -> str:
    kind, _, short = name.partition("/")
    if kind != keep.KEPT:
        raise UserError(f"{name} was not kept here; the studio deletes from kept sets alone")
    return short


def _fields(asked: Any, names: set[str]) -> dict[str, Any]:
    if not isinstance(asked, dict) or set(asked) != names:
        raise UserError(f"this asks for {', '.join(sorted(names))}; load the page again")
    return asked


def _checked(schema: type[Any], asked: Any) -> Any:
    try:
        return schema.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise UserError(f"{where}: {first['msg'].lower()}; load the page again") from None
