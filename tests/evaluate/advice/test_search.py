"""Who competes, who wins, and what the paragraph says of it, on trials written by hand."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from data.stage.errors import UserError
from evaluate.advice.advice import Advice, advice, to_json
from evaluate.advice.contest import read_contest, with_objects
from evaluate.advice.lacking import Lacking, Look, WeakClass
from evaluate.advice.paragraph import page, paragraph
from evaluate.advice.search import Entry, search
from tests.segment.conftest import write_set

HELPS = {
    "real": 0.80,
    "real_photometric": 0.82,
    "real_scale": 0.70,
    "real_more": 0.81,
    "real_more_photometric": 0.78,
    "real_more_scale": 0.84,
    "good": 0.93,
    "poor": 0.60,
    "mixture": 0.90,
}
NOTHING = HELPS | {"good": 0.845, "mixture": 0.80}
LACKS = Lacking(
    rare=(WeakClass("car", 12.3, 3),),
    weakest=WeakClass("car", 12.3, 3),
    looks=(Look("night/7", "night", True, 2.34),),
    looked=9,
    num_pairs=30,
)
COMPLETE = Lacking((), WeakClass("road", 88.0, 30), (), 9, 30)


@pytest.fixture
def advise(contest: Callable, run: Callable, images) -> Callable[..., Advice]:
    def made(accuracy: dict[str, float], lacks: Lacking = LACKS, **options) -> Advice:
        given = contest(options.pop("minutes", None), **options.pop("changes", {}))
        found = search(given, run(accuracy, [], **options))
        return advice(given, found, images, lacks)

    return made


def test_what_competes_is_read_before_any_work(write_params: Callable) -> None:
    write_params()
    found = read_contest()
    assert set(found.candidates) == {"good", "poor", "mixture"}
    assert found.left_out == ("`absent` (no set palette)",)
    assert list(found.baselines["real_more"]) == [
        "real_more",
        "real_more_photometric",
        "real_more_scale",
    ]
    assert found.params.minutes == 60 and read_contest(5).params.minutes == 5
    own = {"real": {"augment": "scale"}, "real_more": {"real": 8}}
    write_params({"rows": own})
    assert list(read_contest().baselines["real"]) == ["real", "real_photometric"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"candidates": {"a": {"with": ["nowhere"]}}}, "no entry of advise.candidates has all"),
        ({"candidates": {"real_a": {"with": ["semi"]}}}, "is a name of baselines"),
        ({"candidates": {"a": {"real": 8}}}, "needs sets in `with`"),
        ({"candidates": {"a": {"with": ["semi"], "synthetic": 0}}}, r"advise\.candidates\.a names"),
        (
            {"seeds": {"search": [0], "confirm": [0, 1, 2]}},
            "a slice of its own: write the numbers 0",
        ),
        ({"at_least": 6}, "`seeds.confirm` has 5"),
        ({"rungs": [0.5, 0.25]}, "rungs rise"),
        ({"augment": ["cutnix"]}, r"advise\.augment\.0"),
        ({"minutes": 0}, r"advise\.minutes"),
    ],
)
def test_what_cannot_compete_is_refused(write_params: Callable, changes: dict, words: str) -> None:
    write_params(**changes)
    with pytest.raises(UserError, match=words) as refused:
        read_contest()
    assert "\n" not in str(refused.value)


def test_sets_too_small_for_the_seeds_and_odd_baselines_are_refused(write_params: Callable) -> None:
    small = {"semi": {"layouts": "real", "num_pairs": 5}, "moved": {"num_pairs": 12}}
    write_params({"sets": small})
    with pytest.raises(UserError, match=r"sets\.semi has 5 pairs, .* 6 seeds"):
        read_contest()
    write_params({"rows": {"real": {"pairs": "all"}}})
    with pytest.raises(UserError, match=r"rows\.real is a baseline"):
        read_contest()
    write_params({"rows": {"other": {}}})
    with pytest.raises(UserError, match="lacks the baseline"):
        read_contest()


def test_sets_that_moved_no_object_do_not_compete(contest: Callable, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs"
    write_set(pairs / "semi", "semi", range(4))
    moved = write_set(pairs / "moved", "moved", range(4), donors=lambda n: ("a",) * (n == 2))
    assert moved.column("donors") == [[], [], ["a"], []]
    assert with_objects(contest(), pairs).candidates.keys() == {"good", "poor", "mixture"}
    shutil.rmtree(pairs / "moved")
    write_set(pairs / "moved", "moved", range(4), donors=lambda n: ())
    left = with_objects(contest(), pairs)
    assert left.candidates.keys() == {"good", "poor"}
    assert left.left_out == ("`absent` (no set palette)", "`mixture` (no object in moved)")
    alone = contest(candidates={"mixture": {"with": ["moved"]}})
    with pytest.raises(UserError, match=r"no set of advise\.candidates has .* object .*\(moved\)"):
        with_objects(alone, pairs)


def test_candidates_learn_with_the_augmentation_that_serves_real_pairs_best(
    contest: Callable, run: Callable
) -> None:
    asked: list[Entry] = []
    found = search(contest(), run(HELPS, asked))
    assert {base: found.ladders[base].winner for base in ("real", "real_more")} == {
        "real": "real_photometric",
        "real_more": "real_more_scale",
    }
    assert found.winner == "good" and found.rows["good"].augment == ("scale",)
    assert list(found.rows) == ["real", "real_more", "good"]
    searched = [entry for entry in asked if not entry.confirms]
    confirming = [entry for entry in asked if entry.confirms]
    assert {entry.seed for entry in searched} == {5}
    assert {entry.seed for entry in confirming} == {0, 1, 2, 3, 4}
    assert {(e.name, e.iterations) for e in confirming} == {(row, 80) for row in found.rows}
    assert len(asked) == len({(e.name, e.iterations, e.seed, e.confirms) for e in asked})
    alone = search(contest(share_augment=False), run(HELPS, []))
    assert alone.rows["good"].augment == ()


def test_it_helps(advise: Callable) -> None:
    said = advise(HELPS, noise=0.002)
    assert said.verdict == "helps" and said.better == "real_more"
    text = paragraph(said, "artifacts/advice/export")
    assert "\n" not in text
    assert text.startswith("**Train with the synthetic pairs of the set `semi`")
    gain, against = said.gains["real_more"].interval, said.gains["real"].interval
    assert f"{gain.mean:+.1f} [" in text and f"{against.mean:+.1f} [" in text
    for words in (
        "4 real and 4 synthetic pairs in a batch, augmented by scale, rare classes more often",
        "`real_more` (real pairs alone, 8 in a batch, augmented by scale)",
        "5 fresh seeds",
        "8 images (test) that took no part in the choice",
        "`artifacts/advice/export`",
        "`car` (IoU 12 %, in 3 of 30 training pairs)",
        "images that look like `night/7` of night, 2.3 times as far",
    ):
        assert words in text, text
    shown = page(said, None)
    pasted = YAML(typ="safe", pure=True).load(shown.split("```yaml\n")[1].split("```")[0])
    assert pasted["sets"] == {"semi": {"layouts": "real", "painter": "regions", "num_pairs": 12}}
    good = {"with": ["semi"], "augment": ["scale"], "sampling": "rare_classes"}
    assert pasted["rows"]["good"] == good
    assert pasted["rows"]["real"] == {"augment": ["photometric"]}
    assert pasted["report"]["rows"] == ["real", "real_more", "good"]


def test_nothing_helps_and_it_says_why(advise: Callable) -> None:
    said = advise(NOTHING, COMPLETE, noise=0.02)
    assert said.verdict == "no evidence"
    text = paragraph(said)
    assert text.startswith("**Train on your real pairs alone: no synthetic pairs are shown to help")
    gain = said.gains["both"].interval
    assert gain.low < 0 < gain.high and f"{gain.mean:+.1f} [{gain.low:+.1f}" in text
    std = said.levels["real_more"].std
    for words in (
        "The best of 3 rows, `good`",
        f"vary by {std:.1f} from seed to seed",
        "the training still rose, by +",
        "8 images are few to judge by",
        "more of the same: no class is rare in training (the weakest is `road`, IoU 88 %",
        "all 9 images that were looked at resemble training images",
    ):
        assert words in text, text
    assert "helps" not in text
    pasted = page(said, None)
    assert "good" not in pasted.split("```yaml")[1] and "sets:" not in pasted


def test_pairs_that_hurt_are_said_to_hurt(advise: Callable) -> None:
    said = advise(HELPS | {"good": 0.60, "poor": 0.50, "mixture": 0.55}, noise=0.002)
    assert said.verdict == "hurts"
    assert "the synthetic pairs that were tried hurt" in paragraph(said)


def test_too_little_time_is_said(advise: Callable) -> None:
    said = advise(HELPS, minutes=0.2, second=0.05)
    assert said.plan.seeds == () and not said.helps
    text = paragraph(said)
    assert "was chosen and not confirmed, because 0.2 minutes were enough for none of the 3" in text
    some = advise(HELPS, minutes=1, second=0.05)
    assert 0 < len(some.plan.seeds) < 3 and some.verdict == "no evidence"
    assert f"enough for {len(some.plan.seeds)} of the 3 fresh seeds" in paragraph(some)


def test_the_same_trials_give_the_same_json(advise: Callable, contest, run, images) -> None:
    def made() -> str:
        given = contest()
        found = search(given, run(HELPS, [], noise=0.01))
        return json.dumps(to_json(advice(given, found, images, LACKS), found), allow_nan=False)

    assert made() == made()
    assert len(json.loads(made())["trials"]) == 2 * 5 + 5 + 15
