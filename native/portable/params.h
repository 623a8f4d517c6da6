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
    int32_t four_bit_weights;          /* 1: every weight is in [-8, 7]; kernels may store two in a byte */
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
/* Index of the first largest (or smallest) of `size` integers of element_size bytes along an axis; x is seen as
 * [outer, size, inner]. out: integers of output_size bytes (4 or 8), [outer, inner]. unit: one output element. */
typedef struct {
    int32_t outer, size, inner, element_size, output_size, smallest;
} zp_arg_extremum_params;

/* in: x, bytes [batch, outer, size, inner]; indices, integers of index_size bytes [batch, count].
 * out: bytes [batch, outer, count, inner]. An index outside [0, size) is taken as the nearest one inside.
 * unit: one copied row of `inner` bytes, batch*outer*count of them. */
typedef struct {
    int32_t batch, outer, size, inner, count, index_size;
} zp_gather_params;

/* in: x, bytes [size[0], .., size[depth - 1], inner]; indices, integers of index_size bytes [rows, depth].
 * out: bytes [rows, inner]. Indices outside as for gather. unit: one row. */
typedef struct {
    int32_t rows, depth, inner, index_size, size[ZP_MAX_RANK];
} zp_gather_nd_params;

/* Integers of one width to another, modulo 2^(8 output_size); input_offset is added first and output_offset last (128 and
 * -128 where the file says uint8). to_bool = 1: 0 stays 0, all else is 1. unit: one element; count of them. */
typedef struct {
    int32_t count, input_size, output_size, input_offset, output_offset, to_bool;
} zp_cast_params;

/* Element by element, broadcasting as zp_add_params; out: bool. Integers of element_size bytes are compared as they are;
 * with rescale = 1 (int8 only) both are centred, shifted left and rescaled first.
 * unit: one output element. */
enum { ZP_EQUAL, ZP_NOT_EQUAL, ZP_LESS, ZP_LESS_EQUAL, ZP_GREATER, ZP_GREATER_EQUAL, ZP_COMPARISONS };
typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], stride1[ZP_MAX_RANK], stride2[ZP_MAX_RANK];
    int32_t comparison, element_size, rescale;
    int32_t input1_zero_point, input2_zero_point, left_shift, multiplier1, shift1, multiplier2, shift2;
} zp_compare_params;

/* y = mask ? x1 : x2, broadcasting; in: mask bool, x1, x2 of element_size bytes. unit: one output element. */
typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], stride0[ZP_MAX_RANK], stride1[ZP_MAX_RANK], stride2[ZP_MAX_RANK], element_size;
} zp_select_params;

/* Arithmetic of plain integers of element_size bytes (bool too), modulo 2^(8 element_size), broadcasting. Division and
 * remainder round towards -infinity; by 0 they are 0. unit: one output element. */
enum {
    ZP_INTEGER_ADD, ZP_INTEGER_SUB, ZP_INTEGER_MUL, ZP_INTEGER_FLOOR_DIV, ZP_INTEGER_FLOOR_MOD, ZP_INTEGER_MAXIMUM,
    ZP_INTEGER_MINIMUM, ZP_INTEGER_AND, ZP_INTEGER_OR, ZP_INTEGER_XOR, ZP_INTEGER_OPERATIONS
};
typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], stride1[ZP_MAX_RANK], stride2[ZP_MAX_RANK];
    int32_t operation, element_size;
} zp_integer_arithmetic_params;

/* Stacks of matrix products: x1 int8 [.., rows, depth], x2 int8 [.., columns, depth] (its rows are the columns of the
 * product's right factor); matrix b of the result is that of matrices first[b] and second[b].
 * unit: one output row, batch*rows of them. */
typedef struct {
    int32_t batch, rows, columns, depth;
    int32_t input1_zero_point, input2_zero_point, output_zero_point, multiplier, shift, clamp_min, clamp_max;
    const int32_t *first, *second; /* [batch] */
} zp_batch_matmul_params;

/* y = Z_y + rescale(d^2), d the difference of both inputs, shifted left and rescaled. unit: one output element. */
typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], stride1[ZP_MAX_RANK], stride2[ZP_MAX_RANK];
    int32_t input1_zero_point, input2_zero_point, output_zero_point, clamp_min, clamp_max;
    int32_t left_shift, multiplier1, shift1, multiplier2, shift2, output_multiplier, output_shift;
} zp_squared_difference_params;

/* y = Z_y + M1 (x - Z_x) where x >= Z_x, else Z_y + M2 (x - Z_x)(slope - Z_slope), broadcasting x and slope.
 * unit: one output element. */
typedef struct {
    int32_t rank, shape[ZP_MAX_RANK], stride1[ZP_MAX_RANK], stride2[ZP_MAX_RANK];
    int32_t input1_zero_point, input2_zero_point, output_zero_point, clamp_min, clamp_max;
    int32_t multiplier1, shift1, multiplier2, shift2;
} zp_prelu_params;

/* Each row of `depth` codes divided by its Euclidean norm; the output's scale is 1/128, its zero point 0. The factor 128 is
 * taken before the multiplication where scale_first = 1 (as for a file that says uint8), else after. unit: one row. */
typedef struct {
    int32_t rows, depth, input_zero_point, scale_first;
} zp_l2_normalization_params;

/* Logarithm of softmax over the innermost `depth` values; output scale 1/16, zero point 127. The multipliers map code
 * differences to Q5 and back. unit: one row. */
typedef struct {
    int32_t rows, depth, input_multiplier, input_shift, reverse_multiplier, reverse_shift, diff_min;
} zp_log_softmax_params;

/* The `count` largest codes of each row of `depth`, falling, of equal ones the first; out: codes int8 [rows, count] and
 * their places int32 [rows, count]. unit: one row. */
typedef struct {
    int32_t rows, depth, count;
} zp_top_k_params;

/* A recurrent low-rank layer. in: x int8 [batch, in_features]; w_feature int8 [units*rank, in_features]; w_time int16
 * [units*rank, memory]; bias int32 [units] or NULL; state int16 [batch, units*rank, memory].
 * out: y int8 [batch, units]; the next state, whose last column is this input's features, the others moved up by one.
 * unit: one (batch, unit) pair. */
typedef struct {
    int32_t batch, in_features, units, rank, memory;
    int32_t input_zero_point, output_zero_point, clamp_min, clamp_max;
    int32_t feature_multiplier, feature_shift, output_multiplier, output_shift;
} zp_svdf_params;

/* An LSTM over `time` steps with int8 activations and int16 cell state. Gates in order input, forget, cell, output.
 * in: 0 x int8; 1-4 weights int8 [cells, in_features] (1 NULL: the input gate is 1 - forget); 5-8 recurrent weights int8
 * [cells, outputs]; 9-11 peephole weights int16 [cells] of input, forget, output or NULL; 12-15 biases int32 [cells];
 * 16 projection int8 [outputs, cells] or NULL; 17 its bias int32 [outputs] or NULL; 18 output state int8 [batch, outputs];
 * 19 cell state int16 [batch, cells]; 20-23 layer normalisation int16 [cells] or NULL.
 * out: y int8, the next output state, the next cell state, and scratch int16 [batch, 4*cells].
 * x and y hold vector t of sequence b at (b*batch_stride + t*time_stride) vectors. A gate's preactivation is
 * Q3 of 12 fraction bits; the cell state has scale 2^cell_exponent; clips of 0 are none. unit: one sequence. */
typedef struct {
    int32_t batch, time, in_features, cells, outputs, batch_stride, time_stride;
    int32_t input_zero_point, output_zero_point, hidden_zero_point, cell_exponent, cell_clip, projection_clip;
    int32_t input_multiplier[4], input_shift[4], recurrent_multiplier[4], recurrent_shift[4];
    int32_t peephole_multiplier[4], peephole_shift[4], norm_multiplier[4], norm_shift[4], variance_guard[4];
    int32_t hidden_multiplier, hidden_shift, projection_multiplier, projection_shift;
} zp_lstm_params;

#ifdef __cplusplus
}
#endif
#endif
