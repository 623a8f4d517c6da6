#include "byte_products.h"

#include <emmintrin.h>  // SSE2, which every x86-64 CPU has
#include <stddef.h>

namespace zp {
namespace {

int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

// Weights of a channel that meet in one int16 lane, two from each of one or two groups, `stride` bytes apart.
struct Meeting {
    int8_t *at;
    int64_t stride;
    int groups;

    // Sum of the weights of one sign in one group, or in all: at least 0.
    int32_t mass(int group, int32_t sign) const {
        const int8_t *v = at + group * stride;
        return larger(sign * v[0], 0) + larger(sign * v[1], 0);
    }
    int32_t mass(int32_t sign) const { return mass(0, sign) + (groups > 1 ? mass(1, sign) : 0); }
};

constexpr int32_t kMost = 128;

// Whether `bytes` weights (a multiple of 16), with those `stride` bytes on if there are two groups, obey the rule. Most do, and are
// looked at eight pairs at a time: this is where the time of packing went.
bool obey(const int8_t *at, int64_t stride, int groups, int64_t bytes) {
    const __m128i zero = _mm_setzero_si128(), most = _mm_set1_epi16(kMost), least = _mm_set1_epi16(-kMost);
    __m128i broken = zero;
    for (int64_t i = 0; i < bytes; i += 16) {
        __m128i positive = zero, negative = zero;
        for (int group = 0; group < groups; ++group) {
            const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i *>(at + group * stride + i));
            const __m128i first = _mm_srai_epi16(_mm_slli_epi16(pairs, 8), 8), second = _mm_srai_epi16(pairs, 8);
            positive = _mm_add_epi16(positive, _mm_add_epi16(_mm_max_epi16(first, zero), _mm_max_epi16(second, zero)));
            negative = _mm_add_epi16(negative, _mm_add_epi16(_mm_min_epi16(first, zero), _mm_min_epi16(second, zero)));
        }
        broken = _mm_or_si128(broken, _mm_or_si128(_mm_cmpgt_epi16(positive, most), _mm_cmplt_epi16(negative, least)));
    }
    return _mm_movemask_epi8(broken) == 0;
}

// What group `group` gives up of `excess`: first from its first weight. Into `extra` (NULL: nowhere) and out of `v`.
void move(int8_t *v, int8_t *extra, int32_t sign, int32_t amount) {
    for (int i = 0; i < 2 && amount > 0; ++i) {
        const int32_t size = larger(sign * v[i], 0), part = size < amount ? size : amount;
        amount -= part;
        v[i] = static_cast<int8_t>(v[i] - sign * part);
        if (part > 0) extra[i] = static_cast<int8_t>(sign * part);
    }
}

// The extra groups of one or two neighbouring groups.
struct Splitter {
    const ByteWeights &weights;
    const ExtraGroups *to;
    int64_t count = 0;

    // `first`: number of the first group. False: too much to split.
    bool split(int64_t first, int groups) {
        const int64_t stride = weights.lanes * 4;
        int8_t *at = weights.at + first * stride;
        if (obey(at, stride, groups, stride)) return true;
        int64_t slot[2] = {-1, -1};  // of each group's extra group
        for (int64_t pair = 0; pair < weights.lanes * 2; ++pair) {
            const Meeting m = {at + 2 * pair, stride, groups};
            for (int32_t sign = -1; sign <= 1; sign += 2) {
                int32_t excess = m.mass(sign) - kMost;
                if (excess <= 0) continue;
                // The group that has an extra group already, or the one with more to give.
                int group = 0;
                if (groups > 1) {
                    group = m.mass(1, sign) > m.mass(0, sign) ? 1 : 0;
                    const int other = 1 - group;
                    if (slot[group] < 0 && slot[other] >= 0 && m.mass(other, sign) >= excess && excess <= kMost) group = other;
                }
                for (int turn = 0; turn < groups && excess > 0; ++turn, group = 1 - group) {
                    int32_t amount = m.mass(group, sign);
                    amount = amount < kMost ? amount : kMost;
                    amount = amount < excess ? amount : excess;
                    if (amount == 0) continue;
                    if (slot[group] < 0) {
                        slot[group] = count++;
                        if (to) to->numbers[slot[group]] = static_cast<int32_t>(first + group);
                    }
                    if (to) move(at + group * stride + 2 * pair, to->weights + slot[group] * stride + 2 * pair, sign, amount);
                    excess -= amount;
                }
                if (excess > 0) return false;
            }
        }
        return true;
    }
};

}  // namespace

int64_t breaking_groups(const ByteWeights &weights, bool paired) {
    const int64_t stride = weights.lanes * 4;
    int64_t count = 0;
    for (int64_t segment = 0; segment < weights.segments; ++segment)
        for (int64_t g = 0; g < weights.groups;) {
            const int together = paired && g + 1 < weights.groups ? 2 : 1;
            count += obey(weights.at + (segment * weights.groups + g) * stride, stride, together, stride) ? 0 : 1;
            g += together;
        }
    return count;
}

int64_t split_weights(const ByteWeights &weights, bool paired, const ExtraGroups *to) {
    Splitter splitter = {weights, to};
    for (int64_t segment = 0; segment < weights.segments; ++segment)
        for (int64_t g = 0; g < weights.groups;) {  // a last group without a neighbour is alone
            const int together = paired && g + 1 < weights.groups ? 2 : 1;
            if (!splitter.split(segment * weights.groups + g, together)) return -1;
            g += together;
        }
    return splitter.count;
}

}  // namespace zp
