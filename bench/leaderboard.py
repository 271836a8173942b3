"""The leaderboard of painters: who is in it, and scores beside what real images score.

Generators that see no layout are in it with their images alone.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from evaluate.metrics import METRICS, diversity
from evaluate.metrics.metric import Metric
from evaluate.stages.joints import OF_PAINTERS
from synth.painters import PAINTERS
from synth.painters.common.adversarial import PerceptualParams
from synth.unconditional import UNCONDITIONAL

Json = dict[str, Any]
ALIGNMENT = "alignment"
SHOWN = ("feature_frechet", "feature_diversity")
# Metrics that look at images alone, whoever made them and of what.
OF_IMAGES: Mapping[str, Metric] = {
    "feature_frechet": METRICS["feature_frechet"],
    "fid": METRICS["fid"],
    "feature_variety": diversity.OF_ANY,
    "feature_copies": METRICS["feature_copies"],
}
OF_LAYOUTS: Mapping[str, Metric] = {name: METRICS[name] for name in OF_PAINTERS} | OF_IMAGES
# What is in it, by section of params.yaml.
FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "painters": PAINTERS,
    "unconditional": UNCONDITIONAL,
}


FEATURES: Mapping[str, Any] = {"vgg": None, "pretrained": "efficientnet_lite0"}


@dataclass(frozen=True)
class Entrant:
    """A painter of params.yaml, and what of its section is changed; `family` is of `FAMILIES`."""

    painter: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    family: str = "painters"

    @property
    def paints(self) -> bool:
        """Say whether it sees layouts."""
        return self.family == "painters"

    @property
    def entry(self) -> Any:
        """What its registry holds of it."""
        return FAMILIES[self.family][self.painter]


def entrants() -> dict[str, Entrant]:
    """Return all that are trained, painters with a perceptual loss also with ImageNet features."""
    found = {}
    for name, entry in PAINTERS.items():
        if entry.build is not None:
            found[name] = Entrant(name)
        if issubclass(entry.Config, PerceptualParams):
            found[f"{name}_features"] = Entrant(name, FEATURES)
    return found | {name: Entrant(name, family="unconditional") for name in UNCONDITIONAL}


ENTRANTS = entrants()
PLAIN = [name for name, entrant in ENTRANTS.items() if not entrant.changes]
"""Who is trained where no one is named."""


@dataclass(frozen=True)
class Score:
    """What a painter scores: by metric, and its alignment by class where it was shown layouts.

    `images` were shown to it in `seconds` of processor time; unknown for a set that is there, and
    real images, which have no name, were shown to nobody. A set is named by its path. `cost` is
    that of an image, see `cost_of`. Of several `trainings` these are means, and `deviations` those
    of `values` (ddof = 1).
    """

    name: str
    values: Mapping[str, float]
    classes: Mapping[str, float]
    images: int | None = None
    seconds: float | None = None
    cost: Mapping[str, float] = field(default_factory=dict)
    deviations: Mapping[str, float] = field(default_factory=dict)
    trainings: int = 1

    @classmethod
    def of(
        cls,
        name: str,
        records: Iterable[Json],
        images: int | None = None,
        seconds: float | None = None,
        cost: Mapping[str, float] | None = None,
    ) -> "Score":
        """Take the tidy records of metrics."""
        values, classes = {}, {}
        for record in records:
            if "class" not in record:
                values[record["metric"]] = record["value"]
            elif record["metric"] == ALIGNMENT:
                classes[record["class"]] = record["value"]
        return cls(name, values, classes, images, seconds, cost or {})


def averaged(scores: Sequence[Score]) -> list[Score]:
    """Return one score for the trainings of each entrant at each number of images."""
    groups: dict[tuple[str, int | None], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.name, score.images), []).append(score)
    return [found[0] if len(found) == 1 else _mean(found) for found in groups.values()]


def _mean(scores: Sequence[Score]) -> Score:
    tables = [(s.values, s.classes, s.cost) for s in scores]
    values, classes, cost = (
        {key: fmean(it[key] for it in them) for key in them[0]}
        for them in zip(*tables, strict=True)
    )
    deviations = {key: stdev(s.values[key] for s in scores) for key in values}
    spent = [score.seconds for score in scores if score.seconds is not None]
    seconds = fmean(spent) if spent else None
    first = scores[0]
    return Score(first.name, values, classes, first.images, seconds, cost, deviations, len(scores))


def page(
    named: str, about: str, real: Score, scores: Sequence[Score], seeds: Sequence[int] = ()
) -> str:
    """Return the section of one dataset and size."""
    painted = [score for score in scores if score.images and ALIGNMENT in score.values]
    painted.sort(key=lambda score: (score.images or 0, -score.values[ALIGNMENT]))
    return "\n".join(
        [
            f"## {named}",
            "",
            f"    {command(scores, seeds)}",
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
            *_overall(real, painted),
            "",
            "Alignment by class, IoU in percent; the first row is the judge on the real images:",
            "",
            *_by_class(real, painted),
            "",
            *_alone(real, scores),
            *_costs(scores),
        ]
    )


def command(scores: Sequence[Score], seeds: Sequence[int] = ()) -> str:
    """Return the command that makes a page of these scores, whoever else failed."""
    trained = [score for score in scores if score.images is not None]
    names = list(dict.fromkeys(score.name for score in trained))
    parts = ["python -m bench.painters --images"]
    parts += dict.fromkeys(str(score.images) for score in trained)
    if names != PLAIN:
        parts += ["--painters", *(shlex.quote(name) for name in names)]
    if seeds:
        parts += ["--seeds", *map(str, seeds)]
    sets = [score.name for score in scores if score.images is None]
    if sets:
        parts += ["--sets", *(shlex.quote(path) for path in sets)]
    return " ".join(parts)


def _there(real: Score) -> list[str]:
    return [name for name in SHOWN if name in real.values]


def _alone(real: Score, scores: Sequence[Score]) -> Iterable[str]:
    """Yield the table of images alone, whoever made them: nearest to real ones first."""
    shown = [name for name in OF_IMAGES if any(name in it.values for it in (real, *scores))]
    if not shown:
        return
    yield (
        "Images alone, as many of each, whatever they were made of: painters paint the val "
        "layouts, generators without layouts "
        f"({', '.join(f'`{name}`' for name in UNCONDITIONAL)}) see none, and sets that were made "
        "already have their own. No alignment: not all of them have labels."
    )
    yield ""
    yield from (f"* **{OF_IMAGES[name].header}**: {OF_IMAGES[name].in_words}" for name in shown)
    yield ""
    yield _line(["images of", "images", "core-minutes", *(OF_IMAGES[it].header for it in shown)])
    yield _rule(1, 2 + len(shown))
    ordered = sorted(scores, key=lambda it: (it.images or 0, it.values.get(shown[0], 0.0)))
    for score in (real, *ordered):
        found = [_value(score, name, OF_IMAGES[name].digits) for name in shown]
        yield _line([_named(score), *_spent(score), *found])


def _costs(scores: Sequence[Score]) -> Iterable[str]:
    """Yield the table of what training shows a second, and an image needs."""
    known = [score for score in scores if score.cost]
    if not known:
        return
    yield ""
    yield (
        "What it costs, a second of one core: *shown* in training, critics and losses included; "
        "*made* as sets are. Parameters and multiply-adds are those of what makes an image, which "
        "says nothing of its critics."
    )
    yield ""
    header = ["parameters, M", "multiply-adds, G", "shown a second", "made a second"]
    yield _line(["painter", "images", *header])
    yield _rule(1, 1 + len(header))
    for score in sorted(known, key=lambda it: (it.images or 0, it.cost["multiply_adds"])):
        shown = None if not score.seconds else (score.images or 0) / score.seconds
        yield _line(
            [
                _named(score),
                _spent(score)[0],
                f"{score.cost['parameters'] / 1e6:.2f}",
                f"{score.cost['multiply_adds'] / 1e9:.2f}",
                _number(shown, 1),
                _rate(score.cost.get("seconds")),
            ]
        )


def _spent(score: Score) -> list[str]:
    return [
        "" if score.images is None else f"{score.images:,}",
        "" if score.seconds is None else f"{score.seconds / 60:.1f}",
    ]


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
                *_spent(score),
                _value(score, ALIGNMENT, 1),
                f"{share:.0f}",
                *(_value(score, name, METRICS[name].digits) for name in shown),
            ]
        )


def _by_class(real: Score, scores: Sequence[Score]) -> Iterable[str]:
    yield _line(["painter", "images", *real.classes])
    yield _rule(1, 1 + len(real.classes))
    for score in (real, *scores):
        found = [_number(score.classes.get(name), 1) for name in real.classes]
        yield _line([_named(score), _spent(score)[0], *found])


def _named(score: Score) -> str:
    if not score.name:
        return "real images"
    return f"`{score.name if score.images else Path(score.name).name}`"


def _rate(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{1 / seconds:.0f}" if seconds < 0.1 else f"{1 / seconds:.2f}"


def _value(score: Score, name: str, digits: int) -> str:
    text = _number(score.values.get(name), digits)
    return f"{text} ± {score.deviations[name]:.{digits}f}" if name in score.deviations else text


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(words: int, numbers: int) -> str:
    return _line(["---"] * words + ["---:"] * numbers)
