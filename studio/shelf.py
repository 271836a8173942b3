"""What has been trained: models by name, loaded when they are asked for and kept."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from data.pairs.manifest import MANIFEST
from data.pairs.pairset import PairSet
from data.stage.compute import Compute
from data.stage.errors import UserError, some
from data.stage.params import choose, read
from synth.layouts import LAYOUTS
from synth.layouts.transplant import Transplant
from synth.making import sets
from synth.making.looks import Style, takes_style
from synth.making.painter import load_painter
from synth.making.parts import ProduceParams
from synth.making.sets import Artifacts, ReadySet, SetParams
from synth.painters import PAINTERS
from synth.painters.common.bank import StyleBank, bank_of
from synth.palettes.palette import PaletteModel
from synth.training import artifact
from synth.training.method import Given, Painter

MOST_KEPT = 64  # models, descriptions and lists
WEIGHTS_OF_CELL = "model.safetensors"

V = TypeVar("V")


@dataclass(frozen=True)
class Painting:
    """A trained painter: the method, its networks as production has them, and its looks, if any."""

    method: Painter
    nets: nn.ModuleDict
    bank: StyleBank | None


class Shelf:
    """The artifacts of a folder, on the CPU or its GPU, as `dvc.yaml` lays them out.

    `compute` and `numbers` are what production computes with. What is trained anew while the studio
    runs is loaded anew. Nothing here is safe to use from several threads at once.
    """

    def __init__(self, artifacts: Path, compute: Compute, numbers: ProduceParams) -> None:
        """Look at nothing yet."""
        self.artifacts, self.compute, self.numbers = artifacts, compute, numbers
        self.device = torch.device(compute.device)
        self._loaded: OrderedDict[Hashable, Any] = OrderedDict()

    # == what is there ==

    @cached_property
    def train(self) -> Path:
        """Return the folder of the real training pairs."""
        return self.artifacts / "real" / "train"

    @property
    def real(self) -> PairSet:
        """Return the real training pairs."""
        return self._kept("real", (self.train,), lambda: PairSet(self.train))

    @property
    def palettes(self) -> PaletteModel:
        """Return the law of their palettes."""
        folder = self.artifacts / "palette"
        return self._kept("palette", (folder,), lambda: PaletteModel.load(folder))

    def layouts(self) -> list[str]:
        """Return the names of layout methods that follow a palette."""
        return [n for n, entry in self._methods("layouts", LAYOUTS) if entry.follows_palette]

    def painters(self) -> list[str]:
        """Return the names of painters, those that take looks first."""
        there = [(n, e) for n, e in self._methods("painters", PAINTERS) if e.build is not None]
        return [name for name, entry in sorted(there, key=lambda it: it[1].takes_style is None)]

    def cells(self) -> list[str]:
        """Return the trained segmenters, `ROW/SEED`."""
        found = sorted((self.artifacts / "segment").glob(f"*/*/{WEIGHTS_OF_CELL}"))
        return ["/".join(path.parts[-3:-1]) for path in found]

    def missing(self) -> list[str]:
        """Say what has to be trained before anything can be shown, a line each."""
        said = []
        if not (self.train / MANIFEST).is_file():
            said.append(f"{self.train} holds no real pairs")
        if not (self.artifacts / "palette" / "palette.json").is_file():
            said.append(f"{self.artifacts / 'palette'} holds no law of palettes")
        for what, names in (("layouts", self.layouts()), ("painters", self.painters())):
            if not names:
                said.append(f"{self.artifacts / what} holds nothing that was trained")
        return said

    # == models ==

    def ready(self, layouts: str, painter: str, style: Style) -> ReadySet:
        """Return a set without controls: layouts and painter as production loads them.

        Where objects are put into real pairs, these and those that were there keep their pixels.
        """
        self._require("layouts", layouts, self.layouts())
        self._require("painters", painter, self.painters())
        entry = LAYOUTS[self._described("layouts", layouts).method]
        painted_by = self._described("painters", painter).method
        takes = takes_style(painted_by, self.artifacts / "painters" / painter)
        row = SetParams(
            layouts=layouts,
            painter=painter,
            num_pairs=1,
            keep="objects" if entry.composes else False,
            style=style if takes else None,
        )
        where = Artifacts(
            self.artifacts / "palette",
            self.artifacts / "layouts" / layouts,
            self.artifacts / "painters" / painter,
        )
        files = (where.palette, where.layout, where.painter, self.train)

        def load() -> ReadySet:
            dtype = self.compute.dtype
            return sets.load("studio", row, self.real, where, device=self.device, dtype=dtype)

        return self._kept(("ready", layouts, painter, row.style), files, load)

    def painting(self, painter: str) -> Painting:
        """Return a painter by itself."""
        self._require("painters", painter, self.painters())
        folder = self.artifacts / "painters" / painter

        def load() -> Painting:
            name = artifact.checked(folder, self.real).method
            method, nets = load_painter(folder, name, self.real, self.device)
            nets = PAINTERS[name].prepare(method, nets, self.compute.dtype)
            bank = bank_of(nets) if "bank" in nets else None
            if bank is not None and len(bank) != len(self.real):
                raise UserError(
                    f"{folder} has the looks of {len(bank)} pairs, {self.train} has "
                    f"{len(self.real)}; train the painter on this set"
                )
            return Painting(method, nets, bank)

        return self._kept(("painting", painter), (folder, self.train), load)

    def editor(self) -> tuple[Any, nn.ModuleDict] | None:
        """Return a method that edits layouts and its networks, None where none is trained."""
        found = [n for n, entry in self._methods("layouts", LAYOUTS) if entry.edits]
        if not found:
            return None
        folder = self.artifacts / "layouts" / found[0]
        return self._kept("editor", (folder, self.train), lambda: self._editor(found[0]))

    def objects(self) -> Transplant | None:
        """Return the bank of real objects, None where none was made."""
        there = self._methods("layouts", LAYOUTS)
        found = [(n, e, e.load) for n, e in there if e.load is not None and e.composes]
        if not found:
            return None
        name, entry, load = found[0]
        folder = self.artifacts / "layouts" / name

        def bank() -> Any:
            artifact.checked(folder, self.real)
            return load(artifact.config_of(folder, entry), artifact.load_bank(folder))

        return self._kept("objects", (folder,), bank)

    def method_of(self, layouts: str) -> str:
        """Return the registry name of a layout method, also where a joint tuned it."""
        return self._described("layouts", layouts).method

    def row_of(self, pair: str) -> int:
        """Return the row of a training pair."""
        ids = self._kept("ids", (self.train,), self.real.ids)
        if pair not in ids:
            raise UserError(f"{self.train} has no pair {pair!r}; it has {some(ids)}")
        return ids.index(pair)

    def once(self, key: Hashable, files: tuple[Path, ...], load: Callable[[], V]) -> V:
        """Load something of these files once, and again when they change."""
        return self._kept(key, files, load)

    def _editor(self, name: str) -> tuple[Any, nn.ModuleDict]:
        folder = self.artifacts / "layouts" / name
        described = artifact.checked(folder, self.real)
        given = Given(self.real.classes.num_classes, self.real.size, self.palettes)
        method, nets = artifact.load(folder, LAYOUTS[described.method], given)
        return method, nets.to(self.device)

    def _methods(self, what: str, registry: Any) -> list[tuple[str, Any]]:
        found = []
        for file in sorted((self.artifacts / what).glob(f"*/{artifact.DESCRIPTION}")):
            try:
                method = self._described(what, file.parent.name).method
            except (ValueError, KeyError, TypeError, OSError):
                continue  # half a file, or one of another program
            if method in registry:
                found.append((file.parent.name, registry[method]))
        return found

    def _described(self, what: str, name: str) -> artifact.Description:
        folder = self.artifacts / what / name
        return self._kept(("about", what, name), (folder,), lambda: artifact.describe(folder))

    def _require(self, what: str, name: str, there: list[str]) -> None:
        choose(name, dict.fromkeys(there), f"trained {what.removesuffix('s')} method")

    def _kept(self, key: Hashable, files: tuple[Path, ...], load: Callable[[], V]) -> V:
        key = (key, tuple(_stamp(file) for file in files))
        if key not in self._loaded:
            self._loaded[key] = load()
            if len(self._loaded) > MOST_KEPT:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]


def beside(train: Path, painter: Path) -> Shelf:
    """Return the shelf of the folder that training pairs lie in, and a painter in it."""
    artifacts = train.absolute().parents[1]
    if painter.absolute().parent != artifacts / "painters":
        raise UserError(
            f"{painter} is not a painter of {artifacts}; this demo takes both from one run"
        )
    shelf = Shelf(artifacts, Compute("cpu", "fp32", False, 1), read("produce", ProduceParams))
    if missing := shelf.missing():
        raise UserError(f"{missing[0]}; run `make repro`")
    return shelf


def pages_of(artifacts: Path) -> dict[str, Path]:
    """Return the pages that a run left beside its artifacts, by name: `report`, `study`."""
    pages = {
        "report": artifacts.absolute().parent / "evaluate" / "report.html",
        "study": artifacts / "study.html",
    }
    return {name: path for name, path in pages.items() if path.is_file()}


def default_state(shelf: Shelf) -> dict[str, Any]:
    """Return the state that a page without a link begins with."""
    painter = shelf.painters()[0]
    layouts = shelf.layouts()
    whole = [n for n in layouts if not LAYOUTS[shelf.method_of(n)].derives] or layouts
    first = shelf.real.ids()[0]
    return {
        "scene": {"layouts": whole[0], "painter": painter, "seed": shelf.numbers.seed},
        "edit": {"pair": first, "painter": painter, "seed": shelf.numbers.seed},
    }


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return what changes when a folder is made anew."""
    found = []
    for name in (artifact.DESCRIPTION, MANIFEST, "palette.json"):
        if (folder / name).is_file():
            about = (folder / name).stat()
            found += [about.st_mtime_ns, about.st_ino]
    return tuple(found)
