/* The arithmetic of 16-bit activations with 8-bit weights (16x8), on top of fixedpoint.h.
 *
 * int16 codes are symmetric (zero point 0), so a product is x * w and there is nothing to unfold. Accumulators are
 * int64 and have a rounding of their own, the third profile of this engine. Where a file asks for biases of 32 bits, the
 * accumulator is int32 (modulo 2^32) and rounds as fixedpoint.h says. */
#ifndef ZP_PORTABLE_SIXTEEN_H
#define ZP_PORTABLE_SIXTEEN_H

#include <stddef.h>
#include <stdint.h>

#include "fixedpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The int64 that has the bits of u. */
static inline int64_t zp_int64_from_bits(uint64_t u) {
    return u <= (uint64_t)INT64_MAX ? (int64_t)u : -1 - (int64_t)~u;
}

/* The int32 of the low 32 bits of x. */
static inline int32_t zp_low_word(int64_t x) { return zp_int32_from_bits((uint32_t)((uint64_t)x & 0xffffffffu)); }

/* floor(x / 2^n), 0 <= n <= 63. */
static inline int64_t zp_shift_right_floor_64(int64_t x, int32_t n) { return x >= 0 ? x >> n : ~(~x >> n); }

/* The third rounding profile: a 64-bit x times M = multiplier * 2^(shift - 31), rounded once, halves up.
 *
 * Only 16 bits of the multiplier are used, rounded to the nearest and kept below 2^15, so that the product with a 48-bit
 * accumulator fits 64 bits: x * round(multiplier / 2^16) / 2^(15 - shift). For |x| < 2^47 nothing overflows; beyond,
 * and where the result does not fit int32, it is taken modulo the word. 0 <= multiplier, -31 <= shift <= 14. */
static inline int32_t zp_multiply_by_quantized_multiplier_64(int64_t x, int32_t multiplier, int32_t shift) {
    const int32_t reduced = multiplier < 0x7fff0000 ? (multiplier + (1 << 15)) >> 16 : 0x7fff;
    const int32_t places = 15 - shift;
    const uint64_t sum = (uint64_t)x * (uint64_t)reduced + ((uint64_t)1 << (places - 1));
    return zp_low_word(zp_shift_right_floor_64(zp_int64_from_bits(sum), places));
}

/* An unsigned number of 128 bits. */
typedef struct {
    uint64_t high, low;
} zp_wide;

/* n + 2^bit, 0 <= bit <= 127. */
static inline zp_wide zp_wide_add_bit(zp_wide n, int32_t bit) {
    if (bit >= 64) {
        n.high += (uint64_t)1 << (bit - 64);
    } else {
        const uint64_t low = n.low + ((uint64_t)1 << bit);
        n.high += low < n.low ? 1u : 0u;
        n.low = low;
    }
    return n;
}

/* zp_multiply_by_exact_multiplier (fixedpoint.h) of a 64-bit accumulator: |x| M exactly, in 128 bits; half a last place
 * of its double is added, then it is rounded, halves away from zero, and saturated to int32. Equal to what a double
 * gives while |x| <= 2^53. 0 <= multiplier, 0 <= multiplier_low < 2^22, -31 <= shift <= 30. */
static inline int32_t zp_multiply_by_exact_multiplier_64(int64_t x, int32_t multiplier, int32_t multiplier_low,
                                                         int32_t shift) {
    const uint64_t size = x < 0 ? (uint64_t)0 - (uint64_t)x : (uint64_t)x;
    const uint64_t digits = (uint64_t)multiplier << 22 | (uint64_t)multiplier_low, word = 0xffffffffu;
    const uint64_t low = (size & word) * (digits & word), high = (size >> 32) * (digits >> 32);
    const uint64_t cross1 = (size & word) * (digits >> 32), cross2 = (size >> 32) * (digits & word);
    const uint64_t middle = (low >> 32) + (cross1 & word) + (cross2 & word);
    zp_wide product = {high + (cross1 >> 32) + (cross2 >> 32) + (middle >> 32), middle << 32 | (low & word)};

    int32_t length = product.high ? 64 : 0;
    for (uint64_t rest = product.high ? product.high : product.low; rest != 0; rest >>= 1) ++length;
    if (length > 53) product = zp_wide_add_bit(product, length - 54);
    const int32_t places = 53 - shift; /* 23 .. 84 */
    product = zp_wide_add_bit(product, places - 1);

    uint64_t whole = product.high >> (places >= 64 ? places - 64 : 0);
    if (places < 64) whole = product.high >> places ? UINT64_MAX : product.high << (64 - places) | product.low >> places;
    if (x < 0) return whole > (uint64_t)1 << 31 ? INT32_MIN : (int32_t)-(int64_t)whole;
    return whole > INT32_MAX ? INT32_MAX : (int32_t)whole;
}

/* S6 for an int16 code. No zero point: int16 is symmetric. */
static inline int16_t zp_clamp_s16(int32_t x, int32_t clamp_min, int32_t clamp_max) {
    return (int16_t)zp_clamp(x, clamp_min, clamp_max);
}

/* A convolution's accumulator to a code. accumulator_bits: 64, or 32 where the sum is an int32 (modulo 2^32). */
static inline int16_t zp_requantize_s16(int64_t sum, int32_t accumulator_bits, int32_t multiplier, int32_t shift,
                                        int32_t clamp_min, int32_t clamp_max) {
    const int32_t scaled = accumulator_bits == 64
                               ? zp_multiply_by_quantized_multiplier_64(sum, multiplier, shift)
                               : zp_multiply_by_quantized_multiplier(zp_low_word(sum), multiplier, shift);
    return zp_clamp_s16(scaled, clamp_min, clamp_max);
}

/* The bias of one output channel: int64 or int32 by accumulator_bits; 0 where there is none. */
static inline int64_t zp_bias_s16(const void *bias, int32_t accumulator_bits, ptrdiff_t channel) {
    if (bias == NULL) return 0;
    return accumulator_bits == 64 ? ((const int64_t *)bias)[channel] : ((const int32_t *)bias)[channel];
}

/* Products of int16 and int8 are at most 2^22 in size, so that this many of them add up in int32. */
enum { ZP_PRODUCTS_IN_WORD = 256 };

/* sum x[i] w[i], exact for up to 2^41 products. */
static inline int64_t zp_dot_s16(const int16_t *x, const int8_t *w, ptrdiff_t n) {
    int64_t sum = 0;
    for (ptrdiff_t first = 0, block; first < n; first += block) {
        block = n - first < ZP_PRODUCTS_IN_WORD ? n - first : ZP_PRODUCTS_IN_WORD;
        int32_t part = 0;
        for (ptrdiff_t i = first; i < first + block; ++i) part += x[i] * w[i];
        sum += part;
    }
    return sum;
}

/* a + b modulo 2^64. */
static inline int64_t zp_add_wrapping_64(int64_t a, int64_t b) { return zp_int64_from_bits((uint64_t)a + (uint64_t)b); }

#ifdef __cplusplus
}
#endif
#endif
