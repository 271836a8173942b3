"""Multiply-adds: operations, second derivatives and whole steps against counts by hand."""

import logging
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from bench.cost import operations as cost
from bench.cost import synth as synth_cost
from bench.cost.synth import Counter, batch_of, drawing, step, training
from data.pretrained import Features, depth
from data.stage.errors import UserError
from synth.layouts import LAYOUTS
from synth.painters import PAINTERS
from synth.training.method import Given, Progress, generator
from tests.synth import small

SIZE = (16, 32)
PAINTED = {"num_images": 10, "batch_size": 4, "num_doublings": 2, "num_blocks": 0, "width": 2}
PAINTED |= {"critic_width": 2, "critic_layers": 3, "critic_scales": 1}
LAID = {"levels": [[0, 8, 4], [8, 8, 4]], "latent": 4, "width": 4}
SECTIONS = {
    "dataset": {
        "source": "streets",
        "root": "nowhere",
        "height": SIZE[0],
        "width": SIZE[1],
        "splits": ["train", "val"],
    },
    "painters": {
        "pix2pixhd": small.numbers("pix2pixhd", **PAINTED, vgg="absent.pth"),
        "none": {},
    },
    "layouts": {"real": {}, "sbgan": small.numbers("sbgan", **LAID)},
    "train": {
        "layouts": ["real", "sbgan"],
        "painters": ["none", "pix2pixhd"],
        "joints": {"sbgan_e2e": {"layouts": "sbgan", "painter": "pix2pixhd"}},
    },
    "joints": {
        "sbgan_e2e": small.JOINT | {"warm_up_images": 4, "num_images": 8, "critic_width": 2}
    },
    "produce": {
        "batch_size": 4,
        "seed": 0,
        "repaint": {"num_layouts": 2, "num_images": 2},
    },
    "sets": {
        "pcgan": {"layouts": "sbgan", "painter": "pix2pixhd", "num_pairs": 10},
        "tuned": {"layouts": "sbgan_e2e", "painter": "sbgan_e2e", "num_pairs": 10},
    },
}
NOW = Progress(0, 0, 1, 0, 1.0, generator(0))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a params.yaml."""
    small.write_params(tmp_path, **SECTIONS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_gradient_penalty_is_counted_to_its_second_derivative():
    """y = w2 w1 x: two products forward, two for dy/dx, and four for what both give w1 and w2."""
    x, w1, w2 = (torch.rand(s, requires_grad=True) for s in ((5, 3), (3, 4), (4, 1)))
    with Counter() as counter:
        (gradient,) = torch.autograd.grad((x @ w1 @ w2).sum(), x, create_graph=True)
    assert counter.multiply_adds == 2 * 5 * (3 * 4 + 4 * 1)
    with Counter() as counter:
        gradient.square().sum().backward(inputs=[w1, w2])
    # dy/dx = 1 w2' w1': each of its two products is differentiated after both factors but 1.
    assert counter.multiply_adds == 5 * (2 * 3 * 4 + 4 * 1)


def test_a_convolution_is_counted_forward_and_twice_backward():
    image, weight = torch.rand(2, 3, 8, 8, requires_grad=True), torch.rand(5, 3, 3, 3)
    weight.requires_grad_(True)
    with Counter() as counter:
        F.conv2d(image, weight, padding=1).sum().backward()
    assert counter.multiply_adds == 3 * 2 * 8 * 8 * 5 * 3 * 9


def test_a_painter_costs_what_its_layers_say(folder):
    """Without residual blocks: 7x7, two halvings, two doublings, 7x7, widths 2, 4 and 8."""
    classes, size = cost.dataset()
    method = synth_cost.build(PAINTERS, "painters.pix2pixhd", classes.num_classes, size)
    whole = SIZE[0] * SIZE[1]
    halves = 9 * (2 * 4 * whole / 4 + 4 * 8 * whole / 16)
    # A transposed convolution multiplies at its input's size.
    wanted = 49 * whole * (classes.num_classes * 2 + 2 * 3) + 2 * halves
    assert drawing(method, batch_of(4, SIZE)) == 4 * wanted


def test_frozen_networks_and_a_perceptual_loss_are_seen(folder):
    classes, size = cost.dataset()
    method = synth_cost.build(PAINTERS, "painters.pix2pixhd", classes.num_classes, size)
    assert method.perceptual is not None, "its file is not there, and not needed"
    dear = step(method, batch_of(2, SIZE), NOW)
    with synth_cost.WITHOUT_CONTENT:
        plain = small.build("pix2pixhd", Given(classes.num_classes, size), **PAINTED)
    cheap = step(plain, batch_of(2, SIZE), NOW)
    assert step(plain, batch_of(4, SIZE), NOW) == 2 * cheap < dear


def test_a_perceptual_loss_in_pretrained_features_is_counted(folder):
    """Forward for real and painted images, and back to the painted ones: not to frozen weights."""
    classes, size = cost.dataset()

    def counted(**changes) -> float:
        numbers = small.numbers("pix2pixhd", **PAINTED, **changes)
        small.write_params(folder, **SECTIONS | {"painters": {"pix2pixhd": numbers}})
        method = synth_cost.build(PAINTERS, "painters.pix2pixhd", classes.num_classes, size)
        return step(method, batch_of(4, size), NOW)

    features = Features("efficientnet_lite0")
    with Counter() as forward:
        features(torch.zeros(4, 3, *size), depth(size))
    extra = counted(pretrained="efficientnet_lite0") - counted()
    assert extra == pytest.approx(3 * forward.multiply_adds, rel=0.01)


@pytest.mark.parametrize("name", ["crn", "cimle", "sims"])
def test_painters_that_look_at_content_are_counted_without_it(folder, name):
    numbers = small.numbers(name, num_images=8, batch_size=2, num_doublings=2)
    small.write_params(folder, **SECTIONS | {"painters": {name: numbers}})
    method = synth_cost.build(PAINTERS, f"painters.{name}", 3, SIZE)
    (work,) = training("painter", method, SIZE)
    drawn = drawing(method, batch_of(2, SIZE))
    assert work.steps == 4 and work.each > 3 * drawn > 0, "forward and twice backward, and a loss"


def test_a_training_is_its_spans_in_whole_batches(folder):
    classes, size = cost.dataset()
    painter = synth_cost.build(PAINTERS, "painters.pix2pixhd", classes.num_classes, size)
    (work,) = training("painter pix2pixhd", painter, size)
    assert (work.part, work.steps) == ("training", 3)


def test_generators_of_a_joint_cost_nothing_while_its_critics_warm_up(folder):
    classes, size = cost.dataset()
    methods = {
        ("layout", "sbgan"): synth_cost.build(LAYOUTS, "layouts.sbgan", classes.num_classes, size),
        ("painter", "pix2pixhd"): synth_cost.build(
            PAINTERS, "painters.pix2pixhd", classes.num_classes, size
        ),
    }
    parts = {"layouts": "sbgan", "painter": "pix2pixhd"}
    method = synth_cost.join("sbgan_e2e", parts, methods)
    warm_up, rest = training("joint sbgan_e2e", method, size)
    assert (warm_up.part, warm_up.steps) == ("critics alone", 1)
    assert (rest.part, rest.steps) == ("training", 2)
    drawn = sum(drawing(part, batch_of(4, size)) for part in methods.values())
    # a step of the generators goes at least twice back through what they draw
    assert rest.each > warm_up.each + 2 * drawn


def test_a_joint_of_what_is_not_trained_is_one_line(folder):
    with pytest.raises(UserError, match=r"train.joints.sbgan_e2e: nothing trains the layouts 'x'"):
        synth_cost.join("sbgan_e2e", {"layouts": "x", "painter": "pix2pixhd"}, {})


def test_the_command_prints_every_stage_the_sum_and_the_formula(folder, caplog):
    caplog.set_level(logging.INFO)
    synth_cost.main(tflops=100.0, utilisation=0.5)
    lines = caplog.messages
    stages = ["layout sbgan", "painter pix2pixhd", "joint sbgan_e2e", "produce"]
    for stage in stages:
        assert sum(line.startswith(stage) and " all " in line for line in lines) == 1
    assert [line.split()[2:4] for line in lines if line.startswith("layout sbgan")][:3] == [
        ["level", "0"],
        ["level", "1"],
        ["level", "1"],
    ]
    made, tuned = [line.split()[2:] for line in lines if line.startswith("produce")][:2]
    assert made[0] == "4", "ten pairs are three batches of four, repainted ones a fourth"
    assert made == tuned, "a joint draws what its methods draw"
    assert lines[-1].startswith(cost.FORMULA) and "0.5 * 100" in lines[-1]


def test_hours_are_twice_the_multiply_adds_by_the_speed():
    assert cost.hours(0.5e12 * 3600 * 0.25 * 8, tflops=8.0, utilisation=0.25) == 1
    lines = cost.table(
        [cost.Work("a", "x", 2, 1e15), cost.Work("a", "y", 1, 1e15)], tflops=1.0, utilisation=1.0
    )
    assert [line.split()[-2:] for line in lines[3:5]] == [["3.00", "1.67"]] * 2


@pytest.mark.parametrize("wrong", [{"tflops": 0.0}, {"utilisation": 1.5}])
def test_impossible_speeds_are_refused_before_the_count(folder, wrong):
    with pytest.raises(UserError, match="--tflops is above 0, --utilisation above 0 and at most"):
        synth_cost.main(**wrong)
