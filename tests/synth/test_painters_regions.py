"""The painter of regions: its bank of looks, what it learns from, what it leaves behind."""

from dataclasses import replace

import pytest
import torch

from data.pairs.batches import Stream
from data.pairs.classes import ClassInfo, ClassTable
from data.pretrained import Features
from synth.nets.features import perceptual
from synth.painters import PAINTERS
from synth.painters.common import styles
from synth.painters.common.bank import StyleBank
from synth.painters.common.styles import MOMENTS, SCALE_MOMENTS, measure
from synth.training import artifact
from synth.training.loop import CHECKPOINT, Options, train
from synth.training.method import Given, PaintRequest, Progress, generator
from synth.training.plan import Plan
from tests.synth import small

SIZE, CLASSES, COUNT = (32, 64), 4, 6
ENTRY = PAINTERS["regions"]


@pytest.fixture(scope="module")
def features():
    return Features("efficientnet_lite0")


@pytest.fixture(scope="module")
def stream():
    """A sky above a road, each of one colour an image, a block of class 2 in the odd ones."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.zeros(COUNT, *SIZE, dtype=torch.uint8)
    for number, label in enumerate(labels):
        label[int(torch.randint(10, 22, (1,), generator=rng)) :] = 1
        if number % 2:
            label[12:28, 8 * number : 8 * number + 16] = 2
    colors = torch.randint(0, 256, (COUNT, CLASSES, 3), generator=rng)
    colors[0, 0], colors[1, 0] = 255, 0
    images = torch.stack([c[label.long()] for c, label in zip(colors, labels, strict=True)])
    images = images.permute(0, 3, 1, 2).to(torch.uint8).contiguous()
    return Stream(images, labels, seed=0, flip=True, mirrored=range(255))


@pytest.fixture
def bank(stream, features):
    made = StyleBank(CLASSES, MOMENTS + 3)
    measure(made, stream, features)
    return made


def numbers(count=COUNT):
    return torch.rand(count, 1 + CLASSES, generator=torch.Generator().manual_seed(1))


def begun(stream, **changes):
    torch.manual_seed(0)
    settings = small.numbers("regions", **changes)
    method = ENTRY.build(ENTRY.Config(**settings), Given(CLASSES, SIZE))
    ENTRY.begin(method, stream)
    return method


# == the bank ==


def test_the_bank_has_colours_and_textures_of_the_regions_of_all_rows(bank, stream):
    assert len(bank) == COUNT and bank.size == MOMENTS + 3
    looks = bank.looks(torch.arange(COUNT), numbers()[:, 1:])
    assert looks.shape == (COUNT, CLASSES, bank.size) and torch.isfinite(looks).all()
    images = stream.images.float() / 127.5 - 1
    for row in range(COUNT):
        for class_id in stream.labels[row].unique().tolist():
            pixels = images[row][:, stream.labels[row] == class_id]
            mean, deviation = looks[row, class_id, :3], looks[row, class_id, 3:MOMENTS]
            torch.testing.assert_close(mean, SCALE_MOMENTS * pixels.mean(1), rtol=0, atol=1e-4)
            assert deviation.max() < 0.03, "a colour alone, also 0 and 255"
    textures = looks[bank.shown][:, MOMENTS:]
    assert 0.2 < textures.std() < 0.8, "whitened"
    assert bank.shares.sum() == pytest.approx(1) and bank.shares[0] > bank.shares[2] > 0
    assert torch.equal(bank.shown[:, 2], torch.arange(COUNT) % 2 == 1)


def test_classes_that_a_row_lacks_take_the_look_of_one_that_has_them(bank):
    even = torch.zeros(200, dtype=torch.long)
    looks = bank.looks(even, numbers(200)[:, 1:])
    own = bank.styles[0]
    assert torch.equal(looks[:, :2], own[:2].expand(200, -1, -1))
    borrowed = looks[:, 2].unique(dim=0)
    assert torch.equal(borrowed, bank.styles[1::2, 2].unique(dim=0)), "of every row that has it"
    assert not looks[:, 3].any(), "nobody has it"


def test_a_row_for_each_class_gives_each_its_own_donor(bank):
    rows = torch.tensor([[1, 3, 5, 0]])
    looks = bank.looks(rows, numbers(1)[:, 1:])
    assert torch.equal(looks[0, :3], bank.styles[[1, 3, 5], [0, 1, 2]])


def test_a_mirrored_image_gives_a_class_the_look_of_its_mirror_image(stream, features):
    swapped = Stream(stream.images, stream.labels, seed=0, flip=True, mirrored=[1, 0, 2, 3])
    bank = StyleBank(CLASSES, MOMENTS + 3)
    measure(bank, swapped, features)
    rows, mirrored = torch.tensor([1, 1]), torch.tensor([False, True])
    plain, other = bank.looks(rows, numbers(2)[:, 1:], mirrored)
    assert torch.equal(plain[:3], bank.styles[1, :3])
    assert torch.equal(other[:3], bank.styles[1, [1, 0, 2]])


def test_a_stream_says_which_pairs_are_mirrored(stream):
    batch = stream.batch(0, 4 * COUNT)
    assert 0 < batch.mirrored.float().mean() < 1
    for image, row, mirrored in zip(batch.image, batch.row, batch.mirrored, strict=True):
        plain = stream.images[row].float() / 127.5 - 1
        assert torch.equal(image, plain.flip(-1) if mirrored else plain)


def test_rows_are_those_of_the_set_that_the_pairs_come_from(stream, features, bank):
    pairs = stream.images, stream.labels
    part = Stream(*pairs, seed=0, flip=False, mirrored=range(255), rows=range(2, 2 + COUNT))
    shifted = StyleBank(CLASSES, MOMENTS + 3)
    measure(shifted, part, features)
    assert len(shifted) == 2 + COUNT and not shifted.shown[:2].any()
    assert torch.equal(shifted.styles[2:], bank.styles)


def test_a_bank_is_as_large_as_what_is_loaded_and_an_empty_one_gives_nothing(bank):
    empty = StyleBank(CLASSES, MOMENTS + 3)
    assert not empty.looks(torch.zeros(2, dtype=torch.long), numbers(2)[:, 1:]).any()
    empty.load_state_dict(bank.state_dict())
    assert torch.equal(empty.other(numbers()), bank.other(numbers())) and empty.styles.any()


def test_looks_do_not_depend_on_how_many_images_are_measured_at_once(
    bank, stream, features, monkeypatch
):
    monkeypatch.setattr(styles, "BATCH", 4)
    other = StyleBank(CLASSES, MOMENTS + 3)
    measure(other, stream, features)
    torch.testing.assert_close(other.styles, bank.styles, rtol=1e-3, atol=1e-4)


# == the features ==


def test_features_are_frozen_whatever_is_said_to_them(features):
    features.train()
    assert not any(module.training for module in features.modules())
    before = {name: value.clone() for name, value in features.state_dict().items()}
    image = torch.rand(2, 3, *SIZE).requires_grad_()
    seen = features(image)
    assert [its.shape[2] for its in seen] == [SIZE[0] // stride for stride in Features.strides]
    perceptual(seen, [its.detach() + 1 for its in seen]).backward()
    assert image.grad.any()
    assert not any(
        weight.requires_grad or weight.grad is not None for weight in features.parameters()
    )
    assert all(torch.equal(value, before[name]) for name, value in features.state_dict().items())


def test_perceptual_distance_is_zero_to_itself_and_relative(features):
    image = torch.rand(2, 3, *SIZE)
    seen = features(image)
    assert perceptual(seen, seen) == 0
    twice = [2 * its for its in seen]
    assert perceptual(twice, seen) == pytest.approx(1, abs=0.05)
    seen = features(image * torch.tensor([1.0, 0.1])[:, None, None, None])
    halves = [
        perceptual([its[i : i + 1] for its in twice], [its[i : i + 1] for its in seen]).item()
        for i in range(2)
    ]
    assert sum(halves) / 2 == pytest.approx(perceptual(twice, seen).item(), rel=1e-5)


# == training ==

LEARNING = {
    "num_images": 360,
    "batch_size": 6,
    "ema": 0.9,
    "generator_lr": 5e-3,
    "channels": [16, 16, 8],
    "adversarial_start": 1000,
}


@pytest.fixture(scope="module")
def learnt(stream, tmp_path_factory):
    """A painter after sixty steps in their own looks, and its curve."""
    method = begun(stream, **LEARNING)
    folder, options = tmp_path_factory.mktemp("scratch"), Options(log_every=5)
    about = {"checkpoint_dir": folder, "label": "regions", "device": torch.device("cpu")}
    nets, curve = train(method, stream, seed=0, options=options, **about)
    return method, nets, curve


def test_the_own_look_is_learnt_within_a_few_steps(learnt):
    _, _, curve = learnt
    first, last = curve[0], curve[-1]
    for term in ("generator/pixels", "generator/perceptual", "critic/real"):
        assert last[term] < 0.75 * first[term], term
    assert "generator/critic" not in first, "nobody listens to the critic yet"


def test_another_style_changes_the_image_and_keeps_the_layout(learnt, stream):
    method, nets, _ = learnt
    images = stream.images.float() / 127.5 - 1
    layout, rows = stream.labels[1:2].long().repeat(3, 1, 1), torch.tensor([1, 3, 5])
    rngs = [generator(0, 0)] * 3
    painted = method.sample(nets, PaintRequest(layout, rows), rngs)
    found, wanted = [], []
    for image, row in zip(painted, rows, strict=True):
        for class_id in range(3):
            found.append(image[:, layout[0] == class_id].mean(1))
            wanted.append(images[row][:, stream.labels[row] == class_id].mean(1))
    distance = torch.cdist(torch.stack(found), torch.stack(wanted), p=1)
    nearest = distance.argmin(1)
    assert (nearest == torch.arange(9)).sum() >= 7, "each region has the colour of its donor's"


def test_the_same_seed_paints_the_same_and_styles_are_given_in_three_forms(learnt, stream):
    method, nets, _ = learnt
    layout, bank = stream.labels[:2].long(), nets["bank"]

    def paint(style, *seeds):
        return method.sample(nets, PaintRequest(layout, style), [generator(s) for s in seeds])

    rows = torch.tensor([1, 3])
    first = paint(rows, 1, 2)
    assert torch.equal(first, paint(rows, 1, 2))
    assert not torch.equal(first, paint(rows, 3, 4)), "the noise"
    assert torch.equal(first, paint(rows[:, None].repeat(1, CLASSES), 1, 2))
    torch.testing.assert_close(first, paint(bank.styles[rows], 1, 2))
    assert not torch.allclose(paint(None, 1, 2), paint(None, 3, 4), atol=0.05), "any row's look"


def test_the_critic_is_heard_when_its_time_comes_and_sees_another_look_every_second_step(stream):
    fields = {"adversarial_start": 8, "adversarial_ramp": 16, "batch_size": 4, "num_images": 40}
    method = begun(stream, **fields)
    plan = Plan(method.spans)

    def terms(step):
        span, images, fraction = plan.at(step)
        alpha = fraction if span.fade else 1.0
        now = Progress(step, images, plan.num_images, span.level, alpha, generator(0, step))
        phases = method.phases(stream.batch(4 * step, 4), now)
        return {name: value.item() for phase in phases for name, value in phase.loss().items()}

    heard = [terms(step) for step in range(8)]
    assert [sorted(found) for found in heard[:3]] == [["fake", "perceptual", "pixels", "real"]] * 3
    assert [("critic_other" in found) for found in heard[3:]] == [True, False, True, False, True]
    assert all("critic" in found for found in heard[3:])
    ratio = heard[3]["critic"] / heard[7]["critic"]
    assert ratio == pytest.approx(0.25, rel=0.2), "a quarter of the ramp"


@pytest.mark.parametrize(
    ("num_images", "lengths"), [(40, [8, 16, 16]), (20, [8, 12]), (8, [8]), (5, [5])]
)
def test_a_short_training_has_what_fits_of_the_schedule(num_images, lengths):
    fields = {"adversarial_start": 8, "adversarial_ramp": 16, "num_images": num_images}
    method = small.build("regions", Given(CLASSES, SIZE), **fields)
    assert [span.num_images for span in method.spans] == lengths
    assert [span.fade for span in method.spans] == [False, True, False][: len(lengths)]


def test_a_schedule_cut_short_hears_the_critic_in_its_last_span(stream, tmp_path):
    """The estimate of a run times each span by its first steps."""
    method = begun(stream, adversarial_start=400, adversarial_ramp=40, num_images=800)
    short = tuple(replace(span, num_images=4) for span in method.spans)
    curve = train(
        replace(method, spans=short),
        stream,
        seed=0,
        checkpoint_dir=tmp_path,
        label="regions",
        device=torch.device("cpu"),
        options=Options(log_every=1),
    )[1]
    assert "generator/critic" not in curve[0]
    assert "generator/critic" in curve[-1]


def test_a_killed_training_goes_on_to_the_same_weights_and_holds_no_features(stream, tmp_path):
    fields = {"num_images": 24, "batch_size": 4}
    about = {"seed": 0, "label": "regions", "device": torch.device("cpu")}
    options = Options(save_every=2, log_every=2)
    whole, curve = train(
        begun(stream, **fields), stream, checkpoint_dir=tmp_path / "whole", options=options, **about
    )

    class Killed(Stream):
        def batch(self, position, size):
            if position >= 20:
                raise KeyboardInterrupt
            return super().batch(position, size)

    pairs = stream.images, stream.labels
    cut = Killed(*pairs, seed=0, flip=True, mirrored=range(255))
    with pytest.raises(KeyboardInterrupt):
        train(begun(cut, **fields), cut, checkpoint_dir=tmp_path, options=options, **about)
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert content["state"]["step"] == 4
    assert {name.partition(".")[0] for name in content["nets"]} == {"G", "D", "bank"}
    again, resumed = train(
        begun(stream, **fields), stream, checkpoint_dir=tmp_path, options=options, **about
    )
    assert resumed == curve
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_an_artifact_holds_generator_and_bank_and_paints_without_the_features(
    learnt, stream, tmp_path, monkeypatch
):
    method, nets, curve = learnt
    classes = ClassTable(tuple(ClassInfo(name, (0, 0, 0)) for name in "abcd"))
    settings = method.config.model_dump(mode="json")
    description = artifact.Description("regions", settings, classes, SIZE, "f")
    trained = artifact.Trained(nets, artifact.critics_of(method), curve)
    artifact.write(tmp_path, description, trained)
    monkeypatch.setattr("data.pretrained.weights_file", lambda: 1 / 0)
    loaded, kept = artifact.load(tmp_path, ENTRY, Given(CLASSES, SIZE))
    assert set(kept) == {"G", "bank"}
    request = PaintRequest(stream.labels[:2].long(), torch.tensor([1, 3]))
    painted = [
        one.sample(its, request, [generator(0), generator(1)])
        for one, its in ((method, nets), (loaded, kept))
    ]
    assert torch.equal(*painted)


def test_rare_classes_weigh_more(stream):
    method = begun(stream)
    weights, shares = method._weights(), method.nets["bank"].shares
    assert weights[2] > weights[:2].max()
    assert (weights * shares).sum() == pytest.approx(1, abs=0.05)
    assert weights.max() <= method.config.class_weight_max
