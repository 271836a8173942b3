"""The leaderboard of painters: who is in it, and scores beside what real images score."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluate.metrics import METRICS
from synth.painters import PAINTERS
from synth.painters.common.adversarial import PerceptualParams

Json = dict[str, Any]
ALIGNMENT = "alignment"
SHOWN = ("feature_frechet", "feature_diversity")


FEATURES: Mapping[str, Any] = {"vgg": None, "pretrained": "efficientnet_lite0"}


@dataclass(frozen=True)
class Entrant:
    """A painter of params.yaml, and what of its section is changed."""

    painter: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def entrants() -> dict[str, Entrant]:
    """Return every painter, and those with a perceptual loss once more with ImageNet features."""
    found = {}
    for name, entry in PAINTERS.items():
        if entry.build is not None:
            found[name] = Entrant(name)
        if issubclass(entry.Config, PerceptualParams):
            found[f"{name}_features"] = Entrant(name, FEATURES)
    return found


ENTRANTS = entrants()


@dataclass(frozen=True)
class Score:
    """What a painter scores: by metric, and its alignment by class.

    `images` were shown to it in `seconds` of processor time; of real images there are none.
    """

    name: str
    values: Mapping[str, float]
    classes: Mapping[str, float]
    images: int | None = None
    seconds: float | None = None

    @classmethod
    def of(
        cls,
        name: str,
        records: Iterable[Json],
        images: int | None = None,
        seconds: float | None = None,
    ) -> "Score":
        """Take the tidy records of metrics."""
        values, classes = {}, {}
        for record in records:
            if "class" not in record:
                values[record["metric"]] = record["value"]
            elif record["metric"] == ALIGNMENT:
                classes[record["class"]] = record["value"]
        return cls(name, values, classes, images, seconds)


def page(named: str, about: str, real: Score, scores: Sequence[Score]) -> str:
    """Return the section of one dataset and size."""
    counts = " ".join(str(count) for count in dict.fromkeys(score.images for score in scores))
    ordered = sorted(scores, key=lambda score: (score.images or 0, -score.values[ALIGNMENT]))
    return "\n".join(
        [
            f"## {named}",
            "",
            f"    python -m bench.painters --images {counts}",
            "",
            about,
            "",
            "Every painter paints the layouts of the real val pairs, which it has never seen; one "
            "that takes styles paints in looks of training images. *Alignment* is what the judge "
            "reads off the images, mIoU in percent; *of real* compares it with its score on the "
            "real images of the same layouts. *Core-minutes* are processor time of the training.",
            "",
            *(f"* **{METRICS[name].header}**: {METRICS[name].in_words}" for name in _there(real)),
            "",
            *_overall(real, ordered),
            "",
            "Alignment by class, IoU in percent; the first row is the judge on the real images:",
            "",
            *_by_class(real, ordered),
        ]
    )


def _there(real: Score) -> list[str]:
    return [name for name in SHOWN if name in real.values]


def _overall(real: Score, scores: Sequence[Score]) -> Iterable[str]:
    shown = _there(real)
    header = ["painter", "images", "core-minutes", "alignment", "of real, %"]
    yield _line([*header, *(METRICS[name].header for name in shown)])
    yield _rule(1, 4 + len(shown))
    for score in (real, *scores):
        share = 100 * score.values[ALIGNMENT] / real.values[ALIGNMENT]
        yield _line(
            [
                _named(score),
                "" if score.images is None else f"{score.images:,}",
                "" if score.seconds is None else f"{score.seconds / 60:.1f}",
                f"{score.values[ALIGNMENT]:.1f}",
                f"{share:.0f}",
                *(_number(score.values.get(name), METRICS[name].digits) for name in shown),
            ]
        )


def _by_class(real: Score, scores: Sequence[Score]) -> Iterable[str]:
    yield _line(["painter", "images", *real.classes])
    yield _rule(1, 1 + len(real.classes))
    for score in (real, *scores):
        found = [_number(score.classes.get(name), 1) for name in real.classes]
        yield _line([_named(score), "" if score.images is None else f"{score.images:,}", *found])


def _named(score: Score) -> str:
    return f"`{score.name}`" if score.images is not None else "real images"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(words: int, numbers: int) -> str:
    return _line(["---"] * words + ["---:"] * numbers)
