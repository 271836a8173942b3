"""Gains over both baselines, from confusion matrices made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from evaluate.cells import values
from evaluate.scores import frame, of_cells
from evaluate.statistics import HELPS, HURTS, NO_EVIDENCE
from evaluate.verdicts.gains import BOTH, IOU, MIOU, Gains, Measured, gains_of

GROUPS, EVAL_IDS = 8, (0, 1, 2)


ROWS = {
    "real": [0.80, 0.81, 0.80],
    "real_more": [0.84, 0.83, 0.84],
    "between": [0.82, 0.81, 0.82],
    "better": [0.92, 0.93, 0.92],
    "worse": [0.60, 0.61, 0.60],
}


def test_each_row_is_compared_with_both_baselines_and_with_the_better_one(measure):
    measured = measure(ROWS)
    found = Gains(gains_of(measured))
    assert measured.better == "real_more"
    for against, baseline in (("real", "real"), ("real_more", "real_more"), (BOTH, "real_more")):
        gain = found.of("better", "val", against)
        expected = measured.values("better")[:, 0] - measured.values(baseline)[:, 0]
        assert gain.interval.mean == pytest.approx(expected.mean())
        assert (gain.baseline, gain.interval.n, gain.says) == (baseline, 3, HELPS)
    assert found.of("worse", "val").says == HURTS
    assert found.of("between", "val", "real").interval.mean > 0
    assert found.of("between", "val").interval.mean < 0, "not better than equal compute"
    assert found.of("real_more", "val", "real") is not None
    assert found.of("real_more", "val") is None and found.of("real", "val") is None
    classes = {gain.name for gain in found.all(IOU)}
    assert classes == {"road", "sky", "car", "void"}


def test_every_row_of_the_same_real_pairs_alone_may_be_the_best_baseline(measure):
    rows = ROWS | {"real_photo": [0.88, 0.87, 0.88], "real_once": [0.99]}
    baselines = ("real", "real_more", "real_photo", "real_once")
    measured = replace(measure(rows), baselines=baselines)
    found = Gains(gains_of(measured))
    assert measured.better == "real_photo", "one seed is too little to be measured by"
    gain = found.of("better", "val")
    assert (gain.baseline, gain.says) == ("real_photo", HELPS)
    assert all(found.of(row, "val") is None for row in baselines), "they do not compete"
    assert found.of("real_photo", "val", "real") is not None


def test_without_real_more_the_better_baseline_is_real(measure):
    found = Gains(gains_of(measure({k: v for k, v in ROWS.items() if k != "real_more"})))
    assert found.of("better", "val", "real_more") is None
    assert found.of("better", "val").baseline == "real"


def test_a_row_with_one_seed_is_paired_with_that_seed_and_has_no_interval(measure):
    measured = measure(ROWS | {"once": [0.95]})
    gain = Gains(gains_of(measured)).of("once", "val")
    expected = measured.values("once")[0, 0] - measured.values("real_more")[0, 0]
    assert gain.interval.mean == pytest.approx(expected)
    assert (gain.interval.low, gain.interval.n, gain.says) == (None, 1, NO_EVIDENCE)


def test_rows_without_real_pairs_make_no_other_row_less_clear(measure):
    with_alone = measure(ROWS | {f"alone{i}": [0.5, 0.51, 0.5] for i in range(9)})
    names = [row for row in with_alone.sums if row.startswith("alone")]
    apart = Gains(gains_of(with_alone, dict.fromkeys(names, "alone"))).of("better", "val")
    together = Gains(gains_of(with_alone)).of("better", "val")
    assert apart.interval == together.interval
    assert apart.adjusted <= together.adjusted
    assert Gains(gains_of(measure(ROWS))).of("better", "val").adjusted == apart.adjusted


def test_images_that_differ_widen_the_interval(measure):
    """The same cells, but the gain lies in one group: other images may show none of it."""
    measured = measure(ROWS)
    base = measured.sums["real_more"]
    one = base.copy()
    one[:, 0, 0] += 250  # hits of one group
    one[:, 0, 2:] -= 0
    spread = base.copy()
    spread[:, :, 0] += 250 / GROUPS
    rows = {"real": measured.sums["real"], "real_more": base, "one": one, "spread": spread}
    seeds = dict.fromkeys(rows, (0, 1, 2))
    found = Gains(gains_of(Measured(measured.split, rows, seeds)))
    in_one, in_all = (found.of(row, "val").interval for row in ("one", "spread"))
    assert in_one.mean == pytest.approx(in_all.mean)
    assert in_one.high - in_one.low > 3 * (in_all.high - in_all.low)


def test_resamples_are_scored_as_the_split_is(measure):
    """The mean of many resamples is near the score of the split itself."""
    from evaluate.statistics import draw
    from evaluate.verdicts.gains import _resampled

    measured = measure(ROWS)
    drawn = _resampled(measured.sums["better"], draw(GROUPS, 3), EVAL_IDS)
    assert drawn.shape == (4000, 3, 6)
    np.testing.assert_allclose(drawn.mean(axis=0), measured.values("better"), atol=0.2)
    by_group = values(measured.sums["better"], EVAL_IDS)
    assert (drawn >= by_group.min(axis=1) - 1e-3).all()
    assert Gains(gains_of(measured)).all(MIOU)[0].split == "val"


def test_groups_that_the_dataset_names_have_scores_of_their_own(measure):
    measured = measure(ROWS)
    table = frame(list(of_cells(measured)))
    groups = table[table["group"].notna()]
    shown = groups[groups["row"] == "better"].pivot_table("value", "seed", "group")
    by_group = values(measured.sums["better"], EVAL_IDS)[..., 0]
    np.testing.assert_allclose(shown.to_numpy(), by_group)
    whole = table[table["group"].isna() & (table["row"] == "better") & (table["metric"] == MIOU)]
    np.testing.assert_allclose(whole["value"], measured.values("better")[:, 0])


def test_the_other_baseline_makes_no_row_less_clear(measure):
    """A row alone beside two baselines is one comparison, against either and against both."""
    found = Gains(gains_of(measure({row: ROWS[row] for row in ("real", "real_more", "better")})))
    gain = found.of("better", "val", against="real")
    assert gain.adjusted == gain.interval.p
