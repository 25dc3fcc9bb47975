"""All modules of a model put together: image encoder, prompt encoder and mask decoder, for all families."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from samkit.models.config import ModelConfig
from samkit.models.network.fpn_neck import FpnNeck
from samkit.models.network.hiera import Hiera, HieraConfig
from samkit.models.network.mask_decoder import DecodedMasks, MaskDecoder
from samkit.models.network.memory_side import MemorySide
from samkit.models.network.prompt_encoder import PromptEncoder
from samkit.models.network.rotary_neck import RotaryNeck
from samkit.models.network.rotary_vit import BlockVectors, RotaryVit, RotaryVitConfig
from samkit.models.network.table_cache import TableCache
from samkit.models.network.tiny_vit import TinyVit, TinyVitConfig
from samkit.models.network.vit import Vit, VitConfig


class ImageEncoder(nn.Module):
    """Trunk and neck of v2 under the official names. channels: of the features that come out."""

    def __init__(self, config: HieraConfig, channels: int):
        super().__init__()
        self.trunk = Hiera(config)
        self.neck = FpnNeck(channels, config.channels_per_stage)


class RotaryEncoder(nn.Module):
    """Trunk and neck of SAM 3 under the names of sam3.pt, without what stands in front of them."""

    def __init__(self, config: RotaryVitConfig):
        super().__init__()
        self.trunk = RotaryVit(config)
        self.neck = RotaryNeck(config.channels, config.neck_channels)


class SamNetwork(nn.Module):
    """All weights; differentiable.

    v1: `image_encoder` is a `Vit`, MobileSAM's a `TinyVit`. v2: an `ImageEncoder`; `no_mem_embed` stands for the absent
        memory; `memory` is the memory side, where the file has one. v3: a `RotaryEncoder`, the rest as in v2.
    """

    image_encoder: Vit | TinyVit | ImageEncoder | RotaryEncoder

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.prompt_encoder = PromptEncoder(config.decoder.channels)
        self.mask_decoder = MaskDecoder(config.decoder)
        if isinstance(config.encoder, VitConfig):
            self.image_encoder = Vit(config.encoder)
        elif isinstance(config.encoder, TinyVitConfig):
            self.image_encoder = TinyVit(config.encoder)
        else:
            if isinstance(config.encoder, RotaryVitConfig):
                self.image_encoder = RotaryEncoder(config.encoder)
            else:
                self.image_encoder = ImageEncoder(config.encoder, config.decoder.channels)
            self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, config.decoder.channels))
            if config.memory is not None:
                self.memory = MemorySide(config.memory, config.decoder.channels)
        self._tables = TableCache()

    def encode(
        self,
        pixels_bchw: Tensor,
        window_sizes: tuple[int, ...] | None = None,
        blocks: list[Tensor] | None = None,
        window_reading: str = "step",
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Normalised pixels [B, 3, H, W] -> (features, raw), each [B, h, w, C], coarsest first.

        window_reading: one of `WINDOW_READINGS`, for models with rotary positions
        """
        encoder = self.image_encoder
        if isinstance(encoder, Vit | TinyVit):
            raw = encoder(pixels_bchw, window_sizes, blocks)
            features = encoder.neck(raw.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            return [features], [raw]
        decoder = self.mask_decoder
        high = (decoder.conv_s1, decoder.conv_s0) if self.config.decoder.high_resolution else (None, None)
        if isinstance(encoder, RotaryEncoder):
            tokens = encoder.trunk.first_tokens(pixels_bchw)
            # Where the caller keeps them not, nothing holds the pixels while the blocks run.
            del pixels_bchw
            raw = encoder.trunk.run_blocks(tokens, window_sizes, blocks, window_reading)
            return encoder.neck(raw, *high), [raw]
        stages = encoder.trunk(pixels_bchw, window_sizes, blocks)
        return encoder.neck(stages, *high), stages[::-1]

    def rotary_vectors(self, pixels_bchw: Tensor) -> Iterator[BlockVectors]:
        """What each block of an encoder with rotary positions compares, of one picture [1, 3, H, W], normalised;
        nothing of another encoder.
        """
        if isinstance(self.image_encoder, RotaryEncoder):
            yield from self.image_encoder.trunk.block_vectors(pixels_bchw)

    def position_encoding(self, height: int, width: int, window_tiling: bool, dtype: torch.dtype) -> Tensor:
        """[C, height, width]: what the encoder adds to the tokens of such a grid. v1 has no windows to tile. A
        `TinyVit` adds nothing: its heads' biases, by distance, stand here.
        """
        encoder = self.image_encoder
        if isinstance(encoder, TinyVit):
            return encoder.bias_tables(height, width, dtype)
        if isinstance(encoder, Vit):
            return encoder.position_encoding(height, width, dtype)
        if isinstance(encoder, RotaryEncoder):
            return encoder.trunk.position_encoding(height, width, dtype)
        return encoder.trunk.position_encoding(height, width, window_tiling, dtype)

    def decode(
        self, features: list[Tensor], points_xy: Tensor, labels: Tensor, mask_hint: Tensor | None = None
    ) -> DecodedMasks:
        """
        features:  as `encode` returns them, [1 or B, h, w, C]
        points_xy: [B, N, 2] in 0..1 of the padded input, labels: int [B, N] (see prompt_encoder.py); padding points are
                   the caller's
        mask_hint: [B, 1, 4h, 4w] logits or None
        """
        low = features[0]
        if hasattr(self, "no_mem_embed"):
            low = low + self.no_mem_embed[None]
        return self.decode_on(low, features, points_xy, labels, mask_hint)

    def decode_on(
        self, low: Tensor, features: list[Tensor], points_xy: Tensor, labels: Tensor, mask_hint: Tensor | None = None
    ) -> DecodedMasks:
        """`decode` with `low` [1 or B, h, w, C] in place of the lowest level, such as features that memory has
        conditioned.
        """
        _, height, width, _ = low.shape
        if mask_hint is None:
            dense = self.prompt_encoder.no_mask_embed.weight[None]
        else:
            dense = self.prompt_encoder.embed_mask(mask_hint).flatten(2).transpose(1, 2)
        keys = low.flatten(1, 2) + dense
        positions = self._tables.get(
            (height, width), lambda: self.prompt_encoder.pe_layer.grid(height, width).flatten(0, 1)[None]
        )
        tokens = self.prompt_encoder.embed_points(points_xy, labels)
        high = None
        if self.config.decoder.high_resolution:
            half, full = (level.permute(0, 3, 1, 2) for level in features[1:])
            high = half, full
        return self.mask_decoder(keys, positions, tokens, (height, width), high)


def build_network(config: ModelConfig) -> SamNetwork:
    """A network of that configuration on the meta device: shapes without memory."""
    with torch.device("meta"):
        return SamNetwork(config).eval()
