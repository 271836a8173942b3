"""The three tables of the Semantic Palette poster: our numbers, beside them the poster's."""

from collections.abc import Callable, Sequence

from evaluate.config import BASELINE
from evaluate.content import KL_ARGMAX, Content
from evaluate.page import poster
from evaluate.page.blocks import Block, Fold, Table, Text, bullets, without_empty
from evaluate.page.poster import Miou, Row
from evaluate.page.quality import made_of
from evaluate.scores import REAL_PAIRS, pick
from evaluate.verdicts.gains import MIOU, MIOU_STAR
from evaluate.verdicts.verdict import interval, mean_std

Of = Callable[[str], float | None]


def beside(content: Content) -> list[Block]:
    """Return the three tables in a fold; nothing when no set is made like a row of the poster."""
    sets, rows = poster.sets_of(content.used), poster.rows_of(content.used)
    tables: list[Block] = []
    for title, table, wanted in (
        ("Palettes against conditional GANs", poster.CONDITIONAL, conditional),
        ("Palettes against unconditional GANs", poster.UNCONDITIONAL, unconditional),
    ):
        lines = poster.like(table, sets)
        if lines:
            found, notes = wanted(content, lines)
            tables += [Text(f"**{title}**"), found, *bullets(notes)]
    lines = [line for line in poster.like(poster.AUGMENTATION, rows) if line[1] in content.cells]
    if len(lines) > 1:
        tables += [Text("**Data augmentation**"), augmentation(content, lines)]
    if not tables:
        return []
    height, width = content.train.size
    said = (
        f"Ours: {content.dataset} at {height}x{width}. The poster's: {poster.CAPTION}. Other "
        "images, networks and training: the order of rows may be compared, levels may not. Rows "
        "that nothing here is made like are left out. Scores of segmenters are mIoU / mIoU\\*; "
        f"gains are over `{BASELINE}` (the poster's reading). Metrics are of one trained "
        "generator each. KL is that of the argmax of the layouts; ours is a Frechet distance on "
        "pretrained features, the poster's an FID. PCGAN is read as SB-GAN's layouts with another "
        "painter. (?): the poster repeats its baseline's score there."
    )
    return [Fold("Beside the Semantic Palette poster", [Text(said), *tables])]


def conditional(content: Content, lines: Sequence[tuple[Row, str]]) -> tuple[Table, list[str]]:
    """Return KL, Frechet distance, alignment and GAN-train of sets that are asked a palette."""
    alone, split = poster.alone_of(content.used), content.head
    rows = []
    for row, name in lines:
        values = [pick(content.means, name, key) for key in (KL_ARGMAX, "feature_frechet")]
        trained = alone.get(name, "")
        rows.append(
            [
                *_named(content, row, name),
                *(_number(values[0], 2), _number(row.kl, 2)),
                *(_number(values[1], 2), _number(row.fid)),
                *(_aligned(content, name), _pair(row.gan_test)),
                "" if trained not in content.cells else _means(content, trained, split),
                _pair(row.gan_train),
                _gain(content, name),
            ]
        )
    oracle, real = poster.CONDITIONAL[-1], pick(content.means, REAL_PAIRS, "feature_frechet")
    scored = [_number(real, 2), _number(oracle.fid), "", ""]
    trained = [_means(content, BASELINE, split), _pair(oracle.gan_train), ""]
    rows.append([oracle.name, REAL_PAIRS, "", "", "", *scored, *trained])
    header = ["KL", "poster: KL", "Frechet", "poster: FID", "alignment", "poster: GAN-test"]
    header += [f"GAN-train, {split}", "poster: GAN-train", f"{split} gain [95 %]"]
    notes = [
        order([(n, _of(content, n, KL_ARGMAX), row.kl) for row, n in lines], "KL"),
        order(
            [(n, _of(content, n, "feature_frechet"), row.fid) for row, n in lines],
            "Frechet distance",
        ),
    ]
    return without_empty(Table([*_HEAD, *header], rows, 3)), notes


def unconditional(content: Content, lines: Sequence[tuple[Row, str]]) -> tuple[Table, list[str]]:
    """Return FSD and Frechet distance of palettes and of layouts that follow none."""
    rows = [
        [
            *_named(content, row, name),
            *(_number(_of(content, name, "fsd")), _number(row.fsd)),
            *(_number(_of(content, name, "feature_frechet"), 2), _number(row.fid)),
            _gain(content, name),
        ]
        for row, name in lines
    ]
    real = pick(content.means, REAL_PAIRS, "fsd")
    notes = [
        "" if real is None else f"As many real layouts score an FSD of {real:.1f}.",
        order([(n, _of(content, n, "fsd"), row.fsd) for row, n in lines], "FSD"),
        order(
            [(n, _of(content, n, "feature_frechet"), row.fid) for row, n in lines],
            "Frechet distance",
        ),
    ]
    header = ["FSD", "poster: FSD", "Frechet", "poster: FID", f"{content.head} gain [95 %]"]
    return without_empty(Table([*_HEAD, *header], rows, 3)), notes


def augmentation(content: Content, lines: Sequence[tuple[Row, str]]) -> Table:
    """Return scores and gains of real pairs with synthetic ones beside them."""
    rows = []
    for row, name in lines:
        gain = content.gains.of(name, content.head, BASELINE)
        theirs = [
            f"{poster.entry(row, dataset, star=False)} / {poster.entry(row, dataset, star=True)}"
            for dataset in poster.DATASETS
        ]
        ours = [_means(content, name, content.head), interval(gain.interval) if gain else ""]
        made = ", ".join(content.used["rows"][name].get("with", [])) or "real pairs"
        rows.append([row.name, f"`{name}`", made, *ours, *theirs])
    header = [f"{content.head} mIoU / mIoU\\*", f"{content.head} gain [95 %]"]
    header += [f"poster: {dataset}" for dataset in poster.DATASETS]
    return without_empty(Table(["the poster's row", "row", "learns from", *header], rows, 3))


def order(lines: Sequence[tuple[str, float | None, float | None]], score: str) -> str:
    """Say the order of sets by a score, lowest first, and whether it is the poster's.

    `lines` are (set, our value, the poster's value); fewer than two have no order.
    """
    ranked = sorted((ours, name, theirs) for name, ours, theirs in lines if ours and theirs)
    if len(ranked) < 2:
        return ""
    theirs = [line[2] for line in ranked]
    agrees = theirs == sorted(theirs)
    listed = ", ".join(f"`{name}` {ours:.2f}" for ours, name, _ in ranked)
    return f"By {score}, lowest first: {listed}: {'' if agrees else '**not** '}the poster's order."


_HEAD = ("the poster's row", "set", "layouts → painter")


def _named(content: Content, row: Row, name: str) -> list[str]:
    return [row.name, f"`{name}`", made_of(content.sets[name])]


def _of(content: Content, name: str, metric: str) -> float | None:
    return pick(content.means, name, metric)


def _aligned(content: Content, name: str) -> str:
    found = [pick(content.means, name, key) for key in ("alignment", "alignment_star")]
    return "" if None in found else f"{found[0]:.1f} / {found[1]:.1f}"


def _gain(content: Content, name: str) -> str:
    """Return the gain over `real` of the row that learns from real pairs and this set."""
    plain = {"with": [name]}
    rows = [row for row in content.rows if (content.used["rows"][row] or {}) == plain]
    gains = [content.gains.of(row, content.head, BASELINE) for row in rows]
    return "" if not gains or gains[0] is None else interval(gains[0].interval)


def _means(content: Content, row: str, split: str) -> str:
    both = [mean_std(content.spread(row, split, metric)) for metric in (MIOU, MIOU_STAR)]
    return " / ".join(both)


def _number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _pair(scores: Miou | None) -> str:
    return "" if scores is None else f"{scores[1]:.1f} / {scores[0]:.1f}"
