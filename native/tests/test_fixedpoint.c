/* fixedpoint.h against numbers worked out by hand and against a second, slower way to compute the same.
 * No framework, no library: exit status 0 is success. */
#undef NDEBUG
#include "../portable/fixedpoint.h"

#include <assert.h>
#include <stdio.h>

static uint64_t state = 88172645463325252u;

/* xorshift: a fixed sequence of numbers, the same on every machine. */
static uint32_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static int32_t next_int32(void) {
    const uint32_t places = next() & 31u;
    return zp_shift_right_floor(zp_int32_from_bits(next()), (int32_t)places);
}

/* floor((a * b + 2^30) / 2^31), the high multiply's own definition, on sign and size. */
static int64_t high_mul_slowly(int32_t a, int32_t b) {
    const int64_t x = (int64_t)a * b + ((int64_t)1 << 30), unit = (int64_t)1 << 31;
    int64_t quotient = x / unit;
    if (x % unit < 0) --quotient;
    return quotient > INT32_MAX ? INT32_MAX : quotient;
}

/* x / 2^e to the nearest, halves away from zero, on the size. */
static int64_t divide_slowly(int32_t x, int32_t e) {
    const int64_t size = x < 0 ? -(int64_t)x : x, unit = (int64_t)1 << e;
    const int64_t quotient = (2 * size + unit) / (2 * unit);
    return x < 0 ? -quotient : quotient;
}

static void test_bits(void) {
    assert(zp_int32_from_bits(0u) == 0);
    assert(zp_int32_from_bits(0x7fffffffu) == INT32_MAX);
    assert(zp_int32_from_bits(0x80000000u) == INT32_MIN);
    assert(zp_int32_from_bits(0xffffffffu) == -1);
    assert(zp_add_wrapping(INT32_MAX, 1) == INT32_MIN);
    assert(zp_shift_left_wrapping(-3, 2) == -12);
    assert(zp_shift_left_wrapping(3, 31) == INT32_MIN);
    assert(zp_shift_right_floor(-1, 31) == -1);
    assert(zp_shift_right_floor(-5, 1) == -3);
    assert(zp_shift_right_floor(5, 1) == 2);
}

static void test_high_mul(void) {
    assert(zp_saturating_rounding_doubling_high_mul(INT32_MIN, INT32_MIN) == INT32_MAX);
    assert(zp_saturating_rounding_doubling_high_mul(INT32_MIN, INT32_MAX) == -INT32_MAX);
    assert(zp_saturating_rounding_doubling_high_mul(1, 1 << 30) == 1);   /*  1/2 goes up */
    assert(zp_saturating_rounding_doubling_high_mul(-1, 1 << 30) == 0);  /* -1/2 goes up */
    assert(zp_saturating_rounding_doubling_high_mul(-3, 1 << 30) == -1); /* -3/2 goes up */
    for (int32_t i = 0; i < 2000000; ++i) {
        const int32_t a = next_int32(), b = next_int32();
        assert(zp_saturating_rounding_doubling_high_mul(a, b) == high_mul_slowly(a, b));
    }
}

static void test_divide(void) {
    assert(zp_rounding_divide_by_pot(6, 2) == 2); /*  3/2 goes away from zero */
    assert(zp_rounding_divide_by_pot(-6, 2) == -2);
    assert(zp_rounding_divide_by_pot(INT32_MIN, 31) == -1);
    assert(zp_rounding_divide_by_pot(INT32_MAX, 31) == 1);
    assert(zp_rounding_divide_by_pot(INT32_MIN, 0) == INT32_MIN);
    for (int32_t i = 0; i < 1000000; ++i) {
        const int32_t x = next_int32(), e = (int32_t)(next() & 31u);
        assert(zp_rounding_divide_by_pot(x, e) == divide_slowly(x, e));
    }
}

static void test_multiply(void) {
    assert(zp_multiply_by_quantized_multiplier(100, 1 << 30, 1) == 100);  /* M = 1 */
    assert(zp_multiply_by_quantized_multiplier(100, 1 << 30, 0) == 50);   /* M = 1/2 */
    assert(zp_multiply_by_quantized_multiplier(101, 1 << 30, 3) == 404);  /* M = 4 */
    assert(zp_multiply_by_quantized_multiplier(-7, 1 << 30, -1) == -2);   /* M = 1/4: -7/4 */
    assert(zp_multiply_by_quantized_multiplier(-5, 1 << 30, 0) == -2);    /* -5/2 by the product: up */
    assert(zp_multiply_by_quantized_multiplier(-10, 1 << 30, -1) == -3);  /* -5/2 by the shift: away from zero */
    assert(zp_multiply_by_quantized_multiplier(123456, 0, 0) == 0);
    assert(zp_requantize(1000, 1 << 30, -2, 3, -128, 127) == 127);
    assert(zp_requantize(-1000, 1 << 30, -2, 3, -128, 127) == -122);
    assert(zp_requantize(-1000, 1 << 30, -2, 3, 3, 127) == 3);
}

/* Exact |x| * D for D of 53 bits, then the two roundings of a double product, with a product kept as a row of bits. */
static int64_t exact_slowly(int32_t x, int32_t multiplier, int32_t low, int32_t shift) {
    const uint64_t d = ((uint64_t)multiplier << 22) | (uint64_t)low;
    const uint64_t size = x < 0 ? (uint64_t)(-(int64_t)x) : (uint64_t)x;
    unsigned char bit[130] = {0};
    for (int i = 0; i < 32; ++i) { /* schoolbook: add d << i for every set bit of size */
        unsigned carry = 0;
        if (!(size >> i & 1u)) continue;
        for (int k = 0; k < 90; ++k) {
            const unsigned total = bit[i + k] + (unsigned)(k < 53 ? d >> k & 1u : 0) + carry;
            bit[i + k] = total & 1u;
            carry = total >> 1;
        }
    }
    int length = 130;
    while (length > 0 && !bit[length - 1]) --length;
    const int drop = length > 53 ? length - 53 : 0; /* round to 53 bits, halves to even */
    if (drop > 0) {
        int sticky = 0;
        for (int k = 0; k < drop - 1; ++k) sticky |= bit[k];
        int up = bit[drop - 1] && (sticky || bit[drop]);
        for (int k = 0; k < drop; ++k) bit[k] = 0;
        for (int k = drop; up; ++k) {
            up = bit[k];
            bit[k] = (unsigned char)!bit[k];
        }
    }
    const int places = 53 - shift; /* round to an integer, halves up */
    uint64_t whole = 0;
    for (int k = 0; k < 62; ++k)
        if (places + k < 130 && bit[places + k]) whole |= (uint64_t)1 << k;
    if (places > 0 && bit[places - 1]) ++whole;
    if (x < 0) return whole > (uint64_t)1 << 31 ? INT32_MIN : -(int64_t)whole;
    return whole > INT32_MAX ? INT32_MAX : (int64_t)whole;
}

static void test_exact(void) {
    const int32_t half = 1 << 30;
    assert(zp_multiply_by_exact_multiplier(5, half, 0, 0) == 3); /* 5/2: away from zero */
    assert(zp_multiply_by_exact_multiplier(-5, half, 0, 0) == -3);
    assert(zp_multiply_by_exact_multiplier(-10, half, 0, -1) == -3);
    assert(zp_multiply_by_exact_multiplier(INT32_MIN, half, 0, 1) == INT32_MIN);
    assert(zp_multiply_by_exact_multiplier(INT32_MAX, half, 0, 2) == INT32_MAX);
    assert(zp_multiply_by_exact_multiplier(INT32_MIN, INT32_MAX, 0x3fffff, 31) == INT32_MIN);
    assert(zp_multiply_by_exact_multiplier(INT32_MIN, half, 0, -31) == -1);
    assert(zp_multiply_by_exact_multiplier(12345, 0, 0, 0) == 0);
    for (int32_t i = 0; i < 100000; ++i) {
        const int32_t x = next_int32(), multiplier = (int32_t)((next() >> 2) | 0x40000000u);
        const int32_t low = (int32_t)(next() & 0x3fffffu), shift = (int32_t)(next() % 54u) - 31;
        assert(zp_multiply_by_exact_multiplier(x, multiplier, low, shift) == exact_slowly(x, multiplier, low, shift));
    }
}

int main(void) {
    test_bits();
    test_high_mul();
    test_divide();
    test_multiply();
    test_exact();
    puts("fixedpoint: ok");
    return 0;
}
