"""The painters of the field are as large as published, and learn; what each says besides."""

from typing import get_args

import pytest
import torch

from data.pairs.batches import Stream, onehot
from synth.making.looks import Looks, Style
from synth.nets.critics import EmbeddingCritic, TwoStreamCritic
from synth.nets.layers import edges, filtered
from synth.painters.bicyclegan import UNet
from synth.painters.cc_fpse import critic_depth
from synth.painters.common.positions import descriptors
from synth.painters.common.refinement import Cascade, widths
from synth.painters.pix2pixhd import cluster
from synth.training.loop import train
from synth.training.method import Around, Given, PaintRequest, Progress, generator
from tests.synth import small

FULL = (128, 256)
# Of networks, by painter, number of classes, and settings.
PARAMETERS = {
    ("spade", 35, (("latent", 256),)): {"G": 101_115_843, "E": 10_463_424},
    ("sean", 19, ()): {"G": 265_338_785, "E": 1_568_576},
    ("cc_fpse", 36, (("num_doublings", 6),)): {"G": 119_940_867},
    ("sesame", 35, ()): {"G": 20_491_587},
    ("safm", 35, ()): {"G": 96_220_107, "S": 22_251_299},
    ("bicyclegan", 35, ()): {"G": 42_177_923, "E": 2_590_032},
    ("pix2pixhd", 35, (("edges", True), ("features", 3))): {"E": 788_803},
}


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("key", "wanted"), PARAMETERS.items(), ids=str)
def test_networks_have_the_published_parameters(key, wanted):
    name, classes, settings = key
    fields = {"num_images": 8, **dict(settings)}
    with torch.device("meta"):
        nets = small.build(name, Given(classes, FULL), published=True, **fields).nets
    assert {net: count(nets[net]) for net in wanted} == wanted


def test_the_enhancer_has_the_published_parameters():
    """The released one takes the global generator without its last layer."""
    fields = {"num_images": 8, "edges": True, "enhancer_blocks": 3}
    with torch.device("meta"):
        nets = small.build("pix2pixhd", Given(35, FULL), published=True, **fields).nets
    assert count(nets["G"]) + count(nets["L"]) - count(nets["G"].rgb) == 182_857_059


def test_refinements_have_the_published_parameters():
    with torch.device("meta"):
        assert count(Cascade(35, widths(5, 1024, 128))) == 93_821_955
    assert widths(6, 1024, 256) == (1024,) * 5 + (512, 512)
    assert widths(8, 1024, 1024)[-3:] == (512, 128, 32)


def test_two_streams_and_embedding_have_about_the_published_parameters():
    """11.1 and 5.18 million in the released code."""
    with torch.device("meta"):
        streams = TwoStreamCritic(36, width=64, num_layers=4, num_scales=2)
        embedding = EmbeddingCritic(35, width=64, depth=5)
    assert count(streams) == pytest.approx(11.1e6, rel=0.01)
    assert count(embedding) == pytest.approx(5.18e6, rel=0.01)


# == four pairs are learnt ==

FOUR = {"num_images": 400, "batch_size": 4, "ema": 0.9, "generator_lr": 2e-3, "init_gain": 1.0}
LONGER = {"num_images": 800}
GENTLER = {"num_images": 2000, "generator_lr": 1e-3}
LEARNING = {
    "spade, codes": {"num_doublings": 3, "width": 8, "max_channels": 32, "kl_weight": 0.0},
    "spade, segmentation critic": {"num_doublings": 3, "width": 8, "max_channels": 32},
    "pix2pixhd, features": {"num_doublings": 2, "width": 8} | GENTLER,
    "pix2pixhd, enhancer": {"width": 8, "global_images": 100, "enhancer_images": 100} | GENTLER,
    "sean": {"num_doublings": 3, "width": 8, "max_channels": 32},
    "sesame": {"width": 8, "whole": 1.0} | LONGER,
    "safm": {"num_doublings": 3, "width": 8, "max_channels": 32, "alignment_weight": 0.1},
    "lggan": {"num_doublings": 3, "width": 8, "max_channels": 32},
    "crn": {"num_doublings": 3, "width": 16} | LONGER,
    "cimle": {"num_doublings": 3, "width": 16, "round_images": 200} | LONGER,
    "sims": {"num_doublings": 1, "width": 12, "smallest": 6, "num_images": 600},
    "bicyclegan": {"num_doublings": 3, "width": 16, "latent": 3},
}


def four_pairs():
    """Three classes in blocks, each flat in a colour that is the same in all four images."""
    rng = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (4, 4, 8), generator=rng)
    label = label.repeat_interleave(8, 1).repeat_interleave(8, 2)
    colors = torch.tensor([[230, 30, 30], [30, 200, 60], [40, 60, 220]], dtype=torch.uint8)
    images = colors[label].permute(0, 3, 1, 2).contiguous()
    return Stream(images, label.byte(), seed=0, flip=False, mirrored=range(255))


@pytest.mark.slow
@pytest.mark.parametrize("key", LEARNING)
def test_four_pairs_are_learnt(key, tmp_path):
    """A hundred steps or more bring images within a fifth of the distance that they began at.

    Without cc_fpse, which needs minutes for that: 0.28 after 400 steps.
    """
    stream = four_pairs()
    name, changes = small.VARIANTS.get(key, (key, {}))
    fields = small.known(name, **FOUR) | changes | LEARNING[key]
    torch.manual_seed(0)
    method = small.build(name, Given(3, (32, 64)), **fields)
    real, label = stream.images.float() / 127.5 - 1, stream.labels.long()
    entry = small.entry_of(name)
    takes_style = entry.takes_style is not None and entry.takes_style(method.config)
    rows = torch.arange(4) if takes_style else None

    def distance(nets):
        rngs = [generator(0, row) for row in range(4)]
        painted = method.sample(nets, PaintRequest(label, rows), rngs)
        return (painted - real).abs().mean().item()

    entry.begin(method, stream)
    with torch.no_grad():
        before = distance(method.nets)
    about = {"checkpoint_dir": tmp_path, "label": name, "device": torch.device("cpu")}
    nets, _ = train(method, stream, seed=0, **about)
    entry.end(method, nets, stream)
    with torch.no_grad():
        assert distance(nets) < 0.2 * before


# == what each says besides ==


def test_edges_are_the_borders_of_regions_and_soft_where_layouts_are():
    label = torch.zeros(1, 4, 6, dtype=torch.long)
    label[0, :, 3:] = 1
    label[0, 0, 0] = 2
    layout = onehot(label, 3)
    found = edges(layout)[0, 0]
    wanted = torch.zeros(4, 6)
    wanted[:, 2:4] = 1
    wanted[0, :2] = wanted[1, 0] = 1
    assert torch.equal(found, wanted)
    blurred = 0.5 * layout + 0.5 / 3
    torch.testing.assert_close(edges(blurred)[0, 0], 0.5 * wanted)


def test_filters_of_every_pixel_are_those_of_a_convolution_where_they_are_alike():
    x, kernel = torch.randn(2, 3, 5, 7), torch.randn(3, 9)
    wanted = torch.nn.functional.conv2d(x, kernel.view(3, 1, 3, 3), padding=1, groups=3)
    everywhere = kernel.flatten()[None, :, None, None].expand(2, -1, 5, 7)
    torch.testing.assert_close(filtered(x, everywhere), wanted)
    turned = everywhere.clone()
    turned[..., 2, 3] = 0
    assert not filtered(x, turned)[..., 2, 3].any(), "each pixel has its own"


def test_codes_are_those_of_the_images_and_asked_for_by_row():
    """The bank is filled when training ends; a row paints as its image's code does."""
    stream = four_pairs()
    for key in ("spade, codes", "cc_fpse, codes", "bicyclegan"):
        name, changes = small.VARIANTS.get(key, (key, {}))
        fields = small.known(name, num_doublings=3) | changes
        torch.manual_seed(0)
        method = small.build(name, Given(3, (32, 64)), num_looks=1, **fields)
        nets = method.nets.eval()
        small.entry_of(name).end(method, nets, stream)
        codes, _ = nets["E"](stream.images.float() / 127.5 - 1)
        torch.testing.assert_close(nets["bank"].styles[:, 0], codes, rtol=1e-3, atol=1e-5)
        label, rngs = stream.labels[:2].long(), [generator(0), generator(1)]
        asked = method.sample(nets, PaintRequest(label, torch.tensor([3, 1])), rngs)
        given = method.sample(nets, PaintRequest(label, codes[[3, 1]][:, None]), rngs)
        torch.testing.assert_close(asked, given, rtol=1e-3, atol=1e-5)
        assert not torch.allclose(asked[0], method.sample(nets, PaintRequest(label), rngs)[0])


@pytest.mark.parametrize("key", ["spade, codes", "pix2pixhd, features", "sean", "bicyclegan"])
@pytest.mark.parametrize("style", get_args(Style))
def test_sets_ask_for_looks_of_images_and_of_regions_alike(key, style):
    name, changes = small.VARIANTS.get(key, (key, {}))
    fields = small.known(name, num_doublings=2) | changes
    method = small.build(name, Given(3, (32, 64)), num_looks=6, **fields)
    nets, ids = method.nets.eval(), [f"pair-{row}" for row in range(6)]
    looks = Looks.of(style, nets["bank"], ids)
    asked, donors = looks.draw([2, None], [(0, 1), (0, 2)])
    assert donors[0] == {"own": "pair-2", "mixed": None, "sampled": None}.get(style, donors[0])
    assert (donors[1] is None) == (style in ("mixed", "sampled"))
    request = PaintRequest(four_pairs().labels[:2].long(), asked)
    painted = method.sample(nets, request, [generator(0), generator(1)])
    assert painted.shape == (2, 3, 32, 64) and torch.isfinite(painted).all()


def test_styles_of_regions_are_their_own():
    """SEAN and pix2pixHD: another class's style leaves a region's own as it is in the bank."""
    stream = four_pairs()
    for key in ("sean", "pix2pixhd, features"):
        name, changes = small.VARIANTS.get(key, (key, {}))
        fields = small.known(name, num_doublings=2) | changes
        method = small.build(name, Given(4, (32, 64)), num_looks=1, **fields)
        nets = method.nets.eval()
        small.entry_of(name).end(method, nets, stream)
        bank = nets["bank"]
        assert len(bank) == 4 and bank.shown[:, :3].all() and not bank.shown[:, 3].any()
        features = nets["E"](stream.images.float() / 127.5 - 1)
        flat = torch.nn.functional.interpolate(
            onehot(stream.labels.long(), 4), features.shape[2:], mode="area"
        )
        for row in range(4):
            for class_id in range(3):
                weights = flat[row, class_id]
                wanted = (features[row] * weights).sum((1, 2)) / weights.sum()
                torch.testing.assert_close(bank.styles[row, class_id], wanted)


def test_centres_are_where_points_are_many():
    points = torch.cat([torch.zeros(5, 2), torch.ones(3, 2), torch.ones(2, 2) * 1.02])
    found = cluster(points, 2)
    assert sorted(found.mean(1).tolist()) == pytest.approx([0, 1.008], abs=1e-4)
    assert len(cluster(points, 10)) == 3, "no more than there are points"


def test_an_enhancer_learns_after_the_global_generator_and_before_both():
    method = small.build(
        "pix2pixhd",
        Given(3, (32, 64)),
        **small.VARIANTS["pix2pixhd, enhancer"][1],
        **{"global_images": 4, "enhancer_images": 4},
    )
    batch = four_pairs().batch(0, 2)
    trained, judged = [], []
    for shown in (0, 4, 8):
        now = Progress(shown, shown, 12, 0, 1.0, generator(0))
        first, _ = method.phases(batch, now)
        trained.append(first.train)
        D = method.nets["D"]
        hook = D.register_forward_hook(lambda _, given, made: judged.append(given[0].shape[2]))
        first.loss()
        hook.remove()
    assert trained == [("G",), ("L",), ("G", "L")]
    assert sorted(set(judged)) == [16, 32] and judged[0] == 16, "half the size at first"


def test_positions_are_shares_of_an_outline_around_a_pixel():
    label = torch.zeros(1, 20, 30, dtype=torch.long)
    label[0, 5:12, 8:19] = 1
    label[0, 15, 2] = 2
    found = descriptors(label, 4, 0.25)
    assert found.shape == (1, 72, 20, 30)
    inside = label == 1
    assert torch.equal(found.sum(1) > 0, inside), "neither the large region nor the speck"
    torch.testing.assert_close(found.sum(1)[inside], torch.ones(77))
    pixels = found[0].view(6, 12, 20, 30)
    middle, corner = pixels[..., 8, 13], pixels[..., 5, 8]
    assert (middle.sum(0) > 0).sum() >= 10 and (corner.sum(0) > 0).sum() <= 5, "directions"
    near, away = corner[5].sum(), corner[0].sum()
    assert near > 0 and away > 0, "a corner is on the outline, and far from the other side"
    assert not middle[5].any() and not middle[0].any()
    moved = torch.zeros_like(label)
    moved[0, 6:13, 15:26] = 1
    again = descriptors(moved, 4, 0.25)
    assert torch.equal(again[0, :, 6:13, 15:26], found[0, :, 5:12, 8:19]), "wherever it lies"


def test_the_segmenter_learns_from_real_images_and_asks_painted_ones_later():
    batch = four_pairs().batch(0, 2)
    for start, asked in ((0, True), (100, False)):
        method = small.build("safm", Given(3, (32, 64)), num_doublings=3, alignment_start=start)
        generating, judging = method.phases(batch, Progress(0, 50, 400, 0, 1.0, generator(0)))
        assert generating.train == ("G",) and judging.train == ("D", "S")
        assert ("alignment" in generating.loss()) == asked
        assert set(judging.loss()) == {"critic", "classes"}


def test_pixels_outside_an_edit_are_kept_value_for_value():
    method = small.build("sesame", Given(3, (32, 64)))
    image, label = torch.rand(2, 3, 32, 64) * 2 - 1, torch.randint(0, 3, (2, 32, 64))
    stays = torch.rand(2, 32, 64) < 0.5
    request = PaintRequest(label, around=Around(image, stays))
    painted = method.sample(method.nets.eval(), request, [generator(0)] * 2)
    kept = stays[:, None].expand_as(image)
    assert torch.equal(painted[kept], image[kept])
    assert (painted[~kept] != image[~kept]).all()
    hidden = torch.where(stays[:, None], image, -image)
    other = PaintRequest(label, around=Around(hidden, stays))
    again = method.sample(method.nets, other, [generator(0)] * 2)
    assert torch.equal(painted, again), "what is in the hole is not looked at"


def test_holes_are_boxes_around_classes_alike_or_everything():
    method = small.build("sesame", Given(3, (32, 64)), boxes=[0.25, 0.25], whole=0.0)
    label = torch.zeros(300, 32, 64, dtype=torch.long)
    label[:, 16, 40] = 2
    holes = method.hole(label, [generator(row) for row in range(300)])
    assert holes.shape == (300, 1, 32, 64)
    rows, columns = holes.amax((1, 3)).sum(1), holes.amax((1, 2)).sum(1)
    assert torch.equal(
        rows[:, None, None, None] * columns[:, None, None, None], holes.sum((1, 2, 3), keepdim=True)
    ), "filled boxes"
    assert rows.max() <= 9 and columns.max() <= 17
    around = holes[:, 0, 16, 40].bool()
    assert 0.4 < around.float().mean() < 0.75, "one pixel in 2,048, and half of the boxes"
    whole = small.build("sesame", Given(3, (32, 64)), whole=1.0)
    assert whole.hole(label[:2], [generator(0)] * 2).all()


@pytest.mark.parametrize(("size", "depth"), [((128, 256), 5), ((64, 128), 5), ((16, 32), 4)])
def test_the_embedding_critic_ends_where_more_than_a_pixel_is_left(size, depth):
    assert critic_depth(size) == depth
    critic = EmbeddingCritic(3, width=4, depth=depth)
    scores, features = critic(torch.randn(2, 3, *size), torch.rand(2, 3, *size))
    wanted = [(size[0] // stride, size[1] // stride) for stride in (16, 8, 4)]
    assert [tuple(its.shape[2:]) for its in scores] == wanted[-len(scores) :]
    assert len(scores) == depth - 2 and len(features) == depth - 1


def test_the_layout_decides_what_either_critic_says():
    image = torch.randn(1, 3, 32, 64)
    one, other = (onehot(torch.full((1, 32, 64), its), 3) for its in (0, 1))
    for critic in (
        EmbeddingCritic(3, width=4, depth=4),
        TwoStreamCritic(3, width=4, num_layers=3, num_scales=2),
    ):
        critic.eval()
        assert any(
            not torch.allclose(a, b)
            for a, b in zip(critic(image, one)[0], critic(image, other)[0], strict=True)
        )


def test_the_unet_hears_its_code_at_every_level():
    torch.manual_seed(0)
    net = UNet(3, 2, width=4, num_doublings=3)
    layout = onehot(torch.randint(0, 3, (1, 16, 32)), 3)
    code = torch.zeros(1, 2)
    plain = net(layout, code)
    for level in range(3):
        silent = UNet(3, 2, width=4, num_doublings=3)
        silent.load_state_dict(net.state_dict())
        for other, layer in enumerate(silent.down):
            if other != level:
                layer.weight.data[:, -2:] = 0
        assert not torch.equal(silent(layout, code + 50), plain)
