/* The portable kernels on numbers that can be worked out by hand, and on random ones against a slower way.
 * No framework, no library: exit status 0 is success. Meant to run under the address and undefined-behaviour sanitizers
 * too, which is why every buffer is allocated to its exact size. */
#undef NDEBUG
#include "../portable/portable.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../portable/fixedpoint.h"

static uint64_t state = 1181783497276652981u;

/* A fixed sequence of numbers (xorshift), the same on every machine: between low and high, both included. */
static int32_t between(int32_t low, int32_t high) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return low + (int32_t)(((uint32_t)(state >> 24)) % (uint32_t)(high - low + 1));
}

static int8_t *codes(int32_t n) {
    int8_t *x = malloc((size_t)n);
    assert(x);
    for (int32_t i = 0; i < n; ++i) x[i] = (int8_t)between(-128, 127);
    for (int32_t i = between(0, 9); i < n; i += 10) x[i] = between(0, 1) ? -128 : 127;
    return x;
}

/* Runs a kernel over all its units, then unit by unit into another buffer: the split may not change anything. */
static int8_t *run(zp_kernel_fn kernel, const void *params, int32_t units, int32_t bytes, const void *in0,
                   const void *in1, const void *in2) {
    const void *in[3] = {in0, in1, in2};
    void *whole = malloc((size_t)bytes + 1), *split = malloc((size_t)bytes + 1);
    assert(whole && split);
    memset(whole, 0x33, (size_t)bytes + 1);
    memset(split, 0x44, (size_t)bytes + 1);
    const zp_buffers first = {in, &whole, NULL}, second = {in, &split, NULL};
    kernel(params, &first, 0, units);
    for (int32_t i = units - 1; i >= 0; --i) kernel(params, &second, i, i + 1);
    assert(memcmp(whole, split, (size_t)bytes) == 0);
    free(split);
    return whole;
}

static void test_conv_2d(void) {
    for (int32_t round = 0; round < 200; ++round) {
        zp_conv_2d_params p;
        memset(&p, 0, sizeof p);
        p.groups = between(1, 3);
        p.batch = between(1, 2), p.in_h = between(1, 6), p.in_w = between(1, 6);
        p.in_c = p.groups * between(1, 5), p.out_c = p.groups * between(1, 3);
        p.kernel_h = between(1, 4), p.kernel_w = between(1, 4);
        p.stride_h = between(1, 3), p.stride_w = between(1, 3);
        p.dilation_h = between(1, 3), p.dilation_w = between(1, 3);
        p.out_h = between(1, 4), p.out_w = between(1, 4), p.pad_top = between(0, 9), p.pad_left = between(0, 9);
        p.input_zero_point = between(-128, 127), p.weight_zero_point = between(-128, 127);
        p.output_zero_point = between(-128, 127), p.clamp_min = between(-128, 0), p.clamp_max = between(0, 127);
        int32_t multiplier[9], shift[9], bias[9];
        for (int32_t c = 0; c < 9; ++c) {
            multiplier[c] = between(1 << 30, INT32_MAX - 1), shift[c] = between(-31, 30);
            bias[c] = between(0, 2) ? between(-9999, 9999) : (between(0, 1) ? INT32_MAX : INT32_MIN);
        }
        p.multiplier = multiplier, p.shift = shift;
        const int32_t group_in = p.in_c / p.groups;
        int8_t *x = codes(p.batch * p.in_h * p.in_w * p.in_c);
        int8_t *w = codes(p.out_c * p.kernel_h * p.kernel_w * group_in);
        const int32_t units = p.batch * p.out_h;
        int8_t *y = run(zp_conv_2d_s8_portable, &p, units, units * p.out_w * p.out_c, x, w, round % 3 ? bias : NULL);
        const int8_t *at = y;
        for (int32_t n = 0; n < p.batch; ++n)
            for (int32_t oh = 0; oh < p.out_h; ++oh)
                for (int32_t ow = 0; ow < p.out_w; ++ow)
                    for (int32_t oc = 0; oc < p.out_c; ++oc) {
                        int64_t sum = round % 3 ? bias[oc] : 0;
                        for (int32_t kh = 0; kh < p.kernel_h; ++kh)
                            for (int32_t kw = 0; kw < p.kernel_w; ++kw)
                                for (int32_t ic = 0; ic < group_in; ++ic) {
                                    const int32_t ih = oh * p.stride_h - p.pad_top + kh * p.dilation_h;
                                    const int32_t iw = ow * p.stride_w - p.pad_left + kw * p.dilation_w;
                                    if (ih < 0 || ih >= p.in_h || iw < 0 || iw >= p.in_w) continue;
                                    const int32_t c = oc / (p.out_c / p.groups) * group_in + ic;
                                    sum += (x[((n * p.in_h + ih) * p.in_w + iw) * p.in_c + c] - p.input_zero_point) *
                                           (w[((oc * p.kernel_h + kh) * p.kernel_w + kw) * group_in + ic] -
                                            p.weight_zero_point);
                                }
                        const int32_t accumulator = zp_int32_from_bits((uint32_t)(uint64_t)sum);
                        assert(*at++ == zp_requantize(accumulator, multiplier[oc], shift[oc], p.output_zero_point,
                                                      p.clamp_min, p.clamp_max));
                    }
        free(x), free(w), free(y);
    }
}

/* A depthwise convolution is a grouped convolution with one input channel a group, its weights in another order. */
static void test_depthwise_conv_2d(void) {
    for (int32_t round = 0; round < 100; ++round) {
        zp_depthwise_conv_2d_params p;
        zp_conv_2d_params q;
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        p.in_c = round % 4 ? between(1, 9) : between(60, 70), p.depth_multiplier = between(1, 3);
        p.out_c = p.in_c * p.depth_multiplier;
        p.batch = between(1, 2), p.in_h = between(1, 6), p.in_w = between(1, 6);
        p.out_h = between(1, 4), p.out_w = between(1, 4);
        p.kernel_h = between(1, 3), p.kernel_w = between(1, 3), p.stride_h = between(1, 3), p.stride_w = between(1, 3);
        p.dilation_h = between(1, 2), p.dilation_w = between(1, 2);
        p.pad_top = between(0, 4), p.pad_left = between(0, 4);
        p.input_zero_point = between(-128, 127), p.weight_zero_point = between(-128, 127);
        p.output_zero_point = between(-128, 127), p.clamp_min = -128, p.clamp_max = 127;
        int32_t multiplier[210], shift[210], bias[210];
        for (int32_t c = 0; c < 210; ++c)
            multiplier[c] = between(1 << 30, INT32_MAX - 1), shift[c] = between(-12, 2), bias[c] = between(-9999, 9999);
        p.multiplier = multiplier, p.shift = shift;
        q.batch = p.batch, q.in_h = p.in_h, q.in_w = p.in_w, q.in_c = p.in_c, q.out_h = p.out_h, q.out_w = p.out_w;
        q.out_c = p.out_c, q.kernel_h = p.kernel_h, q.kernel_w = p.kernel_w, q.stride_h = p.stride_h;
        q.stride_w = p.stride_w, q.dilation_h = p.dilation_h, q.dilation_w = p.dilation_w, q.pad_top = p.pad_top;
        q.pad_left = p.pad_left, q.groups = p.in_c, q.input_zero_point = p.input_zero_point;
        q.weight_zero_point = p.weight_zero_point, q.output_zero_point = p.output_zero_point;
        q.clamp_min = p.clamp_min, q.clamp_max = p.clamp_max, q.multiplier = multiplier, q.shift = shift;
        const int32_t window = p.kernel_h * p.kernel_w, units = p.batch * p.out_h, bytes = units * p.out_w * p.out_c;
        int8_t *x = codes(p.batch * p.in_h * p.in_w * p.in_c);
        int8_t *w = codes(window * p.out_c), *turned = codes(window * p.out_c);
        for (int32_t k = 0; k < window; ++k)
            for (int32_t c = 0; c < p.out_c; ++c) turned[c * window + k] = w[k * p.out_c + c];
        int8_t *y = run(zp_depthwise_conv_2d_s8_portable, &p, units, bytes, x, w, bias);
        int8_t *z = run(zp_conv_2d_s8_portable, &q, units, bytes, x, turned, bias);
        assert(memcmp(y, z, (size_t)bytes) == 0);
        free(x), free(w), free(turned), free(y), free(z);
    }
}

/* A matrix product is a 1x1 convolution over a row of pixels. */
static void test_fully_connected(void) {
    for (int32_t round = 0; round < 100; ++round) {
        zp_fully_connected_params p;
        zp_conv_2d_params q;
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        p.rows = between(1, 5), p.in_features = between(1, 70), p.out_features = between(1, 9);
        p.input_zero_point = between(-128, 127), p.weight_zero_point = between(-128, 127);
        p.output_zero_point = between(-128, 127), p.clamp_min = -100, p.clamp_max = 100;
        int32_t multiplier[9], shift[9], low[9] = {0}, bias[9];
        for (int32_t c = 0; c < 9; ++c)
            multiplier[c] = between(1 << 30, INT32_MAX - 1), shift[c] = between(-31, 3), bias[c] = between(-9999, 9999);
        p.multiplier = multiplier, p.shift = shift;
        q.batch = q.in_h = q.out_h = q.kernel_h = q.kernel_w = q.stride_h = q.stride_w = 1;
        q.dilation_h = q.dilation_w = q.groups = 1, q.in_w = q.out_w = p.rows, q.in_c = p.in_features;
        q.out_c = p.out_features, q.input_zero_point = p.input_zero_point, q.weight_zero_point = p.weight_zero_point;
        q.output_zero_point = p.output_zero_point, q.clamp_min = -100, q.clamp_max = 100;
        q.multiplier = multiplier, q.shift = shift;
        int8_t *x = codes(p.rows * p.in_features), *w = codes(p.out_features * p.in_features);
        const int32_t bytes = p.rows * p.out_features;
        int8_t *y = run(zp_fully_connected_s8_portable, &p, bytes, bytes, x, w, bias);
        int8_t *z = run(zp_conv_2d_s8_portable, &q, 1, bytes, x, w, bias);
        assert(memcmp(y, z, (size_t)bytes) == 0);
        p.multiplier_low = low; /* rounding once or twice differs by one step at most */
        int8_t *once = run(zp_fully_connected_s8_portable, &p, bytes, bytes, x, w, bias);
        for (int32_t i = 0; i < bytes; ++i)
            if (shift[i % p.out_features] <= 0) assert(abs(once[i] - y[i]) <= 1);
        free(x), free(w), free(y), free(z), free(once);
    }
}

static void test_pools(void) {
    const int8_t x[9] = {1, 2, 3, 4, 5, 6, -7, -8, 127};
    zp_pool_2d_params p;
    memset(&p, 0, sizeof p);
    p.batch = p.channels = 1, p.in_h = p.in_w = 3, p.out_h = p.out_w = 2, p.kernel_h = p.kernel_w = 2;
    p.stride_h = p.stride_w = 2, p.clamp_min = -128, p.clamp_max = 127;
    int8_t *y = run(zp_average_pool_2d_s8_portable, &p, 2, 4, x, NULL, NULL);
    assert(y[0] == 3 && y[1] == 5 && y[2] == -8 && y[3] == 127); /* 12/4, 9/2, -15/2, 127/1: halves away from zero */
    free(y);
    p.code_offset = 128; /* the same codes, counted from the lowest: halves up */
    y = run(zp_average_pool_2d_s8_portable, &p, 2, 4, x, NULL, NULL);
    assert(y[0] == 3 && y[1] == 5 && y[2] == -7 && y[3] == 127);
    free(y);
    p.clamp_max = 100;
    y = run(zp_max_pool_2d_s8_portable, &p, 2, 4, x, NULL, NULL);
    assert(y[0] == 5 && y[1] == 6 && y[2] == -7 && y[3] == 100);
    free(y);
}

static void test_add_and_mul(void) {
    zp_add_params p;
    memset(&p, 0, sizeof p);
    p.rank = 2, p.shape[0] = 2, p.shape[1] = 3, p.stride1[0] = 3, p.stride1[1] = 1, p.stride2[1] = 1;
    p.left_shift = 20, p.multiplier1 = p.multiplier2 = p.output_multiplier = 1 << 30; /* three equal scales: */
    p.shift1 = p.shift2 = 0, p.output_shift = -18, p.clamp_min = -128, p.clamp_max = 127; /* 1/2, 1/2, 2 / 2^20 */
    p.input1_zero_point = 1, p.input2_zero_point = -2, p.output_zero_point = 5;
    const int8_t a[6] = {1, 2, 3, 4, 127, -128}, b[3] = {-2, 0, 100};
    int8_t *y = run(zp_add_s8_portable, &p, 6, 6, a, b, NULL);
    const int8_t sum[6] = {5, 8, 109, 8, 127, -22};
    assert(memcmp(y, sum, 6) == 0);
    free(y);
    p.subtract = 1;
    y = run(zp_add_s8_portable, &p, 6, 6, a, b, NULL);
    const int8_t difference[6] = {5, 4, -95, 8, 127, -128};
    assert(memcmp(y, difference, 6) == 0);
    free(y);

    zp_mul_params m;
    memset(&m, 0, sizeof m);
    m.rank = 1, m.shape[0] = 6, m.stride1[0] = 1, m.multiplier = 1 << 30, m.shift = -1; /* M = 1/4 */
    m.input1_zero_point = 1, m.clamp_min = -50, m.clamp_max = 127;
    const int8_t six = 6;
    y = run(zp_mul_s8_portable, &m, 6, 6, a, &six, NULL);
    const int8_t product[6] = {0, 2, 3, 5, 127, -50}; /* 0, 6/4, 12/4, 18/4, 189, -193.5 */
    assert(memcmp(y, product, 6) == 0);
    free(y);
}

static void test_reduce(void) {
    zp_reduce_params p;
    memset(&p, 0, sizeof p);
    int8_t x[24];
    for (int32_t i = 0; i < 24; ++i) x[i] = (int8_t)i; /* shape 2, 3, 4; the mean over the middle */
    p.keep_rank = 2, p.keep_shape[0] = 2, p.keep_shape[1] = 4, p.keep_stride[0] = 12, p.keep_stride[1] = 1;
    p.reduce_rank = 1, p.reduce_shape[0] = 3, p.reduce_stride[0] = 4;
    p.multiplier = 1431655765, p.shift = -1, p.clamp_min = -128, p.clamp_max = 127; /* 1/3 */
    int8_t *y = run(zp_reduce_s8_portable, &p, 8, 8, x, NULL, NULL);
    const int8_t mean[8] = {4, 5, 6, 7, 16, 17, 18, 19};
    assert(memcmp(y, mean, 8) == 0);
    free(y);
    p.input_zero_point = 4, p.output_zero_point = -100;
    y = run(zp_reduce_s8_portable, &p, 8, 8, x, NULL, NULL);
    for (int32_t i = 0; i < 8; ++i) assert(y[i] == mean[i] - 104);
    free(y);
}

static void test_softmax(void) {
    zp_softmax_params p = {3, 4, 1 << 30, 27, -15}; /* beta * scale = 1 */
    const int8_t x[12] = {5, 5, 5, 5, 127, -128, -128, -128, 1, 0, 0, 0};
    int8_t *y = run(zp_softmax_s8_portable, &p, 3, 12, x, NULL, NULL);
    for (int32_t i = 0; i < 4; ++i) assert(y[i] == -64);                         /* 1/4 of 256 */
    assert(y[4] == 127 && y[5] == -128 && y[6] == -128 && y[7] == -128);         /* 256 saturates */
    assert(y[8] == 122 - 128 && y[9] == 45 - 128 && y[9] == y[10] && y[10] == y[11]); /* e / (e + 3), 1 / (e + 3) */
    free(y);
    for (int32_t round = 0; round < 300; ++round) {
        zp_softmax_params q = {2, between(1, 2000), between(1 << 30, INT32_MAX - 1), between(0, 31), 0};
        q.diff_min = -(int32_t)((INT64_C(31) << 26) >> q.input_left_shift);
        int8_t *in = codes(2 * q.depth);
        if (round % 3 == 0) memset(in, 7, (size_t)(2 * q.depth));
        free(run(zp_softmax_s8_portable, &q, 2, 2 * q.depth, in, NULL, NULL));
        free(in);
    }
}

static void test_resizes(void) {
    const int8_t x[4] = {0, 100, -100, 50};
    const int32_t row[3] = {0, 1, 1}, col[2] = {1, 0};
    const zp_resize_nearest_neighbor_params nearest = {1, 2, 2, 1, 3, 2, row, col};
    int8_t *y = run(zp_resize_nearest_neighbor_s8_portable, &nearest, 3, 6, x, NULL, NULL);
    const int8_t picked[6] = {100, 0, 50, -100, 50, -100};
    assert(memcmp(y, picked, 6) == 0);
    free(y);

    /* halfway between everything, in both notations of the weight 1/2; then at a corner */
    const int32_t low[2] = {0, 1}, high[2] = {1, 1}, weight[2] = {1, 2}, rest[2] = {1, 0};
    const int32_t single[2] = {0x3f000000, 0x3f800000}, single_rest[2] = {0x3f000000, 0};
    for (int32_t offset = 0; offset <= 128; offset += 128) {
        zp_resize_bilinear_params p = {1,   2,    2,      1,    2,   2,    offset, 0,
                                       1,   low,  high,   weight, rest, low,  high,   weight, rest};
        for (int32_t i = 0; i < 2; ++i) {
            y = run(zp_resize_bilinear_s8_portable, &p, 2, 4, x, NULL, NULL);
            assert(y[0] == 13); /* 50/4: a half, away from zero */
            assert(y[1] == 75 && y[2] == -25 && y[3] == 50);
            free(y);
            p.single_precision = 1, p.row_low_weight = p.col_low_weight = single;
            p.row_high_weight = p.col_high_weight = single_rest;
        }
    }
    /* integer weights so far above 1 that the sum leaves int32: the code saturates, by the sign of code + offset */
    const int32_t at[2] = {0, 1}, big = 1 << 26, none = 0;
    for (int32_t offset = 0; offset <= 128; offset += 128) {
        for (int32_t column = 0; column < 2; ++column) { /* codes -100 and 50 */
            const zp_resize_bilinear_params p = {1,      2,      2,    1,     1,           1,           offset, 0,    0,
                                                 &at[1], &at[1], &big, &none, &at[column], &at[column], &big,   &none};
            y = run(zp_resize_bilinear_s8_portable, &p, 1, 1, x, NULL, NULL);
            assert(y[0] == (column || offset ? 127 : -128));
            free(y);
        }
    }
    for (int32_t round = 0; round < 2000; ++round) { /* any encoding of a weight whatsoever is defined behaviour */
        int32_t wild[4];
        for (int32_t i = 0; i < 4; ++i)
            wild[i] = zp_int32_from_bits((uint32_t)between(0, 65535) << 16 | (uint32_t)between(0, 65535));
        const int32_t zero = 0;
        const zp_resize_bilinear_params p = {1,     2,     2,        1,        1,     1,     round % 2 * 128, 1, 0,
                                             &zero, &zero, &wild[0], &wild[1], &zero, &zero, &wild[2],        &wild[3]};
        free(run(zp_resize_bilinear_s8_portable, &p, 1, 1, x, NULL, NULL));
    }
}

static void test_moves(void) {
    const int16_t x[6] = {1, 2, 3, 4, 5, 6}; /* 2 x 3, transposed, then its rows backwards */
    zp_strided_copy_params copy;
    memset(&copy, 0, sizeof copy);
    copy.rank = 2, copy.shape[0] = 3, copy.shape[1] = 2, copy.in_stride[0] = 1, copy.in_stride[1] = 3;
    copy.element_size = 2;
    int8_t *y = run(zp_strided_copy_s8_portable, &copy, 3, 12, x, NULL, NULL);
    const int16_t transposed[6] = {1, 4, 2, 5, 3, 6};
    assert(memcmp(y, transposed, 12) == 0);
    free(y);
    copy.shape[0] = 2, copy.shape[1] = 3, copy.in_stride[0] = 3, copy.in_stride[1] = -1, copy.in_offset = 2;
    y = run(zp_strided_copy_s8_portable, &copy, 2, 12, x, NULL, NULL);
    const int16_t backwards[6] = {3, 2, 1, 6, 5, 4};
    assert(memcmp(y, backwards, 12) == 0);
    free(y);

    zp_pad_params pad;
    memset(&pad, 0, sizeof pad);
    pad.rank = 2, pad.in_shape[0] = 2, pad.in_shape[1] = 3, pad.before[0] = 1, pad.before[1] = 0;
    pad.out_shape[0] = 4, pad.out_shape[1] = 4, pad.value = -2, pad.element_size = 2;
    y = run(zp_pad_s8_portable, &pad, 4, 32, x, NULL, NULL);
    const int16_t framed[16] = {-2, -2, -2, -2, 1, 2, 3, -2, 4, 5, 6, -2, -2, -2, -2, -2};
    assert(memcmp(y, framed, 32) == 0);
    free(y);

    const int8_t left[4] = {1, 2, 3, 4}, right[2] = {8, 9};
    const int32_t inner[3] = {2, 0, 1};
    const zp_concatenation_params join = {2, 3, inner};
    y = run(zp_concatenation_s8_portable, &join, 2, 6, left, NULL, right);
    const int8_t joined[6] = {1, 2, 8, 3, 4, 9};
    assert(memcmp(y, joined, 6) == 0);
    free(y);

    int8_t table[512];
    for (int32_t i = 0; i < 256; ++i) table[i] = (int8_t)(i - 128), table[256 + i] = (int8_t)(127 - i);
    const zp_table_params look = {4, 2, table};
    const int8_t looked[4] = {1, -3, 3, -5}; /* the second channel's table is q -> -1 - q */
    y = run(zp_table_s8_portable, &look, 4, 4, left, NULL, NULL);
    assert(memcmp(y, looked, 4) == 0);
    free(y);
}

int main(void) {
    test_conv_2d();
    test_depthwise_conv_2d();
    test_fully_connected();
    test_pools();
    test_add_and_mul();
    test_reduce();
    test_softmax();
    test_resizes();
    test_moves();
    puts("portable kernels: ok");
    return 0;
}
