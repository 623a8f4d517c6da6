"""The law of the integers, in NumPy only: the affine map, nudging, multipliers, requantization, rounding.

Start with ``affine`` (what a code means), then ``fixedpoint`` (how codes are rescaled without reals), then ``matmul``
(what zero points cost) and ``tables`` (functions of one 8-bit code). Every other room computes by these.
"""

from zeropoint.arithmetic.affine import (
    QuantParams,
    activation_range,
    choose_params,
    dequantize,
    dtype_range,
    quantize,
    round_half_away,
)
from zeropoint.arithmetic.fixedpoint import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    quantize_multipliers,
    requantize,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    softmax_params,
)
from zeropoint.arithmetic.matmul import accumulator_bound, naive_matmul, safe_depth, unfolded_bias, unfolded_matmul
from zeropoint.arithmetic.tables import table_kinds, unary_table

__all__ = [
    "QuantParams",
    "accumulator_bound",
    "activation_range",
    "choose_params",
    "dequantize",
    "dtype_range",
    "multiply_by_quantized_multiplier",
    "naive_matmul",
    "quantize",
    "quantize_multiplier",
    "quantize_multipliers",
    "requantize",
    "round_half_away",
    "rounding_divide_by_pot",
    "safe_depth",
    "saturating_rounding_doubling_high_mul",
    "softmax_params",
    "table_kinds",
    "unary_table",
    "unfolded_bias",
    "unfolded_matmul",
]
