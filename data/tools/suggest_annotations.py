"""Read the classes off what a labelling tool wrote and write the `dataset` section for it."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.sources.annotations.config import Config
from data.sources.annotations.formats import FORMATS
from data.sources.annotations.formats.yolo import LISTS, names_of
from data.sources.annotations.naming import Finder
from data.sources.annotations.parsing import read_json
from data.sources.annotations.shapes import Annotated, Given
from data.sources.decode import read_size
from data.sources.files import distinct
from data.sources.reading.walk import Listed, fixed_part, permitted, slashed, walk
from data.stage.errors import UserError, some
from data.stage.progress import progress
from data.tools.suggest import Suggestion, head, image_notes
from data.tools.suggest_splits import named_lists, split_rule, text

PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
SUFFIXES = tuple(sorted({form.suffix for form in FORMATS.values()}))
BACKGROUND = "background"


@dataclass
class Seen:
    """What a first look at all annotations gave: objects by label, and the pictures found."""

    labels: Counter[str] = field(default_factory=Counter)
    pictures: list[Path] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where a format's files, pictures and masks were found, as globs below a root."""

    kind: str
    root: Path
    files: str
    images: str | None
    more: dict[str, str]


def suggest_annotations(
    annotations: str, images: str | None = None, masks: str | None = None
) -> Suggestion:
    """Return the `dataset` section for annotations: a file, a folder or a glob.

    Images are looked for beside the annotations, then one folder above, unless a glob names them;
    so are the masks of COCO panoptic. Every file is read. Raises `UserError` in the words of
    `ingest`, and where no format is recognised.
    """
    with permitted():
        listed = _annotation_files(annotations)
        kind = _kind([entry.path for entry in listed])
        place = _place(kind, annotations, listed, images, masks)
        return _suggest(place)


def _suggest(place: Place) -> Suggestion:
    asked = {"format": place.kind, "files": place.files, "images": place.images} | place.more
    config = Config.model_validate(asked | {"classes": [{"name": BACKGROUND}]})
    form, seen = FORMATS[place.kind], Seen()
    files = [entry.path for entry in walk(place.root, place.files)]
    pictures = [] if place.images is None else _pictures(place.root, place.images, files)
    finder = Finder(place.root, pictures)
    with progress(max(1, len(pictures)), "reading annotations", "images") as advance:
        for image in form.read(Given(place.root, files, config)):
            _look(image, finder, seen)
            advance()
    if not seen.labels:
        raise UserError(f"{place.root / place.files} names no object; label something")
    if place.images is not None and len(seen.pictures) < 2:
        raise UserError(
            f"{place.images!r} in {place.root} has {len(seen.pictures)} of the annotated images "
            f"({some(seen.absent)}); name them with --images GLOB"
        )
    return _written(place, seen, _classes(place, seen))


def _look(image: Annotated, finder: Finder, seen: Seen) -> None:
    if image.coded is None:
        seen.labels.update(dict.fromkeys((shape.label for shape in image.shapes), 0))
        seen.labels.update(shape.label for shape in image.shapes)
    elif image.coded.labels is None:
        seen.labels.update(map(str, distinct(image.coded.read())[0].tolist()))
    else:
        seen.labels.update(image.coded.labels.values())
    if image.picture is not None:
        return
    names = (image.name, *image.others)
    found = next(filter(None, map(finder.find, names)), None)
    if found is None and image.stem is not None:
        found = finder.find_stem(image.stem)
    if found is None:
        seen.absent.append(image.name)
    else:
        seen.pictures.append(found)
        seen.sizes.append(read_size(found))


def _classes(place: Place, seen: Seen) -> list[str]:
    """Return the lines of the classes and of the rest."""
    whole = FORMATS[place.kind].whole
    lines = ["    # `name` is yours to choose, `labels` are what the annotations say."]
    lines.append("    classes:")
    if not whole and BACKGROUND not in seen.labels:
        lines.append(f"    - {{name: {BACKGROUND}, eval: true}}  # what nobody outlined")
    for label, count in seen.labels.items():
        name = label if label and not label.isdigit() else f"class_{label}"
        lines.append(
            f"    - {{name: {text(name)}, labels: [{text(label)}], eval: true}}"
            f"  # {count} {'images' if whole else 'objects'}"
        )
    rest = "void" if whole else BACKGROUND
    return [
        *lines,
        "    # The class of pixels that nobody outlined; `void` if they may be anything.",
        f"    rest: {rest}",
    ]


def _written(place: Place, seen: Seen, classes: Sequence[str]) -> Suggestion:
    images = {p.relative_to(place.root).as_posix(): p for p in seen.pictures}
    lists = named_lists(place.root, images, images) if images else None
    if images:
        files, pattern = list(images.values()), str(place.images)
        rule, splits, notes = split_rule(place.root, pattern, files, "", lists)
    else:
        rule = ["    split: share", "    share: {train: 0.8, val: 0.2}"]
        splits, notes = ["train", "val"], []
    lines = [
        *head(place.root, seen.sizes or [(128, 96)], splits, "annotations"),
        "  annotations:",
        f"    format: {place.kind}",
        f"    files: {text(place.files)}",
        *([f"    images: {text(place.images)}"] if place.images else []),
        *(f"    {key}: {text(value)}" for key, value in place.more.items()),
        *classes,
        *rule,
        "    seed: 0",
    ]
    if seen.absent:
        notes.append(
            f"{len(seen.absent)} annotated images are not in {place.images!r} "
            f"({some(seen.absent)}); `ingest` refuses them unless a list names the others"
        )
    said = [*(image_notes(seen.pictures, seen.sizes) if seen.pictures else []), *notes]
    return Suggestion("\n".join(lines) + "\n", tuple(said))


def _annotation_files(annotations: str) -> list[Listed]:
    path = Path(slashed(annotations, Path())).expanduser()
    if path.is_dir():
        found = [entry for entry in walk(path, "**/*") if _may_be(entry.path)]
        kinds = Counter(entry.path.suffix.lower() for entry in found)
        for suffix in (".parquet", ".xml", ".json", ".txt"):
            if kinds[suffix]:
                return [entry for entry in found if entry.path.suffix.lower() == suffix]
    elif path.is_file():
        return [Listed(path, (), ())]
    else:
        fixed = fixed_part(path.as_posix(), Path())
        found = walk(fixed, path.relative_to(fixed).as_posix()) if fixed.is_dir() else []
        if found:
            return found
    raise UserError(
        f"{annotations} has no annotation; a file, folder or glob of {', '.join(SUFFIXES)} is one"
    )


def _may_be(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.name.lower() not in LISTS


def _kind(files: Sequence[Path]) -> str:
    """Return the format of files: by their ending, and of JSON by the content of the first."""
    suffix = files[0].suffix.lower()
    named = [kind for kind, form in FORMATS.items() if form.suffix == suffix]
    if len(named) == 1:
        return named[0]
    content = read_json(files[0]) if named else None
    for kind in named:
        form = FORMATS[kind]
        if form.is_mine is not None and form.is_mine(content):
            return kind
    raise UserError(
        f"{files[0]} is of none of the formats {', '.join(FORMATS)}; export the labels as one, or "
        "as masks"
    )


def _place(
    kind: str, annotations: str, listed: Sequence[Listed], images: str | None, masks: str | None
) -> Place:
    files = [entry.path for entry in listed]
    folder = Path(os.path.commonpath([file.parent for file in files]))
    globs = [glob for glob in (images, masks) if glob is not None]
    bases = [folder]
    for glob in globs:
        fixed = fixed_part(Path(slashed(glob, Path())).expanduser().as_posix(), Path())
        bases.append(fixed)
    if not FORMATS[kind].holds_pictures and images is None and not _pictures(folder, "**/*", ()):
        bases.append(folder.parent)
    absolute = [os.path.normpath(Path.cwd() / base) for base in bases]
    root = Path(os.path.commonpath(absolute))
    if Path.cwd().resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"the folder that holds both images and annotations is {root}, which holds this "
            "project too; move both into one folder of their own, such as data/raw/mine"
        )
    root = root if Path(annotations).is_absolute() else Path(os.path.relpath(root))
    below = [_below(root, glob) for glob in (images, masks) if glob is not None]
    pattern = files[0].name if len(files) == 1 else f"**/*{files[0].suffix}"
    inner = Path(os.path.relpath(folder, root)) / pattern
    more = {}
    if FORMATS[kind].numbers_classes and (names := _names(root, folder)):
        more["names"] = names
    if FORMATS[kind].needs_masks:
        more["masks"] = below[-1] if masks is not None else _panoptic(root, files[0])
    if FORMATS[kind].holds_pictures:
        return Place(kind, root, inner.as_posix(), None, more)
    found = below[0] if images is not None else _images(root, more.get("masks"))
    return Place(kind, root, inner.as_posix(), found, more)


def _below(root: Path, glob: str) -> str:
    path = Path(slashed(glob, Path())).expanduser()
    path = path / "*" if path.is_dir() else path
    return Path(os.path.relpath(path, root)).as_posix()


def _pictures(root: Path, pattern: str, taken: Sequence[Path]) -> list[Path]:
    return [e.path for e in walk(root, pattern, PICTURES) if e.path not in set(taken)]


def _images(root: Path, masks: str | None) -> str:
    """Return the glob of the pictures below a root: of their folders' common one and ending."""
    taken = [] if masks is None else [entry.path for entry in walk(root, masks)]
    files = _pictures(root, "**/*", taken)
    if not files:
        raise UserError(f"{root} has no picture ({', '.join(PICTURES)}); name them with --images")
    folder = Path(os.path.commonpath([file.parent for file in files])).relative_to(root)
    ending = Counter(file.suffix.lower() for file in files)
    pattern = f"*{next(iter(ending))}" if len(ending) == 1 else "*"
    deep = any(file.parent != root / folder for file in files)
    return (folder / "**" / pattern if deep else folder / pattern).as_posix()


def _names(root: Path, folder: Path) -> str | None:
    """Return the YAML with the names of YOLO's classes, below the root."""
    for entry in (*walk(root, "*.yaml"), *walk(folder, "*.yaml")):
        below = entry.path.relative_to(root).as_posix()
        try:
            names_of(root, below)
        except UserError:
            continue
        return below
    return None


def _panoptic(root: Path, file: Path) -> str:
    content: Any = read_json(file)
    names = {str(entry.get("file_name")) for entry in content["annotations"]}
    found = [e.path for e in walk(root, "**/*.png") if e.path.name in names]
    folders = {path.parent for path in found}
    likely = [f for f in folders if f.name == file.stem or "panoptic" in f.as_posix().lower()]
    if len(folders) > 1 and len(likely) == 1:
        folders = set(likely)
    if len(folders) != 1:
        raise UserError(
            f"the masks of {file} may be in {some(sorted(map(str, folders))) or 'no folder'}; "
            "name them with --masks GLOB"
        )
    return (folders.pop().relative_to(root) / "*.png").as_posix()
