"""Which images are shown beside each other: of one layout where there are such, sides at random."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from data.pairs.pairset import PairSet
from data.stage.errors import UserError


@dataclass(frozen=True)
class Shown:
    """An image of a question: its source (a name of a set), row and id in it."""

    source: str
    row: int
    id: str


@dataclass(frozen=True)
class Question:
    """Two images side by side; `number` says which question, `again` that it is asked again.

    A question that is asked again has its sides exchanged: whoever sees no difference, or always
    takes one side, answers it otherwise.
    """

    number: int
    left: Shown
    right: Shown
    again: bool = False


def questions(
    sets: Mapping[str, PairSet], num_questions: int, num_again: int, seed: int
) -> list[Question]:
    """Return questions in a random order, `num_again` of them asked twice.

    Every two sources meet equally often, up to one. Where both have pairs of the same layout (its
    real pair is the parent of both, or one of them), such a two is drawn, so that pictures differ
    in how they are made and not in what they show. None is drawn again before all have been. `seed`
    names the draw.
    """
    if len(sets) < 2:
        raise UserError(f"a study compares two sets or more, and there is {', '.join(sets)}")
    if not 0 <= num_again <= num_questions:
        raise UserError(f"{num_again} of {num_questions} questions cannot be asked again")
    rng = np.random.default_rng(seed)
    layouts = {name: _layouts(pairs) for name, pairs in sets.items()}
    meetings = list(combinations(sets, 2))
    order = [meetings[n % len(meetings)] for n in range(num_questions)]
    deck = _Deck(rng)
    asked = []
    for number in range(num_questions):
        first, second = order[number]
        shared = sorted(layouts[first].keys() & layouts[second].keys())
        if shared:
            layout = shared[deck.draw(order[number], len(shared))]
            rows = [rng.choice(layouts[name][layout]) for name in (first, second)]
        else:
            rows = [deck.draw((*order[number], name), len(sets[name])) for name in (first, second)]
        shown = [_shown(sets, n, int(r)) for n, r in zip((first, second), rows, strict=True)]
        left, right = shown if rng.random() < 0.5 else reversed(shown)
        asked.append(Question(number, left, right))
    twice = rng.permutation(num_questions)[:num_again]
    asked += [Question(n, asked[n].right, asked[n].left, again=True) for n in twice.tolist()]
    return [asked[index] for index in rng.permutation(len(asked))]


class _Deck:
    """Draws numbers in a random order; none comes again before all others have come."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: dict[tuple[str, ...], list[int]] = {}

    def draw(self, name: tuple[str, ...], count: int) -> int:
        """Draw one of `count` numbers for `name`, which has an order of its own."""
        left = self._left.setdefault(name, [])
        if not left:
            left.extend(self._rng.permutation(count).tolist())
        return left.pop()


def _layouts(pairs: PairSet) -> dict[str, list[int]]:
    """Return the rows of a set by the real pair whose layout they have."""
    found: dict[str, list[int]] = {}
    columns: Sequence[Sequence[str | None]] = (pairs.column("id"), pairs.column("parent"))
    for row, (own, parent) in enumerate(zip(*columns, strict=True)):
        found.setdefault(parent or own or "", []).append(row)
    return found


def _shown(sets: Mapping[str, PairSet], name: str, row: int) -> Shown:
    return Shown(name, row, sets[name].column("id")[row])
