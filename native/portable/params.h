/* The integer parameters of every operation, as the plan hands them to the kernels.
 *
 * Everything here is an integer: scales became (multiplier, shift) pairs before the engine saw the
 * network (S3). `shift` follows TFLite's sign: positive shifts left, negative is a rounding right
 * shift, so M = multiplier * 2^(shift - 31). Layout is NHWC, weights as stored in a TFLite file.
 * The field names are the attribute names of the planner's operation records. */
#ifndef ZP_PORTABLE_PARAMS_H
#define ZP_PORTABLE_PARAMS_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* in: x int8 [batch,in_h,in_w,in_c]; w int8 [out_c,kernel_h,kernel_w,in_c/groups]; bias int32 [out_c] or NULL.
 * unit: one output row (n, oh), batch*out_h of them. Padding positions contribute nothing (x = zero point). */
typedef struct {
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w;
    int32_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, groups;
    int32_t input_zero_point, weight_zero_point, output_zero_point, clamp_min, clamp_max;
    const int32_t *multiplier, *shift; /* [out_c] */
} zp_conv_2d_params;

/* w int8 [kernel_h,kernel_w,out_c], out_c = in_c*depth_multiplier; output channel ic*depth_multiplier+m.
 * unit: one output row (n, oh). */
typedef struct {
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w;
    int32_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, depth_multiplier;
    int32_t input_zero_point, weight_zero_point, output_zero_point, clamp_min, clamp_max;
    const int32_t *multiplier, *shift; /* [out_c] */
} zp_depthwise_conv_2d_params;

/* x int8 [rows,in_features]; w int8 [out_features,in_features]; bias int32 [out_features] or NULL.
 * Where multiplier_low is given, the accumulator is multiplied by the exact M and rounded once (fixedpoint.h, second
 * profile; what LiteRT's reference does here and nowhere else); where it is NULL, by the two roundings of every other
 * operation.
 * unit: one (row, output feature) pair, rows*out_features of them, row-major. */
typedef struct {
    int32_t rows, in_features, out_features;
    int32_t input_zero_point, weight_zero_point, output_zero_point, clamp_min, clamp_max;
    const int32_t *multiplier, *shift; /* [out_features] */
    const int32_t *multiplier_low;     /* [out_features], or NULL */
} zp_fully_connected_params;

/* Element-wise with broadcasting: strides are in elements, 0 along a broadcast dimension; shape is the output's,
 * rank entries used. unit: one output element in row-major order.
 * add: both inputs are shifted left by left_shift, rescaled, added (or subtracted), rescaled (S9). */
typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], stride1[ZP_MAX_RANK], stride2[ZP_MAX_RANK];
    int32_t input1_zero_point, input2_zero_point, output_zero_point, clamp_min, clamp_max;
    int32_t left_shift, multiplier1, shift1, multiplier2, shift2, output_multiplier, output_shift;
    int32_t subtract; /* 1: input1 - input2 */
} zp_add_params;

typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], stride1[ZP_MAX_RANK], stride2[ZP_MAX_RANK];
    int32_t input1_zero_point, input2_zero_point, output_zero_point, clamp_min, clamp_max;
    int32_t multiplier, shift;
} zp_mul_params;

/* Average (padding not counted, halves away from zero) and max pooling. `code_offset` is added to the codes before
 * averaging and taken off after (128 for a network whose file says uint8: there, half a step is always rounded up); max
 * pooling has no use for it. unit: one output row (n, oh). */
typedef struct {
    int32_t batch, in_h, in_w, channels, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
    int32_t clamp_min, clamp_max, code_offset;
} zp_pool_2d_params;

/* Mean or sum over some axes of a row-major tensor; keep_shape/keep_stride walk the output elements through the input,
 * reduce_shape/reduce_stride the elements added up for one output (strides in elements).
 * q = clamp(output_zero_point + rescale(sum - count*input_zero_point)). For a mean the division by count is part of
 * (multiplier, shift): arithmetic/reduce.py folds it in the way LiteRT does. unit: one output element. */
typedef struct {
    int32_t keep_rank, keep_shape[ZP_MAX_RANK], keep_stride[ZP_MAX_RANK];
    int32_t reduce_rank, reduce_shape[ZP_MAX_RANK], reduce_stride[ZP_MAX_RANK];
    int32_t input_zero_point, output_zero_point, multiplier, shift, clamp_min, clamp_max;
} zp_reduce_params;

/* y[i] = table[x[i] + 128]; one table (channels == 1) or one per innermost channel: table int8 [channels][256].
 * unit: one element; count of them. */
typedef struct {
    int32_t count, channels;
    const int8_t *table;
} zp_table_params;

/* Fixed-point softmax over the innermost `depth` values of `rows` rows (gemmlowp's exponential). unit: one row. */
typedef struct {
    int32_t rows, depth, input_multiplier, input_left_shift, diff_min;
} zp_softmax_params;

/* Moves elements without arithmetic: out[i] = in[in_offset + sum i_d*in_stride[d]], row-major over shape.
 * Serves transpose, slice, strided slice (negative strides too), split, broadcast. Strides and offset in elements.
 * unit: one slice along the outermost dimension. */
typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], in_stride[ZP_MAX_RANK], in_offset, element_size;
} zp_strided_copy_params;

/* out = value everywhere, then in[...] copied to offset before[d].
 * unit: one slice along the outermost output dimension. */
typedef struct {
    int32_t rank, in_shape[ZP_MAX_RANK], before[ZP_MAX_RANK], out_shape[ZP_MAX_RANK], value, element_size;
} zp_pad_params;

/* Joins inputs along an axis: for each of `outer` steps, copies inner[i] bytes from input i. unit: one outer step. */
typedef struct {
    int32_t outer, n_inputs;
    const int32_t *inner; /* [n_inputs], bytes */
} zp_concatenation_params;

/* y(n, oh, ow, :) = x(n, row[oh], col[ow], :). Where an output position falls in the input is worked out in real
 * numbers, so it is done before the engine sees the network (arithmetic/resize.py) and handed over as positions.
 * unit: one output row (n, oh). */
typedef struct {
    int32_t batch, in_h, in_w, channels, out_h, out_w;
    const int32_t *row, *col; /* [out_h], [out_w] */
} zp_resize_nearest_neighbor_params;

/* Each output lies between input rows row_low[oh] and row_high[oh], weighted row_low_weight[oh] and
 * row_high_weight[oh], and between columns likewise. `code_offset` is added to the codes before weighting and taken off
 * after (128 for a network whose file says uint8). Weights are in one of two notations:
 *   single_precision = 0: integers, the real weight times 2^weight_bits; the sum is exact, halves away from zero;
 *   single_precision = 1: encodings of IEEE 754 single precision numbers, for equality with a reference that
 *                         interpolates in them; weight_bits is unused. Computed in integers all the same
 *                         (resize_bilinear.c).
 * unit: one output row (n, oh). */
typedef struct {
    int32_t batch, in_h, in_w, channels, out_h, out_w, code_offset, single_precision, weight_bits;
    const int32_t *row_low, *row_high, *row_low_weight, *row_high_weight; /* [out_h] */
    const int32_t *col_low, *col_high, *col_low_weight, *col_high_weight; /* [out_w] */
} zp_resize_bilinear_params;

/* --- 16-bit activations with 8-bit weights. int16 codes have zero point 0, so none is listed (sixteen.h). ---
 *
 * x int16, w int8, y int16; shapes and units as for conv_2d. accumulator_bits: 64 (bias int64, or none) or 32 (bias int32,
 * or none). multiplier >= 0, -31 <= shift <= 14. */
typedef struct {
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w;
    int32_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, groups;
    int32_t accumulator_bits, clamp_min, clamp_max;
    const int32_t *multiplier, *shift; /* [out_c] */
} zp_conv_2d_s16_params;

/* As depthwise_conv_2d; accumulator_bits as above. */
typedef struct {
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w;
    int32_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, depth_multiplier;
    int32_t accumulator_bits, clamp_min, clamp_max;
    const int32_t *multiplier, *shift; /* [out_c] */
} zp_depthwise_conv_2d_s16_params;

/* As fully_connected, always multiplied by the exact M; accumulator_bits as above. */
typedef struct {
    int32_t rows, in_features, out_features;
    int32_t accumulator_bits, clamp_min, clamp_max;
    const int32_t *multiplier, *multiplier_low, *shift; /* [out_features] */
} zp_fully_connected_s16_params;

/* a int16 [batch,rows,depth]; b int16 [batch,columns,depth]; y int16 [batch,rows,columns]. unit: one row (n, i). */
typedef struct {
    int32_t batch, rows, columns, depth, multiplier, shift, clamp_min, clamp_max;
} zp_batch_matmul_s16_params;

/* Element-wise with broadcasting, as add, mul. */
typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], stride1[ZP_MAX_RANK], stride2[ZP_MAX_RANK];
    int32_t left_shift, multiplier1, shift1, multiplier2, shift2, output_multiplier, output_shift;
    int32_t subtract, clamp_min, clamp_max;
} zp_add_s16_params;

typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], stride1[ZP_MAX_RANK], stride2[ZP_MAX_RANK];
    int32_t multiplier, shift, clamp_min, clamp_max;
} zp_mul_s16_params;

typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], stride1[ZP_MAX_RANK], stride2[ZP_MAX_RANK];
    int32_t smallest; /* 1: the minimum */
} zp_extremum_s16_params;

/* x of input_size bytes, y of output_size bytes (1, 2 or 4: int8, int16, int32), count of each. (multiplier, shift) where
 * x >= input_zero_point, (negative_multiplier, negative_shift) below. unit: one element. */
typedef struct {
    int32_t count, input_size, output_size, input_zero_point, output_zero_point;
    int32_t multiplier, shift, negative_multiplier, negative_shift, clamp_min, clamp_max;
} zp_rescale_s16_params;

/* Over the innermost `depth` <= 65536 values of `rows` rows. (input_multiplier, input_shift) bring differences of codes to
 * 65535 / 10 a unit. Tables of 513 values in [0, 32767], over 2^15: exp(d) for d in [-10, 0] and 1 / (1 + f) for f in
 * [0, 1]. unit: one row. */
typedef struct {
    int32_t rows, depth, input_multiplier, input_shift;
    const int32_t *exp_table, *reciprocal_table; /* [513] */
} zp_softmax_s16_params;

/* logistic and tanh. multiplier * 2^-shift brings codes to 1 / (24 * 512) a step (logistic); table: the logistic
 * function at i / 24 over 2^16, 256 values in [32768, 65534], the last up to 65535. unit: one element; count of them. */
typedef struct {
    int32_t count, multiplier, shift;
    const int32_t *table; /* [256] */
} zp_sigmoid_s16_params;

/* table: int16 codes, one for every 128th input code. unit: one element; count of them. */
typedef struct {
    int32_t count;
    const int32_t *table; /* [513] */
} zp_interpolate_s16_params;

#ifdef __cplusplus
}
#endif
#endif
