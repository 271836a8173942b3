"""Conditional IMLE: codes are the best there are, stay for a round, and rarity weighs pixels."""

import numpy as np
import pytest
import torch

from data.pairs.batches import Stream, onehot
from data.pairs.sampling import MOST, mean_colours, rarities
from synth.nets.features import FeatureLoss
from synth.nets.losses import Perceptual
from synth.painters import PAINTERS
from synth.painters.cimle import Generator
from synth.training.loop import Options, train
from synth.training.method import Given, PaintRequest, Progress, generator
from tests.synth import small

SIZE, CLASSES, COUNT = (16, 32), 3, 12
KEEP = {"num_doublings": 2, "batch_size": 4, "num_images": 48, "round_images": 24}


def stream_of(flip=True, mirrored=range(255)):
    rng = torch.Generator().manual_seed(0)
    label = torch.randint(0, CLASSES, (COUNT, 4, 8), generator=rng)
    label = label.repeat_interleave(4, 1).repeat_interleave(4, 2)
    colours = torch.randint(0, 256, (COUNT, CLASSES, 3), generator=rng, dtype=torch.uint8)
    images = torch.stack([colours[k][label[k]] for k in range(COUNT)]).permute(0, 3, 1, 2)
    about = {"seed": 0, "flip": flip, "mirrored": mirrored}
    return Stream(images.contiguous(), label.byte(), **about)


def build(stream=None, **changes):
    torch.manual_seed(0)
    method = small.build("cimle", Given(CLASSES, SIZE), **KEEP | changes)
    if stream is not None:
        PAINTERS["cimle"].begin(method, stream)
    return method


def now(images, step=0, seed=0):
    return Progress(step, images, 48, 0, 1.0, generator(seed, step))


def codes_of(method, batch, progress):
    """The codes that a step paints its batch with."""
    given = []
    hook = method.nets["G"].register_forward_hook(lambda _, args, made: given.append(args[1]))
    method.losses(batch, onehot(batch.label, CLASSES), progress).generator()
    hook.remove()
    return given[-1], len(given)


def test_the_generator_has_the_published_parameters():
    config = small.config("cimle", published=True, num_images=8)
    with torch.device("meta"):
        net = Generator(35, config, 128)
    count = sum(p.numel() for p in net.parameters())
    encoder = sum(p.numel() for p in net.encoder.parameters())
    assert (count, encoder) == (94_460_945, 132_110)
    # ten more channels for the first convolution of every module of CRN's
    assert count - encoder - 93_821_955 == 10 * 9 * (5 * 1024 + 512)


def test_a_pair_is_painted_with_the_code_whose_image_is_nearest():
    stream = stream_of(flip=False)
    method = build(stream, num_codes=5)
    batch = stream.batch(0, 4)
    codes, _ = codes_of(method, batch, now(0))
    rounds = method.nets["rounds"]
    sight, layout = method.perceptual, onehot(batch.label, CLASSES)
    weights = rounds.weights(batch, layout)
    with torch.no_grad():
        wanted = sight.look(batch.image)
        for slot, row in enumerate(batch.row.tolist()):
            far = []
            for number in range(5):
                rng = generator(int(rounds.key), row, number)
                code = torch.randn(3, *SIZE, generator=rng)
                fake = method.nets["G"](layout[slot : slot + 1], code[None])
                part = [features[slot : slot + 1] for features in wanted]
                its = weights[slot : slot + 1]
                apart = (its * (fake - batch.image[slot : slot + 1]).abs()).mean()
                seen = sight.distances(sight.look(fake), part, its)[0]
                config = method.config
                far.append(config.perceptual_weight * seen + config.pixel_weight * apart)
                if number == rounds.best[row]:
                    torch.testing.assert_close(codes[slot], code)
            assert int(torch.stack(far).argmin()) == rounds.best[row]
    assert len(rounds.best.unique()) > 1


def test_a_code_stays_for_a_round_and_goes_with_a_mirrored_pair():
    stream = stream_of(flip=True)
    method = build(stream)
    seen = {}
    for position in range(0, 48, 4):
        batch = stream.batch(position, 4)
        codes, passes = codes_of(method, batch, now(position, step=position // 4))
        assert (passes > 1) == (position in (0, 24)), "chosen when a round begins, and never else"
        for slot, row in enumerate(batch.row.tolist()):
            code = codes[slot].flip(-1) if batch.mirrored[slot] else codes[slot]
            first = seen.setdefault((position // 24, row), code)
            assert torch.equal(first, code)
    assert len(seen) == 2 * COUNT, "two epochs in each of two rounds"
    assert not any(torch.equal(seen[0, row], seen[1, row]) for row in range(COUNT))


def test_only_pairs_that_a_round_shows_are_given_a_code():
    stream, asked = stream_of(), []
    method = build(stream, round_images=4)
    nearest = type(method)._nearest
    counting = lambda *given: asked.extend(given[1].row.tolist()) or nearest(*given)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(method), "_nearest", counting)
        codes_of(method, stream.batch(4, 4), now(4))
    assert sorted(asked) == sorted(stream.batch(4, 8).row.tolist()), "those up to the next choice"


def test_a_training_goes_on_in_the_middle_of_a_round(tmp_path):
    """Checkpoints hold the round: codes are those of the weights it began with."""
    stream, states = stream_of(), []
    about = {"seed": 0, "checkpoint_dir": tmp_path, "label": "cimle"}
    about |= {"device": torch.device("cpu"), "options": Options(save_every=5)}
    for _ in range(2):  # twelve steps, then the last two of them again
        nets, _ = train(build(stream), stream, **about)
        states.append(nets.state_dict())
        (checkpoint,) = tmp_path.iterdir()
        assert torch.load(checkpoint, weights_only=True)["state"]["step"] == 10
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_pixels_weigh_by_the_rarity_of_their_region():
    stream = stream_of(flip=False)
    method = build(stream)
    rounds, batch = method.nets["rounds"], stream.batch(0, 4)
    weights = rounds.weights(batch, onehot(batch.label, CLASSES))
    assert weights.shape == (4, 1, *SIZE) and weights.amax((1, 2, 3)).tolist() == [1] * 4
    pixels = zip(stream.images.permute(0, 2, 3, 1).numpy(), stream.labels.numpy(), strict=True)
    wanted = rarities(mean_colours(pixels, CLASSES))
    assert np.nanmax(wanted) <= MOST
    for slot, row in enumerate(batch.row.tolist()):
        known = [c for c in range(CLASSES) if (batch.label[slot] == c).any()]
        for one in known:
            for other in known:
                a, b = ((weights[slot, 0][batch.label[slot] == c])[0] for c in (one, other))
                assert a / b == pytest.approx(wanted[row, one] / wanted[row, other], rel=1e-4)
    assert build(stream, rebalance_loss=False).nets["rounds"].weights(batch, weights) is None


def test_mirrored_classes_weigh_as_what_they_were():
    stream = stream_of(mirrored=[0, 2, 1])
    method = build(stream)
    rounds = method.nets["rounds"]
    batch = stream.batch(0, 12)
    assert batch.mirrored.any() and not batch.mirrored.all()
    table = rounds.rarity
    weights = rounds.weights(batch, onehot(batch.label, CLASSES))
    for slot, row in enumerate(batch.row.tolist()):
        kinds = [0, 2, 1] if batch.mirrored[slot] else [0, 1, 2]
        wanted = table[row][torch.tensor(kinds)][batch.label[slot]]
        torch.testing.assert_close(weights[slot, 0], wanted / wanted.max())


def test_noise_changes_an_image_and_reaches_the_coarsest_grid():
    for kind in ("cascaded", "pyramid"):
        method = build(generator=kind, max_channels=12, hidden=8)
        label = stream_of().labels[:1].long().expand(2, -1, -1)
        one, other = method.sample(
            method.nets.eval(), PaintRequest(label), [generator(0), generator(1)]
        )
        assert not torch.allclose(one, other, atol=1e-4)
    shown = []
    net = build().nets["G"]
    first = net.backbone.refinements[0]
    first.register_forward_hook(lambda _, given, made: shown.append(given[0]))
    layout = onehot(stream_of().labels[:1].long(), CLASSES)
    noise = torch.randn(1, 3, *SIZE)
    net(layout, noise)
    encoded = net.encoder(layout, noise)
    assert shown[0].shape[1] == CLASSES + 3
    ratio = shown[0][:, CLASSES:].std() / encoded.std()
    assert ratio > 0.3, "an average over 4x4 pixels would leave a quarter of it"


def test_without_pairs_of_its_own_each_step_chooses_anew():
    """As in a joint, whose layouts are new ones in every step."""
    method, batch = build(), stream_of().batch(0, 4)
    first, passes = codes_of(method, batch, now(0))
    assert passes == 1 + method.config.num_codes
    again, _ = codes_of(method, batch, now(0))
    other, _ = codes_of(method, batch, now(0, seed=1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("kind", ["vgg", "features"])
def test_distances_of_images_are_the_parts_of_the_loss(kind):
    torch.manual_seed(0)
    sight = Perceptual() if kind == "vgg" else FeatureLoss("efficientnet_lite0")
    fake, real = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        seen = sight.look(fake), sight.look(real)
        torch.testing.assert_close(sight.distances(*seen).mean(), sight(fake, real))
        halved = sight.distances(*seen, torch.full((2, 1, 32, 32), 0.5))
        torch.testing.assert_close(halved, sight.distances(*seen) / 2)
        weights = torch.zeros(2, 1, 32, 32)
        weights[0] = 1
        assert sight.distances(*seen, weights)[1] == 0
