"""Write a page that asks which of two images looks real: `python -m evaluate.study SET SET`.

The page needs nothing beside it and sends nothing anywhere: it is opened from the file system,
answered by the keys 1 to 4, and gives a CSV file, which `python -m evaluate.study.score` reads.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import write_text
from data.stage.progress import log
from evaluate.study.questions import Question, Shown, questions

TEMPLATE = Path(__file__).with_name("study.html")
CONTENT = "/*content*/null"  # what stands in the template where the questions go


def main(
    sets: list[Path],
    *,
    out: Path = Path("artifacts/study.html"),
    num_questions: int = 60,
    num_again: int = 6,
    seed: int = 0,
) -> None:
    """Write a study of sets of pairs; of two images a person says which is more like a photograph.

    For example artifacts/real/val artifacts/pairs/semi: real pairs are called `real`, others by
    their folder. `num_again` questions are asked twice, sides exchanged, which tells how far a
    person agrees with themselves.
    """
    opened = _open(sets)
    asked = questions(opened, num_questions, num_again, seed)
    write_text(out, page(opened, asked))
    log.info(f"{out}: {len(asked)} questions about {', '.join(opened)}; open it in a browser")


def _open(sets: Sequence[Path]) -> dict[str, PairSet]:
    opened: dict[str, PairSet] = {}
    for path in sets:
        pairs = PairSet(path)
        if not len(pairs):
            raise UserError(f"{path} has no pairs; leave it out")
        name = "real" if {*pairs.column("source")} == {"real"} else path.name
        if name in opened:
            raise UserError(f"two sets are called {name!r}; rename a folder, or leave one out")
        opened[name] = pairs
    return opened


def page(sets: Mapping[str, PairSet], asked: Sequence[Question]) -> str:
    """Return the page with all images in it; each image stands there once, under a number."""
    every = {it for q in asked for it in (q.left, q.right)}
    shown = sorted(every, key=lambda it: (it.source, it.row))
    place = {it: number for number, it in enumerate(shown)}
    entries = [asdict(q) | {"left": place[q.left], "right": place[q.right]} for q in asked]
    content = {
        # answers of two studies are not to be mixed
        "study": sha256(json.dumps(entries).encode()).hexdigest()[:12],
        "questions": entries,
        "shown": [{"source": it.source, "id": it.id, "image": _uri(sets, it)} for it in shown],
    }
    template = TEMPLATE.read_text(encoding="utf-8")
    return template.replace(CONTENT, json.dumps(content).replace("</", "<\\/"))


def _uri(sets: Mapping[str, PairSet], shown: Shown) -> str:
    (png,) = sets[shown.source].encoded(shown.row, ("image",))
    assert png is not None, "every pair has an image"
    return f"data:image/png;base64,{b64encode(png).decode('ascii')}"


if __name__ == "__main__":
    run(main)
