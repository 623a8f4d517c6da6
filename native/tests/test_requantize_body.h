// One instruction set's rescaling against fixedpoint.h, lane by lane. Included by a file that is compiled for the set and that
// defines `Set`: its vector type, its loads and stores, and its number of lanes.
#include "../kernels/fast_rescale.h"
#include "../portable/fixedpoint.h"
#include "check.h"

namespace zp {
namespace {

using zp_test::Random;

constexpr int kLanes = Set::kLanes;

struct Case {
    std::int32_t x[kLanes], multiplier[kLanes], shift[kLanes], multiplier_low[kLanes];
};

long compared = 0, ties = 0;

[[noreturn]] void fail(const char *what, const Case &c, int i, std::int32_t actual, std::int32_t expected) {
    std::fprintf(stderr, "%s %s: x %d multiplier %d low %d shift %d gives %d, expected %d\n", Set::kName, what, c.x[i], c.multiplier[i],
                 c.multiplier_low[i], c.shift[i], actual, expected);
    std::exit(1);
}

std::int32_t expected_of(const Case &c, int i) { return zp_multiply_by_quantized_multiplier(c.x[i], c.multiplier[i], c.shift[i]); }

void check_general(const Case &c) {
    std::int32_t left[kLanes], right[kLanes], actual[kLanes];
    for (int i = 0; i < kLanes; ++i) {
        left[i] = c.shift[i] > 0 ? c.shift[i] : 0;
        right[i] = c.shift[i] < 0 ? -c.shift[i] : 0;
    }
    Set::store(actual, rescaled(Set::load(c.x), make_rescale(Set::load(c.multiplier), Set::load(left), Set::load(right))));
    for (int i = 0; i < kLanes; ++i)
        if (actual[i] != expected_of(c, i)) fail("rescaled", c, i, actual[i], expected_of(c, i));
    compared += kLanes;
}

void check_exact(const Case &c) {
    std::int32_t places[kLanes], actual[kLanes];
    for (int i = 0; i < kLanes; ++i) places[i] = 31 - c.shift[i];
    Set::store(actual, rescaled_exactly(Set::load(c.x), Set::load(c.multiplier), Set::load(c.multiplier_low), Set::load(places)));
    for (int i = 0; i < kLanes; ++i) {
        const std::int32_t expected = zp_multiply_by_exact_multiplier(c.x[i], c.multiplier[i], c.multiplier_low[i], c.shift[i]);
        if (actual[i] != expected) fail("rescaled_exactly", c, i, actual[i], expected);
    }
    compared += kLanes;
}

void check_fast(const Case &c, std::int32_t zero_point) {
    std::int32_t right[kLanes], offset[kLanes], added[kLanes], actual[kLanes];
    for (int i = 0; i < kLanes; ++i) {
        CHECK(fast_rescale_fits(c.multiplier[i], c.shift[i]) && c.x[i] < 1 << 30 && c.x[i] > -(1 << 30));
        added[i] = fast_rescale_takes_zero_point(c.shift[i]) ? zero_point : 0;
        right[i] = -c.shift[i];
        offset[i] = fast_rescale_offset(c.shift[i], added[i]);
    }
    Set::store(actual, fast_rescaled(Set::load(c.x), make_fast_rescale(Set::load(c.multiplier), Set::load(right), Set::load(offset))));
    for (int i = 0; i < kLanes; ++i)
        if (actual[i] != expected_of(c, i) + added[i]) fail("fast_rescaled", c, i, actual[i], expected_of(c, i) + added[i]);
    compared += kLanes;
}

std::int32_t ordinary_multiplier(Random &random) {
    const std::int32_t corners[] = {1 << 30, (1 << 30) + 1, INT32_MAX, INT32_MAX - 1};
    return random.between(0, 3) ? random.between(1 << 30, INT32_MAX) : random.one_of(corners);
}

// Every small x of every shift; then neighbours of x m / 2^(31 + s) = n + 1/2, where one unit more or less decides.
void test_fast(Random &random) {
    const std::int32_t zero_points[] = {0, -128, 127, 5};
    for (std::int32_t s = 1; s <= 30; ++s) {
        for (int round = 0; round < 12; ++round) {
            const std::int32_t multiplier = round == 0 ? 1 << 30 : ordinary_multiplier(random), zero_point = zero_points[round % 4];
            Case c{};
            for (std::int32_t x = -4096; x < 4096; x += kLanes) {
                for (int i = 0; i < kLanes; ++i) {
                    c.x[i] = x + i;
                    c.multiplier[i] = multiplier;
                    c.shift[i] = -s;
                }
                check_fast(c, zero_point);
            }
            check_fast(c, zero_point);
        }
        for (int round = 0; round < 3000; ++round) {  // lanes of their own multipliers and shifts
            Case c{};
            for (int i = 0; i < kLanes; ++i) {
                const std::int32_t shift = round % 2 ? random.between(1, 30) : s;
                c.multiplier[i] = ordinary_multiplier(random);
                c.shift[i] = -shift;
                // As many halves as have an x within the limit: 2 n + 1 <= 2^(30 - s) + 1, so nothing overflows.
                const std::int64_t limit = (1 << 30) - 1, most = shift > 29 ? 0 : 1 << (29 - shift);
                const std::int64_t half_steps = 2 * static_cast<std::int64_t>(random.between(0, most < 300 ? most : 300)) + 1;
                const std::int64_t tie = shift <= 29 ? (half_steps << (30 + shift)) / c.multiplier[i] : limit;
                std::int64_t x = (round % 3 == 0 ? random.between(-limit, limit) : (random.next() & 1 ? -1 : 1) * tie + random.between(-2, 2));
                x = x > limit ? limit : x < -limit ? -limit : x;
                c.x[i] = static_cast<std::int32_t>(x);
                const std::int32_t v = zp_saturating_rounding_doubling_high_mul(c.x[i], c.multiplier[i]);
                ties += (static_cast<std::uint32_t>(v) & ((1u << shift) - 1)) == 1u << (shift - 1);
            }
            check_fast(c, zero_points[round % 4]);
        }
    }
    CHECK(ties > 1000);
}

void test_general(Random &random) {
    const std::int32_t corners[] = {0, 1, -1, 1 << 30, INT32_MAX, INT32_MIN, INT32_MIN + 1, -(1 << 30)};
    for (int round = 0; round < 200000; ++round) {
        Case c{};
        for (int i = 0; i < kLanes; ++i) {
            c.x[i] = random.between(0, 9) ? random.between(INT32_MIN, INT32_MAX) >> random.between(0, 31) : random.one_of(corners);
            c.multiplier[i] = random.between(0, 3) ? random.between(INT32_MIN, INT32_MAX) : random.one_of(corners);
            c.shift[i] = random.between(-31, 31);
        }
        check_general(c);
        for (int i = 0; i < kLanes; ++i) {
            c.multiplier[i] &= INT32_MAX;
            c.multiplier_low[i] = random.between(0, 3) ? random.between(0, (1 << 22) - 1) : (1 << 22) - 1;
            c.shift[i] = random.between(-31, 30);
        }
        check_exact(c);
    }
}

void test_all() {
    Random random(20260731);
    test_fast(random);
    test_general(random);
    std::printf("%s: %ld numbers equal, %ld of them ties\n", Set::kName, compared, ties);
}

}  // namespace
}  // namespace zp
