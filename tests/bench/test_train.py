"""The benchmark of training: both loops train the same, and its page says what was measured."""

from copy import deepcopy

import pytest
import torch

from bench import train as bench_train
from bench.record import streets_set
from data.pairs.batches import load_stream
from tests.synth import small

PAINTED = {"num_images": 240, "batch_size": 2, "num_doublings": 3, "max_channels": 12}
SECTIONS = {
    "dataset": {"height": 16, "width": 32},
    "compute": small.FAST,
    "training": small.TRAINING | {"log_every": 1},
    "layouts": {
        "semantic_palette": small.numbers("semantic_palette", levels=[[0, 80, 2], [80, 80, 2]])
    },
    "painters": {"spade": small.numbers("spade", **PAINTED)},
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_train, "NUM_PAIRS", 4)
    monkeypatch.setattr(bench_train, "ROUNDS", 1)
    small.write_params(tmp_path, **SECTIONS)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def test_both_loops_train_the_same_networks_to_the_same_weights(project):
    real = streets_set(project / "set", (16, 32), 4, lambda: None)
    stream = load_stream(real, seed=0, flip=True)
    for name, method in bench_train.methods(real).items():
        trained = []
        for train in (bench_train.plain, bench_train.exact):
            watched = bench_train.Watched(deepcopy(method), stream)
            train(watched)
            trained.append(torch.cat([p.detach().flatten() for p in watched.nets.parameters()]))
            assert set(watched.spent) == set(bench_train.PARTS)
        start = torch.cat([p.detach().flatten() for p in method.nets.parameters()])
        # Another memory layout rounds otherwise, and Adam makes steps of gradients near zero.
        assert (trained[0] - trained[1]).norm() < 0.2 * (trained[0] - start).norm(), name


def test_the_page_has_both_methods_in_every_way(project):
    page = project / "page.md"
    page.write_text("# Benchmarks\n\nkept\n")
    bench_train.main(out=page)
    text = page.read_text()
    assert text.startswith("# Benchmarks\n\nkept\n") and text.count("<!-- bench-train -->") == 1
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 6
    assert [row.split(" | ")[3] for row in rows if bench_train.PLAIN in row] == ["1.00", "1.00"]
    for row in rows:
        shares = [float(cell.strip(" |%")) for cell in row.split(" | ")[6:]]
        assert sum(shares) == pytest.approx(100, abs=1)
    bench_train.main(out=page)  # again: its own section is replaced
    assert page.read_text().count("## Training") == 1
