"""Fixtures for the networks with attention: Swin U-Net and CoAtNet U-Net, in both layouts.

Blocks are those of timm (Swin's block and patch merging, MBConv, the transformer block with relative
positions) and torch.nn.TransformerEncoderLayer, all in float64. Swin U-Net's blocks in maps that are no
whole windows are written from the paper in another way: every token attends to every other, and a mask
leaves those of the same window. (timm lets tokens attend to the padding there.)

The files are as in nets_conv.py; the networks are built for patches of 64 pixels.
"""

import json
import re
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save
from timm.layers.pos_embed_rel import RelPosBias
from timm.models.maxxvit import MaxxVitConvCfg, MaxxVitTransformerCfg, MbConvBlock, TransformerBlock2d
from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock
from torch import nn
from torch.nn import functional as F

EDGE = 64
Norm = partial(nn.LayerNorm, eps=1e-6)


def pad(images, multiple):
    """Mirrors at the lower and right edge until the sides divide."""
    below, right = (-images.shape[2] % multiple, -images.shape[3] % multiple)
    return F.pad(images, (0, right, 0, below), mode="reflect") if below or right else images


def tokens(x):
    return x.permute(0, 2, 3, 1)


def maps(x):
    return x.permute(0, 3, 1, 2)


class DenseWindowBlock(nn.Module):
    """Windows as a mask over all pairs of tokens."""

    def __init__(self, dim, heads, window, shift):
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.norm1, self.norm2 = Norm(dim), Norm(dim)
        self.attn = nn.Module()
        self.attn.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.attn.qkv, self.attn.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(dim, 4 * dim), "fc2": nn.Linear(4 * dim, dim)})

    def forward(self, x):
        n, height, width, dim = x.shape
        ys, xs = torch.arange(height).repeat_interleave(width), torch.arange(width).repeat(height)
        together, index = torch.ones(len(ys), len(ys), dtype=torch.bool), 0
        for at, side in [(ys, height), (xs, width)]:
            # An axis that one window covers is not shifted.
            shift = self.shift if side > self.window else 0
            group = torch.div(at - shift, self.window, rounding_mode="floor")
            together &= group[:, None] == group[None, :]
            offset = (at[:, None] - at[None, :]).clamp(1 - self.window, self.window - 1) + self.window - 1
            index = index * (2 * self.window - 1) + offset
        bias = self.attn.relative_position_bias_table[index].permute(2, 0, 1)
        bias = bias.masked_fill(~together, -torch.inf)
        split = self.attn.qkv(self.norm1(x)).view(n, height * width, 3, self.heads, -1)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        scores = torch.einsum("nhid,nhjd->nhij", q, k) / q.shape[-1] ** 0.5 + bias
        mixed = torch.einsum("nhij,nhjd->nihd", scores.softmax(-1), v).reshape(n, height, width, dim)
        x = x + self.attn.proj(mixed)
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class GlobalBlock(nn.Module):
    """The library's own encoder layer, on [n, height, width, channels]."""

    def __init__(self, dim, heads):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            dim, heads, 4 * dim, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
        )

    def forward(self, x):
        return self.layer(x.flatten(1, 2)).view_as(x)


class Expand(nn.Module):
    """A token becomes 2 x 2."""

    def __init__(self, dim):
        super().__init__()
        self.expand, self.norm = nn.Linear(dim, 2 * dim, bias=False), Norm(dim // 2)

    def forward(self, x):
        x = self.expand(x).unflatten(-1, (4, -1)).transpose(-1, -2).flatten(-2)
        return self.norm(tokens(F.pixel_shuffle(maps(x), 2)))


class StridedMerge(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm, self.reduction = Norm(dim), nn.Conv2d(dim, 2 * dim, 2, stride=2)

    def forward(self, x):
        return tokens(self.reduction(maps(self.norm(x))))


class StridedExpand(nn.ConvTranspose2d):
    def __init__(self, dim):
        super().__init__(dim, dim // 2, 2, stride=2)

    def forward(self, x):
        return tokens(super().forward(maps(x)))


class SwinUnet(nn.Module):
    def __init__(self, embed, depths, heads, decoder_depth, window, channels, variant, size, **_):
        super().__init__()
        paper = variant == "paper"
        levels = range(len(depths))
        width = [embed * 2**level for level in levels]
        stride = 4 * 2 ** levels[-1]
        whole = [-(-side // stride) * stride // 4 for side in size]
        is_whole = all(side // 2**level % window == 0 for level in levels for side in whole) if paper else True

        def block(level, number):
            if not paper:
                return GlobalBlock(width[level], heads[level])
            shift = window // 2 if number % 2 else 0
            if not is_whole:
                return DenseWindowBlock(width[level], heads[level], window, shift)
            side = tuple(side // 2**level for side in whole)
            return SwinTransformerBlock(
                width[level], side, heads[level], window_size=window, shift_size=shift, norm_layer=Norm
            )

        self.stride = stride
        proj = nn.Conv2d(channels, embed, 4, stride=4)
        self.patch_embed = nn.ModuleDict({"proj": proj, "norm": Norm(embed)})
        merge = partial(PatchMerging, norm_layer=Norm) if paper else StridedMerge
        self.layers = nn.ModuleList()
        for level in levels:
            blocks = nn.Sequential(*[block(level, number) for number in range(depths[level])])
            layer = nn.ModuleDict({"blocks": blocks})
            if level < levels[-1]:
                layer["downsample"] = merge(width[level])
            self.layers.append(layer)
        if paper:
            self.norm, self.norm_up = Norm(width[-1]), Norm(embed)
        self.up = nn.ModuleList((Expand if paper else StridedExpand)(below) for below in width[1:])
        self.dec = nn.ModuleList()
        for level in levels[:-1]:
            blocks = nn.Sequential(*[block(level, number) for number in range(decoder_depth)])
            reduce = nn.Linear(2 * width[level], width[level])
            self.dec.append(nn.ModuleDict({"reduce": reduce, "blocks": blocks}))
        expand = nn.ConvTranspose2d(embed, embed // 2, 4, stride=4)
        self.head = nn.ModuleDict({"expand": expand, "out": nn.Conv2d(embed // 2, 1, 1)})

    def forward(self, images):
        x = self.patch_embed.norm(tokens(self.patch_embed.proj(pad(images, self.stride))))
        skips = []
        for layer in self.layers:
            x = layer.blocks(x)
            if "downsample" in layer:
                skips.append(x)
                x = layer.downsample(x)
        x = self.norm(x) if hasattr(self, "norm") else x
        for level in reversed(range(len(skips))):
            x = torch.cat([skips[level], self.up[level](x)], -1)
            x = self.dec[level].blocks(self.dec[level].reduce(x))
        x = self.norm_up(x) if hasattr(self, "norm_up") else x
        x = self.head.out(self.head.expand(maps(x)))
        return x[:, :, : images.shape[2], : images.shape[3]]


class ConvNormGelu(nn.Sequential):
    def __init__(self, conv):
        super().__init__()
        self.add_module("conv", conv)
        self.add_module("norm", nn.BatchNorm2d(conv.out_channels))
        self.add_module("gelu", nn.GELU())


class Residual(nn.Module):
    """Normalisation first."""

    def __init__(self, dim):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(dim), nn.BatchNorm2d(dim)
        self.conv1, self.conv2 = (nn.Conv2d(dim, dim, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return x + self.conv2(F.gelu(self.norm2(self.conv1(F.gelu(self.norm1(x))))))


class OnMaps(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return maps(self.block(tokens(x)))


class CoatnetUnet(nn.Module):
    def __init__(self, embed, depths, head_width, decoder_depth, channels, variant, **_):
        super().__init__()
        self.paper = paper = variant == "paper"
        width = [embed * 2**level for level in range(4)]
        conv = lambda ins, outs, kernel, stride=1, bias=True: nn.Conv2d(
            ins, outs, kernel, stride=stride, padding=kernel // 2, bias=bias
        )

        def attention(level, stride=1):
            if not paper:
                return OnMaps(GlobalBlock(width[level], width[level] // head_width))
            side = EDGE // 4 // 2**level
            return TransformerBlock2d(
                width[level] // stride, width[level], stride,
                rel_pos_cls=partial(RelPosBias, window_size=(side, side)), cfg=MaxxVitTransformerCfg(dim_head=head_width),
            )

        def encoder(level, number):
            stride = 2 if number == 0 else 1
            if paper and level < 2:
                ins = width[max(level - 1, 0)] if number == 0 else width[level]
                return MbConvBlock(ins, width[level], stride, cfg=MaxxVitConvCfg())
            if paper:
                return attention(level, stride)
            is_convolution = level == 0 or (level == 1 and number == 0)
            return Residual(width[level]) if is_convolution else attention(level)

        self.stem = ConvNormGelu(conv(channels, embed, 3 if paper else 7, 2, bias=not paper))
        if paper:
            self.stem.add_module("conv2", conv(embed, embed, 3))
            self.norm = Norm(width[-1])
        self.down = nn.ModuleDict()
        if not paper:
            for level in range(1, 4):
                self.down[str(level)] = ConvNormGelu(conv(width[level - 1], width[level], 3, 2))
        self.enc = nn.ModuleList(
            nn.Sequential(*[encoder(level, number) for number in range(depth)]) for level, depth in enumerate(depths)
        )
        self.up, self.dec = nn.ModuleList(), nn.ModuleList()
        skips = [embed, *width[:3]] if paper else width[:3]
        for level, here in enumerate(skips):
            below = width[level] if paper else width[level + 1]
            steps = nn.Sequential()
            if paper:
                self.up.append(nn.ConvTranspose2d(below, here, 2, stride=2))
                for number in range(decoder_depth):
                    ins = 2 * here if number == 0 else here
                    steps.add_module(str(number), ConvNormGelu(conv(ins, here, 3, bias=False)))
            else:
                last = level == 2
                grow = nn.ConvTranspose2d(below, here, 2, stride=2) if last else conv(below, here, 3)
                self.up.append(grow)
                steps.add_module("reduce", conv(2 * here, here, 1))
                for number in range(decoder_depth):
                    is_attention = last or (level > 0 and number + 1 < decoder_depth)
                    steps.add_module(str(number), attention(level) if is_attention else Residual(here))
                if last:
                    steps.add_module("norm", OnMaps(Norm(here)))
            self.dec.append(steps)
        half = embed // 2
        expand = nn.ConvTranspose2d(embed, half, 2, stride=2)
        self.head = nn.Sequential()
        for name, module in [
            ("expand", expand), ("norm", nn.BatchNorm2d(half)), ("gelu", nn.GELU()), ("out", nn.Conv2d(half, 1, 1))
        ]:
            self.head.add_module(name, module)

    def forward(self, images):
        x, skips = self.stem(pad(images, 32 if self.paper else 16)), []
        for level, blocks in enumerate(self.enc):
            if self.paper or level > 0:
                skips.append(x)
            x = blocks(self.down[str(level)](x) if str(level) in self.down else x)
        if self.paper:
            x = maps(self.norm(tokens(x)))
        for level in reversed(range(len(skips))):
            up = self.up[level]
            if isinstance(up, nn.Conv2d):
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.dec[level](torch.cat([skips[level], up(x)], 1))
        return self.head(x)[:, :, : images.shape[2], : images.shape[3]]


def ours(network, name, tensor):
    """The name and layout that the tested code has for a tensor of the reference."""
    if isinstance(network, CoatnetUnet) and ".attn.qkv." in name:
        # Ours goes by query, key and value, then by heads; theirs the other way round.
        owner = network.get_submodule(name.rsplit(".qkv.", 1)[0])
        split = tensor.reshape(owner.num_heads, 3, owner.dim_head, -1).transpose(0, 1)
        tensor = split.reshape(tensor.shape[0], -1).squeeze(-1) if tensor.dim() == 1 else split.flatten(0, 2)
    linear = r"\.(attn\.qkv|attn\.proj|mlp\.fc[12]|shortcut\.expand)\.weight$"
    is_transformer = re.match(r"enc\.[23]\.", name) or ".attn." in name
    if isinstance(network, CoatnetUnet) and is_transformer and re.search(linear, name):
        tensor = tensor.flatten(1)
    if is_transformer:
        name = name.replace("shortcut.expand", "shortcut").replace("norm1.norm", "norm1")
    name = name.replace("attn.rel_pos.", "attn.")
    for theirs, own in [
        ("layer.self_attn.in_proj_weight", "attn.qkv.weight"), ("layer.self_attn.in_proj_bias", "attn.qkv.bias"),
        ("layer.self_attn.out_proj", "attn.proj"), ("layer.linear1", "mlp.fc1"), ("layer.linear2", "mlp.fc2"),
        ("layer.norm", "norm"), ("block.", ""),
    ]:
        name = re.sub(r"(?<=\.)" + re.escape(theirs), own, name)
    return name, tensor.detach().to(torch.float32).contiguous().clone()


def fixture(network, settings, size, seed):
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=generator)
    # What timm keeps beside, such as masks, is in no state dict.
    kept = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("tracked")}
    for name, tensor in kept.items():
        drawn = normal(*tensor.shape)
        if name.endswith("running_var"):
            drawn = 1 + drawn.abs() / 2
        elif name.endswith("bias_table"):
            drawn = drawn / 2
        elif tensor.dim() > 1:
            drawn = drawn * (0.75 / tensor[0].numel()) ** 0.5
        elif name.endswith("weight"):
            drawn = 1 + drawn / 4
        else:
            drawn = drawn / 4
        tensor.copy_(drawn)
    network = network.double()
    images, probe = normal(2, settings["channels"], *size), normal(2, 1, *size)
    out = {"input": images, "probe": probe}
    for name, tensor in network.state_dict().items():
        if name in kept:
            name, tensor = ours(network, name, tensor)
            out[f"model.{name}"] = tensor
    with torch.no_grad():
        out["eval"] = network.eval()(images.double()).float()
    inputs = images.double().requires_grad_(True)
    logits = network.train()(inputs)
    (logits * probe.double()).sum().backward()
    out["train"] = logits.detach().float()
    out["grad.input"] = inputs.grad.float()
    for name, parameter in network.named_parameters():
        name, tensor = ours(network, name, parameter.grad)
        out[f"grad.{name}"] = tensor
    for name, buffer in network.state_dict().items():
        if "running_" in name:
            name, tensor = ours(network, name, buffer)
            out[f"after.{name}"] = tensor
    tensors = {name: tensor.detach().contiguous() for name, tensor in out.items()}
    return save(tensors, metadata={"settings": json.dumps(settings)})


def write(folder: Path):
    torch.set_num_threads(1)
    for seed, (file, variant, window, channels, size) in enumerate([
        ("paper", "paper", 4, 1, (25, 29)),
        ("paper_padded", "paper", 4, 3, (34, 22)),
        ("earlier", "earlier", None, 3, (24, 30)),
    ]):
        settings = {
            "name": "swin_unet", "embed": 8, "depths": [2, 1], "heads": [2, 4], "decoder_depth": 2, "window": window,
            "channels": channels, "drop_path": 0.0, "variant": variant,
        }
        network = SwinUnet(**settings, size=size)
        (folder / f"net_swin_unet_{file}.safetensors").write_bytes(fixture(network, settings, size, 100 + seed))
    for seed, (variant, depths, decoder_depth, size) in enumerate([
        ("paper", [1, 2, 2, 1], 1, (33, 40)),
        ("earlier", [1, 2, 1, 1], 2, (32, 27)),
    ]):
        settings = {
            "name": "coatnet_unet", "embed": 4, "depths": depths, "head_width": 4, "decoder_depth": decoder_depth,
            "channels": 1, "dropout": 0.0, "drop_path": 0.0, "variant": variant,
        }
        network = CoatnetUnet(**settings)
        (folder / f"net_coatnet_unet_{variant}.safetensors").write_bytes(fixture(network, settings, size, 600 + seed))
