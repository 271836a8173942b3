"""Images and what a labelling tool wrote about them: COCO, labelme, YOLO, CVAT and others.

Masks are drawn into a folder of their own and read from there as those of `folder` are; pictures
stay where they are.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.sources.annotations.config import Config as Config
from data.sources.annotations.config import class_table as class_table
from data.sources.annotations.config import labels_of
from data.sources.annotations.formats import FORMATS, Format
from data.sources.annotations.naming import Finder
from data.sources.annotations.rendering import PICTURES, Renderer
from data.sources.annotations.shapes import Given
from data.sources.decode import read_values
from data.sources.files import RawPair, glob_files, require_folder
from data.sources.reading.dividing import chosen, divided, grouped, id_of, section
from data.sources.reading.walk import count
from data.stage.errors import UserError
from data.stage.params import choose

LICENCE = "your own images: nothing is known of their licence"
INDEX = "pairs.json"


def prepare(
    root: Path, splits: Sequence[str], config: Config, size: tuple[int, int], scratch: Path
) -> Path:
    """Draw the masks of all annotated images under `scratch`; return that folder, with an index."""
    form: Format = choose(config.format, FORMATS, "format of annotations")
    classes, labels = class_table(config), labels_of(config)
    require_folder(root, "your images and annotations")
    files = glob_files(root, config.files, "dataset.annotations.files")
    renderer = Renderer(
        form=form,
        labels=labels,
        rest=classes.names.index(config.rest),
        config=config,
        finder=_finder(root, config, form, files, scratch),
        out=scratch,
    )
    drawn = renderer.draw(Given(root, files, config))
    count(len(renderer.finder.files) or len(drawn), len(drawn))
    index = {
        "root": str(renderer.finder.root),
        "pairs": [[str(picture), str(mask)] for picture, mask in drawn],
    }
    (scratch / INDEX).write_text(json.dumps(index), encoding="utf-8")
    return scratch


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits in what `prepare` made; ids are paths of images."""
    index = json.loads((root / INDEX).read_text(encoding="utf-8"))
    base, masks = Path(index["root"]), {Path(p): Path(m) for p, m in index["pairs"]}
    images = {picture.relative_to(base).as_posix(): picture for picture in masks}
    with section("annotations"):
        images = chosen(base, config, images, config.images or config.files)
        groups = grouped(base, config, images)
        pattern = config.images or config.files
        parts = divided(base, splits, config, images, groups, pattern)
    return [
        RawPair(
            id_of(base, images[key]),
            split,
            images[key],
            masks[images[key]],
            group=groups.get(key, ""),
            alpha=config.alpha,
        )
        for split in splits
        for key in sorted(parts[split])
    ]


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a drawn mask as class ids uint8 [H, W]."""
    return read_values(pair.label).astype(np.uint8)


def _finder(
    root: Path, config: Config, form: Format, files: Sequence[Path], scratch: Path
) -> Finder:
    """Return what finds pictures: those of `images`, or those that the files hold."""
    if form.holds_pictures:
        if config.only is not None or config.split == "list":
            raise UserError(
                f"pictures in {config.format} have no names for lists; leave out "
                "dataset.annotations.only, and divide by share, glob or group"
            )
        return Finder(scratch / PICTURES, ())
    if config.images is None:
        raise UserError(
            "dataset.annotations.images is missing; write a glob such as 'images/**/*.jpg'"
        )
    taken = set(files)
    found = glob_files(root, config.images, "dataset.annotations.images")
    return Finder(root, [file for file in found if file not in taken])
