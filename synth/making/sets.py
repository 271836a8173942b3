"""What pairs to make: a set is where layouts come from, who paints them, and how many there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.params import Params, choose
from synth.layouts import LAYOUTS
from synth.layouts.common.edits import Editor, Edits, editor
from synth.layouts.common.edits import describe as describe_edits
from synth.layouts.common.entry import Found
from synth.layouts.common.masks import Lengths
from synth.making.looks import Looks, Style, takes_style, who_takes_styles
from synth.making.painter import PainterName, load_painter
from synth.painters import PAINTERS
from synth.painters.common.bank import StyleBank, bank_of
from synth.palettes import adaptive
from synth.palettes.controls import Control, Controls, control
from synth.palettes.controls import describe as describe_controls
from synth.palettes.palette import PaletteModel
from synth.training import artifact
from synth.training.method import Given, Method, Painter, Palettes

Keep = bool | Literal["donors", "objects"]


class SetParams(Params):
    """An entry of `sets`: a layout method, a painter, how many pairs, and what is asked.

    Layouts and painter may also be named by the joint that fine-tuned them, layouts by the adaptive
    palettes that they are asked for. With `keep`, pixels outside the edit of a real layout are real
    ones; with `donors`, those of the objects that were put into it are; with `objects`, those of
    all objects, also of such as it had. `controls` are for layout methods that follow a palette,
    `edits` for those that edit real layouts, `style` for painters that take one: without it they
    paint the look of another image.
    """

    layouts: str
    painter: PainterName
    num_pairs: int = Field(ge=1)
    keep: Keep = False
    controls: Controls = Controls()
    edits: Edits = Edits()
    style: Style | None = None

    def made_of(self) -> dict[str, Any]:
        """Return what pairs depend on; a key that says nothing is left out."""
        return self.model_dump(mode="json", exclude=set() if self.style else {"style"})

    def describe(self) -> dict[str, str]:
        """Say in words what makes the pairs, for the manifest."""
        words = {
            "layouts": self.layouts,
            "painter": self.painter,
            "keep": str(self.keep).lower() if self.keep else "",
            "controls": describe_controls(self.controls),
            "edits": describe_edits(self.edits),
            "style": self.style or "",
        }
        return {key: said for key, said in words.items() if said}


@dataclass(frozen=True)
class Artifacts:
    """Where the models of a set are: fitted palettes, a layout method, a painter."""

    palette: Path
    layout: Path
    painter: Path


@dataclass(frozen=True)
class CheckedSet:
    """A set whose parts are known to fit together, before any network is built.

    `layouts` and `painter` are registry names, also where a joint fine-tuned them.
    """

    name: str
    layouts: str
    painter: str
    palettes: adaptive.Law
    control: Control | None
    editor: Editor | None
    style: Style | None


@dataclass(frozen=True)
class ReadySet:
    """A set ready to be made: trained networks, palettes and the real training pairs.

    `layouts` is the registry name of the layout method, also where a joint fine-tuned it. `rows`
    are the pairs of `real` that layouts may start from, `real_labels` uint8 `[N, H, W]` theirs.
    `bands` are the shortest and the longest one of another real pair, as fractions of the width.
    """

    name: str
    layouts: str
    layout_method: Any  # None, and no networks, where nothing was trained
    layout_nets: nn.ModuleDict
    painter: Painter | None  # None where pixels stay as the layouts draw them
    painter_nets: nn.ModuleDict
    palettes: adaptive.Law
    control: Control | None
    editor: Editor | None
    bands: Lengths | None
    looks: Looks | None
    keep: Keep
    real: PairSet
    rows: np.ndarray
    real_labels: torch.Tensor
    real_ids: tuple[str, ...]
    device: torch.device


def check(name: str, row: SetParams, real: PairSet, artifacts: Artifacts) -> CheckedSet:
    """Check that a set can be made of these artifacts.

    Raises `UserError` for unknown methods, for half a set, for what the methods cannot do, and for
    artifacts that were trained on other classes or at another size.
    """
    layouts = _method(artifacts.layout, row.layouts, LAYOUTS, "layout method")
    painter = _method(artifacts.painter, row.painter, PAINTERS, "painter")
    _require_pixels(name, row, layouts, painter)
    palettes = adaptive.load(artifacts.layout, PaletteModel.load(artifacts.palette))
    asked = None
    leaning = isinstance(palettes, adaptive.AdaptivePalettes)
    if (leaning or row.controls != Controls()) and not LAYOUTS[layouts].follows_palette:
        has = "adaptive palettes" if leaning else "controls"
        raise UserError(
            f"set {name!r} has {has}, but its layouts {row.layouts!r} follow no palette; "
            f"use {_named('follows_palette')} or remove the {has}"
        )
    if row.controls != Controls():
        asked = control(row.controls, real.classes, palettes, real.column("palette"))
    for path, named in ((artifacts.layout, row.layouts), (artifacts.painter, row.painter)):
        if artifact.checked(path, real).name != named:
            holds = artifact.describe(path).name
            raise UserError(f"{path} holds {holds!r}, the set asks for {named!r}")
    edits = _editor(name, row, layouts, artifacts.layout, real)
    style = _style(name, row, layouts, takes_style(painter, artifacts.painter))
    return CheckedSet(name, layouts, painter, palettes, asked, edits, style)


def load(
    name: str,
    row: SetParams,
    real: PairSet,
    artifacts: Artifacts,
    *,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> ReadySet:
    """Load what a set is made with; raises as `check` does.

    The painter computes in `dtype`, layouts always in float32.
    """
    checked = check(name, row, real, artifacts)
    palettes = checked.palettes
    layout_method, layout_nets = _layouts(artifacts.layout, checked.layouts, real, palettes, device)
    painter_method, painter_nets = None, nn.ModuleDict()
    if PAINTERS[checked.painter].build is not None:
        painter_method, painter_nets = load_painter(
            artifacts.painter, checked.painter, real, device
        )
    ids = real.ids()
    looks = None
    if checked.style is not None:
        looks = _looks(artifacts.painter, checked.style, bank_of(painter_nets), ids)
    painter_nets = PAINTERS[checked.painter].prepare(painter_method, painter_nets, dtype)
    editor = checked.editor
    rows = np.arange(len(real)) if editor is None else editor.rows
    labels = torch.from_numpy(real.labels(rows))
    return ReadySet(
        name,
        checked.layouts,
        layout_method,
        layout_nets,
        painter_method,
        painter_nets,
        palettes,
        checked.control,
        None if editor is None else replace(editor, labels=labels),
        row.edits.bands if editor is None else None,
        looks,
        row.keep,
        real,
        rows,
        labels,
        tuple(ids[row] for row in rows),
        device,
    )


def _require_pixels(name: str, row: SetParams, layouts: str, painter: str) -> None:
    """Raise `UserError` unless every pixel comes from somewhere: painted, drawn, or kept."""
    draws, paints = LAYOUTS[layouts].composes, PAINTERS[painter].build is not None
    if not draws and not paints:
        raise UserError(
            f"set {name!r} has painter {row.painter!r}, but its layouts {row.layouts!r} draw no "
            f"images; name a painter, or use {_named('composes')} (real pairs are a row, no set)"
        )
    if not paints and row.keep is not True:
        raise UserError(
            f"set {name!r} has painter {row.painter!r}, so that all pixels but those of objects "
            "are the parents'; write `keep: true`"
        )
    if not isinstance(row.keep, bool) and not draws:
        raise UserError(
            f"set {name!r} keeps the pixels of objects, but its layouts {row.layouts!r} put none "
            f"into real pairs; use {_named('composes')}, or keep: true or false"
        )
    if row.keep and not LAYOUTS[layouts].marks_edits:
        raise UserError(
            f"set {name!r} keeps real pixels, but its layouts {row.layouts!r} are not edits of "
            f"real ones; use {_named('marks_edits')} or remove `keep`"
        )


def _editor(name: str, row: SetParams, layouts: str, layout: Path, real: PairSet) -> Editor | None:
    puts = LAYOUTS[layouts].composes
    if row.edits == Edits() or (puts and row.edits == Edits(bands=row.edits.bands)):
        return None
    if puts:
        raise UserError(
            f"set {name!r} has edits, but its layouts {row.layouts!r} take only bands, of other "
            f"real pairs; write edits: {{bands: [0.25, 0.6]}}, or use {_named('edits')}"
        )
    if not LAYOUTS[layouts].edits:
        raise UserError(
            f"set {name!r} has edits, but its layouts {row.layouts!r} are not edits of real ones; "
            f"use {_named('edits')} or remove the edits"
        )
    config = artifact.config_of(layout, LAYOUTS[layouts])
    return editor(row.edits, real.classes, config.masks, real.column("palette"))


def _style(name: str, row: SetParams, layouts: str, has_looks: bool) -> Style | None:
    if not has_looks:
        if row.style is None:
            return None
        raise UserError(
            f"set {name!r} has style {row.style!r}, but its painter {row.painter!r} takes none; "
            f"use {who_takes_styles()} or remove `style`"
        )
    if row.style == "own" and not LAYOUTS[layouts].derives:
        raise UserError(
            f"set {name!r} has style 'own', but its layouts {row.layouts!r} are no real ones with "
            "a look of their own; use one, mixed or sampled"
        )
    return row.style or "one"


def _looks(path: Path, style: Style, bank: StyleBank, ids: Sequence[str]) -> Looks:
    if len(bank) != len(ids):
        raise UserError(
            f"{path} has the looks of {len(bank)} pairs, the real set has {len(ids)}; train the "
            "painter on this set"
        )
    return Looks.of(style, bank, ids)


def _method(path: Path, name: str, registry: Mapping[str, Any], what: str) -> str:
    """Return the registry name behind a name in a set, which may be that of a joint."""
    if name not in registry and (path / artifact.DESCRIPTION).is_file():
        name = artifact.describe(path).method
    choose(name, registry, what)
    return name


def _named(ability: str) -> str:
    """Name the layout methods that have an ability."""
    return ", ".join(name for name, entry in LAYOUTS.items() if getattr(entry, ability))


def _layouts(
    path: Path, name: str, real: PairSet, palettes: Palettes, device: torch.device
) -> tuple[Method | Found | None, nn.ModuleDict]:
    entry = LAYOUTS[name]
    if entry.load is not None:
        config = artifact.config_of(path, entry)
        found = entry.load(config, artifact.load_bank(path))
        if found.num_pairs != len(real):
            raise UserError(
                f"{path} was fitted on {found.num_pairs} pairs, the real set has {len(real)}; "
                "fit it on this set"
            )
        return found, nn.ModuleDict()
    if entry.build is None:
        return None, nn.ModuleDict()
    method, nets = artifact.load(path, entry, Given(real.classes.num_classes, real.size, palettes))
    return method, nets.to(device)
