"""The report stage over a small finished project: its numbers, its page, its verdicts."""

import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.stage.errors import UserError
from data.stage.outputs import read_json, write_json
from evaluate import collect
from evaluate.stages import report
from tests.evaluate.projects import ARTIFACTS, OUT, YAML_FILE, change


def test_palettes_that_never_vary_have_no_curve(tmp_path):
    write_json(tmp_path / "palette.json", {"chosen_by": "aic", "curve": [], "components": 0})
    assert collect.read_choice(tmp_path) is None


def miou_by_hand(row: str, seed: int, split: str) -> float:
    """mIoU over the three eval classes, pixel sums written out."""
    with np.load(ARTIFACTS / "segment" / row / str(seed) / "confusion.npz") as arrays:
        matrix = arrays[split].sum(axis=0)
    values = []
    for c in range(3):
        hit = matrix[c, c]
        union = sum(matrix[c, p] for p in range(4)) + sum(matrix[g, c] for g in range(3)) - hit
        values.append(hit / union)
    return 100 * sum(values) / 3


def test_numbers_of_the_report_by_hand(reported, monkeypatch):
    monkeypatch.chdir(reported)
    found = read_json(OUT / "report.json")
    assert (found["dataset"], found["preset"], found["size"]) == ("streets", None, [16, 32])
    verdicts = {(v["row"], v["split"], v["against"]): v for v in found["verdicts"]}
    rows, against = ("semi", "palette", "partial"), ("real", "real_more")
    for row, split, base in itertools.product(rows, ("val", "test"), against):
        own = [miou_by_hand(row, seed, split) for seed in range(3)]
        entry = found["rows"][row][split]["miou"]
        assert entry["mean"] == pytest.approx(np.mean(own))
        assert (entry["std"], entry["n"]) == (pytest.approx(np.std(own, ddof=1)), 3)
        gains = np.subtract(own, [miou_by_hand(base, seed, split) for seed in range(3)])
        half = 4.302653 * np.std(gains, ddof=1) / np.sqrt(3)
        entry = verdicts[row, split, base]
        assert entry["mean"] == pytest.approx(gains.mean())
        assert entry["low"] <= gains.mean() - half + 1e-4, "at least as wide as the t interval"
        assert entry["high"] >= gains.mean() + half - 1e-4
        assert (entry["n"], entry["baseline"]) == (3, base)
    means = {base: found["rows"][base]["test"]["miou"]["mean"] for base in against}
    better = max(means, key=means.get)
    assert verdicts["semi", "test", "both"] == verdicts["semi", "test", better] | {
        "against": "both"
    }
    assert verdicts["partial", "test", "both"]["says"] == "helps"
    assert verdicts["semi", "test", "both"]["says"] == "hurts"
    assert ("real_more", "val", "real") in verdicts and ("real", "val", "both") not in verdicts
    assert found["sets"]["semi"]["alignment"] == 100 and "kl" not in found["sets"]["semi"]
    assert found["sets"]["palette"]["kl_argmax"] == 0.25
    assert found["judge"]["sha256"] == "0123456789abcdef"
    assert found["labels"] == {}, "no row learned from another number of real pairs"


def test_every_score_is_a_row_of_one_table(reported, monkeypatch):
    monkeypatch.chdir(reported)
    table = pd.read_parquet(OUT / "scores.parquet")
    assert list(table) == ["row", "seed", "split", "group", "class", "metric", "value"]
    cells = table[(table["metric"] == "miou") & table["group"].isna()]
    shown = cells.pivot_table(index=["row", "split"], columns="seed", values="value")
    assert shown.shape == (10, 3)
    assert shown.loc[("semi", "test"), 1] == pytest.approx(miou_by_hand("semi", 1, "test"))
    sets = table[table["seed"].isna()]
    assert set(sets["row"]) == {"real pairs", "semi", "palette", "partial"}
    assert sets.loc[sets["metric"] == "alignment", "class"].nunique() == 4
    assert not table.duplicated(["row", "seed", "split", "group", "class", "metric"]).any()
    summary, full = read_json(OUT / "metrics.json"), read_json(OUT / "report.json")
    gain = next(
        v["mean"]
        for v in full["verdicts"]
        if (v["row"], v["split"], v["against"]) == ("partial", "test", "both")
    )
    assert summary["rows"]["partial"]["test_gain"] == pytest.approx(gain, abs=1e-3)
    assert "test_gain" not in summary["rows"]["real"]
    assert summary["sets"]["palette"]["kl"] == pytest.approx(0, abs=1e-4)
    lines = (OUT / "curves/real.csv").read_text().splitlines()
    assert lines[:2] == ["iteration,val_miou", "10,11.000"] and len(lines) == 9


def test_the_page_shows_every_figure_and_only_what_was_used(reported, monkeypatch):
    monkeypatch.chdir(reported)
    text = (OUT / "report.md").read_text()
    shown = set(re.findall(r"\]\(figures/([\w.]+)\)", text))
    assert shown == {path.name for path in (OUT / "figures").iterdir()}
    assert {"pairs_partial.png", "palettes.png", "training_painters_oasis.png"} <= shown
    first, more = text.split("## More")
    verdict = first.splitlines()[2]
    assert verdict.startswith("**`partial` (+") and "helps**" in verdict and "`semi` (-" in verdict
    assert "hurts: points of mIoU over `real_more` on test." in verdict
    rows = re.findall(r"^\| \**`(\w+)`", first, re.M)
    assert rows == ["partial", "palette", "real_more", "real", "semi"], "sorted by gain"
    assert first.count("](figures/") == 2 and "<details>" not in first
    assert more.count("<details>") == more.count("</details>") > 8
    assert "Synthetic pairs were shown more than once in `semi`, `palette`, `partial`" in more
    assert "| `semi` | 80 | 2 | 2 | 50 | 40 |" in more
    assert "Computed with: segmenters: fp32, channels last, 2 threads; `oasis`: bf16, 1 thr" in more
    assert "Pretrained weights are in: distances between images." in more
    assert "The verdict rests on test, on which this run chose nothing;" in more
    assert "blocks of neighbouring images, because the dataset names no videos" in more
    assert "(weights `0123456789ab`). Images are compared in the 5 features of a pre" in more
    assert "network (colours), which vary in about" in more
    assert "| FID |" not in text and "– |" not in text  # noqa: RUF001
    assert "/home/someone" not in text
    assert "spade" not in text
    params = read_json(OUT / "report.json")["params"]
    assert params["dataset"]["root"] == "(outside the repository)"
    assert set(params["segment"]["archs"]) == {"resnet18_mlp"}


def test_the_web_page_is_one_file_with_all_of_it(reported, monkeypatch):
    monkeypatch.chdir(reported)
    text, page = (OUT / "report.html").read_text(), (OUT / "report.md").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text), "nothing comes from elsewhere"
    assert "http" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.S)
    figures = len(list((OUT / "figures").iterdir()))
    assert text.count("data:image/png;base64,") == figures
    assert text.count("<table>") == len(re.findall(r"^\| ---", page, re.M))
    assert text.count("<details>") == page.count("<details>")
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text


def test_without_real_more_equal_compute_is_said_not_to_be_compared(copied):
    change(report={"rows": ["real", "semi", "partial"]})
    report.main(artifacts=ARTIFACTS, out=OUT)
    found, text = read_json(OUT / "report.json"), (OUT / "report.md").read_text()
    both = [v for v in found["verdicts"] if v["against"] == "both"]
    assert {v["baseline"] for v in both} == {"real"}
    assert not [v for v in found["verdicts"] if v["against"] == "real_more"]
    assert "There is no row `real_more`: rows of equal compute were not compared." in text
    assert "over `real_more`" not in text


def test_a_row_that_is_trained_once_has_no_interval_and_one_without_real_pairs_no_verdict(copied):
    more = {"semi_da": {"with": ["semi"], "adapt": "advent"}}
    alone = {"semi_alone": {"with": ["semi"], "real": 0}}
    change(rows=more | alone, report={"once": ["semi_da", "semi_alone"]}, adapt={"advent": {}})
    for row, real in (("semi_da", 2), ("semi_alone", 0)):
        folder = shutil.copytree(ARTIFACTS / "segment/semi/0", ARTIFACTS / "segment" / row / "0")
        about = read_json(folder / "cell.json")
        write_json(folder / "cell.json", about | {"row": row, "real": real})
    report.main(artifacts=ARTIFACTS, out=OUT)
    found, text = read_json(OUT / "report.json"), (OUT / "report.md").read_text()
    verdicts = {(v["row"], v["split"], v["against"]): v for v in found["verdicts"]}
    once = verdicts["semi_da", "test", "both"]
    assert (once["low"], once["n"], once["says"]) == (None, 1, "no evidence")
    first, more = text.split("## More")
    number = r"-?\d+\.\d"
    assert re.search(
        rf"`semi_da` \| one seed(?: \| {number}){{3}} \| 2 real \+ 2 `semi`, ad", first
    )
    assert "semi_alone" not in first
    assert re.search(rf"\| `semi_alone` \| 2 `semi` \| {number}", more.split("(GAN-train), ")[1])


def test_rows_of_other_real_pairs_price_synthetic_ones_in_labels_and_controls_are_checked(copied):
    """Few pairs score as `semi`, all of them above `partial`; the control as `palette`."""
    rows = {
        "real_few": ("semi", {"pairs": 3}, {"synthetic": 0, "real_pairs": 3}),
        "real_all": ("partial", {"pairs": "all"}, {"synthetic": 0, "real_pairs": 48}),
        "shuffled": (
            "semi",
            {"with": ["semi"], "control": "shuffled_labels", "sampling": "rare_looks"},
            {"control": "shuffled_labels"},
        ),
    }
    change(rows={row: made for row, (_, made, _) in rows.items()})
    change(report={"rows": ["real", "real_more", "palette", "partial", *rows]})
    for row, (source, _, about) in rows.items():
        for seed in range(3):
            cell = shutil.copytree(
                ARTIFACTS / f"segment/{source}/{seed}", ARTIFACTS / f"segment/{row}/{seed}"
            )
            found = read_json(cell / "cell.json") | {"row": row, "real_pairs": 6} | about
            write_json(cell / "cell.json", found)
    report.main(artifacts=ARTIFACTS, out=OUT)
    found, text = read_json(OUT / "report.json"), (OUT / "report.md").read_text()
    labels = found["labels"]["test"]
    assert [(p["pairs"], p["row"]) for p in labels["curve"]] == [
        (3, "real_few"),
        (6, "real_more"),
        (48, "real_all"),
    ]
    worth = {entry["row"]: entry for entry in labels["worth"]}
    assert set(worth) == {"palette", "partial"}
    assert worth["partial"]["labels"]["value"] == pytest.approx(48), "the very cells of real_all"
    assert worth["partial"]["factor"]["times"]["value"] == pytest.approx(8)
    assert 3 < worth["palette"]["labels"]["value"] < 9
    first, _ = text.split("## More")
    assert "**In labels:** real pairs alone need 48 [" in first
    assert "to do what `partial` does with 6: 8.0 [" in first
    assert "](figures/labels.png)" in first and "| `partial` | 6 | 48 [" in first
    assert re.search(
        r"Control `shuffled`, labels shuffled: -\d.*, hurts, as a control should", first
    )
    assert re.search(r"Oracle `real_all`, 48 real pairs: \+\d.*, helps, as an oracle should", first)
    assert (
        "| 2 real (of 48) |" in first
        and "| 2 real + 2 `semi`, labels shuffled, rare looks more often |" in first
    )
    assert "`partial`" in first.splitlines()[2] and "shuffled" not in first.splitlines()[2]
    assert "Worth in labels: the learning curve is" in text


def test_sets_that_are_made_like_the_posters_stand_beside_it(reported, monkeypatch):
    monkeypatch.chdir(reported)
    text = (OUT / "report.md").read_text()
    beside = text.split("<summary>Beside the Semantic Palette poster</summary>")[1]
    beside = beside.split("</details>")[0]
    found = read_json(OUT / "report.json")
    semi, means = found["rows"]["semi"]["test"], found["sets"]["palette"]
    scores = [f"{semi[key]['mean']:.1f} ± {semi[key]['std']:.1f}" for key in ("miou", "miou_star")]
    assert f"| CauGAN | `semi` | semi | {' / '.join(scores)} | -" in beside
    assert "| 49.4 (+1.3) / 38.0 (+1.1) | 43.8 (?) / 33.8 (?) |" in beside
    frechet, fsd = f"{means['feature_frechet']:.2f}", f"{means['fsd']:.1f}"
    made = "| Sem. Palette | `palette` | semantic_palette → oasis |"
    assert f"{made} 0.25 | 0.07 | {frechet} | 60.7 | 100.0 / 100.0 | 45.7 / 34.6 |" in beside
    assert f"{made} {fsd} | 25.3 | {frechet} | 60.7 |" in beside
    assert "Baseline 1" not in beside, "what nothing is made like is left out"
    assert "| Oracle (real pairs) | real pairs |" in beside


def test_a_set_that_keeps_real_pixels_is_said_to_be_flattered(copied):
    sets = YAML_FILE.load(Path("params.yaml"))["sets"]
    change(sets={"partial": sets["partial"] | {"keep": True}})
    report.main(artifacts=ARTIFACTS, out=OUT)
    text = (OUT / "report.md").read_text()
    assert "Images of `partial` keep real pixels outside their edits" in text
    assert "Part. Sem. Palette" not in text, "the poster's set keeps none"


def test_the_report_names_what_was_pretrained(copied):
    found = YAML_FILE.load(Path("params.yaml"))
    resnet = found["segment"]["archs"]["resnet18_mlp"] | {"pretrained": "efficientnet_lite0"}
    change(segment={"archs": {"resnet18_mlp": resnet}}, report={"pretrained": None})
    change(painters={"oasis": {"width": 8, "pretrained": "efficientnet_lite0"}})
    report.main(artifacts=ARTIFACTS, out=OUT)
    said = "Pretrained weights are in: segmenters, losses of `oasis`."
    assert said in (OUT / "report.md").read_text()


def test_without_pretrained_features_the_report_says_what_is_missing(
    make_project, score_project, tmp_path, monkeypatch
):
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    change(report={"pretrained": None})
    score_project()
    report.main(artifacts=ARTIFACTS, out=OUT)
    text = (OUT / "report.md").read_text()
    assert "There are no pretrained features (`report.pretrained`), so no Frechet" in text
    assert "Pretrained weights are in: nothing." in text
    assert "| Frechet |" not in text and "diversity, %" not in text and "closest_" not in text
    assert set(read_json(OUT / "report.json")["sets"]["semi"]) == {
        "alignment",
        "alignment_star",
        "fsd",
        "presence",
        "presence_kl",
        "components",
        "components_edges",
    }


def test_a_joint_shows_its_painter_before_and_after(copied):
    assert "tuned end to end" not in (OUT / "report.md").read_text()
    change(
        sets={"partial": {"layouts": "e2e", "painter": "e2e", "num_pairs": 12}},
        train={"joints": {"e2e": {"layouts": "partial_palette", "painter": "oasis"}}},
        joints={"e2e": {"num_images": 8}, "other": {"num_images": 9}},
    )
    shutil.copytree(ARTIFACTS / "layouts/partial_palette", ARTIFACTS / "layouts/e2e")
    with pytest.raises(UserError, match=r"joint e2e are missing.*joints/e2e\.json"):
        report.main(artifacts=ARTIFACTS, out=OUT)
    joint = {
        when: {
            "values": [
                {"metric": "feature_frechet", "value": value},
                {"metric": "alignment", "value": 10 * value},
            ]
        }
        for when, value in (("before", 1.25), ("after", 2.5))
    }
    write_json(ARTIFACTS / "scores" / "joints" / "e2e.json", {"joint": "e2e"} | joint)
    report.main(artifacts=ARTIFACTS, out=OUT)
    shown = "| `e2e` | partial_palette → oasis | 1.25 | 2.50 | 12.5 | 25.0 |"
    assert shown in (OUT / "report.md").read_text()
    assert "other" not in read_json(OUT / "report.json")["params"]["joints"]


def test_a_rerun_gives_the_same_bytes_and_ignores_stale_seeds(copied):
    before = {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()}
    shutil.copytree(ARTIFACTS / "segment/semi/0", ARTIFACTS / "segment/semi/7")
    (ARTIFACTS / "segment/semi/7/cell.json").write_text("not even a cell")
    report.main(artifacts=ARTIFACTS, out=OUT)
    after = {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()}
    assert after == before


def test_one_seed_without_test_split(make_project, score_project, tmp_path, monkeypatch):
    make_project(tmp_path, test=False, seeds="[1]")
    monkeypatch.chdir(tmp_path)
    score_project()
    report.main(artifacts=ARTIFACTS, out=OUT)
    found, text = read_json(OUT / "report.json"), (OUT / "report.md").read_text()
    assert set(found["rows"]["semi"]) == {"val"}
    assert found["rows"]["semi"]["val"]["miou"]["std"] is None
    assert {v["says"] for v in found["verdicts"]} == {"no evidence"}
    assert "**One seed: nothing can be said about chance**; highest is `partial`" in text
    assert "±" not in text and "[+" not in text and "cannot be told from zero" not in text


def test_a_report_of_the_baseline_alone(copied):
    change(report={"rows": ["real"]})
    report.main(artifacts=ARTIFACTS, out=OUT)
    text = (OUT / "report.md").read_text()
    assert "**No row has synthetic pairs**, so nothing is compared." in text
    assert "Which classes gain?" not in text and "gains_test.png" not in text
