// Orders of chunks: each is a permutation, and its sums obey the rule. And convolutions and fully connected layers whose weights AVX2
// multiplies as bytes, in natural order, in orders of their own, with a few or many extra chunks, or not at all: against the portable
// kernels, with codes all at one end, where int16 sums are as large as they can be, and with random ones.
// `zp_test_byte_order <seed>` runs one case alone.
#include <algorithm>
#include <string>
#include <vector>

#include "../kernels/matmul/byte_order.h"
#include "../kernels/matmul/ordered.h"
#include "compare_kernels.h"

namespace {

// How often each form was used, by what the packed block of AVX2's kernel says: as a plan packs by itself, and tuned.
struct Forms {
    long words = 0, natural = 0, ordered = 0, mixed = 0, with_extras = 0, chunks[zp::kChunkKinds] = {};
} forms, tuned_forms;

void count_packed(const void *packed, std::int64_t panels, Forms &counts) {
    zp::Avx2Header header;
    std::memcpy(&header, packed, sizeof header);
    if (!header.bytes) {
        ++counts.words;
        return;
    }
    ++(header.natural == panels ? counts.natural : header.natural == 0 ? counts.ordered : counts.mixed);
    if (header.extras > 0) ++counts.with_extras;
    for (int kind = 0; kind < zp::kChunkKinds; ++kind) counts.chunks[kind] += header.chunks[kind] > 0 ? 1 : 0;
}

void count_form(const std::string &name, const void *params, std::vector<const void *> in, std::int64_t panels) {
    for (const KernelRecord &record : zp::kernel_records()) {
        if (record.name != name || (record.accepts && !record.accepts(params))) continue;
        Aligned packed(record.packed_bytes(params));
        record.pack(params, in.data(), packed.data);
        count_packed(packed.data, panels, forms);
        if (!record.pack_tuned) continue;
        record.pack_tuned(params, in.data(), packed.data);
        count_packed(packed.data, panels, tuned_forms);
    }
}

// Weights by kind: small ones; few and many large ones among small ones; pairs at the very bound and one beyond it; all large.
std::vector<std::int8_t> weights_of_kind(Random &random, std::int64_t n, int kind, std::int32_t zero_point) {
    std::vector<std::int8_t> out(static_cast<std::size_t>(n));
    const std::int32_t quarters[] = {32, -32, 31, -31, 33, -33}, halves[] = {64, -64, 63, -63, 65, -65, 0, 127, -128, 1, -1};
    for (auto &w : out) {
        std::int32_t v = 0;
        switch (kind) {
            case 0: v = random.between(-32, 32); break;
            case 1: v = random.between(0, 999) ? random.between(-25, 25) : random.between(-128, 127); break;
            case 2: v = random.between(0, 19) ? random.between(-20, 20) : random.between(-128, 127); break;
            case 3: v = random.one_of(quarters); break;
            case 4: v = random.one_of(halves); break;
            case 5: v = random.between(-64, 64); break;
            case 6: v = random.between(0, 199) ? random.between(-60, 60) : random.between(-128, 127); break;
            case 7: v = random.between(-80, 80); break;
            default: v = random.between(0, 1) ? 127 : -128; break;
        }
        v += zero_point;
        w = static_cast<std::int8_t>(v < -128 ? -128 : (v > 127 ? 127 : v));
    }
    return out;
}

std::vector<std::int8_t> codes(Random &random, std::int64_t n) {
    const int kind = random.between(0, 3);
    if (kind < 2) return std::vector<std::int8_t>(static_cast<std::size_t>(n), kind ? std::int8_t{127} : std::int8_t{-128});
    return bytes(random, n);
}

template <class P>
void zero_points(Random &random, P &p) {
    random_zero_points(random, p);
    if (random.between(0, 3)) p.weight_zero_point = random.between(0, 2) ? 0 : random.between(-60, 60);
}

void fully_connected_case(std::uint64_t seed) {
    Random random(seed);
    const std::int32_t ks[] = {8, 12, 13, 15, 16, 17, 31, 32, 33, 48, 64, 100, 160, 256, 511}, ns[] = {1, 7, 8, 9, 15, 16, 17, 24, 25, 32, 40, 65};
    zp_fully_connected_params p{};
    p.rows = random.between(0, 1) ? random.between(1, 14) : random.between(1, 200);
    p.in_features = random.one_of(ks);
    p.out_features = random.one_of(ns);
    zero_points(random, p);
    const Rescaling rescaling(random, p.out_features);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    const auto x = codes(random, std::int64_t{p.rows} * p.in_features);
    const auto w = weights_of_kind(random, std::int64_t{p.out_features} * p.in_features, random.between(0, 8), p.weight_zero_point);
    const auto bias = biases(random, p.out_features);
    const std::vector<const void *> in = {x.data(), w.data(), random.between(0, 2) ? bias.data() : nullptr};
    compare("fully_connected", &p, in, std::int64_t{p.rows} * p.out_features, std::int64_t{p.rows} * p.out_features, seed,
            "fully_connected rows k channels " + list(p.rows, p.in_features, p.out_features));
    count_form("fully_connected_s8_avx2", &p, in, (p.out_features + 7) / 8);
}

void conv_2d_case(std::uint64_t seed) {
    Random random(seed);
    zp_conv_2d_params p{};
    random_window(random, p, 9);
    p.dilation_h = random.between(1, 2);
    p.dilation_w = random.between(1, 2);
    p.groups = random.between(0, 3) ? 1 : random.between(2, 3);
    p.in_c = p.groups * (random.between(0, 2) ? 16 * random.between(1, 4) : random.between(1, 50));
    const std::int32_t out[] = {4, 7, 8, 9, 16, 17, 24, 32, 40};
    p.out_c = p.groups * random.one_of(out);
    zero_points(random, p);
    const Rescaling rescaling(random, p.out_c);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    const auto x = codes(random, std::int64_t{p.batch} * p.in_h * p.in_w * p.in_c);
    const std::int64_t k = std::int64_t{p.kernel_h} * p.kernel_w * (p.in_c / p.groups);
    const auto w = weights_of_kind(random, p.out_c * k, random.between(0, 8), p.weight_zero_point);
    const auto bias = biases(random, p.out_c);
    const std::vector<const void *> in = {x.data(), w.data(), random.between(0, 2) ? bias.data() : nullptr};
    compare("conv_2d", &p, in, std::int64_t{p.batch} * p.out_h * p.out_w * p.out_c, std::int64_t{p.batch} * p.out_h, seed,
            "conv_2d batch in out kernel stride dilation pad groups " +
                list(p.batch, p.in_h, p.in_w, p.in_c, p.out_h, p.out_w, p.out_c, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w,
                     p.dilation_h, p.dilation_w, p.pad_top, p.pad_left, p.groups));
    count_form("conv_2d_s8_avx2", &p, in, (p.out_c / p.groups + 7) / 8 * p.groups);
}

bool obeys(const zp::ChunkWeights &w, std::initializer_list<int> places) {
    for (const auto &channel : w.of) {
        int positive = 0, negative = 0;
        for (int i : places) (channel[i] > 0 ? positive : negative) += channel[i];
        if (positive > 128 || negative < -128) return false;
    }
    return true;
}

// By the definition of the kinds, written out.
bool obeys(const zp::ChunkWeights &w, zp::ChunkKind kind) {
    const bool quads_first = obeys(w, {0, 1, 4, 5}) && obeys(w, {2, 3, 6, 7}), quads_second = obeys(w, {8, 9, 12, 13}) && obeys(w, {10, 11, 14, 15});
    const bool pairs_second = obeys(w, {8, 9}) && obeys(w, {10, 11}) && obeys(w, {12, 13}) && obeys(w, {14, 15});
    switch (kind) {
        case zp::kOcts: return obeys(w, {0, 1, 4, 5, 8, 9, 12, 13}) && obeys(w, {2, 3, 6, 7, 10, 11, 14, 15});
        case zp::kQuads: return quads_first && quads_second;
        case zp::kHalves: return quads_first && pairs_second;
        default: return pairs_second && obeys(w, {0, 1}) && obeys(w, {2, 3}) && obeys(w, {4, 5}) && obeys(w, {6, 7});
    }
}

// Of random chunks: how many of each kind, natural and after a search; the sums obey; what is split adds up and obeys.
struct Orders {
    long natural[zp::kChunkKinds] = {}, searched[zp::kChunkKinds] = {}, split = 0;
} orders;

void check_order(std::uint64_t seed) {
    Random random(seed);
    const std::vector<std::int8_t> given = weights_of_kind(random, zp::kChunkLanes * zp::kChunk, random.between(0, 8), 0);
    zp::ChunkWeights natural;
    std::memcpy(natural.of, given.data(), given.size());
    for (const bool searched : {false, true}) {
        const zp::ChunkOrder order = searched ? zp::order_chunk(natural, 300) : zp::kNaturalOrder;
        bool seen[zp::kChunk] = {};
        zp::ChunkWeights ordered;
        for (int i = 0; i < zp::kChunk; ++i) {
            CHECK(order.order[i] < zp::kChunk && !seen[order.order[i]]);
            CHECK(searched || order.order[i] == i);
            seen[order.order[i]] = true;
            for (int c = 0; c < zp::kChunkLanes; ++c) ordered.of[c][i] = natural.of[c][order.order[i]];
        }
        zp::ChunkKind kind;
        const bool fits = zp::kind_of_ordered(ordered, &kind);
        CHECK(fits == obeys(ordered, zp::kPairs));
        CHECK(kind <= order.kind || order.kind == zp::kPairs);  // the order is as good as the search says
        ++(searched ? orders.searched : orders.natural)[kind];
        if (fits) {
            CHECK(obeys(ordered, kind));
            CHECK(kind == zp::kOcts || !obeys(ordered, static_cast<zp::ChunkKind>(kind - 1)));
            continue;
        }
        zp::ChunkWeights kept = ordered, extra;
        zp::split_chunk(&kept, &extra);
        CHECK(obeys(kept, zp::kPairs) && obeys(extra, zp::kPairs));
        for (int c = 0; c < zp::kChunkLanes; ++c)
            for (int i = 0; i < zp::kChunk; ++i) CHECK(kept.of[c][i] + extra.of[c][i] == ordered.of[c][i]);
        ++orders.split;
    }
}

void run_case(std::uint64_t seed) {
    if (seed % 3 == 0) {
        fully_connected_case(seed);
    } else {
        conv_2d_case(seed);
    }
}

}  // namespace

int main(int argc, char **argv) {
    if (one_case(argc, argv, run_case)) return 0;
    for (std::uint64_t seed = 0; seed < 20000; ++seed) check_order(seed);
    for (std::uint64_t seed = 0; seed < 6000; ++seed) run_case(seed);
    print_totals();
    std::printf("chunks octs quads halves pairs: natural %ld %ld %ld %ld, after a search %ld %ld %ld %ld, split %ld\n", orders.natural[0],
                orders.natural[1], orders.natural[2], orders.natural[3], orders.searched[0], orders.searched[1], orders.searched[2],
                orders.searched[3], orders.split);
    for (const Forms *f : {&forms, &tuned_forms})
        std::printf("layers%s: of int16 products %ld; of byte products in natural order %ld, ordered %ld, both %ld; with extra chunks %ld; "
                    "with octs %ld, quads %ld, halves %ld, pairs %ld\n",
                    f == &forms ? "" : " (tuned)", f->words, f->natural, f->ordered, f->mixed, f->with_extras, f->chunks[0], f->chunks[1],
                    f->chunks[2], f->chunks[3]);
    for (int kind = 0; kind < zp::kChunkKinds; ++kind) CHECK(orders.natural[kind] > 300 && orders.searched[kind] > 300);
    for (int kind = zp::kOcts; kind < zp::kPairs; ++kind) CHECK(orders.searched[kind] > orders.natural[kind] || kind == zp::kHalves);
    if ((zp::detect_cpu_features() & zp::isa_features(zp::Isa::avx2)) != zp::isa_features(zp::Isa::avx2)) return 0;
    CHECK(changing_cases > 2000);
    CHECK(forms.words > 300 && forms.natural > 300 && forms.ordered == 0 && forms.mixed == 0);
    CHECK(tuned_forms.words > 100 && tuned_forms.natural > 100 && tuned_forms.ordered > 100 && tuned_forms.mixed > 100);
    CHECK(tuned_forms.with_extras > 50);
    for (const long chunks : tuned_forms.chunks) CHECK(chunks > 200);
    return 0;
}
