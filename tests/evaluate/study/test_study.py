"""A study from its questions to its scores: what is asked, what a page holds, what answers say."""

import json
import re
from base64 import b64decode
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data.pairs.pairset import PairSet
from data.stage.errors import UserError
from evaluate.statistics import draw
from evaluate.study import __main__ as study
from evaluate.study.questions import questions
from evaluate.study.score import Answers, agreement, preferred, read, summary
from evaluate.study.score import main as score
from tests.segment.conftest import write_set

SETS = ("real", "semi", "palette")


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Real pairs, ones of the same layouts, and ones of layouts of their own."""
    write_set(tmp_path / "val", "real", range(6))
    write_set(tmp_path / "semi", "semi", range(6), parent=lambda n: f"real-{n:04d}")
    write_set(tmp_path / "palette", "palette", range(20, 26))
    return [tmp_path / name for name in ("val", "semi", "palette")]


@pytest.fixture
def sets(folders: list[Path]) -> dict[str, PairSet]:
    return dict(zip(SETS, map(PairSet, folders), strict=True))


def test_sources_meet_equally_often_on_either_side_and_with_one_layout_where_they_can(sets) -> None:
    asked = questions(sets, 90, 0, seed=0)
    meetings = Counter(frozenset({q.left.source, q.right.source}) for q in asked)
    assert [*meetings.values()] == [30, 30, 30]
    assert 30 < sum(q.left.source == "real" for q in asked) * 1.5 < 60
    both = [q for q in asked if {q.left.source, q.right.source} == {"real", "semi"}]
    assert all(q.left.id[-4:] == q.right.id[-4:] for q in both)
    assert sorted(q.number for q in asked) == list(range(90))
    assert [q.number for q in asked] != list(range(90))


def test_no_images_are_shown_again_before_all_have_been(sets) -> None:
    asked = questions({name: sets[name] for name in ("real", "semi")}, 12, 0, seed=0)
    shown = Counter(q.left.id[-4:] for q in asked)
    assert [*shown.values()] == [2] * 6
    apart = questions({name: sets[name] for name in ("real", "palette")}, 6, 0, seed=0)
    assert len({q.left.id for q in apart} | {q.right.id for q in apart}) == 12


def test_some_are_asked_again_with_sides_exchanged_and_a_seed_names_the_draw(sets) -> None:
    asked = questions(sets, 20, 5, seed=1)
    first = {q.number: q for q in asked if not q.again}
    again = [q for q in asked if q.again]
    assert (len(first), len(again)) == (20, 5)
    assert all((q.left, q.right) == (first[q.number].right, first[q.number].left) for q in again)
    assert asked == questions(sets, 20, 5, seed=1) != questions(sets, 20, 5, seed=2)
    with pytest.raises(UserError, match="two sets or more"):
        questions({"real": sets["real"]}, 4, 0, seed=0)
    with pytest.raises(UserError, match="5 of 4"):
        questions(sets, 4, 5, seed=0)


def test_the_page_holds_every_image_once_and_needs_nothing_beside_it(folders, tmp_path) -> None:
    out = tmp_path / "study.html"
    study.main(folders, out=out, num_questions=12, num_again=2, seed=3)
    text = out.read_text()
    content = json.loads(re.search(r"^const content = (.*);$", text, re.MULTILINE)[1])
    assert len(content["questions"]) == 14
    opened = dict(zip(SETS, map(PairSet, folders), strict=True))
    for question, asked in zip(questions(opened, 12, 2, 3), content["questions"], strict=True):
        for side in ("left", "right"):
            wanted, shown = getattr(question, side), content["shown"][asked[side]]
            assert (shown["source"], shown["id"]) == (wanted.source, wanted.id)
            png = b64decode(shown["image"].removeprefix("data:image/png;base64,"))
            image = opened[wanted.source][wanted.row].image
            assert np.array_equal(np.asarray(Image.open(BytesIO(png))), image)
    assert len({(it["source"], it["id"]) for it in content["shown"]}) == len(content["shown"])
    assert not re.search(r"(?:src|href)=\"(?!data:)|https?://", text)


def test_a_set_without_pairs_is_refused(folders, tmp_path) -> None:
    write_set(tmp_path / "none", "none", range(0))
    with pytest.raises(UserError, match="none has no pairs"):
        study.main([folders[0], tmp_path / "none"])


def test_two_sets_of_one_name_are_refused(folders) -> None:
    with pytest.raises(UserError, match="called 'real'"):
        study.main([folders[0], folders[0]])


def told(people: int, taken: float, seed: int = 0, again: int = 0) -> pd.DataFrame:
    """Return what people say who take `good` for the photograph beside `bad` so often."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        for number in range(40):
            left, right = ("good", "bad") if number % 2 else ("bad", "good")
            good = rng.random() < taken
            answer = 2 if good == (left == "good") else 4
            about = {"study": "s", "rater": f"p{person}", "question": str(number)}
            ids = {"left_id": str(number), "right_id": str(number)}
            sides = {"left": left, "right": right, **ids}
            rows.append(about | sides | {"again": "false", "answer": answer})
            if number < again:
                sides = {"left": right, "right": left, **ids}
                rows.append(about | sides | {"again": "true", "answer": 5 - answer})
    return pd.DataFrame(rows)


def answers_of(people: int, taken: float, seed: int = 0, again: int = 0) -> Answers:
    table = told(people, taken, seed, again)
    names = ("rater", "question", "left", "right", "question", "answer")
    columns = [table[name].to_numpy() for name in names]
    return Answers(*columns[:2], table["again"].to_numpy() == "true", *columns[2:])


def test_a_share_is_that_of_the_answers_and_its_interval_holds_the_truth() -> None:
    hits = 0
    for seed in range(40):
        answers = answers_of(4, 0.7, seed)
        found = preferred(answers, "good", "bad", draw(40, 4))
        assert found is not None and found.low < found.share < found.high
        assert found.count == 160
        hits += found.low <= 0.7 <= found.high
        other = preferred(answers, "bad", "good", draw(40, 4))
        assert other is not None and other.share == pytest.approx(1 - found.share)
    assert hits >= 33
    assert preferred(answers_of(1, 0.5), "good", "other", draw(40, 1)) is None


def test_answers_given_again_tell_agreement_and_count_once() -> None:
    answers = answers_of(2, 1.0, again=5)
    assert agreement(answers) == "10 of 10 times"
    text = summary(answers)
    assert "2 people, 80 answers" in text and "the same image 10 of 10 times" in text
    assert "| good | 100 [100, 100] |" in text and "| bad | 0 [0, 0] |" in text
    assert agreement(answers_of(2, 1.0)) is None
    assert "of one person" in summary(answers_of(1, 0.5))


def test_images_that_are_shown_often_are_one_draw_each(tmp_path) -> None:
    """Whoever decides by the images says of four pairs of them what is true of these four."""
    table = told(3, 0.5).assign(left="good", right="bad")
    table["left_id"] = table["right_id"] = [str(int(q) % 4) for q in table["question"]]
    table["answer"] = [1 if int(q) % 4 < 2 else 4 for q in table["question"]]
    table.to_csv(tmp_path / "four.csv")
    assert "| good | 50 [0, 100] |" in summary(read([tmp_path / "four.csv"]))


def test_a_spreadsheet_may_have_saved_the_file(tmp_path) -> None:
    table = told(1, 1.0, again=5)
    table.to_csv(tmp_path / "plain.csv")
    table.assign(again=table["again"].str.upper()).to_csv(tmp_path / "saved.csv")
    assert summary(read([tmp_path / "saved.csv"])) == summary(read([tmp_path / "plain.csv"]))


def test_files_are_read_and_what_is_wrong_with_them_is_said(tmp_path, caplog) -> None:
    def saved(name: str, answers: pd.DataFrame) -> Path:
        path = tmp_path / name
        answers.to_csv(path)
        return path

    one = saved("one.csv", told(1, 1.0))
    two = saved("two.csv", told(1, 1.0).assign(rater="other"))
    with caplog.at_level("INFO"):
        score([one, two], out=tmp_path / "table.md")
    assert "2 people, 80 answers" in caplog.text
    assert "2 people" in (tmp_path / "table.md").read_text()
    third = saved("three.csv", told(1, 1.0).assign(study="t", rater="x"))
    (tmp_path / "none.csv").write_text("")
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    wrong = saved("wrong.csv", told(1, 1.0).assign(answer=7))
    for files, words in (
        ([one, third], "2 studies"),
        ([one, one], "'p0' answered a question twice"),
        ([tmp_path / "none.csv"], "not a CSV file"),
        ([tmp_path / "absent.csv"], "not a CSV file"),
        ([tmp_path / "odd.csv"], "lacks study"),
        ([wrong], "the answer '7'"),
        ([saved("again.csv", told(1, 1.0).assign(again="1"))], "'1' in the column again"),
    ):
        with pytest.raises(UserError, match=words) as refused:
            read(files)
        assert "\n" not in str(refused.value)
