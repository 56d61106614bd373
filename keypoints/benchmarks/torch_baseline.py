"""The PyTorch baseline: a training step of ResNet50, run by an interpreter with PyTorch.

`PYTHON torch_baseline.py SETTINGS`, where SETTINGS is JSON with batch_size, resolution and
trainable. For each line on standard input it runs one step and prints the seconds of that step.
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
    stages, head = resnet50()
    frozen = {"all": 0, "conv5": 4, "head": 5}[settings["trainable"]]
    stages.to(memory_format=torch.channels_last)
    for stage in stages[:frozen]:
        stage.eval()
        stage.requires_grad_(False)
    side = settings["resolution"]
    images = torch.rand(settings["batch_size"], 3, side, side)
    images = images.to(memory_format=torch.channels_last)
    targets = torch.rand(settings["batch_size"], 136)
    weights = [w for w in [*stages.parameters(), *head.parameters()] if w.requires_grad]
    optimizer = torch.optim.AdamW(weights, 1e-3)
    for _ in sys.stdin:
        start = time.perf_counter()
        maps = images
        for stage in stages:
            maps = stage(maps)
        optimizer.zero_grad()
        loss = (head(maps.mean((2, 3))) - targets).abs().mean()
        loss.backward()
        optimizer.step()
        loss.item()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
