#include "byte_order.h"

#include <emmintrin.h>  // SSE2, which every x86-64 CPU has
#include <string.h>

namespace zp {
namespace {

// The positive weights of one position in 8 bytes, the negative ones' sizes in 8 more: of each channel.
using Masses = __m128i;

Masses together(Masses a, Masses b) { return _mm_adds_epu8(a, b); }

bool within(Masses m) {
    const __m128i over = _mm_subs_epu8(m, _mm_set1_epi8(static_cast<char>(128)));
    return _mm_movemask_epi8(_mm_cmpeq_epi8(over, _mm_setzero_si128())) == 0xFFFF;
}

// 16 rows of 16 bytes, transposed: each round interleaves the rows of the first half with those of the second.
void transpose(__m128i (&rows)[kChunk]) {
    for (int round = 0; round < 4; ++round) {
        __m128i next[kChunk];
        for (int i = 0; i < 8; ++i) {
            next[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + 8]);
            next[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + 8]);
        }
        memcpy(rows, next, sizeof next);
    }
}

void masses_of(const ChunkWeights &w, Masses (&masses)[kChunk]) {
    const __m128i zero = _mm_setzero_si128();
    for (int c = 0; c < kChunkLanes; ++c) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i *>(w.of[c]));
        masses[c] = _mm_and_si128(v, _mm_cmpgt_epi8(v, zero));
        masses[c + 8] = _mm_and_si128(_mm_sub_epi8(zero, v), _mm_cmpgt_epi8(zero, v));
    }
    transpose(masses);
}

bool octs_within(const Masses (&m)[kChunk]) {
    Masses first = _mm_setzero_si128(), second = first;
    for (int g = 0; g < 16; g += 4) {
        first = together(first, together(m[g], m[g + 1]));
        second = together(second, together(m[g + 2], m[g + 3]));
    }
    return within(first) && within(second);
}

bool quads_within(const Masses (&m)[kChunk], int from) {
    return within(together(together(m[from], m[from + 1]), together(m[from + 4], m[from + 5]))) &&
           within(together(together(m[from + 2], m[from + 3]), together(m[from + 6], m[from + 7])));
}

bool pairs_within(const Masses (&m)[kChunk], int from, int to) {
    for (int i = from; i < to; i += 2)
        if (!within(together(m[i], m[i + 1]))) return false;
    return true;
}

// Search among sums of positions, the heaviest first, each with the lightest that are left.
class Search {
public:
    Search(const Masses (&masses)[kChunk], int effort) : effort_(effort) {
        int weight[kChunk];
        for (int i = 0; i < kChunk; ++i) {
            const __m128i sums = _mm_sad_epu8(masses[i], _mm_setzero_si128());
            weight[i] = _mm_extract_epi16(sums, 0) + _mm_extract_epi16(sums, 4);
            int at = i;
            for (; at > 0 && weight[position_[at - 1]] < weight[i]; --at) position_[at] = position_[at - 1];
            position_[at] = i;
        }
        for (int i = 0; i < kChunk; ++i) m_[i] = masses[position_[i]];
    }

    // Disjoint sums of four: four of them, or as many as were found at once (best()).
    bool find_quads() {
        tests_ = effort_;
        return quads(0, 0);
    }
    int best() const { return most_; }

    // Pairs of what the first `quads` sums of four leave.
    bool find_pairs(int quads) {
        tests_ = effort_;
        unsigned used = 0;
        for (int i = 0; i < 4 * quads; ++i) used |= 1u << chosen_[i];
        return pairs(used, 4 * quads);
    }

    // The heaviest with the lightest, and so on.
    void balance() {
        for (int i = 0; i < 8; ++i) {
            chosen_[2 * i] = i;
            chosen_[2 * i + 1] = 15 - i;
        }
    }

    // Sums of four take bytes 0, 1 of one group and of the next, or bytes 2, 3 of both.
    void write(int quads, uint8_t *order) const {
        static const int places[2][4] = {{0, 1, 4, 5}, {2, 3, 6, 7}};
        for (int i = 0; i < kChunk; ++i) {
            const int place = i < 4 * quads ? i / 8 * 8 + places[i / 4 % 2][i % 4] : i;
            order[place] = static_cast<uint8_t>(position_[chosen_[i]]);
        }
    }

private:
    bool test(Masses m) { return --tests_ >= 0 && within(m); }

    bool quads(unsigned used, int n) {
        if (n > most_ || n == 4) {
            most_ = n;
            memcpy(chosen_, current_, sizeof chosen_);
        }
        if (n == 4) return true;
        int *at = current_ + 4 * n;
        at[0] = 0;
        while (used >> at[0] & 1) ++at[0];
        for (at[1] = 15; at[1] > at[0]; --at[1]) {
            if (used >> at[1] & 1) continue;
            const Masses two = together(m_[at[0]], m_[at[1]]);
            if (!test(two)) continue;
            for (at[2] = at[1] - 1; at[2] > at[0]; --at[2]) {
                if (used >> at[2] & 1) continue;
                const Masses three = together(two, m_[at[2]]);
                if (!test(three)) continue;
                for (at[3] = at[2] - 1; at[3] > at[0]; --at[3]) {
                    if (used >> at[3] & 1 || !test(together(three, m_[at[3]]))) continue;
                    if (quads(used | 1u << at[0] | 1u << at[1] | 1u << at[2] | 1u << at[3], n + 1)) return true;
                    if (tests_ < 0) return false;
                }
                if (tests_ < 0) return false;
            }
            if (tests_ < 0) return false;
        }
        return false;
    }

    bool pairs(unsigned used, int n) {
        if (n == kChunk) return true;
        int first = 0;
        while (used >> first & 1) ++first;
        for (int second = 15; second > first; --second) {
            if (used >> second & 1 || !test(together(m_[first], m_[second]))) continue;
            chosen_[n] = first;
            chosen_[n + 1] = second;
            if (pairs(used | 1u << first | 1u << second, n + 2)) return true;
            if (tests_ < 0) return false;
        }
        return false;
    }

    Masses m_[kChunk];
    int position_[kChunk], current_[kChunk] = {}, chosen_[kChunk] = {};
    int effort_, tests_ = 0, most_ = 0;
};

// Sixteen ways of parting sixteen into two times eight.
constexpr unsigned kHalvings[] = {0x00ff, 0x0ff0, 0x5555, 0x3c3c, 0x6969, 0x0f0f, 0x6666, 0x9a5c,
                                  0x35ca, 0x5a3c, 0x693c, 0x1e78, 0x2d4b, 0x7171, 0x4b2d, 0x59a6};

constexpr bool halve() {
    for (unsigned halving : kHalvings) {
        int size = 0;
        for (; halving; halving &= halving - 1) ++size;
        if (size != 8) return false;
    }
    return true;
}
static_assert(halve(), "both sums have eight weights");

bool find_octs(const Masses (&m)[kChunk], uint8_t *order) {
    for (const unsigned halving : kHalvings) {
        Masses first = _mm_setzero_si128(), second = first;
        for (int i = 0; i < kChunk; ++i) {
            if (halving >> i & 1) first = together(first, m[i]);
            else second = together(second, m[i]);
        }
        if (!within(first) || !within(second)) continue;
        int n[2] = {0, 0};
        for (int i = 0; i < kChunk; ++i) {
            const int sum = halving >> i & 1 ? 0 : 1;
            order[n[sum] / 2 * 4 + 2 * sum + n[sum] % 2] = static_cast<uint8_t>(i);
            ++n[sum];
        }
        return true;
    }
    return false;
}

// Whether two sums of eight could be within the rule at all: twice 128 for sixteen weights.
bool light(const Masses (&m)[kChunk]) {
    const __m128i zero = _mm_setzero_si128(), most = _mm_set1_epi16(256);
    __m128i positive = zero, negative = zero;
    for (const Masses &one : m) {
        positive = _mm_add_epi16(positive, _mm_unpacklo_epi8(one, zero));
        negative = _mm_add_epi16(negative, _mm_unpackhi_epi8(one, zero));
    }
    return _mm_movemask_epi8(_mm_or_si128(_mm_cmpgt_epi16(positive, most), _mm_cmpgt_epi16(negative, most))) == 0;
}

}  // namespace

ChunkOrder order_chunk(const ChunkWeights &weights, int effort) {
    Masses m[kChunk];
    masses_of(weights, m);
    ChunkOrder out = kNaturalOrder;
    if (octs_within(m) || (light(m) && find_octs(m, out.order))) {
        out.kind = kOcts;
        return out;
    }
    const bool first = quads_within(m, 0), second = quads_within(m, 8);
    if (first && second) {
        out.kind = kQuads;
        return out;
    }
    Search search(m, effort);
    if (search.find_quads()) {
        out.kind = kQuads;
        search.write(4, out.order);
    } else if (first && pairs_within(m, 8, 16)) {
        out.kind = kHalves;
    } else if (search.best() >= 2 && search.find_pairs(2)) {
        out.kind = kHalves;
        search.write(2, out.order);
    } else if (!pairs_within(m, 0, 16)) {
        if (!search.find_pairs(0)) search.balance();
        search.write(0, out.order);
    }
    return out;
}

bool kind_of_ordered(const ChunkWeights &weights, ChunkKind *kind) {
    Masses m[kChunk];
    masses_of(weights, m);
    *kind = octs_within(m) ? kOcts : !quads_within(m, 0) ? kPairs : quads_within(m, 8) ? kQuads : kHalves;
    return pairs_within(m, 0, kChunk);
}

void split_chunk(ChunkWeights *ordered, ChunkWeights *extra) {
    memset(extra, 0, sizeof *extra);
    for (int c = 0; c < kChunkLanes; ++c)
        for (int i = 0; i < kChunk; i += 2) {
            int8_t *v = ordered->of[c] + i, *b = extra->of[c] + i;
            // Only weights of one sign can be too much; half of each is then within the rule, whatever they are: at most 64 stay.
            const int sum = v[0] + v[1];
            if ((v[0] > 0) != (v[1] > 0) || (sum <= 128 && sum >= -128)) continue;
            for (int j = 0; j < 2; ++j) {
                b[j] = static_cast<int8_t>(v[j] / 2);
                v[j] = static_cast<int8_t>(v[j] - b[j]);
            }
        }
}

}  // namespace zp
