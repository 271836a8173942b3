"""SIMS: what is remembered and found, what canvases are made of, and of whom they never are."""

import numpy as np
import pytest
import torch

from data.pairs.batches import Stream, onehot
from data.pairs.classes import ClassInfo, ClassTable
from synth.painters import PAINTERS
from synth.painters.common.memory import OUTSIDE, SIDE, Canvas, Found, Memory, recoloured, segments
from synth.painters.sims import Generator, widths
from synth.training import artifact, ema
from synth.training.method import Given, PaintRequest, Progress, generator
from tests.synth import small

SIZE, CLASSES, COUNT = (32, 64), 3, 6


def stream_of(count=COUNT):
    """Sky above a road with a car on it; each pair's colours say which one it is."""
    rng = np.random.default_rng(0)
    labels, images = [], []
    for index in range(count):
        label = np.zeros(SIZE, np.uint8)
        label[int(rng.integers(12, 20)) :] = 1
        top, left = int(rng.integers(20, 24)), int(rng.integers(2, 44))
        label[top : top + int(rng.integers(4, 8)), left : left + int(rng.integers(8, 18))] = 2
        label[top : top + 2, left : left + 1 + index] = 1  # a notch, in every pair another
        label[0, 5:7] = 2  # a speck
        colour = np.array(
            [[20 * index + 10, 0, 0], [0, 20 * index + 10, 0], [0, 0, 20 * index + 10]]
        )
        labels.append(label)
        images.append(colour[label])
    pixels = torch.from_numpy(np.stack(images).astype(np.uint8)).permute(0, 3, 1, 2).contiguous()
    rows = np.arange(count) * 2 + 1  # of the set
    label = torch.from_numpy(np.stack(labels))
    return Stream(pixels, label, seed=0, flip=True, mirrored=range(255), rows=rows)


def build(stream=None, **changes):
    torch.manual_seed(0)
    method = small.build("sims", Given(CLASSES, SIZE), num_doublings=2, **{"smallest": 6} | changes)
    if stream is not None:
        PAINTERS["sims"].begin(method, stream)
    return method


def filled(stream, **changes):
    method = build(stream, **changes)
    PAINTERS["sims"].end(method, method.nets, stream)
    return method, method.nets.eval()


def who(canvas):
    """The pairs that the known pixels of a canvas are of, by their colours; 0 to 255."""
    pixels, known = (canvas.pixels, canvas.known) if isinstance(canvas, Canvas) else canvas
    shown = pixels[:, known]
    place = (shown.max(0) - 10) / 20
    pure = (shown.sum(0) - shown.max(0) < 0.1) & (np.abs(place - place.round()) < 0.01)
    assert pure.mean() > 0.7, "not between two classes"
    return set(place[pure].round().astype(int).tolist())


def canvas_of(method, memory, label, without, own=None, seed=0):
    return method._canvas(label, memory, without, np.random.default_rng(seed), own)


def test_the_network_has_as_many_parameters_as_its_widths_say():
    channels = widths(5, 64)
    assert channels == (64, 128, 256, 512, 512, 512)

    def module(inputs, outputs):  # two convolutions, and a scale and a shift of each norm
        return outputs * (9 * inputs + 1) + outputs * (9 * outputs + 1) + 4 * outputs

    encoder = zip((39, *channels[:-1]), channels, strict=True)
    decoder = zip((0, *channels[:0:-1]), channels[::-1], strict=True)
    wanted = sum(module(i, o) for i, o in encoder)
    wanted += sum(module(before + skip + 35, skip) for before, skip in decoder)
    with torch.device("meta"):
        net = Generator(35, channels)
    assert sum(p.numel() for p in net.parameters()) == wanted + 64 * 3 + 3 == 36_761_283


def test_segments_are_regions_with_their_shape_and_surroundings():
    label = stream_of().labels[0].numpy()
    found = list(segments(label, CLASSES, 6))
    assert [one.kind for one in found] == [1, 0, 2] or [one.kind for one in found] == [0, 1, 2]
    assert [one.area for one in found] == sorted((one.area for one in found), reverse=True)
    for one in found:
        assert one.area == one.mask.sum() and (label[one.box][one.mask] == one.kind).all()
        assert one.shape.shape == one.context.shape == (SIDE, SIDE)
    car, sky = found[2], next(one for one in found if one.kind == 0)
    assert not car.shape[0, 0] and car.shape[-1].all(), "a box with a notch"
    assert (car.context == 2)[8:13, 4:12].all() and (car.context[:2] == 1).all()
    assert (sky.context[:2] == OUTSIDE).all() and (sky.context[:, :2] == OUTSIDE).all()
    assert len(list(segments(label, CLASSES, 1))) == 4, "the speck too"


def test_what_is_remembered_survives_a_file():
    stream, other = stream_of(), Memory()
    memory = build(stream).training
    assert memory.kind.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    other.load_state_dict(memory.state_dict())
    for index in range(18):
        one, two = (m._cut(index, (8, 8)) for m in (memory, other))
        assert np.array_equal(one.pixels, two.pixels) and np.array_equal(one.mask, two.mask)
    few = build(stream, per_class=2).training
    assert few.kind.tolist() == [0, 0, 1, 1, 2, 2]
    assert few.place[few.kind == 2].tolist() == [0, 5], "spread over the pairs"


def test_pixels_and_mask_of_a_segment_are_those_it_was_cut_from():
    stream = stream_of()
    memory = build(stream).training
    for index in range(18):
        place, kind = int(memory.place[index]), int(memory.kind[index])
        top, left, bottom, right = memory.box[index].tolist()
        label = stream.labels[place, top:bottom, left:right].numpy()
        found = memory._cut(index, label.shape)
        assert np.array_equal(found.mask, label == kind)
        image = stream.images[place, :, top:bottom, left:right].numpy()
        assert np.array_equal(found.pixels, image)


def test_the_segment_that_fits_best_is_found_and_never_an_excluded_one():
    stream = stream_of()
    method = build(stream)
    memory, none = method.training, np.zeros(COUNT, bool)
    rng = np.random.default_rng(0)
    for place in range(COUNT):
        for segment in segments(stream.labels[place].numpy(), CLASSES, 6):
            if segment.kind:  # all skies are shaped alike
                own = memory.find(segment, none, method.config, rng)
                assert own.pixels[segment.kind].max() == pytest.approx(20 * place + 10, abs=0.1)
            other = memory.find(segment, memory.own(2 * place + 1), method.config, rng)
            assert abs(other.pixels[segment.kind].max() - (20 * place + 10)) > 1
    assert memory.find(segment, ~none, method.config, rng) is None
    drawn = build(stream, top=3)
    cars = [segment.kind == 2 for segment in segments(stream.labels[0].numpy(), CLASSES, 6)]
    assert cars[-1], "the smallest comes last"
    rngs = map(np.random.default_rng, range(30))
    found = {drawn.training.find(segment, none, drawn.config, r).pixels[2].max() for r in rngs}
    assert len(found) == 3


def test_much_larger_segments_fit_less_where_size_weighs():
    label = np.zeros((2, *SIZE), np.uint8)
    label[0, 4:28, 8:56] = 1
    label[1, 13:19, 26:38] = 1  # a quarter of the side, and the same proportions
    images = np.stack([np.full((3, *SIZE), value, np.uint8) for value in (50, 150)])
    about = {"seed": 0, "flip": False, "mirrored": range(255)}
    stream = Stream(torch.from_numpy(images), torch.from_numpy(label), **about)
    like = list(segments(label[1], 2, 6))[-1]
    for weight, wanted in ((0.0, 50), (1.0, 150)):
        method = build(stream, size_weight=weight)
        memory = method.training
        memory.arrays()["contexts"][memory.kind.numpy() == 1] = 0  # surroundings tell nothing
        found = memory.find(like, np.zeros(2, bool), method.config, np.random.default_rng(0))
        assert found.pixels.max() == pytest.approx(wanted, abs=0.1)


def test_a_canvas_of_its_own_pixels_has_the_holes_of_other_segments():
    stream = stream_of()
    method = build(stream, transfer=0.0, elision=0)
    label, image = stream.labels[2].numpy(), stream.images[2].numpy().astype(np.float32)
    memory = method.training
    without = memory.own(5)
    own = canvas_of(method, memory, label, without, image)
    assert who(own) == {2}
    assert np.array_equal(own.pixels[:, own.known], image[:, own.known])
    others = canvas_of(method, memory, label, without)
    assert 2 not in who(others)
    assert 0 < (~own.known).sum() < own.known.sum() / 2
    assert not (own.known & ~others.known).any(), "no pixel that other segments would not reach"
    coloured = build(stream, transfer=1.0, elision=0)
    moved = canvas_of(coloured, coloured.training, label, without, image)
    assert np.array_equal(moved.known, own.known) and 2 not in who(moved)


def test_borders_are_left_out():
    label = np.zeros((8, 12), np.uint8)
    label[:, 6:] = 1
    for width, columns in ((0, []), (1, [5, 6]), (2, [4, 5, 6, 7])):
        canvas = Canvas(label.shape)
        whole = (slice(0, 8), slice(0, 12))
        canvas.put(whole, np.full((3, 8, 12), 255.0), np.ones((8, 12), bool))
        canvas.elide(label, width)
        hidden = np.flatnonzero(~canvas.known.all(0)).tolist()
        assert hidden == columns
        shown = canvas.tensor()
        assert shown.shape == (4, 8, 12)
        assert (shown[:3, :, columns] == 0).all() and shown[:, :, 0].unique().tolist() == [1]


def test_small_segments_lie_over_large_ones():
    stream = stream_of()
    method = build(stream, elision=0)
    label = stream.labels[0].numpy()
    canvas = canvas_of(method, method.training, label, np.zeros(COUNT, bool))
    car = next(one for one in segments(label, CLASSES, 6) if one.kind == 2)
    at = canvas.pixels[:, *car.box][:, car.mask]
    assert (at[2] > 0).all() and (at[:2] < 30).all()


def test_colours_become_those_of_the_other_segment():
    rng = np.random.default_rng(0)
    pixels, mask = rng.uniform(90, 110, (3, 6, 6)), np.ones((6, 6), bool)
    other = rng.uniform(100, 180, (3, 4, 4))
    made = recoloured(pixels, mask, Found(other, np.ones((4, 4), bool)))
    np.testing.assert_allclose(made.mean((1, 2)), other.mean((1, 2)))
    np.testing.assert_allclose(made.std((1, 2)), other.std((1, 2)), rtol=0.2)
    nothing = Found(other, np.zeros((4, 4), bool))
    assert recoloured(pixels, mask, nothing) is pixels


def test_no_canvas_of_a_training_holds_a_segment_of_its_own_pair():
    """Of other pairs where it is retrieved; and where it is painted, of a real layout's own too."""
    stream = stream_of()
    method, nets = filled(stream, retrieved=1.0, elision=0)
    batch = stream.batch(0, COUNT)
    shown = []
    hook = method.nets["G"].register_forward_hook(lambda _, given, made: shown.append(given[1]))
    now = Progress(0, 0, 8, 0, 1.0, generator(0))
    method.losses(batch, onehot(batch.label, CLASSES), now).generator()
    request = PaintRequest(stream.labels.long())
    method.sample(nets, request, [generator(index) for index in range(COUNT)])
    hook.remove()
    places = [((batch.row - 1) // 2).tolist(), range(COUNT)]
    for canvases, rows in zip(shown, places, strict=True):
        for canvas, place in zip(canvases, rows, strict=True):
            of = who((((canvas[:3] + 1) * 127.5).numpy(), canvas[3].numpy() > 0))
            assert of and place not in of


def test_an_edited_layout_is_still_known_as_its_parents_and_a_new_one_as_nobodys():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, CLASSES, (COUNT, 4, 8)).astype(np.uint8)
    labels = np.roll(labels.repeat(8, 1).repeat(8, 2), 3, (1, 2))
    images = torch.zeros(COUNT, 3, *SIZE, dtype=torch.uint8)
    about = {"seed": 0, "flip": False, "mirrored": range(255)}
    memory = build(Stream(images, torch.from_numpy(labels), **about)).training
    for place in range(COUNT):
        edited = labels[place].copy()
        edited[:, 24:] = 2
        for label in (labels[place], edited):
            assert memory.parents(label).nonzero()[0].tolist() == [place]
    assert not memory.parents(np.roll(labels[0], 1, (0, 1))).any(), "all borders a pixel further"
    assert not memory.parents(np.ones(SIZE, np.uint8)).any(), "no border"


def test_a_painted_image_is_a_function_of_its_seed():
    stream = stream_of()
    method, nets = filled(stream, top=4)
    label = stream.labels[:1].long().expand(3, -1, -1)
    request, rngs = PaintRequest(label), lambda *seeds: [generator(seed) for seed in seeds]
    one = method.sample(nets, request, rngs(1, 2, 1))
    assert torch.equal(one[0], one[2]) and not torch.equal(one[0], one[1])
    again = method.sample(nets, PaintRequest(label[:1]), rngs(2))
    torch.testing.assert_close(again[0], one[1], rtol=1e-4, atol=1e-5)


def test_the_memory_is_in_the_artifact_and_in_no_checkpoint(tmp_path):
    stream = stream_of()
    method = build(stream)
    assert all(value.numel() == 0 for value in method.nets["memory"].state_dict().values())
    averaged = ema.averaged_copy(method.nets, method.kept)
    PAINTERS["sims"].end(method, averaged, stream)
    assert len(averaged["memory"].kind) == 18
    classes = ClassTable(tuple(ClassInfo(name, (0, 0, 0)) for name in ("sky", "road", "car")))
    trained = artifact.Trained(averaged, artifact.critics_of(method))
    about = artifact.Description("sims", method.config.model_dump(mode="json"), classes, SIZE, "f")
    artifact.write(tmp_path, about, trained)
    loaded, nets = artifact.load(tmp_path, PAINTERS["sims"], Given(CLASSES, SIZE))
    ready = PAINTERS["sims"].prepare(loaded, nets, torch.float32)
    request, rngs = PaintRequest(stream.labels[:2].long()), [generator(0), generator(1)]
    wanted = method.sample(averaged, request, rngs)
    rngs = [generator(0), generator(1)]
    torch.testing.assert_close(loaded.sample(ready, request, rngs), wanted, rtol=0, atol=1e-3)
    assert torch.equal(loaded.sample(nets, request, [generator(0), generator(1)]), wanted)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_fits_where_there_is_no_other_pair(count):
    method = filled(stream_of(1))[0] if count else build()
    label = stream_of().labels[:1].long()
    painted = method.sample(method.nets.eval(), PaintRequest(label), [generator(0)])
    assert painted.shape == (1, 3, *SIZE) and torch.isfinite(painted).all()
