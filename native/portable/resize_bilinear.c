/* y = a (row low)(col low) + b (row high)(col low) + c (row low)(col high) + d (row high)(col high), the brackets being
 * weights and a, b, c, d the four codes around the output position.
 *
 * With integer weights that is one exact sum and one rounding. LiteRT's reference for uint8, though, interpolates in
 * single precision, where each product and each sum is rounded to 24 significant bits; whether a value next to one
 * half goes up or down then hangs on those roundings. Where they can matter, they are carried out here as what they
 * are: rounding an integer to 24 bits. A number is a pair (m, e), |m| <= 2^24, standing for m * 2^e. */
#include "resize_bilinear.h"

#include <stddef.h>

#include "fixedpoint.h"
#include "params.h"

typedef struct {
    int64_t m;
    int32_t e;
} rounded;

/* m * 2^e with m rounded to 24 significant bits, halves to even. */
static rounded round_to_24_bits(int64_t m, int32_t e) {
    const int negative = m < 0;
    uint64_t size = negative ? (uint64_t)0 - (uint64_t)m : (uint64_t)m;
    int32_t excess = 0;
    while (size >> excess >= (uint64_t)1 << 24) ++excess;
    if (excess > 0) {
        const uint64_t rest = size & (((uint64_t)1 << excess) - 1), half = (uint64_t)1 << (excess - 1);
        size >>= excess;
        if (rest > half || (rest == half && (size & 1u))) ++size; /* 2^24 itself is a single bit: still exact */
    }
    const rounded result = {negative ? -(int64_t)size : (int64_t)size, e + excess};
    return result;
}

static rounded product(rounded a, rounded b) { return round_to_24_bits(a.m * b.m, a.e + b.e); }

static rounded sum(rounded a, rounded b) {
    if (a.m == 0) return b;
    if (b.m == 0) return a;
    if (a.e < b.e) {
        const rounded swapped = a;
        a = b;
        b = swapped;
    }
    /* Bring a to b's exponent. Where that needs more than 36 places, b is less than half of a's last bit, once a is
     * written with all 24 of them. */
    while (a.m < (1 << 23) && a.m > -(1 << 23) && a.e > b.e) {
        a.m *= 2;
        --a.e;
    }
    if (a.e - b.e > 36) return a;
    return round_to_24_bits(a.m * ((int64_t)1 << (a.e - b.e)) + b.m, b.e);
}

/* The number that an IEEE 754 single precision encoding stands for (normal numbers and zero). */
static rounded decode(int32_t encoding) {
    const uint32_t bits = (uint32_t)encoding;
    const int64_t fraction = (int64_t)(bits & 0x7fffffu) | 0x800000;
    const rounded zero = {0, 0}, value = {bits >> 31 ? -fraction : fraction, (int32_t)(bits >> 23 & 0xffu) - 150};
    return (bits & 0x7fffffffu) == 0 ? zero : value;
}

/* Limited to what can become a code, with or without a code offset. */
static int32_t limited(int64_t value) { return (int32_t)(value < -512 ? -512 : value > 512 ? 512 : value); }

/* To the nearest integer, halves away from zero, limited. */
static int32_t nearest(rounded v) {
    const int64_t size = v.m < 0 ? -v.m : v.m;
    int64_t whole = 0;
    if (v.e >= 0)
        whole = v.e > 8 ? 512 : size << v.e;
    else if (v.e > -32)
        whole = (size + ((int64_t)1 << (-v.e - 1))) >> -v.e;
    return limited(v.m < 0 ? -whole : whole);
}

static int32_t weigh_rounded(const int32_t code[4], const rounded row[2], const rounded col[2]) {
    rounded total = {0, 0};
    for (int32_t i = 0; i < 4; ++i) { /* low low, high low, low high, high high: the reference's order */
        const rounded value = {code[i], 0};
        total = sum(total, product(product(value, row[i & 1]), col[i >> 1]));
    }
    return nearest(total);
}

static int32_t weigh_exact(const int32_t code[4], const int32_t row[2], const int32_t col[2], int32_t weight_bits) {
    const int64_t one = (int64_t)1 << (2 * weight_bits);
    int64_t total = 0;
    for (int32_t i = 0; i < 4; ++i) total += (int64_t)code[i] * row[i & 1] * col[i >> 1];
    return limited((total + (total > 0 ? one / 2 : -(one / 2))) / one);
}

void zp_resize_bilinear_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_resize_bilinear_params *p = params;
    const int8_t *x = buffers->in[0];
    int8_t *y = buffers->out[0];
    const ptrdiff_t channels = p->channels;

    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t n = unit / p->out_h, oh = unit % p->out_h;
        const int32_t row[2] = {p->row_low_weight[oh], p->row_high_weight[oh]};
        const rounded row_rounded[2] = {decode(row[0]), decode(row[1])};
        const int8_t *low = x + (n * (ptrdiff_t)p->in_h + p->row_low[oh]) * p->in_w * channels;
        const int8_t *high = x + (n * (ptrdiff_t)p->in_h + p->row_high[oh]) * p->in_w * channels;
        int8_t *out = y + (ptrdiff_t)unit * p->out_w * channels;
        for (int32_t ow = 0; ow < p->out_w; ++ow) {
            const int32_t col[2] = {p->col_low_weight[ow], p->col_high_weight[ow]};
            const rounded col_rounded[2] = {decode(col[0]), decode(col[1])};
            const ptrdiff_t left = p->col_low[ow] * channels, right = p->col_high[ow] * channels;
            for (ptrdiff_t c = 0; c < channels; ++c) {
                const int32_t code[4] = {low[left + c] + p->code_offset, high[left + c] + p->code_offset,
                                         low[right + c] + p->code_offset, high[right + c] + p->code_offset};
                const int32_t value = p->single_precision ? weigh_rounded(code, row_rounded, col_rounded)
                                                          : weigh_exact(code, row, col, p->weight_bits);
                *out++ = (int8_t)zp_clamp(value - p->code_offset, -128, 127);
            }
        }
    }
}
