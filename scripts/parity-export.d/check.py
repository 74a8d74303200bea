"""Uses exported models as somebody does who has PyTorch and no Regatta. scripts/parity-export calls it in a
folder with models/TRIAL, masks/TRIAL and data; an argument names the folder for the fixtures."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

TOLERANCE = 1e-5
# A logit this near to 0 may be decided either way.
UNSURE = 1e-4


class Block(nn.Module):
    def __init__(self, ins, outs):
        super().__init__()
        self.conv1 = nn.Conv2d(ins, outs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outs)

    def forward(self, x):
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()


class PlainUnet(nn.Module):
    """A U-Net as anybody may write it, for images whose sides divide."""

    def __init__(self, facts):
        super().__init__()
        model, self.input = facts["network"]["model"], facts["input"]
        width = [model["base"] << level for level in range(model["depth"] + 1)]
        self.enc = nn.ModuleList(Block(a, b) for a, b in zip([model["channels"], *width], width[:-1]))
        self.bottom = Block(width[-2], width[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in zip(width, width[1:]))
        self.dec = nn.ModuleList(Block(2 * a, a) for a in width[:-1])
        self.head = nn.Conv2d(width[0], 1, 1)
        self.register_buffer("input_mean", torch.zeros(1))
        self.register_buffer("input_std", torch.ones(1))

    def forward(self, images):
        x = (images * self.input["contrast_gain"] + self.input["contrast_offset"]).clamp(0, 1)
        x, skips = (x - self.input_mean) / self.input_std, []
        for block in self.enc:
            skips.append(block(x))
            x = nn.functional.max_pool2d(skips[-1], 2)
        x = self.bottom(x)
        for level in reversed(range(len(self.dec))):
            x = self.dec[level](torch.cat([skips[level], self.up[level](x)], 1))
        return self.head(x)


def difference(ours, theirs):
    """The largest, as a part of the largest logit."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float((ours - theirs).abs().max() / theirs.abs().max())


def grey(path):
    """An 8-bit grey PNG, without a library of images: torch has none."""
    import struct
    import zlib

    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, bits, colour = struct.unpack(">IIBB", body[:10])
            assert (bits, colour) == (8, 0), "an 8-bit grey PNG"
        packed += body if kind == b"IDAT" else b""
        at += size + 12
    raw, rows, before = zlib.decompress(packed), [], [0] * width
    for y in range(height):
        kind, line = raw[y * (width + 1)], list(raw[y * (width + 1) + 1 : (y + 1) * (width + 1)])
        for x in range(width):
            left, above, corner = line[x - 1] if x else 0, before[x], before[x - 1] if x else 0
            nearest = min((left, above, corner), key=lambda v: abs(left + above - corner - v))
            line[x] = (line[x] + [0, left, above, (left + above) // 2, nearest][kind]) % 256
        rows.append(line)
        before = line
    return torch.tensor(rows, dtype=torch.uint8)


def refuses(model, images, words):
    try:
        model(images)
    except Exception as error:
        return words in str(error)
    return False


def check(folder):
    facts = json.loads((folder / "model.json").read_text())
    name = f"{facts['network']['model']['name']} {facts['network']['model']['variant']}"
    tile, channels = facts["input"]["tile"], facts["input"]["channels"]
    model = torch.jit.load(folder / "model.pt", map_location="cpu")
    weights = load_file(folder / "model.safetensors")
    assert set(model.state_dict()) == set(weights), name
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items()), name
    trainable = sum(parameter.numel() for parameter in model.parameters())
    assert trainable == facts["network"]["parameters"], (name, trainable)
    torch.manual_seed(1)
    sizes = [(3, tile, tile)] if tile else [(1, 64, 64), (3, 48, 80), (2, 37, 51), (1, 3, 2)]
    worst = {}
    with torch.no_grad():
        for n, height, width in sizes:
            images = torch.rand(n, channels, height, width)
            logits = model(images)
            assert logits.shape == (n, 1, height, width), (name, logits.shape)
            single = torch.cat([model(image[None]) for image in images])
            worst["one by one"] = max(worst.get("one by one", 0.0), difference(single, logits))
        images = torch.rand(2, channels, *([tile, tile] if tile else [64, 96]))
        logits = model(images)
        if name == "unet paper":
            plain = PlainUnet(facts)
            plain.load_state_dict(weights, strict=True)
            worst["a plain U-Net"] = difference(plain.eval()(images), logits)
        again = torch.jit.load(folder / "model.pt")
        again.load_state_dict({key: torch.zeros_like(value) for key, value in weights.items()})
        again.load_state_dict(load_file(folder / "model.safetensors"))
        worst["loaded again"] = difference(again(images), logits)
        frozen = torch.jit.optimize_for_inference(torch.jit.freeze(model.eval()))
        worst["frozen"] = max(difference(frozen(images), logits) for _ in range(3))
        # Masks of `regatta predict`, which counts and cuts in its own way.
        pixels = 0
        for mask in sorted(Path("masks", folder.name).glob("*.png")):
            raw = grey(Path("data/images", mask.name)).float()[None, None] / 255
            found, theirs = model(raw)[0, 0], grey(mask) > 0
            sure = found.abs() > UNSURE * found.abs().max()
            assert torch.equal((found > 0)[sure], theirs[sure]), f"{name}: {mask} differs"
            pixels += int(theirs.sum())
        # Every tensor goes where the module goes, and constants where the image is.
        with zipfile.ZipFile(folder / "model.pt") as archive:
            code = archive.read("model/code/__torch__.py").decode()
        assert "CONSTANTS." not in code.replace("torch.to(CONSTANTS.", ""), name
        assert "torch.device(" not in code, name
        if "CONSTANTS." not in code:  # the loader compares constants, which this device cannot
            moved = torch.jit.load(folder / "model.pt", map_location="meta").state_dict()
            assert all(value.device.type == "meta" for value in moved.values()), name
        assert refuses(model, torch.zeros(1, channels + 1, 64, 64), "channel(s)"), name
        assert refuses(model, torch.zeros(1, channels, 64, 64, dtype=torch.uint8), "integers"), name
        assert not tile or refuses(model, torch.zeros(1, channels, 2 * tile, tile), "cut them into tiles"), name
    # It can be trained further.
    model(images).square().mean().backward()
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert not without, (name, without)
    # What the card says can be typed.
    parts = (folder / "README.md").read_text().split("```python\n")[1:]
    code = "\n".join(part.split("```")[0] for part in parts)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=folder, check=True)
    told = ", ".join(f"{what} {value:.0e}" for what, value in worst.items())
    assert max(worst.values()) <= TOLERANCE, (name, told)
    print(f"{name:26} {pixels:5} pixels as predicted; off by: {told}", flush=True)
    return name, pixels


def write(folder, target):
    """The weights with an image and its logits."""
    facts = json.loads((folder / "model.json").read_text())
    with safe_open(folder / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    tensors = load_file(folder / "model.safetensors")
    torch.manual_seed(2)
    images = torch.rand(1, facts["input"]["channels"], *([facts["input"]["tile"]] * 2 if facts["input"]["tile"] else [21, 30]))
    with torch.no_grad():
        logits = torch.jit.load(folder / "model.pt")(images)
    for key in ("input_mean", "input_std"):
        del tensors[key]  # the metadata have them in full
    tensors |= {"fixture.input": images, "fixture.output": logits.contiguous()}
    save_file(tensors, target / f"{facts['network']['model']['name']}.safetensors", metadata)


def main():
    torch.set_num_threads(1)
    models, found = {}, 0
    for folder in sorted(Path("models").iterdir()):
        name, pixels = check(folder)
        models[name], found = folder, found + (pixels > 0)
    assert len(models) == 12, sorted(models)
    # A network that found nothing compares little.
    assert found >= 9, f"only {found} networks found foreground"
    if sys.argv[1:]:
        target = Path(sys.argv[1])
        target.mkdir(exist_ok=True)
        for name in ("unet paper", "swin_unet paper"):
            write(models[name], target)
    print(f"{len(models)} networks: TorchScript, safetensors and predict agree to {TOLERANCE:g}")


main()
