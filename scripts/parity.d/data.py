"""Fixtures for the random changes of patches: PyTorch and NumPy compute what src/train/data/augment must.

Drawn parameters (displacements, factors, standard deviations) stand beside the results, because the
generators of random numbers differ.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file


def gaussian_kernel(sigma: float) -> torch.Tensor:
    """Weights at whole distances up to ceil(3 sigma), their sum 1; two dimensions."""
    radius = int(np.ceil(3.0 * sigma))
    at = torch.arange(-radius, radius + 1, dtype=torch.float64)
    line = torch.exp(-(at**2) / (2.0 * sigma**2))
    plane = torch.outer(line, line)
    return (plane / plane.sum()).float()


def blur(out: dict[str, torch.Tensor], name: str, edge: int, sigma: float) -> None:
    """A full two-dimensional convolution over a patch that is mirrored at its border."""
    patch = torch.rand(edge, edge)
    kernel = gaussian_kernel(sigma)
    radius = kernel.shape[0] // 2
    padded = F.pad(patch[None, None], (radius,) * 4, mode="reflect")
    out[f"{name}.input"] = patch
    out[f"{name}.sigma"] = torch.tensor([sigma], dtype=torch.float64)
    out[f"{name}.output"] = F.conv2d(padded, kernel[None, None])[0, 0]


def warp(out: dict[str, torch.Tensor], name: str, step: float, start: list[float], spread: float) -> None:
    """grid_sample over a region: bilinear and nearest, mirrored about the outer pixels' centres."""
    edge, spacing = 18, 4
    side = -(-(edge - 1) // spacing) + 1
    height, width, planes = 30, 37, 3
    # A region within the picture: nothing beyond it may be seen.
    top, left, rows, columns = 5, 6, 22, 26
    picture = torch.randint(0, 256, (height, width, planes), dtype=torch.uint8)
    mask = (torch.rand(height, width) < 0.4).to(torch.uint8)
    nodes = spread * torch.randn(2, side, side)
    wide = (side - 1) * spacing + 1
    moved = F.interpolate(nodes[None], size=(wide, wide), mode="bilinear", align_corners=True)
    down, right = moved[0, :, :edge, :edge].double()
    at = torch.arange(edge, dtype=torch.float64)
    y = start[0] + (at[:, None] + down + 0.5) * step - 0.5
    x = start[1] + (at[None, :] + right + 0.5) * step - 0.5
    grid = torch.stack([2.0 * x / (columns - 1) - 1.0, 2.0 * y / (rows - 1) - 1.0], dim=-1)[None]
    cut = (slice(top, top + rows), slice(left, left + columns))
    values = (picture[cut].double() / 255.0).permute(2, 0, 1)[None]
    truth = mask[cut].double()[None, None]
    sample = {"padding_mode": "reflection", "align_corners": True}
    out[f"{name}.picture"] = picture
    out[f"{name}.mask"] = mask
    out[f"{name}.nodes"] = nodes
    out[f"{name}.sizes"] = torch.tensor([edge, spacing, side, top, left, rows, columns])
    out[f"{name}.place"] = torch.tensor([step, *start], dtype=torch.float64)
    out[f"{name}.values"] = F.grid_sample(values, grid, mode="bilinear", **sample)[0].float()
    out[f"{name}.truth"] = F.grid_sample(truth, grid, mode="nearest", **sample)[0, 0].float()


def tone(out: dict[str, torch.Tensor], name: str, contrast: float, brightness: float, gamma: float) -> None:
    """Contrast about the mean, brightness, clip, exponent; in NumPy."""
    patch = np.random.default_rng(len(name)).random((2, 12, 12), dtype=np.float32)
    wide = patch.astype(np.float64)
    wide = wide.mean() + contrast * (wide - wide.mean())
    wide = np.clip(wide + brightness, 0.0, 1.0) ** gamma
    out[f"{name}.input"] = torch.from_numpy(patch)
    out[f"{name}.factors"] = torch.tensor([contrast, brightness, gamma], dtype=torch.float64)
    out[f"{name}.output"] = torch.from_numpy(wide.astype(np.float32))


def write(folder: Path) -> None:
    """Writes data.safetensors."""
    torch.manual_seed(7)
    torch.set_num_threads(1)
    out: dict[str, torch.Tensor] = {}
    blur(out, "blur.small", 16, 0.6)
    blur(out, "blur.large", 24, 2.3)
    warp(out, "warp.same", 1.0, [2.0, 3.0], 0.0)
    warp(out, "warp.near", 0.61, [4.3, 9.7], 1.5)
    warp(out, "warp.far", 1.7, [-4.2, 2.9], 3.0)
    tone(out, "tone.dark", 1.3, -0.2, 1.8)
    tone(out, "tone.bright", 0.6, 0.25, 0.55)
    tone(out, "tone.flat", 0.0, 0.1, 1.0)
    save_file(out, folder / "data.safetensors")
