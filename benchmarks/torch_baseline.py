"""The PyTorch baseline: a training step and inference of ResNet50, run by a Python with PyTorch.

`PYTHON torch_baseline.py SETTINGS`, where SETTINGS is JSON with batch_size, resolution, trainable
and precision. For a line `step` or `infer` on standard input it runs that once, on a GPU where
there is one, and prints its seconds; for `memory` the peak of the GPU's memory in MiB.
"""

import json
import sys
import time

import torch
from torch import nn

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # width and blocks of conv2 to conv5


class Block(nn.Module):
    """A bottleneck block as in Keras: stride in the first convolution, convolutions with bias."""

    def __init__(self, channels: int, width: int, stride: int, *, first: bool):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, stride), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 4 * width, 1), nn.BatchNorm2d(4 * width),
        )  # fmt: skip
        self.shortcut = nn.Sequential()
        if first:
            self.shortcut.append(nn.Conv2d(channels, 4 * width, 1, stride))
            self.shortcut.append(nn.BatchNorm2d(4 * width))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(maps) + self.shortcut(maps))


def resnet50() -> tuple[nn.ModuleList, nn.Linear]:
    """The stem with the four stages, and the output layer with 136 coordinates."""
    stages = [nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(),
                            nn.MaxPool2d(3, 2, 1))]  # fmt: skip
    channels = 64
    for number, (width, blocks) in enumerate(STAGES):
        stage = []
        for block in range(blocks):
            stride = 2 if number and not block else 1
            stage.append(Block(channels, width, stride, first=not block))
            channels = 4 * width
        stages.append(nn.Sequential(*stage))
    return nn.ModuleList(stages), nn.Linear(channels, 136)


def main(settings: dict) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    stages, head = (part.to(device) for part in resnet50())
    frozen = {"all": 0, "conv5": 4, "head": 5}[settings["trainable"]]
    stages.to(memory_format=torch.channels_last)
    for stage in stages[:frozen]:
        stage.requires_grad_(False)
    side = settings["resolution"]
    images = torch.rand(settings["batch_size"], 3, side, side, device=device)
    images = images.to(memory_format=torch.channels_last)
    targets = torch.rand(settings["batch_size"], 136, device=device)
    weights = [w for w in [*stages.parameters(), *head.parameters()] if w.requires_grad]
    optimizer = torch.optim.AdamW(weights, 1e-3)
    mixed = settings["precision"] == "mixed_bfloat16"

    def outputs() -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            maps = images
            for stage in stages:
                maps = stage(maps)
            return head(maps.mean((2, 3))).float()

    def step() -> None:
        for number, stage in enumerate(stages):
            stage.train(number >= frozen)
        optimizer.zero_grad()
        loss = (outputs() - targets).abs().mean()
        loss.backward()
        optimizer.step()
        loss.item()

    def infer() -> None:
        stages.eval()
        with torch.no_grad():
            outputs().cpu()

    for line in sys.stdin:
        if line.strip() == "memory":
            print(torch.cuda.max_memory_allocated() / 2**20, flush=True)
            continue
        start = time.perf_counter()
        {"step": step, "infer": infer}[line.strip()]()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
