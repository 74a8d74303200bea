"""Fixtures for the convolutional networks: U-Net, attention U-Net, attention ResU-Net and ConvNeXt
U-Net, in both layouts.

The references are written from the papers with torch.nn, and with the blocks of timm where it has
them. They compute in float64, so that a difference from the fixture is the error of what is tested.

A file holds, all float32: `model.<name>` weights and buffers, `input`, `probe`, `eval` (logits with
the running statistics), `train` (logits with those of the minibatch), and of the loss
sum(train * probe): `grad.input` and `grad.<name>`, and `after.<name>`, the running statistics after
that one pass. Its metadata name the settings.
"""

import json
import re
from pathlib import Path

import timm.layers
import timm.models.convnext
import timm.models.resnet
import torch
from safetensors.torch import save
from torch import nn
from torch.nn import functional as F


def pad(images, multiple):
    """Mirrors at the lower and right edge until the sides divide."""
    below, right = (-images.shape[2] % multiple, -images.shape[3] % multiple)
    return F.pad(images, (0, right, 0, below), mode="reflect") if below or right else images


class DoubleConv(nn.Module):
    def __init__(self, ins, outs, bias):
        super().__init__()
        self.conv1 = nn.Conv2d(ins, outs, 3, padding=1, bias=bias)
        self.bn1 = nn.BatchNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(outs)

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class EarlierResidual(nn.Module):
    """Convolutions with biases; otherwise as He et al."""

    def __init__(self, ins, outs):
        super().__init__()
        self.conv1 = nn.Conv2d(ins, outs, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outs)
        self.shortcut = nn.ModuleDict({"conv": nn.Conv2d(ins, outs, 1), "bn": nn.BatchNorm2d(outs)})

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut.bn(self.shortcut.conv(x)))


def he_block(ins, outs):
    """timm's block of ResNet-18 and -34."""
    shortcut = None
    if ins != outs:
        shortcut = nn.Sequential(nn.Conv2d(ins, outs, 1, bias=False), nn.BatchNorm2d(outs))
    return timm.models.resnet.BasicBlock(ins, outs, downsample=shortcut)


class PaperGate(nn.Module):
    """Oktay et al. 2018, figure 2."""

    def __init__(self, channels, below):
        super().__init__()
        self.theta = nn.Conv2d(channels, channels, 2, stride=2, bias=False)
        self.phi = nn.Conv2d(below, channels, 1)
        self.psi = nn.Conv2d(channels, 1, 1)

    def forward(self, x, g):
        alpha = torch.sigmoid(self.psi(F.relu(self.theta(x) + self.phi(g))))
        return x * F.interpolate(alpha, scale_factor=2, mode="bilinear", align_corners=False)


class EarlierGate(nn.Module):
    def __init__(self, channels, below):
        super().__init__()
        part = lambda ins: nn.ModuleDict({"conv": nn.Conv2d(ins, channels, 1), "bn": nn.BatchNorm2d(channels)})
        self.signal = part(below)
        self.theta = nn.Conv2d(channels, channels, 2, stride=2)
        self.phi = nn.Conv2d(channels, channels, 1)
        self.grow = nn.ConvTranspose2d(channels, channels, 3, stride=1, padding=1)
        self.psi = nn.Conv2d(channels, 1, 1)
        self.result = part(channels)

    def forward(self, x, g):
        g = F.relu(self.signal.bn(self.signal.conv(g)))
        alpha = torch.sigmoid(self.psi(F.relu(self.grow(self.phi(g)) + self.theta(x))))
        y = x * nn.Upsample(scale_factor=2, mode="nearest")(alpha)
        return self.result.bn(self.result.conv(y))


class UShape(nn.Module):
    def __init__(self, name, base, depth, channels, variant, **_):
        super().__init__()
        self.paper = variant == "paper"
        width = [base * 2**level for level in range(depth + 1)]
        if name != "attention_resunet":
            block = lambda ins, outs: DoubleConv(ins, outs, bias=not self.paper)
        else:
            block = he_block if self.paper else EarlierResidual
        gate = PaperGate if self.paper else EarlierGate
        self.enc = nn.ModuleList(block(ins, outs) for ins, outs in zip([channels, *width], width[:-1]))
        self.bottom = block(width[-2], width[-1])
        pairs = list(zip(width, width[1:]))
        if self.paper:
            self.up = nn.ModuleList(nn.ConvTranspose2d(below, here, 2, stride=2) for here, below in pairs)
        self.gate = nn.ModuleDict()
        if name != "unet":
            self.gate.update(
                {str(level): gate(*pair) for level, pair in enumerate(pairs) if level > 0 or not self.paper}
            )
        self.dec = nn.ModuleList(block(here + (here if self.paper else below), here) for here, below in pairs)
        self.head = nn.Conv2d(base, 1, 1)
        if not self.paper:
            self.head_bn = nn.BatchNorm2d(1)

    def forward(self, images):
        x, skips = pad(images, 2 ** len(self.enc)), []
        for block in self.enc:
            skips.append(block(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.bottom(x)
        for level in reversed(range(len(self.enc))):
            skip = skips[level]
            if str(level) in self.gate:
                skip = self.gate[str(level)](skip, x)
            up = self.up[level](x) if self.paper else F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.dec[level](torch.cat([skip, up], 1))
        x = self.head(x)
        if not self.paper:
            x = self.head_bn(x)
        return x[:, :, : images.shape[2], : images.shape[3]]


class ChannelNorm(nn.LayerNorm):
    def __init__(self, channels):
        super().__init__(channels, eps=1e-6)

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvnextUnet(nn.Module):
    """timm's stages of ConvNeXt on the way down, its blocks on the way up."""

    def __init__(self, embed, depths, decoder_depth, channels, layer_scale, variant, **_):
        super().__init__()
        self.paper = variant == "paper"
        width = [embed * 2**level for level in range(len(depths))]
        self.stem = nn.ModuleDict({"conv": nn.Conv2d(channels, embed, 4, stride=4), "norm": ChannelNorm(embed)})
        norms = {"norm_layer": timm.layers.LayerNorm2d, "norm_layer_cl": timm.layers.LayerNorm}
        self.stages = nn.ModuleList(
            timm.models.convnext.ConvNeXtStage(
                ins, outs, stride=outs // ins, depth=depth, ls_init_value=layer_scale or None, conv_mlp=False, **norms
            )
            for ins, outs, depth in zip([embed, *width], width, depths)
        )
        block = lambda here: timm.models.convnext.ConvNeXtBlock(here, ls_init_value=layer_scale or None)
        pairs = list(zip(width, width[1:]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(below, here, 2, stride=2) for here, below in pairs)
        self.fuse = nn.ModuleList(nn.Conv2d(2 * here, here, 1) for here, _ in pairs)
        self.dec = nn.ModuleList(nn.Sequential(*[block(here) for _ in range(decoder_depth)]) for here, _ in pairs)
        thin = max(embed // 2, 8) if self.paper else embed // 2
        self.expand = nn.ConvTranspose2d(embed, thin, 4, stride=4)
        if self.paper:
            self.skip = nn.ModuleList(ChannelNorm(here) for here in width)
            self.expand_norm = ChannelNorm(embed)
            conv = nn.Conv2d(thin + channels, thin, 3, padding=1, bias=False)
            self.refine = nn.ModuleDict({"conv": conv, "norm": ChannelNorm(thin)})
        self.head = nn.Conv2d(thin, 1, 1)

    def forward(self, images):
        padded = pad(images, 2 ** (len(self.stages) + 1))
        x, skips = self.stem.norm(self.stem.conv(padded)), []
        for level, stage in enumerate(self.stages):
            x = stage(x)
            skips.append(self.skip[level](x) if self.paper else x)
        x = skips.pop()
        for level in reversed(range(len(skips))):
            x = self.dec[level](self.fuse[level](torch.cat([skips[level], self.up[level](x)], 1)))
        if self.paper:
            x = self.expand(self.expand_norm(x))
            x = F.gelu(self.refine.norm(self.refine.conv(torch.cat([x, padded], 1))))
        else:
            x = self.expand(x)
        return self.head(x)[:, :, : images.shape[2], : images.shape[3]]


def ours(name, tensor):
    """The name and layout that the tested code has for a tensor of the reference."""
    name = re.sub(r"^stages\.(\d+)\.downsample\.0", r"down.\1.norm", name)
    name = re.sub(r"^stages\.(\d+)\.downsample\.1", r"down.\1.conv", name)
    name = name.replace("downsample.0", "shortcut.conv").replace("downsample.1", "shortcut.bn")
    name = re.sub(r"stages\.(\d+)\.blocks\.", r"enc.\1.", name)
    if ".grow.weight" in name:
        # A transposed convolution of stride 1 is a convolution with the mirrored kernel.
        tensor = tensor.transpose(0, 1).flip(2, 3)
    return name, tensor.detach().to(torch.float32).contiguous().clone()


def fixture(network, settings, size, seed):
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=generator)
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith("num_batches_tracked"):
                continue
            drawn = normal(*tensor.shape)
            if name.endswith("running_var"):
                drawn = 1 + drawn.abs() / 2
            elif tensor.dim() > 1:
                drawn = drawn * (1.5 / tensor[0].numel()) ** 0.5
            elif name.endswith("weight") or name.endswith("gamma"):
                drawn = 1 + drawn / 4
            else:
                drawn = drawn / 4
            tensor.copy_(drawn)
    network = network.double()
    images = normal(2, settings["channels"], *size)
    probe = normal(2, 1, *size)
    out = {"input": images, "probe": probe}
    kept = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("tracked")}
    for name, tensor in kept.items():
        name, tensor = ours(name, tensor)
        out[f"model.{name}"] = tensor
    with torch.no_grad():
        out["eval"] = network.eval()(images.double()).float()
    inputs = images.double().requires_grad_(True)
    logits = network.train()(inputs)
    (logits * probe.double()).sum().backward()
    out["train"] = logits.detach().float()
    out["grad.input"] = inputs.grad.float()
    for name, parameter in network.named_parameters():
        name, tensor = ours(name, parameter.grad)
        out[f"grad.{name}"] = tensor
    for name, buffer in network.named_buffers():
        if not name.endswith("tracked"):
            name, tensor = ours(name, buffer)
            out[f"after.{name}"] = tensor
    tensors = {name: tensor.detach().contiguous() for name, tensor in out.items()}
    return save(tensors, metadata={"settings": json.dumps(settings)})


def write(folder: Path):
    torch.set_num_threads(1)
    seed = 1
    for variant, size in [("paper", (13, 18)), ("earlier", (16, 12))]:
        for name in ["unet", "attention_unet", "attention_resunet"]:
            channels = 1 if (name, variant) == ("unet", "paper") else 3
            shape = {"name": name, "base": 3, "depth": 2, "channels": channels}
            settings = {**shape, "dropout": 0.0, "variant": variant}
            network = UShape(**settings)
            (folder / f"net_{name}_{variant}.safetensors").write_bytes(fixture(network, settings, size, seed))
            seed += 1
    for variant, channels, size in [("paper", 1, (19, 24)), ("earlier", 3, (16, 24))]:
        settings = {
            "name": "convnext_unet", "embed": 12, "depths": [1, 2], "decoder_depth": 1, "channels": channels,
            "layer_scale": 0.5, "drop_path": 0.0, "variant": variant,
        }
        network = ConvnextUnet(**settings)
        (folder / f"net_convnext_unet_{variant}.safetensors").write_bytes(fixture(network, settings, size, seed))
        seed += 1
