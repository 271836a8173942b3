"""The three tables of the Semantic Palette poster: our numbers, beside them the poster's."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.config import BASELINE
from evaluate.page import poster
from evaluate.page.numbers import head_split, of_split
from evaluate.page.poster import Row
from evaluate.page.tables import NOTHING, gain, made_of, markdown, mean_std, number
from evaluate.verdict import headline, seeds_in_words

Json = dict[str, Any]

NOT_RUN = "not run"
HEAD = ("the poster's row", "recipe", "layouts → painter")
GAIN = "{split} gain with real pairs [95 %]"
SCORES = {"kl": "KL", "fsd": "FSD", "frechet": "Frechet distance"}


def section(report: Json) -> list[str]:
    """Return the markdown of the three tables; nothing for a report with the default rows alone."""
    if not poster.has_more_than_default(_table(report)):
        return []
    height, width = report["size"]
    n = report["recipes"][BASELINE]["miou"]["n"]
    seeds = seeds_in_words(n) + (", mean ± standard deviation," if n > 1 else "")
    return [
        "## Beside the Semantic Palette poster",
        f"Ours: {report['dataset']} at {height}x{width}, {report['budget']['arch']}, {seeds} "
        f"unless a cell says otherwise. The poster's: {poster.CAPTION}. Other images, networks and "
        "training: the order of rows may be compared, levels may not.",
        f"*{NOT_RUN}*: no recipe of this report is made like that row. The gain is in every table "
        "that of a segmenter which saw real pairs and the row's, over one that saw real pairs "
        "alone for as many iterations, paired by seed. KL, FSD, Frechet distance and GAN-test are "
        "of one trained generator each, so they have no interval.",
        "### Palettes against conditional GANs",
        conditional(report),
        *_notes(report, poster.CONDITIONAL, ("kl", "frechet")),
        "KL is that of the argmax of the layouts. Ours is a Frechet distance on the judge's "
        "features, the poster's an FID. GAN-test and GAN-train are mIoU / mIoU\\*.",
        "### Palettes against unconditional GANs",
        unconditional(report),
        *_notes(report, poster.UNCONDITIONAL, ("fsd", "frechet")),
        f"As many real layouts score an FSD of {number(_layouts(report, BASELINE).get('fsd'))}. "
        "PCGAN is read as SB-GAN's layouts with another painter, because the poster gives both "
        "the same FSD; here that painter is `pix2pixhd`.",
        "### Data augmentation",
        augmentation(report),
        *_notes(report, poster.AUGMENTATION, ()),
        "Cells are mIoU / mIoU\\*. The poster does not say whether its rows used generators tuned "
        "end to end. (?): it repeats its baseline's score there.",
    ]


def conditional(report: Json) -> str:
    """Return KL, Frechet distance, GAN-test and GAN-train of the rows that are asked a palette."""
    split = head_split(report["recipes"])
    rows = []
    for row, name in poster.with_recipes(poster.CONDITIONAL, _table(report)):
        ours = [NOTHING] * 5
        if name is not None:
            found = report["recipes"][name]
            ours = [
                number(_layouts(report, name).get("kl_argmax"), 2),
                number(_frechet(report, name), 2),
                _both(found["gan_test"]),
                _gan_train(found, name, split),
                gain(of_split(found, split)["delta"]),
            ]
        theirs = [number(row.kl, 2), number(row.fid), _pair(row.gan_test), _pair(row.gan_train)]
        rows.append([*_named(report, row, name), *_alternating(ours, theirs), ours[-1]])
    header = ["KL", "poster: KL", "Frechet", "poster: FID", "GAN-test", "poster: GAN-test"]
    header += [f"GAN-train, {split}", "poster: GAN-train", GAIN.format(split=split)]
    return markdown([*HEAD, *header], rows, num_text=3)


def unconditional(report: Json) -> str:
    """Return FSD and Frechet distance of palettes and of layouts that follow none."""
    split = head_split(report["recipes"])
    rows = []
    for row, name in poster.with_recipes(poster.UNCONDITIONAL, _table(report)):
        ours = [NOTHING] * 3
        if name is not None:
            ours = [
                number(_layouts(report, name).get("fsd")),
                number(_frechet(report, name), 2),
                gain(of_split(report["recipes"][name], split)["delta"]),
            ]
        theirs = [number(row.fsd), number(row.fid)]
        rows.append([*_named(report, row, name), *_alternating(ours, theirs), ours[-1]])
    header = ["FSD", "poster: FSD", "Frechet", "poster: FID", GAIN.format(split=split)]
    return markdown([*HEAD, *header], rows, num_text=3)


def augmentation(report: Json) -> str:
    """Return scores and gains of real pairs with synthetic ones beside them."""
    split = head_split(report["recipes"])
    rows = []
    for row, name in poster.with_recipes(poster.AUGMENTATION, _table(report)):
        ours = [NOTHING] * 2
        if name is not None:
            found = of_split(report["recipes"][name], split)
            ours = [_means(found), gain(found["delta"])]
        theirs = [
            f"{poster.entry(row, dataset, star=False)} / {poster.entry(row, dataset, star=True)}"
            for dataset in poster.DATASETS
        ]
        rows.append([*_named(report, row, name), *ours, *theirs])
    n = report["recipes"][BASELINE]["miou"]["n"]
    header = [f"{split} mIoU / mIoU\\* (n = {n})", GAIN.format(split=split)]
    header += [f"poster: {dataset}" for dataset in poster.DATASETS]
    return markdown([*HEAD, *header], rows, num_text=3)


def in_words(report: Json, names: Sequence[str]) -> str:
    """Say which recipes change the segmenter significantly, by their paired intervals alone."""
    split = head_split(report["recipes"])
    deltas = {name: of_split(report["recipes"][name], split)["delta"] for name in names}
    deltas = {name: delta for name, delta in deltas.items() if delta is not None}
    return headline(deltas, split)


def order(lines: Sequence[tuple[str, float, float]], score: str) -> str:
    """Say the order of recipes by a score, lowest first, and whether it is the poster's.

    `lines` are (recipe, our value, the poster's value); fewer than two have no order.
    """
    if len(lines) < 2:
        return ""
    ranked = sorted(lines, key=lambda line: line[1])
    theirs = [line[2] for line in ranked]
    agrees = theirs == sorted(theirs)
    listed = ", ".join(f"`{name}` {ours:.2f}" for name, ours, _ in ranked)
    return f"By {score}, lowest first: {listed}: {'' if agrees else '**not** '}the poster's order."


def _notes(report: Json, table: Sequence[Row], scores: Sequence[str]) -> list[str]:
    """Return what a table says in words: significance first, then the order by each score."""
    lines = [
        (row, name)
        for row, name in poster.with_recipes(table, _table(report))
        if name is not None and name != BASELINE
    ]
    said = in_words(report, [name for _, name in lines])
    words = [f"Significant, by intervals that exclude zero? {said}"] if said else []
    for score in scores:
        values = [(name, *_ours_and_theirs(report, row, name, score)) for row, name in lines]
        known = [value for value in values if None not in value]
        words.append(order(known, SCORES[score]))
    return ["\n".join(f"* {word}" for word in words if word)] if any(words) else []


def _ours_and_theirs(
    report: Json, row: Row, name: str, score: str
) -> tuple[float | None, float | None]:
    if score == "frechet":
        return _frechet(report, name), row.fid
    key = "kl_argmax" if score == "kl" else score
    return _layouts(report, name).get(key), getattr(row, score)


def _table(report: Json) -> Mapping[str, Json]:
    return poster.recipes_of(report["params"])


def _layouts(report: Json, name: str) -> Json:
    """Return KL and FSD of a recipe's generator; FSD only if nothing bent the palettes."""
    table = report["params"]["recipes"]
    found = report["layouts"][table[name]["layouts"]]
    return found | {"fsd": None} if any(map(table[found["recipe"]].get, poster.BENT)) else found


def _frechet(report: Json, name: str) -> float | None:
    found = report["recipes"][name]["frechet"]
    return found and found["value"]


def _gan_train(found: Json, name: str, split: str) -> str:
    """Return mIoU / mIoU* of a segmenter without real pairs; the oracle's are real ones only."""
    if name == BASELINE:
        return _means(of_split(found, split))
    alone = found["gan_train"]
    return NOTHING if alone is None else f"{_both(of_split(alone, split))} (n = 1)"


def _alternating(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Return each of our cells with the poster's beside it; our last one has none."""
    return [cell for both in zip(ours, theirs, strict=False) for cell in both]


def _means(found: Json) -> str:
    if found["miou"] is None:
        return NOTHING
    return f"{mean_std(found['miou'])} / {mean_std(found['miou_star'])}"


def _both(found: Json | None) -> str:
    return NOTHING if found is None else f"{found['miou']:.1f} / {found['miou_star']:.1f}"


def _pair(scores: poster.Miou | None) -> str:
    return NOTHING if scores is None else f"{scores[1]:.1f} / {scores[0]:.1f}"


def _named(report: Json, row: Row, name: str | None) -> list[str]:
    if name is None:
        return [row.name, NOT_RUN, NOTHING]
    return [row.name, f"`{name}`", made_of(_table(report)[name])]
