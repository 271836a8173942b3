"""What is said of all annotations at once: each kind in one line, counted, five of them named."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from data.sources.annotations.shapes import Annotated
from data.stage.errors import UserError, some
from data.stage.progress import log

CLASSES = "dataset.annotations.classes"


@dataclass
class Findings:
    """What was found in annotations, by kind; lists name images."""

    unknown: Counter[str] = field(default_factory=Counter)
    unknown_in: dict[str, Path] = field(default_factory=dict)
    absent: dict[str, Path] = field(default_factory=dict)
    misfits: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    outside: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    empty: list[str] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    hidden: int = 0
    covered: int = 0
    crowds: int = 0
    notes: dict[str, Counter[str]] = field(default_factory=dict)

    def add_unknown(self, label: str, image: Annotated) -> None:
        """Count an object of a class that nobody told."""
        self.unknown[label] += 1
        self.unknown_in.setdefault(label, image.file)

    def add_notes(self, image: Annotated) -> None:
        """Count what of an image is no shape."""
        for kind, count in image.notes.items():
            self.notes.setdefault(kind, Counter())[image.name] += count

    def require_none(self, num_images: int, known: str, finds: str) -> None:
        """Raise `UserError` for what would make wrong pairs: a line for the first such kind.

        `known` are the labels of classes in words, `finds` what images are looked for by.
        """
        if self.faults:
            more = f" ({len(self.faults)} such images)" if len(self.faults) > 1 else ""
            raise UserError(f"{self.faults[0]}{more}")
        if self.unknown:
            names = some(f"{label!r} ({count} objects)" for label, count in self.unknown.items())
            first = next(iter(self.unknown_in.values()))
            raise UserError(
                f"{first} has objects of classes that {CLASSES} has not: {names}; add them, also "
                f"as `labels` of another class or to dataset.annotations.ignored (known: {known})"
            )
        if self.absent:
            first = next(iter(self.absent.values()))
            raise UserError(
                f"{first} annotates {len(self.absent)} images that {finds} does not find: "
                f"{some(self.absent)}; bring them back, correct dataset.annotations.images, or "
                "name the images to read in a list (dataset.annotations.only)"
            )
        if self.misfits:
            raise UserError(
                f"{len(self.misfits)} of {num_images} images have another size than their "
                f"annotation says: {some(self.misfits)}; take the images that were labelled"
            )

    def say(self, num_images: int, on_top: str) -> None:
        """Log a line for every kind that makes no pair wrong."""
        if self.outside:
            log.info(
                f"note: {self.outside.total()} objects in {len(self.outside)} of {num_images} "
                f"images reach out of the picture and are cut ({some(self.outside)})"
            )
        if self.unseen:
            log.info(
                f"note: {self.unseen.total()} objects in {len(self.unseen)} of {num_images} "
                f"images are too thin to cover a pixel and are not drawn ({some(self.unseen)})"
            )
        if self.empty:
            log.info(
                f"note: {len(self.empty)} of {num_images} images have no object "
                f"({some(self.empty)}); all of them is dataset.annotations.rest"
            )
        if self.overlaps:
            log.info(
                f"note: objects of different classes overlap in {len(self.overlaps)} of "
                f"{num_images} images ({some(self.overlaps)}), by "
                f"{self.hidden / max(1, self.covered):.1%} of what is labelled; {on_top}"
            )
        if self.crowds:
            log.info(f"note: {self.crowds} crowds are drawn as their class, below single objects")
        for kind, images in self.notes.items():
            log.info(
                f"note: {kind}: {images.total()} in {len(images)} images ({some(images)}), left out"
            )
