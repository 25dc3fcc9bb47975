"""MobileSAM's own package with random weights: the oracle of its parity tests."""

import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file

import samkit
from tests.parity.cases import PICTURES, Pair
from tests.parity.official import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

with warnings.catch_warnings():
    # It registers its encoders under names that timm has too, and imports from where timm's modules once lay.
    warnings.simplefilter("ignore")
    from mobile_sam.modeling.tiny_vit_sam import TinyViT


@dataclass(frozen=True)
class MobileSize:
    """The last width is 320: by this number the package knows the stage that keeps its map."""

    channels: tuple[int, ...] = (64, 128, 160, 320)
    blocks: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (2, 4, 5, 10)
    windows: tuple[int, ...] = (7, 7, 14, 7)
    side: int = 1024
    neck: int = 256


MOBILE_SAM = MobileSize()
SMALL = MobileSize((16, 24, 32, 320), (1, 2, 2, 1), (1, 3, 2, 5), (7, 3, 5, 4), side=128)


class TinyVitOfAnySide(TinyViT):
    """Its own forward pass ends in a view of 64 x 64 tokens, whatever the side."""

    def forward_features(self, pixels):
        tokens = self.patch_embed(pixels)
        for layer in self.layers:
            tokens = layer(tokens)
        side = self.img_size // 16
        return self.neck(tokens.view(len(tokens), side, side, -1).permute(0, 3, 1, 2))


def tiny_vit(size: MobileSize) -> TinyViT:
    return TinyVitOfAnySide(
        img_size=size.side,
        num_classes=10,
        embed_dims=size.channels,
        depths=size.blocks,
        num_heads=size.heads,
        window_sizes=size.windows,
        drop_path_rate=0.0,
    ).eval()


def official_mobile_sam(size: MobileSize, seed: int = 0) -> Sam:
    """The whole model, its statistics random too."""
    torch.manual_seed(seed)
    grid = size.side // 16
    model = Sam(
        image_encoder=tiny_vit(size),
        prompt_encoder=PromptEncoder(
            embed_dim=size.neck,
            image_embedding_size=(grid, grid),
            input_image_size=(size.side, size.side),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=size.neck, mlp_dim=2048, num_heads=8),
            transformer_dim=size.neck,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        ),
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            large = "attention_biases" in name
            scale = 0.5 if large else 0.1 if parameter.ndim == 1 else 0.02
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    # Its attention gathers the biases when it is put to rest, so these have to be what is gathered.
    return model.train().eval()


def encoder_at(model: Sam, size: MobileSize, side: int, windows: tuple[int, ...] | None = None) -> TinyViT:
    """The encoder with its weights at another side or other windows, where the biases are stretched as TinyViT's
    authors stretch them for fine-tuning (`load_pretrained` of their repository: bicubic).
    """
    other = tiny_vit(replace(size, side=side, windows=windows or size.windows))
    state = dict(model.image_encoder.state_dict())
    for key in [key for key in state if key.endswith("attention_biases")]:
        window = other.state_dict()[key].shape[1]
        own = round(state[key].shape[1] ** 0.5)
        table = state[key].view(1, -1, own, own)
        new = round(window**0.5)
        state[key] = torch.nn.functional.interpolate(table, (new, new), mode="bicubic").flatten(2)[0]
    other.load_state_dict(state)
    return other.train().eval()


def load_mobile_pair(size: MobileSize, folder: Path) -> Pair:
    """Saved as its users have it: the whole state dict, the classifier's head and the counters of training with it. A
    shrunken one's file says its side.
    """
    official = official_mobile_sam(size)
    if size.side == MOBILE_SAM.side:
        path = folder / "mobile_sam.pt"
        torch.save(official.state_dict(), path)
    else:
        path = folder / "mobile_sam.safetensors"
        save_file(official.state_dict(), path, metadata={"samkit": json.dumps({"native_side": size.side})})
    return Pair("sam1", size, official, samkit.load_model(path, device="cpu"))


def official_blocks(pair: Pair, pixels: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Every block's output as [h, w, C], taken with hooks; and the features."""
    taken: list[torch.Tensor] = []
    encoder = pair.official.image_encoder
    blocks = [block for layer in encoder.layers for block in layer.blocks]
    hooks = [block.register_forward_hook(lambda module, inputs, output: taken.append(output[0])) for block in blocks]
    with torch.no_grad():
        features = encoder(pixels)[0]
    for hook in hooks:
        hook.remove()
    maps = []
    for output in taken:
        side = round(output[0].numel() ** 0.5) if output.ndim == 3 else round(len(output) ** 0.5)
        maps.append(output.permute(1, 2, 0) if output.ndim == 3 else output.view(side, side, -1))
    return maps, features


def our_pixels(pair: Pair, picture: str, side: int) -> torch.Tensor:
    """As the official package resizes and normalises them."""
    from segment_anything.utils.transforms import ResizeLongestSide

    pair.official.image_encoder.img_size = side
    resized = torch.as_tensor(ResizeLongestSide(side).apply_image(PICTURES[picture]))
    pixels = pair.official.preprocess(resized.permute(2, 0, 1)[None].contiguous())
    pair.official.image_encoder.img_size = pair.size.side
    return pixels


def every_block(pair: Pair, picture: str) -> list[float]:
    """Largest differences."""
    encoding = pair.model.encode_image(PICTURES[picture], keep_blocks=True)
    blocks, features = official_blocks(pair, our_pixels(pair, picture, pair.size.side))
    assert [tuple(block.shape) for block in encoding.blocks] == [tuple(block.shape) for block in blocks]
    pairs = [*zip(encoding.blocks, blocks, strict=True), (encoding.features[0], features)]
    return [float((ours - theirs).abs().max()) for ours, theirs in pairs]


def elsewhere(pair: Pair, picture: str, side: int, windows: tuple[int, ...] | None = None) -> float:
    """Largest difference of the features at another side or other windows."""
    ours = pair.model.encode_image(PICTURES[picture], side=side, window_sizes=windows)
    with torch.no_grad():
        theirs = encoder_at(pair.official, pair.size, side, windows)(our_pixels(pair, picture, side))
    return float((ours.features[0] - theirs[0]).abs().max())
