"""Turn the answers of a study into scores with intervals: `python -m evaluate.study.score *.csv`.

A source's score is how often it was taken for the photograph: 50 % beside real images means that
nobody tells them apart. People and pairs of images are drawn anew, both, for the intervals: other
people would have been shown other images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from data.stage.cli import run
from data.stage.errors import UserError, some
from data.stage.outputs import write_text
from data.stage.progress import log
from evaluate.page import markdown
from evaluate.page.blocks import Table
from evaluate.statistics import LEVEL, Draws, draw

COLUMNS = ("study", "rater", "question", "again", "left", "right", "left_id", "right_id", "answer")


@dataclass(frozen=True)
class Answers:
    """Answers `[N]`: who, to which question, whether asked again, and the sources on either side.

    `images` names the two that were shown, in either order: several questions may show the same.
    `answer` is 1 to 4: left surely, left, right, right surely.
    """

    rater: np.ndarray
    question: np.ndarray
    again: np.ndarray
    left: np.ndarray
    right: np.ndarray
    images: np.ndarray
    answer: np.ndarray

    @property
    def chosen(self) -> np.ndarray:
        """The sources that were taken for the photograph."""
        return np.where(self.answer > 2, self.right, self.left)

    def of(self, rows: np.ndarray) -> "Answers":
        """Return some of the answers."""
        return Answers(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Share:
    """A share of answers with its interval, fractions; `count` answers were given."""

    share: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        """Return it in percent."""
        return f"{100 * self.share:.0f} [{100 * self.low:.0f}, {100 * self.high:.0f}]"


def main(files: list[Path], *, out: Path | None = None) -> None:
    """Print how often each source was taken for the photograph; write the table to `out` too."""
    text = summary(read(files))
    log.info(text)
    if out is not None:
        write_text(out, text + "\n")


def read(files: Sequence[Path]) -> Answers:
    """Read CSV files of one study; a person's answers count once.

    Raises `UserError` for files that are not answers, answers of several studies, and a person
    with two files.
    """
    table = pd.concat([_read_one(path) for path in files], ignore_index=True)
    study, rater, question, again, left, right, left_id, right_id, answer = (
        table[name].to_numpy(str) for name in COLUMNS
    )
    sides = np.stack(
        [
            np.char.add(np.char.add(source, "/"), own)
            for source, own in ((left, left_id), (right, right_id))
        ]
    )
    images = np.array([" | ".join(two) for two in np.sort(sides, axis=0).T.tolist()])
    if len(studies := np.unique(study)) > 1:
        raise UserError(f"these are answers of {len(studies)} studies ({some(studies)}); score one")
    asked, counts = np.unique(np.stack([rater, question, again]), axis=1, return_counts=True)
    if (counts > 1).any():
        name = str(asked[0, counts.argmax()])
        raise UserError(f"{name!r} answered a question twice; leave out a file, or rename a person")
    return Answers(rater, question, again == "true", left, right, images, answer.astype(int))


def _read_one(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{path} is not a CSV file of answers ({error})") from None
    if lacking := [name for name in COLUMNS if name not in table]:
        raise UserError(f"{path} lacks {', '.join(lacking)}; take the file that the page saves")
    if not len(table):
        raise UserError(f"{path} has no answers; leave it out")
    table["again"] = table["again"].str.lower()  # a spreadsheet saves TRUE
    if wrong := sorted({*table["again"]} - {"true", "false"}):
        raise UserError(f"{path} has {wrong[0]!r} in the column again; it is true or false")
    if wrong := sorted({*table["answer"]} - {*"1234"}):
        raise UserError(f"{path} has the answer {wrong[0]!r}; answers are 1 to 4")
    return table


def summary(answers: Answers) -> str:
    """Return what people said in Markdown: each source beside each other one, and beside all."""
    first = answers.of(~answers.again)
    sources = sorted({*first.left.tolist(), *first.right.tolist()})
    people = len(np.unique(first.rater))
    draws = draw(len(np.unique(first.images)), people)
    rows = []
    for name in sources:
        beside = [
            "" if other == name else str(preferred(first, name, other, draws) or "-")
            for other in sources
        ]
        rows.append([name, str(preferred(first, name, None, draws)), *beside])
    header = ["taken for the photograph, %", "of all", *(f"beside {name}" for name in sources)]
    sure = 100 * np.isin(first.answer, (1, 4)).mean()
    alone = " (of one person: they say nothing of others)" if people == 1 else ""
    said = (
        f"{people} {'person' if people == 1 else 'people'}, {len(first.answer)} answers, "
        f"{sure:.0f} % of them sure; intervals of {100 * LEVEL:.0f} %{alone}."
    )
    if (agreed := agreement(answers)) is not None:
        said += f" Asked again with sides exchanged, they chose the same image {agreed}."
    return f"{markdown.table(Table(header, rows))}\n\n{said}"


def preferred(answers: Answers, name: str, other: str | None, draws: Draws) -> Share | None:
    """Return how often a source was chosen beside another one, or any; None if never asked."""
    asked = (answers.left == name) | (answers.right == name)
    if other is not None:
        asked &= (answers.left == other) | (answers.right == other)
    if not asked.any():
        return None
    place = tuple(
        np.unique(values, return_inverse=True)[1] for values in (answers.images, answers.rater)
    )
    hits, counts = (np.zeros([entries.max() + 1 for entries in place]) for _ in range(2))
    np.add.at(counts, place, asked)
    np.add.at(hits, place, asked & (answers.chosen == name))
    with np.errstate(invalid="ignore"):
        drawn = _total(hits, draws) / _total(counts, draws)
    low, high = np.nanquantile(drawn, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Share(float(hits.sum() / counts.sum()), float(low), float(high), int(counts.sum()))


def _total(grid: np.ndarray, draws: Draws) -> np.ndarray:
    """Return the sums `[B]` of a grid `[images, people]` in every resample of both."""
    return np.einsum("bq,qr,br->b", draws.groups, grid, draws.seeds, optimize=True)


def agreement(answers: Answers) -> str | None:
    """Say how often people chose the same image when asked again; None where nobody was."""
    said = zip(answers.rater, answers.question, answers.again, answers.chosen, strict=True)
    chosen = {(rater, question, bool(again)): choice for rater, question, again, choice in said}
    both = [key[:2] for key in chosen if key[2] and (*key[:2], False) in chosen]
    if not both:
        return None
    same = sum(chosen[*key, True] == chosen[*key, False] for key in both)
    return f"{same} of {len(both)} times"


if __name__ == "__main__":
    run(main)
