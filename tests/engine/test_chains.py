"""Steps that the plan runs strip by strip, as one: what a session, its profile and its intermediate tensors show."""

from __future__ import annotations

import numpy as np
import pytest

import builders
import zeropoint as zp
from builders import Net
from builders_net import Q, random_q
from builders_weights import accumulated, bias_of, weights
from zeropoint.engine import isas
from zeropoint.graph import Graph

CHAIN = "depthwise_conv_2d+conv_2d+add"


def block(seed: int, flavour: str, lines: int = 16) -> Graph:
    """The end of an inverted residual: depthwise 3x3, pointwise, and the addition of what came in."""
    rng, net = np.random.default_rng(seed), Net()
    q, shape = random_q(rng, flavour), (1, lines, 16, 12)
    x = net.tensor(shape, flavour, q, name="x")

    def convolution(source: int, source_q: Q, filters: tuple[int, ...], axis: int, **attrs: int) -> tuple[int, Q]:
        w, scales, _ = weights(net, rng, filters, axis, flavour)
        fan_in = int(np.prod(filters)) // filters[axis]
        b = bias_of(net, rng, scales, source_q, fan_in, flavour)
        out_q = accumulated(rng, source_q, scales, fan_in, flavour)
        y = net.tensor(shape, flavour, out_q)
        common = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "fused_activation_function": "NONE"}
        net.op("depthwise_conv_2d" if axis == 3 else "conv_2d", [source, w, b], [y], **common, **attrs)
        return y, out_q

    a, qa = convolution(x, q, (1, 3, 3, 12), 3, depth_multiplier=1)
    b, qb = convolution(a, qa, (12, 1, 1, 12), 0)
    y = net.tensor(shape, flavour, (qb[0] + q[0], random_q(rng, flavour)[1]), name="y")
    net.op("add", [b, x], [y], fused_activation_function="RELU")
    return net.graph([x], [y])


@pytest.mark.parametrize("flavour", builders.FLAVOURS)
def test_two_threads_share_a_chain(flavour: str) -> None:
    for seed in range(4):
        graph = block(seed, flavour)
        x = builders.inputs_for(graph, np.random.default_rng(seed), batch=3)[0]
        wanted = zp.Session(graph, isa="portable").run(x)
        assert len(np.unique(wanted)) > 20
        for isa in isas():
            for threads in (1, 2, 4, 8):
                session = zp.Session(graph, threads=threads, isa=isa)
                assert (session.run(x) == wanted).all()
                assert (session.run(x[:1]) == wanted[:1]).all()
                shared = threads in (2, 4)  # sixteen lines in equal strips of three and more
                assert [s["op"] for s in session.steps()] == ([CHAIN] if shared else CHAIN.split("+"))


def test_a_chain_names_its_kernels_and_all_tensors_can_still_be_seen() -> None:
    graph = block(9, "int8")
    x = builders.inputs_for(graph, np.random.default_rng(9))[0]
    one, two = zp.Session(graph), zp.Session(graph, threads=2)
    (step,) = two.steps()
    assert step["kernel"] == "+".join(s["kernel"] for s in one.steps())
    assert step["isa"] == isas()[-1]
    assert two.program.tensors[step["output"]].name == "y"
    profile = two.profile(x)
    assert [t.op for t in profile] == ["copy in", CHAIN, "copy out"]
    assert profile[1].sources == (0, 1, 2)
    seen = two.intermediates(x)
    assert set(seen) == {i for i, t in enumerate(graph.tensors) if t.data is None}
    assert all((seen[i] == v).all() for i, v in one.intermediates(x).items())


def test_a_tensor_that_is_an_output_is_not_handed_on() -> None:
    graph = block(2, "int8")
    middle = graph.ops[1].outputs[0]
    session = zp.Session(graph.replace(outputs=(graph.outputs[0], middle)), threads=2)
    assert [s["op"] for s in session.steps()] == ["depthwise_conv_2d+conv_2d", "add"]
    x = builders.inputs_for(graph, np.random.default_rng(2))[0]
    y, shown = session.run(x)
    watched = session.intermediates(x)
    assert (y == watched[graph.outputs[0]]).all()
    assert (shown == watched[middle]).all()


def test_lines_that_two_threads_cannot_share_evenly_make_no_chain() -> None:
    assert [s["op"] for s in zp.Session(block(3, "int8", lines=3), threads=2).steps()] == CHAIN.split("+")
