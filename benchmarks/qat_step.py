"""What a step of quantization-aware training costs beside a step of float training, and beside other toolkits.

    python benchmarks/qat_step.py                              # both networks, both forms of folding
    python benchmarks/qat_step.py --against torchao brevitas   # also these, where installed
    python benchmarks/qat_step.py --json step.json --rounds 15 --networks resnet18

A step is forward, cross entropy, backward and SGD with momentum. Every toolkit runs in a process of its own beside the
float network: rounds A B A B ..., so that both see the same machine, and the ratio is the median over rounds of the
ratios within a round. Times are wall-clock; the CPU seconds of all threads stand beside them, which other processes
on the machine disturb less.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

NETWORKS = ("mobilenet_v2", "resnet18")
PEERS = ("torchao", "brevitas")


def float_network(name: str) -> Any:
    """The torchvision network with random weights, the same in every process."""
    import torch
    import torchvision

    torch.manual_seed(0)
    return torchvision.models.get_model(name).train()


def zeropoint_networks(name: str, x: Any) -> dict[str, Any]:
    """Prepared networks, one per form of folding."""
    from zeropoint import qat

    forms = ("two_convolutions", "one_convolution")
    return {form: qat.prepare(float_network(name), (x,), qat.affine(8, fold=form)).train() for form in forms}


def torchao_networks(name: str, x: Any) -> dict[str, Any]:
    """torchao's PT2E quantization-aware training with its x86 quantizer's defaults."""
    import torch
    import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86
    from torchao.quantization.pt2e import move_exported_model_to_train
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

    exported = torch.export.export(float_network(name), (x,), strict=True).module()
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_qat=True))
    prepared = prepare_qat_pt2e(exported, quantizer)
    move_exported_model_to_train(prepared)
    return {"PT2E": prepared}


def brevitas_networks(name: str, x: Any) -> dict[str, Any]:
    """Brevitas' automatic quantization of the traced network, batch norms kept as layers of their own."""
    from brevitas.graph.quantize import preprocess_for_quantize, quantize

    model = preprocess_for_quantize(float_network(name), merge_bn=False)
    return {"quantize": quantize(model).train()}


WORKERS: dict[str, Callable[[str, Any], dict[str, Any]]] = {
    "zeropoint": zeropoint_networks,
    "torchao": torchao_networks,
    "brevitas": brevitas_networks,
}


def measure(toolkit: str, args: argparse.Namespace) -> dict[str, Any]:
    """Times of the float network and of the toolkit's, in alternating rounds, in this process."""
    import torch

    torch.set_num_threads(args.threads)
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    name = args.networks[0]
    torch.manual_seed(1)
    x = torch.randn(args.batch, 3, args.size, args.size).to(memory_format=layout)
    target = torch.randint(0, 1000, (args.batch,))
    networks = {"float": float_network(name), **WORKERS[toolkit](name, x)}
    steps = {}
    for label, network in networks.items():
        network.to(memory_format=layout)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

        def step(network: Any = network, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x), target).backward()
            optimizer.step()

        steps[label] = step
    wall: dict[str, list[float]] = {label: [] for label in steps}
    cpu: dict[str, list[float]] = {label: [] for label in steps}
    for done in range(-args.warmup, args.rounds):
        for label, step in steps.items():
            began, used = time.perf_counter(), time.process_time()
            step()
            if done >= 0:
                wall[label].append(time.perf_counter() - began)
                cpu[label].append(time.process_time() - used)
    return {
        label: {
            "milliseconds": 1e3 * median(wall[label]),
            "cpu_milliseconds": 1e3 * median(cpu[label]),
            "ratio": median(a / b for a, b in zip(wall[label], wall["float"], strict=True)),
            "cpu_ratio": median(a / b for a, b in zip(cpu[label], cpu["float"], strict=True)),
        }
        for label in steps
    }


def measured_elsewhere(toolkit: str, network: str, args: argparse.Namespace) -> dict[str, Any]:
    """`measure` in a fresh process; ``{"error": its last line}`` where it fails, as peers do on some versions."""
    command = [sys.executable, __file__, "--worker", toolkit, "--networks", network]
    for option in ("threads", "batch", "size", "rounds", "warmup"):
        command += [f"--{option}", str(getattr(args, option))]
    command += ["--channels-last"] if args.channels_last else []
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        return {"error": (result.stderr.strip().splitlines() or ["no message"])[-1]}
    answer: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    return answer


def show(results: dict[str, dict[str, dict[str, Any]]], args: argparse.Namespace) -> None:
    """One table: a row per network, toolkit and form."""
    from rich.console import Console
    from rich.table import Table

    layout = "channels last" if args.channels_last else "contiguous"
    title = f"Training step, batch {args.batch}, {args.size}x{args.size}, {args.threads} threads, {layout}"
    table = Table(title=title)
    for heading in ("network", "toolkit", "form"):
        table.add_column(heading)
    for heading in ("ms", "x float", "CPU ms", "x float (CPU)"):
        table.add_column(heading, justify="right")
    for network, toolkits in results.items():
        for toolkit, forms in toolkits.items():
            if "error" in forms:
                table.add_row(network, toolkit, str(forms["error"])[:60], "", "", "", "")
                continue
            for form, t in forms.items():
                times = (f"{t['milliseconds']:.0f}", f"{t['ratio']:.2f}")
                cpu = (f"{t['cpu_milliseconds']:.0f}", f"{t['cpu_ratio']:.2f}")
                table.add_row(network, toolkit, form, *times, *cpu)
    Console().print(table)


def main() -> None:
    """Parse the command line, run the processes, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), help="torchvision names")
    parser.add_argument("--against", nargs="*", default=[], choices=PEERS, help="other toolkits, where installed")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--worker", choices=list(WORKERS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        warnings.simplefilter("ignore")
        print(json.dumps(measure(args.worker, args)))
        return
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for network in args.networks:
        results[network] = {}
        for toolkit in ("zeropoint", *args.against):
            if toolkit in PEERS and importlib.util.find_spec(toolkit) is None:
                results[network][toolkit] = {"error": "not installed"}
                continue
            print(f"{network}: {toolkit} ...", file=sys.stderr, flush=True)
            results[network][toolkit] = measured_elsewhere(toolkit, network, args)
    show(results, args)
    if args.json:
        args.json.write_text(json.dumps({"settings": {**vars(args), "json": None}, "results": results}, indent=1))


if __name__ == "__main__":
    main()
