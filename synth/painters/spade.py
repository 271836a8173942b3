"""SPADE / GauGAN (Park et al., CVPR 2019): layout-modulated norms, hinge loss, patch critics.

With an image encoder ("multi-modal synthesis") a layout is painted in the look of a real
image. Where the paper draws a code from the normal law, that of any training image is drawn here:
the law of the codes of few images has holes. Instance edges are left out: generated layouts have
none. A segmentation critic beside the patch critic (OASIS) can take the place of VGG.
"""

from dataclasses import dataclass

from torch import nn

from synth.nets.layers import set_gain
from synth.painters.common import hinged
from synth.painters.common.adversarial import adam, alternate, average
from synth.painters.common.encoding import (
    EncoderParams,
    fill_codes,
    has_encoder,
    request_own,
)
from synth.painters.common.entry import Entry
from synth.painters.common.prepared import fold_generator
from synth.painters.common.pyramid import (
    Pyramid,
    check_size,
    code_seed,
    layout_seed,
    spade_block,
    spade_stages,
)
from synth.training.method import Given, Span, computed


class Config(hinged.HingeParams, EncoderParams, hinged.SegmentedParams):
    """Section `painters.spade` of `params.yaml`."""


@dataclass(frozen=True)
class Spade:
    """The method: generator G and its encoder E, patch critic D, segmentation critic S."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: nn.Module | None

    generators, critics = computed(hinged.generators), computed(hinged.critics)
    optimizers, kept = computed(adam), computed(average)
    phases, request = alternate, request_own
    generator_loss, critic_loss = hinged.generator_loss, hinged.critic_loss
    losses, sample = hinged.coded_losses, hinged.coded_sample


def build(config: Config, given: Given) -> Spade:
    """Build SPADE.

    `critic_layers` 4 is the paper's critic, 3 Semantic Palette's. Raises `UserError` for a size
    that cannot be painted and for missing weights of the perceptual loss. As published, with 35
    classes at 128x256: G 93,018,051 parameters; with codes of 256 numbers 101,115,843, and the
    encoder 10,463,424.
    """
    check_size(given.size, config.num_doublings)
    perceptual = config.perceptual()
    stages = spade_stages(
        config.num_doublings, width=config.width, max_channels=config.max_channels
    )
    if config.latent is None:
        seed = layout_seed(given.num_classes, stages)
    else:
        seed = code_seed(config.latent, stages, given.size)
    nets = nn.ModuleDict(
        {
            "G": Pyramid(seed, stages, spade_block(given.num_classes, config.hidden)),
            "D": config.critic(given.num_classes, spectral=True),
        }
    )
    nets.update(config.encoding())
    nets.update(config.segmenting(given))
    set_gain(nets, config.init_gain)
    spans = (Span(config.num_images, config.batch_size),)
    return Spade(config, given, nets, spans, perceptual)


ENTRY = Entry(Config, build, fold_generator, end=fill_codes, joins=True, takes_style=has_encoder)
