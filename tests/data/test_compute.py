"""What a stage computes with follows the device, is said, and never is more threads than cores."""

import os
import subprocess
import sys

import pytest
import torch

from data.stage import compute
from data.stage.compute import Compute, ComputeParams, choose

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def params(**numbers):
    return ComputeParams(**{"precision": "auto", "channels_last": "auto", "threads": 1} | numbers)


@pytest.mark.parametrize(
    ("onednn", "instructions", "machine", "expected"),
    [
        (True, True, "x86_64", "bf16"),
        (True, False, "x86_64", "fp32"),  # AVX-512 without bf16: oneDNN converts
        (False, True, "x86_64", "fp32"),  # told not to use what is there
        (False, False, "AMD64", "fp32"),
        (True, False, "aarch64", "bf16"),
        (False, False, "aarch64", "fp32"),
    ],
)
def test_a_cpu_computes_in_bf16_only_with_instructions_for_it(
    monkeypatch, onednn, instructions, machine, expected
):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    monkeypatch.setattr(compute.platform, "machine", lambda: machine)
    assert choose(params(), CPU, "generators").precision == expected


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_is_asked_without_its_emulation(monkeypatch, supported, expected):
    asked = []

    def says(including_emulation=True):
        asked.append(including_emulation)
        return supported

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", says)
    chosen = choose(params(threads=10**6), CUDA, "generators")
    assert (chosen.precision, chosen.channels_last, asked) == (expected, True, [False])


@pytest.mark.parametrize("given", ["fp32", "bf16"])
def test_what_is_given_is_taken(given):
    for layout in (True, False):
        chosen = choose(params(precision=given, channels_last=layout), CPU, "segmenters")
        assert (chosen.precision, chosen.channels_last) == (given, layout)


def test_a_word_that_is_no_precision_is_refused():
    with pytest.raises(ValueError, match="precision"):
        params(precision="float32")


def test_memory_layout_follows_the_table(monkeypatch):
    for wide in (True, False):
        monkeypatch.setattr(compute, "has_avx512", lambda wide=wide: wide)
        assert choose(params(), CPU, "segmenters").channels_last
        assert choose(params(), CPU, "generators").channels_last == wide


def test_there_are_no_more_threads_than_cores(monkeypatch):
    monkeypatch.setattr(compute, "num_cores", lambda: 2)
    asked = params(threads=8)
    chosen = choose(asked, CPU, "generators")
    assert chosen.threads == 2
    assert compute.fewer(asked, chosen) == " (compute.threads is 8, and there are 2 cores)"
    assert compute.fewer(params(threads=2), choose(params(threads=2), CPU, "generators")) == ""


def test_it_says_what_it_is():
    assert str(Compute("cpu", "fp32", True, 2)) == "cpu, fp32, channels last, 2 threads"
    assert str(Compute("cpu", "bf16", False, 1)) == "cpu, bf16, channels first, 1 thread"
    assert str(Compute("cuda", "bf16", True, 1)) == "cuda, bf16, channels last"


def test_a_busy_machine_is_said(monkeypatch):
    monkeypatch.setattr(compute.os, "cpu_count", lambda: 2)
    for running, said in ((0, False), (1, False), (2, True), (5, True)):
        monkeypatch.setattr(compute, "_running", lambda running=running: running)
        assert bool(compute.busy()) == said, running
    assert "5 other threads want its 2 cores" in compute.busy()


@pytest.mark.parametrize("room", ["data", "synth", "segment", "evaluate", "bench", "studio"])
def test_every_room_says_how_threads_wait_before_pytorch_is_loaded(room, root):
    code = f"import sys, os, {room}; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    env = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["PASSIVE", "False"]
