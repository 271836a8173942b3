"""Layout methods: one contract for every method, and what is special to each."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair, palette_of
from data.pairs.shards import ShardWriter
from data.stage.errors import UserError
from synth.layouts import LAYOUTS
from synth.layouts.common.losses import blur_line, real_layout, soften
from synth.layouts.common.progressive import upsample
from synth.palettes.palette import PaletteModel
from synth.stages import fit_palette, train_layout
from synth.training import artifact
from synth.training.loop import Options, train
from synth.training.method import Given, Progress, generator
from tests.synth import small
from tests.synth.scenes import SIZE, law_of, skies, stream_of
from tests.synth.small import LAYOUTS_TRAINED, known

C = 4
LEVELS = ((0, 16, 8), (8, 8, 4), (8, 8, 4))


@pytest.fixture(scope="module")
def labels():
    return skies(24)


@pytest.fixture(scope="module")
def palettes(labels):
    return law_of(palette_of(labels, C), min_share=1e-3)


@pytest.fixture
def stream(labels):
    return stream_of(labels)


@pytest.fixture
def build(palettes):
    def make(name, **changes):
        torch.manual_seed(0)
        given = Given(C, SIZE, palettes)
        return small.build(name, given, **{"levels": LEVELS, **known(name, hidden=4), **changes})

    return make


def at(level=2, alpha=1.0, step=0):
    return Progress(step, 0, 1, level, alpha, generator(0, step))


# -- blocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [1, 2])
def test_a_fade_begins_with_the_coarser_critic_and_generator(build, cell):
    method = build("semantic_palette", cell=cell, levels=LEVELS[: 4 - cell])
    top = len(method.sizes) - 1
    assert method.sizes[top] == SIZE
    fine = torch.rand(2, C, *SIZE)
    coarse = torch.nn.functional.avg_pool2d(fine, 2)
    critic, G = method.nets["D"], method.nets["G"]
    begun = critic(fine, level=top, alpha=0.0)
    torch.testing.assert_close(begun, critic(coarse, level=top - 1))
    z, share = torch.randn(2, 8), torch.full((2, C), 0.25)
    small, faded = (
        G(z, share, level=top - 1)[-1].soft,
        G(z, share, level=top, alpha=0.0)[-1].soft,
    )
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(faded, 2), small)


def test_a_level_that_skips_begins_where_the_coarser_one_has_come_to(build, stream):
    method = build("semantic_palette", skip=True, mask_gain=50.0)
    z, share = torch.randn(2, 8), torch.full((2, C), 0.25)
    small, large, faded = (
        method.nets["G"](z, share, level=level, alpha=alpha)[-1].soft
        for level, alpha in ((0, 1.0), (1, 1.0), (1, 0.0))
    )
    torch.testing.assert_close(large, faded)
    assert float((large.argmax(1) == upsample(small).argmax(1)).float().mean()) > 0.6
    for phase in method.phases(stream.batch(0, 4), at(1)):
        sum(phase.loss().values()).backward()
    assert bool(method.nets["G"].to_mask[1].weight.grad.any())


@pytest.mark.parametrize("name", LAYOUTS_TRAINED)
def test_cells_make_the_same_layouts_with_a_level_less(name, build, stream):
    method = build(name, cell=2, levels=LEVELS[:2])
    assert method.sizes == ((8, 16), SIZE)
    for level, alpha in ((0, 1.0), (1, 0.5), (1, 1.0)):
        for phase in method.phases(stream.batch(0, 4), at(level, alpha)):
            assert torch.isfinite(sum(phase.loss().values()))
    request = method.request(stream.batch(0, 2), generator(0))
    soft = method.sample(method.nets.eval(), request, [generator(1), generator(2)])
    assert soft.shape == (2, C, *SIZE)
    with pytest.raises(UserError, match="has 2 levels"):
        build(name, cell=2)


@pytest.mark.parametrize("kind", ["symmetric", "released"])
def test_blurred_layouts_are_soft_and_keep_their_argmax(labels, kind):
    layout = real_layout(torch.from_numpy(labels).long(), C, (8, 16))
    line = blur_line(8, kind=kind)
    soft = soften(layout, line=line)
    torch.testing.assert_close(soft.sum(1), torch.ones(len(layout), 8, 16))
    assert bool((soft.argmax(1) == layout.argmax(1)).all())
    padded = torch.nn.functional.pad(layout, (2, 2, 2, 2), mode="reflect")
    weight = torch.outer(line, line).expand(C, 1, 5, 5)
    blurred = torch.nn.functional.conv2d(padded, weight, groups=C)
    torch.testing.assert_close(soft, 0.5 * layout + 0.5 * blurred)


# -- contract -------------------------------------------------------------------------------------


def draw(name, method, nets, labels, palettes, items):
    palette = torch.from_numpy(palettes.sample(8, seed=1))[items]
    real = torch.from_numpy(labels).long()[items]
    rngs = [generator(5, item) for item in items]
    return LAYOUTS[name].draw(method, nets, palette=palette, real=real, rngs=rngs)


@pytest.mark.parametrize("name", LAYOUTS_TRAINED)
@pytest.mark.parametrize(("level", "alpha"), [(0, 1.0), (1, 0.3), (2, 1.0)])
def test_every_phase_moves_only_its_networks(name, level, alpha, build, stream):
    method = build(name)
    assert set(method.optimizers) == {*method.generators, *method.critics}
    assert set(method.nets) >= set(method.kept) >= set(method.generators)
    assert not set(method.critics) & {*method.generators, *method.kept}
    phases = method.phases(stream.batch(0, 4), at(level, alpha))
    seen = set()
    for phase in phases:
        for net_name, net in method.nets.items():
            net.requires_grad_(net_name in phase.train)
            net.zero_grad(set_to_none=True)
        terms = phase.loss()
        assert all(torch.isfinite(term) for term in terms.values())
        sum(terms.values()).backward()
        for net_name, net in method.nets.items():
            touched = [p for p in net.parameters() if p.grad is not None and bool(p.grad.any())]
            assert bool(touched) == (net_name in phase.train)
        seen.update(phase.train)
    assert seen == set(method.optimizers)


@pytest.mark.parametrize("name", LAYOUTS_TRAINED)
def test_samples_are_seeded_simplices(name, build, stream, labels, palettes):
    method = build(name)
    nets = method.nets.eval()
    batch = stream.batch(0, 3)
    request = method.request(batch, generator(1))
    with torch.no_grad():
        one, two, other = (
            method.sample(nets, request, [generator(seed, i) for i in range(3)])
            for seed in (2, 2, 3)
        )
    assert one.shape == (3, C, *SIZE)
    torch.testing.assert_close(one.sum(1), torch.ones(3, *SIZE))
    assert bool((one >= 0).all()) and torch.equal(one, two) and not torch.equal(one, other)


@pytest.mark.parametrize("name", LAYOUTS_TRAINED)
def test_an_item_does_not_depend_on_its_neighbours(name, build, labels, palettes):
    method = build(name)
    nets = method.nets.eval()
    with torch.no_grad():
        several = draw(name, method, nets, labels, palettes, [0, 1, 2, 3])
        alone = draw(name, method, nets, labels, palettes, [2])
    assert (several.label[2] != alone.label[0]).float().mean() < 0.005  # ties in float32
    assert (several.target is None) == (alone.target is None)
    if several.target is not None:
        torch.testing.assert_close(several.target[2], alone.target[0])


@pytest.mark.parametrize("name", LAYOUTS_TRAINED)
def test_resume_is_exact(name, build, stream, tmp_path):
    class Killed(Exception):
        pass

    class Dying:
        def batch(self, position, size):
            if position >= 32:
                raise Killed
            return stream.batch(position, size)

    options = dict(seed=3, label=name, device=torch.device("cpu"))
    options["options"] = Options(save_every=2, log_every=2)
    straight, curve = train(build(name), stream, checkpoint_dir=tmp_path / "a", **options)
    with pytest.raises(Killed):
        train(build(name), Dying(), checkpoint_dir=tmp_path / "b", **options)
    torch.rand(7)  # the global generator must not matter
    resumed, again = train(build(name), stream, checkpoint_dir=tmp_path / "b", **options)
    assert curve == again
    for key, tensor in straight.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key


@pytest.mark.parametrize("name", LAYOUTS_TRAINED)
def test_early_end_of_growth_still_fills_the_size(name, build, stream):
    method = build(name, levels=((0, 8, 4), (0, 8, 4)), enlarge=2)
    assert method.sizes == ((4, 8), (8, 16))
    assert build(name, levels=((0, 8, 4), (0, 8, 4))).sizes == ((8, 16), SIZE)
    request = method.request(stream.batch(0, 2), generator(0))
    soft = method.sample(method.nets.eval(), request, [generator(1), generator(2)])
    assert soft.shape == (2, C, *SIZE)
    torch.testing.assert_close(soft.sum(1), torch.ones(2, *SIZE))


@pytest.mark.parametrize("name", LAYOUTS_TRAINED)
def test_bfloat16_forward_passes_stay_finite(name, build, stream):
    method = build(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for phase in method.phases(stream.batch(0, 4), at()):
            assert all(torch.isfinite(term) for term in phase.loss().values())


@pytest.mark.parametrize("joint", ["bias", "halved", "linear", "affine"])
def test_quirks_are_switches(joint, build, stream):
    quirks = {"joint": joint, "pixel_norm": "msq", "blur": "released", "filter_palette": True}
    method = build("semantic_palette", **quirks)
    for phase in method.phases(stream.batch(0, 4), at(1, 0.5)):
        assert all(torch.isfinite(term) for term in phase.loss().values())


def test_halved_is_bias_with_half_the_features(build):
    plain, halved = (
        build("semantic_palette", joint=j).nets["G"].joints[0] for j in ("bias", "halved")
    )
    x, soft = torch.randn(1, 8, 4, 8), torch.rand(1, C, 4, 8)
    torch.testing.assert_close(plain(x, soft) - halved(x, soft), 0.5 * x)


def test_training_puts_the_sky_above_the_road(build, stream, labels, palettes, tmp_path):
    method = build("semantic_palette", width=16, ema=0.9, levels=((0, 2400, 16),), enlarge=4)

    @torch.no_grad()
    def in_place(nets):
        label = draw("semantic_palette", method, nets, labels, palettes, list(range(8))).label
        return float((label[:, :4] == 0).float().mean() + (label[:, 12:] == 1).float().mean()) / 2

    untrained = in_place(method.nets.eval())
    nets, _ = train(
        method, stream, seed=0, checkpoint_dir=tmp_path, label="x", device=torch.device("cpu")
    )
    assert in_place(nets) > 0.75 > 0.6 > untrained


def test_partial_keeps_what_is_outside_the_band(build, labels, palettes):
    method = build("partial_palette")
    items = list(range(8))
    with torch.no_grad():
        drawn = draw("partial_palette", method, method.nets.eval(), labels, palettes, items)
    real = torch.from_numpy(labels).long()[items]
    assert drawn.edited.shape == real.shape
    assert torch.equal(drawn.label[~drawn.edited], real[~drawn.edited])
    assert bool((drawn.edited[:, 0].sum(1) >= SIZE[1] // 2).all())
    assert bool((drawn.label != real).any())
    np.testing.assert_allclose(drawn.target, palette_of(labels[items], C), atol=1e-6)


def test_partial_conditions_on_the_band_alone(build, labels):
    """What was in the band reaches the editor only as its histogram."""
    method = build("partial_palette")
    nets = method.nets.eval()
    label = torch.from_numpy(labels).long()[:1]
    request = method.request(small.batch_of(torch.zeros(1, 3, *SIZE), label), generator(4))
    columns = request.removed[0, 0].nonzero()[:, 0]
    shuffled = label.clone()
    shuffled[0][:, columns] = label[0][:, columns.flip(0)]
    again = method.request(small.batch_of(torch.zeros(1, 3, *SIZE), shuffled), generator(4))
    with torch.no_grad():
        one, two = (method.sample(nets, c, [generator(0)]) for c in (request, again))
    torch.testing.assert_close(one, two)


def test_whole_layouts_report_the_palette_that_was_asked(build, labels, palettes):
    method = build("semantic_palette")
    with torch.no_grad():
        drawn = draw("semantic_palette", method, method.nets.eval(), labels, palettes, [0, 1])
    torch.testing.assert_close(drawn.target, torch.from_numpy(palettes.sample(2, seed=1)))
    assert drawn.edited is None and drawn.label.dtype == torch.int64


def test_real_layouts_are_drawn_as_they_are(labels, palettes):
    drawn = draw("real", None, None, labels, palettes, [0, 1])
    assert torch.equal(drawn.label, torch.from_numpy(labels).long()[:2])
    assert drawn.target is None and drawn.edited is None


@pytest.mark.parametrize("name", LAYOUTS)
def test_capabilities_are_what_the_method_has(name, build, labels, palettes):
    entry = LAYOUTS[name]
    assert (entry.fit is None) == (entry.load is None)
    if entry.build is None:
        assert not (entry.makes_whole or entry.edits or entry.joins)
        assert entry.fit or not entry.Config.model_fields, "numbers that nothing reads"
        return
    method = build(name)
    for flag, needed in (
        (entry.makes_whole, ("whole",)),
        (entry.edits, ("raw",)),
        (entry.joins, ("losses", "real", "full")),
    ):
        assert not flag or all(hasattr(method, part) for part in needed), needed
    with torch.no_grad():
        drawn = draw(name, method, method.nets.eval(), labels, palettes, [0, 1])
    asked = torch.from_numpy(palettes.sample(2, seed=1))
    follows = drawn.target is not None and torch.equal(drawn.target, asked)
    assert entry.follows_palette == follows
    assert entry.edits == (drawn.edited is not None)


@pytest.mark.parametrize("name", LAYOUTS_TRAINED)
def test_every_number_has_to_be_given(name):
    whole = small.numbers(name, levels=LEVELS)
    assert set(whole) == set(LAYOUTS[name].Config.model_fields)
    for key in whole:
        with pytest.raises(ValidationError, match=rf"{key}\n.*[Ff]ield required"):
            LAYOUTS[name].Config(**{k: v for k, v in whole.items() if k != key})


@pytest.mark.parametrize("wrong", [{"levels": ((0, 16, 0),)}, {"joint": "sum"}, {"widht": 8}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        small.config("semantic_palette", **{"levels": LEVELS, **wrong})


# -- stage ----------------------------------------------------------------------------------------


@pytest.fixture
def workspace(labels, tmp_path, monkeypatch):
    table = ClassTable(tuple(ClassInfo(name, (i, i, i)) for i, name in enumerate("abcd")))
    with ShardWriter(tmp_path / "train", classes=table, size=SIZE, fingerprint="f") as writer:
        for number, label in enumerate(labels[:8]):
            writer.write(Pair(f"{number}", np.zeros((*SIZE, 3), np.uint8), label, "real"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCENE_PALETTE_SCRATCH", str(tmp_path / "scratch"))
    levels = [[0, 8, 4], [4, 8, 4]]
    settings = {"levels": levels, "largest": 0.5}
    methods = {name: small.numbers(name, **known(name, **settings)) for name in LAYOUTS}
    small.write_params(tmp_path, layouts=methods)
    fit_palette.main(train=tmp_path / "train", out=tmp_path / "palette")
    return tmp_path


@pytest.mark.parametrize("name", LAYOUTS)
def test_stage_leaves_an_artifact_that_draws(name, workspace, labels, monkeypatch):
    def refuse(*_):
        raise AssertionError("an image was decoded, and the method looks at labels alone")

    if not (LAYOUTS[name].sees_images or LAYOUTS[name].fit):
        monkeypatch.setattr("data.pairs.pairset.decode_image", refuse)
    out = workspace / "layouts" / name
    folders = {"train": workspace / "train", "palette": workspace / "palette"}
    train_layout.main(method=name, **folders, out=out)
    description = artifact.describe(out)
    assert description.name == name and description.size == SIZE
    entry = LAYOUTS[name]
    if entry.load is not None:
        loaded = entry.load(artifact.config_of(out, entry), artifact.load_bank(out))
        assert loaded.num_pairs == 8
        return
    if entry.build is None:
        assert [file.name for file in out.iterdir()] == ["method.json"]
        return
    assert not any((workspace / "scratch").iterdir())
    given = Given(C, SIZE, PaletteModel.load(workspace / "palette"))
    method, nets = artifact.load(out, entry, given)
    kept, critics = (load_file(out / file) for file in (artifact.WEIGHTS, artifact.CRITICS))
    assert {key.partition(".")[0] for key in kept} == set(method.kept)
    assert {key.partition(".")[0] for key in critics} == set(method.critics)
    assert draw(name, method, nets, labels, given.palettes, [0, 1]).label.shape == (2, *SIZE)


def test_stage_names_an_unknown_method(workspace):
    with pytest.raises(UserError, match="there is real, semantic_palette, partial_palette"):
        train_layout.main(
            method="palette", train=workspace, palette=workspace, out=workspace / "out"
        )
