"""The numbers of the Semantic Palette poster (CVPR 2021), and what is made like its rows.

Cityscapes and IDD at 128x256, DeepLabV3-R101, single runs. The poster's subscripts are gains over
its real-only row, not deviations: 22 of its 24 entries equal the difference to that row, with the
sign lost. They are computed here from the scores, so they carry their sign. Its IDD row for the
plain method repeats the baseline's scores with another row's gain, so no gain can be given for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Miou = tuple[float, float]  # (mIoU*, mIoU), percent

CAPTION = (
    "Cityscapes/IDD 128x256, DeepLabV3-R101, single runs; poster subscripts are gains over real, "
    "not deviations"
)
PLAIN_SET = {"layouts", "painter", "num_pairs"}  # keys of a set that is made as the poster's are
HOLES = {"bands", "boxes", "like"}  # edits that make a part anew, as published
PLAIN_ROW = {"with", "adapt"}  # keys of a row that learns as the poster's do
DATASETS = ("Cityscapes", "IDD")
NOBODY = ("none",)
GAUGAN = ("spade", "oasis")  # the poster's is SPADE; OASIS rows stand beside it, by their painter
PIX2PIXHD = ("pix2pixhd",)


@dataclass(frozen=True)
class Made:
    """What a set, or a row of one set, is made of; a joint becomes the methods behind it."""

    layouts: str
    painter: str
    adapt: str = "none"
    end_to_end: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a poster table: its name there, what it is made of, its numbers.

    `end_to_end` None: the poster does not say whether those generators were tuned end to end. KL
    in nats, FSD of fractions in percent; numbers that the poster does not give are None.
    """

    name: str
    layouts: str
    painters: Sequence[str] = GAUGAN
    adapt: str = "none"
    end_to_end: bool | None = False
    kl: float | None = None
    fsd: float | None = None
    fid: float | None = None
    gan_test: Miou | None = None
    gan_train: Miou | None = None
    cityscapes: Miou | None = None
    idd: Miou | None = None
    misprinted: Sequence[str] = ()

    def made_like(self, made: Made) -> bool:
        """Return whether something is made of what this row is made of."""
        return (
            made.layouts == self.layouts
            and made.painter in self.painters
            and made.adapt == self.adapt
            and self.end_to_end in (None, made.end_to_end)
        )

    def on(self, dataset: str) -> Miou | None:
        """Return the augmentation score on one of `DATASETS`."""
        return {"Cityscapes": self.cityscapes, "IDD": self.idd}[dataset]


CONDITIONAL = (
    Row("Baseline 1", "cgan", kl=1.17, fid=69.2, gan_test=(33.7, 42.8), gan_train=(29.6, 38.5)),
    Row(
        "Baseline 2",
        "palette_recovery",
        kl=0.32,
        fid=69.0,
        gan_test=(35.3, 46.9),
        gan_train=(30.2, 39.4),
    ),
    Row(
        "Sem. Palette",
        "semantic_palette",
        kl=0.07,
        fid=60.7,
        gan_test=(34.6, 45.7),
        gan_train=(30.6, 40.1),
    ),
    Row(
        "Sem. Palette, end to end",
        "semantic_palette",
        end_to_end=True,
        kl=0.08,
        fid=51.0,
        gan_test=(36.8, 48.6),
        gan_train=(33.3, 44.5),
    ),
    Row("Oracle (real pairs)", "none", NOBODY, fid=28.2, gan_train=(36.9, 48.1)),
)
UNCONDITIONAL = (
    Row("PCGAN", "sbgan", PIX2PIXHD, fsd=63.8, fid=85.7),
    Row("SB-GAN", "sbgan", fsd=63.8, fid=71.0),
    Row("Sem. Palette", "semantic_palette", fsd=25.3, fid=60.7),
    Row("SB-GAN, end to end", "sbgan", end_to_end=True, fsd=20.4, fid=61.8),
    Row("Sem. Palette, end to end", "semantic_palette", end_to_end=True, fsd=11.8, fid=51.0),
)
REAL = Row("real", "none", NOBODY, cityscapes=(36.9, 48.1), idd=(33.8, 43.8))
AUGMENTATION = (
    REAL,
    Row("CauGAN", "real", cityscapes=(37.2, 48.2), idd=(33.6, 43.5)),
    Row("SB-GAN", "sbgan", end_to_end=None, cityscapes=(34.6, 45.5), idd=(33.5, 43.4)),
    Row(
        "Sem. Palette",
        "semantic_palette",
        end_to_end=None,
        cityscapes=(38.0, 49.4),
        idd=(33.8, 43.8),
        misprinted=("IDD",),
    ),
    Row(
        "Sem. Palette + DA",
        "semantic_palette",
        adapt="advent",
        end_to_end=None,
        cityscapes=(38.6, 51.6),
        idd=(34.5, 44.7),
    ),
    Row(
        "Part. Sem. Palette",
        "partial_palette",
        end_to_end=None,
        cityscapes=(40.7, 51.9),
        idd=(35.6, 46.1),
    ),
    Row(
        "Part. Sem. Palette + DA",
        "partial_palette",
        adapt="advent",
        end_to_end=None,
        cityscapes=(40.7, 52.6),
        idd=(35.3, 45.8),
    ),
)


def sets_of(params: Mapping[str, Any]) -> dict[str, Made]:
    """Return what the sets of a report's parameters are made of.

    Where layouts and painter are named by one joint, which tuned them end to end, they become the
    methods behind it; half a joint keeps its name and so stands for no row. A set with another key
    (`controls`, `keep`, ...) stands for none and is left out; so does one whose `edits` are other
    than bands and boxes.
    """
    joints, found = params.get("joints", {}), {}
    for name, made in params["sets"].items():
        if {key for key, value in made.items() if value} - PLAIN_SET - {"edits"}:
            continue
        if {key for key, value in (made.get("edits") or {}).items() if value} - HOLES:
            continue
        joint = joints.get(made["layouts"]) if made["layouts"] == made["painter"] else None
        methods = joint or made
        found[name] = Made(methods["layouts"], methods["painter"], end_to_end=joint is not None)
    return found


def rows_of(params: Mapping[str, Any]) -> dict[str, Made]:
    """Return what rows that learn from real pairs and one plain set are made of, and `real`."""
    sets, found = sets_of(params), {}
    for name, row in params["rows"].items():
        learnt = dict(row or {})
        if not learnt:
            found[name] = Made("none", "none")
        elif set(learnt) <= PLAIN_ROW and len(learnt.get("with", ())) == 1:
            made = sets.get(learnt["with"][0])
            if made is not None:
                found[name] = replace(made, adapt=learnt.get("adapt", "none"))
    return found


def alone_of(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the row that learns from a set without any real pair (GAN-train), by set."""
    return {
        row["with"][0]: name
        for name, row in params["rows"].items()
        if row
        and set(row) <= {"with", "real", "synthetic"}
        and row.get("real") == 0
        and len(row["with"]) == 1
    }


def like(table: Sequence[Row], made: Mapping[str, Made]) -> list[tuple[Row, str]]:
    """Return (row of a poster table, name) for everything that is made like it, in its order."""
    return [(row, name) for row in table for name, entry in made.items() if row.made_like(entry)]


def entry(row: Row, dataset: str, star: bool) -> str:
    """Return a cell of the augmentation table as text, for example `49.4 (+1.3)`; empty without."""
    score, real = row.on(dataset), REAL.on(dataset)
    if score is None or real is None:
        return ""
    value, base = (scores[0 if star else 1] for scores in (score, real))
    if row is REAL:
        return f"{value:.1f}"
    gain = "?" if dataset in row.misprinted else f"{value - base:+.1f}"
    return f"{value:.1f} ({gain})"
