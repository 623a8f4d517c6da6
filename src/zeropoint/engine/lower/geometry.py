"""Windows and padding: where a kernel's window lies on its input."""

from __future__ import annotations

from zeropoint.engine.lower.lowering import Lowering, integer
from zeropoint.engine.program import AttrValue
from zeropoint.errors import GraphError, UnsupportedError
from zeropoint.graph import Op


def padding_before(in_size: int, out_size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Rows (or columns) of padding before the input: SAME puts the odd one after it; VALID has none."""
    if padding == "VALID":
        return 0
    if padding != "SAME":
        raise UnsupportedError(f"padding {padding!r}: SAME and VALID are known")
    reach = (kernel - 1) * dilation + 1
    return max((out_size - 1) * stride + reach - in_size, 0) // 2


def window(op: Op, to: Lowering, kernel_h: int, kernel_w: int) -> dict[str, AttrValue]:
    """Batch, sizes, strides, dilation and padding of a convolution's window over NHWC tensors."""
    x, y = op.inputs[0], op.outputs[0]
    if len(to.shape(x)) != 4 or len(to.shape(y)) != 4:
        raise GraphError(f"input {list(to.shape(x))} and output {list(to.shape(y))} must be NHWC, four dimensions")
    (batch, in_h, in_w, _), (_, out_h, out_w, _) = to.shape(x), to.shape(y)
    stride_h, stride_w = integer(op, "stride_h", 1), integer(op, "stride_w", 1)
    dilation_h, dilation_w = integer(op, "dilation_h_factor", 1), integer(op, "dilation_w_factor", 1)
    padding = str(op.attrs.get("padding", "SAME"))
    return {
        "batch": batch,
        "in_h": in_h,
        "in_w": in_w,
        "out_h": out_h,
        "out_w": out_w,
        "kernel_h": kernel_h,
        "kernel_w": kernel_w,
        "stride_h": stride_h,
        "stride_w": stride_w,
        "dilation_h": dilation_h,
        "dilation_w": dilation_w,
        "pad_top": padding_before(in_h, out_h, kernel_h, stride_h, dilation_h, padding),
        "pad_left": padding_before(in_w, out_w, kernel_w, stride_w, dilation_w, padding),
    }
