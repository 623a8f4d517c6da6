"""Small networks, one for each thing that the rewriting knows, and how to make a prepared one of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeropoint import qat

PIXELS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIDE = 12


class Net(nn.Module):
    """Two convolutions with batch norm, then ``middle``, then a linear layer on whatever comes out."""

    def __init__(self, middle: Callable[[Tensor], Tensor] | nn.Module, side: int = SIDE) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, 1, 1, bias=False)
        )
        self.norm = nn.BatchNorm2d(8)
        self.middle = middle
        with torch.no_grad():
            features = middle(torch.zeros(2, 8, side // 2, side // 2)).flatten(1).shape[1]
        self.head = nn.Linear(features, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.middle(self.norm(self.stem(x))), 1))


class Branches(nn.Module):
    """Concatenation of an unshared branch, a pooled one and a value that others read too; with a shuffle of
    channels."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([F.relu(self.one(x)), F.max_pool2d(self.two(x), 3, 1, 1), x], 1)
        n, c, h, w = joined.shape
        return joined.view(n, 4, c // 4, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class SqueezeExcite(nn.Module):
    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.down, self.up, self.gate = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 8, 1), gate

    def forward(self, x: Tensor) -> Tensor:
        s = F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))
        return x * self.gate(self.up(s))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, 1, 1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.norm(self.conv(x))
        return x.relu_()


class Attention(nn.Module):
    """Positions as rows: flattened, permuted, through linear layers and softmax, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.score, self.value = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2).permute(0, 2, 1)
        return (torch.softmax(self.score(rows), -1) * self.value(rows)).mean(1)


class Grouped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(8, 16, 3, 2, 2, dilation=2, groups=2)
        self.depthwise = nn.Conv2d(16, 32, 3, 1, 1, groups=16)

    def forward(self, x: Tensor) -> Tensor:
        return F.hardtanh(self.depthwise(F.hardtanh(self.grouped(x), -0.5, 1.5)))


class NormFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.relu(self.norm(F.max_pool2d(x, 2))))


class Chunks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        c, d, e = torch.split(x, [2, 5, 1], 1)
        parts = [a - self.conv(b), c, d[:, ::2], e]
        return torch.cat(parts, 1)


class Operands(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(8, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu((x * self.gamma + 0.25) * 0.5 - x / 3.0) + (1 - x) * -x


MIDDLES: dict[str, Callable[[], Callable[[Tensor], Tensor] | nn.Module]] = {
    "flatten": lambda: lambda x: F.relu(x),
    "branches": Branches,
    "residual": Residual,
    "se_sigmoid": lambda: SqueezeExcite(nn.Sigmoid()),
    "se_hardsigmoid": lambda: SqueezeExcite(nn.Hardsigmoid()),
    "attention": Attention,
    "grouped": Grouped,
    "norm_first": NormFirst,
    "chunks": Chunks,
    "operands": Operands,
    "max_pool_ceil": lambda: lambda x: F.max_pool2d(x, 3, 2, 0, ceil_mode=True),
    "max_pool_padded": lambda: lambda x: F.max_pool2d(F.relu(x), 3, 2, 1),
    "avg_pool_counted": lambda: lambda x: F.avg_pool2d(x, 3, 1, 1),
    "avg_pool_same": lambda: lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "adaptive_uneven": lambda: nn.AdaptiveAvgPool2d((4, 5)),
    "mean": lambda: lambda x: x.mean((2, 3)),
    "mean_channels": lambda: lambda x: x.mean(1, keepdim=True),
    "hardswish": nn.Hardswish,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "pad": lambda: lambda x: F.pad(x, (1, 0, 2, 1)),
    "nearest": lambda: nn.Upsample(scale_factor=2, mode="nearest"),
    "bilinear": lambda: nn.Upsample(size=(9, 15), mode="bilinear"),
    "bilinear_corners": lambda: nn.Upsample(size=(9, 15), mode="bilinear", align_corners=True),
    "softmax_image": lambda: lambda x: torch.softmax(x, 1),
    "dropout": lambda: nn.Dropout(0.3),
}


def images(count: int = 4, side: int = SIDE, seed: int = 0) -> Tensor:
    """Random uint8 pixels."""
    return torch.randint(
        0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def float_net(middle: str, seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net(MIDDLES[middle]())


def train(model: nn.Module, steps: int = 2, rate: float = 0.05) -> nn.Module:
    """A few steps on random labels."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    labels = torch.arange(8) % 5
    for i in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(images(8, seed=i)), labels).backward()
        optimizer.step()
    return model


def prepared(middle: str, scheme: qat.AffineScheme | None = None, *, steps: int = 2) -> qat.Prepared:
    """A trained prepared network that takes pixels."""
    model = qat.prepare(float_net(middle), images(2), scheme or qat.affine(8), input=qat.pixels(*PIXELS))
    train(model, steps)
    return model
