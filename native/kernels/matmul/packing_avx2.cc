// AVX2's choice between ordered byte products and int16 products, made for a layer from its weights; and its byte form. Runs once,
// on any CPU.
#include <string.h>

#include <vector>

#include "ordered.h"

namespace zp {
namespace {

constexpr MatmulLayout kBytes = kAvx2BytesLayout;

// Cycles of a chunk for a tile of 8 by 8, measured on Zen 3; of bringing it into its order; and of as many int16 products.
constexpr int64_t kCost[kChunkKinds] = {28, 30, 33, 35}, kOrderCost = 3, kWordsCost = 42;

// Tests of a search for a chunk's order, at most: beyond, a better order costs more time than it ever gives back.
constexpr int kEffort = 300;
constexpr int64_t kSearchedPositions = 32;

struct OrderedChunk {
    int64_t place;  // bytes from a position's first value
    ChunkOrder order;
    ChunkWeights weights;
};
using Chunks = std::vector<OrderedChunk>;

// Weights less their zero point, as bytes where they fit; what is beyond the byte (asymmetric weights are up to 255) in `rest`.
struct NaturalChunk {
    ChunkWeights weights, rest;
    bool has_rest;

    // False: it takes more than two bytes.
    bool set(int64_t channel, int64_t i, int32_t v) {
        const int32_t byte = v < -128 ? -128 : (v > 127 ? 127 : v), beyond = v - byte;
        weights.of[channel][i] = static_cast<int8_t>(byte);
        rest.of[channel][i] = static_cast<int8_t>(beyond);
        has_rest = has_rest || beyond != 0;
        return beyond <= 127 && beyond >= -128;
    }
};

ChunkWeights in_order(const ChunkWeights &natural, const uint8_t *order) {
    ChunkWeights out;
    for (int64_t c = 0; c < kChunkLanes; ++c)
        for (int64_t j = 0; j < kChunk; ++j) out.of[c][j] = natural.of[c][order[j]];
    return out;
}

// What a panel's chunks cost; extra ones included.
int64_t cost_of(const Chunks &chunks, bool natural) {
    int64_t cost = natural ? 0 : kOrderCost * static_cast<int64_t>(chunks.size());
    for (const OrderedChunk &chunk : chunks) cost += kCost[chunk.order.kind];
    return cost;
}

class Packer {
public:
    Packer(const MatmulShape &s, const int8_t *weights) : s_(s), layout_(s), weights_(weights) {}

    // The chunks of channels [first, first + width), extra ones behind those that they relieve. `natural`: in natural order. False:
    // a weight does not fit, or too much would have to be split.
    bool order(int64_t first, int64_t width, bool natural, Chunks *chunks) const {
        chunks->clear();
        for (int64_t kh = 0; kh < s_.kernel_h; ++kh)
            for (int64_t kw = 0; kw < s_.kernel_w; ++kw)
                for (int64_t piece = 0; piece < layout_.pieces; ++piece) {
                    NaturalChunk chunk = {};
                    if (!gather(first, width, kh, kw, piece, &chunk)) return false;
                    add(layout_.offset(s_, kh, kw, piece), chunk, natural, chunks);
                    if (static_cast<int64_t>(chunks->size()) > most_chunks(s_)) return false;
                }
        return true;
    }

private:
    bool gather(int64_t first, int64_t width, int64_t kh, int64_t kw, int64_t piece, NaturalChunk *out) const {
        const int64_t start = piece_start(s_, piece), again = piece * kChunk - start;  // values that the piece before has, too
        const int64_t n = s_.depth - start < kChunk ? s_.depth - start : kChunk;
        bool fits = true;
        for (int64_t c = 0; c < width; ++c) {
            const int8_t *w = weights_ + (first + c) * s_.k() + (kh * s_.kernel_w + kw) * s_.depth + start;
            if (s_.weight_zero_point == 0) {
                memcpy(out->weights.of[c] + again, w + again, static_cast<size_t>(n - again));
                continue;
            }
            for (int64_t i = again; i < n; ++i) fits = out->set(c, i, w[i] - s_.weight_zero_point) && fits;
        }
        return fits;
    }

    static void add(int64_t place, const NaturalChunk &chunk, bool natural, Chunks *chunks) {
        const ChunkOrder order = natural ? kNaturalOrder : order_chunk(chunk.weights, kEffort);
        push({place, order, in_order(chunk.weights, order.order)}, chunks);
        if (chunk.has_rest) push({place, order, in_order(chunk.rest, order.order)}, chunks);
    }

    static void push(OrderedChunk chunk, Chunks *chunks) {
        if (kind_of_ordered(chunk.weights, &chunk.order.kind)) {
            chunks->push_back(chunk);
            return;
        }
        OrderedChunk extra = chunk;
        split_chunk(&chunk.weights, &extra.weights);
        push(chunk, chunks);
        push(extra, chunks);
    }

    const MatmulShape &s_;
    OrderedLayout layout_;
    const int8_t *weights_;
};

void write_panel(const MatmulShape &s, const Chunks &chunks, bool natural, int64_t first, int64_t width, const void *const *inputs, uint8_t *to) {
    const auto count = static_cast<int64_t>(chunks.size());
    memset(to, 0, static_cast<size_t>(ordered_weights_at(count)));
    uint8_t *table = to + kOrderedTableAt;
    matmul_pack_table(s, kBytes, first, width, inputs, table);
    Flags flags;
    memcpy(&flags, table + 6 * 4 * kBytes.panel(), sizeof flags);
    OrderedPanel head = {};
    head.fast = flags.fast;
    head.width = static_cast<int32_t>(width);
    head.natural = natural ? 1 : 0;
    int64_t n = 0;
    for (int kind = 0; kind < kChunkKinds; ++kind)
        for (const OrderedChunk &chunk : chunks) {
            if (chunk.order.kind != kind) continue;
            ++head.chunks[kind];
            ChunkPlace place = {chunk.place, 0, {}};
            memcpy(place.order, chunk.order.order, sizeof place.order);
            memcpy(to + kOrderedPlacesAt + n * static_cast<int64_t>(sizeof place), &place, sizeof place);
            uint8_t *w = to + ordered_weights_at(count) + n * kChunkBytes;
            for (int64_t c = 0; c < kChunkLanes; ++c)
                for (int64_t g = 0; g < kChunk / 4; ++g) memcpy(w + (g * kChunkLanes + c) * 4, chunk.weights.of[c] + 4 * g, 4);
            ++n;
        }
    memcpy(to, &head, sizeof head);
}

// `tuned`: with orders of their own, where a layer has enough positions to win back the time that the search takes.
bool pack_ordered(const MatmulShape &s, bool tuned, const void *const *inputs, uint8_t *packed) {
    if (!can_be_ordered(s)) return false;
    const Packer packer(s, static_cast<const int8_t *>(inputs[1]));
    Avx2Header header = {};
    header.bytes = 1;
    const int64_t per_group = ordered_panels_per_group(s), words = s.segments() * ((s.segment_k() + 1) / 2 * 2) * kWordsCost / kChunk;
    const bool search = tuned && s.images * s.out_h * s.out_w >= kSearchedPositions;
    int64_t saved = 0;  // against int16 products, by the panels so far
    int64_t at = kAvx2HeaderBytes + ordered_directory_bytes(s);
    Chunks natural, ordered;
    for (int64_t panel = 0; panel < ordered_panels(s); ++panel) {
        const int64_t in_group = panel % per_group * kChunkLanes, first = panel / per_group * s.channels + in_group;
        const int64_t width = s.channels - in_group < kChunkLanes ? s.channels - in_group : kChunkLanes;
        const Chunks *best = nullptr;
        int64_t cost = 0;
        if (packer.order(first, width, true, &natural)) {
            best = &natural;
            cost = cost_of(natural, true);
        }
        const int64_t least = chunks_of_panel(s) * (kCost[kQuads] + kOrderCost);  // that an order of its own can be hoped to cost
        if (search && (!best || cost > least) && packer.order(first, width, false, &ordered) && (!best || cost_of(ordered, false) < cost)) {
            best = &ordered;
            cost = cost_of(ordered, false);
        }
        // Panels of a layer are much alike: where the first ones do not pay, the others will not.
        if (!best || (saved += words - cost) <= 0) return false;
        for (const OrderedChunk &chunk : *best) ++header.chunks[chunk.order.kind];
        header.extras += static_cast<int64_t>(best->size()) - chunks_of_panel(s);
        header.natural += best == &natural ? 1 : 0;
        memcpy(packed + kAvx2HeaderBytes + 8 * panel, &at, 8);
        write_panel(s, *best, best == &natural, first, width, inputs, packed + at);
        at += ordered_panel_bytes(static_cast<int64_t>(best->size()));
    }
    header.size = at;
    memcpy(packed, &header, sizeof header);
    return true;
}

}  // namespace

int64_t matmul_packed_bytes(const MatmulShape &s, Avx2Forms) {
    const int64_t words = matmul_packed_bytes(s, kAvx2Layout), bytes = ordered_directory_bytes(s) + ordered_panels(s) * ordered_panel_bytes(most_chunks(s));
    return kAvx2HeaderBytes + (words > bytes ? words : bytes);
}

static void pack_either(const MatmulShape &s, bool tuned, const void *const *inputs, void *packed) {
    auto *to = static_cast<uint8_t *>(packed);
    if (pack_ordered(s, tuned, inputs, to)) return;
    Avx2Header header = {};
    header.size = kAvx2HeaderBytes + matmul_packed_bytes(s, kAvx2Layout);
    memcpy(to, &header, sizeof header);
    matmul_pack_panels(s, kAvx2Layout, inputs, to + kAvx2HeaderBytes);
}

void matmul_pack(const MatmulShape &s, Avx2Forms, const void *const *inputs, void *packed) { pack_either(s, false, inputs, packed); }

void zp_conv_2d_pack_tuned_avx2(const void *params, const void *const *inputs, void *packed) {
    pack_either(matmul_shape(*static_cast<const zp_conv_2d_params *>(params)), true, inputs, packed);
}

size_t zp_matmul_kept_bytes_avx2(const void *, const void *packed) {
    Avx2Header header;
    memcpy(&header, packed, sizeof header);
    return static_cast<size_t>(header.size);
}

int64_t matmul_scratch_bytes(const MatmulShape &s, Avx2Forms) {
    const int64_t words = s.scratch_bytes(kAvx2Layout), bytes = can_be_ordered(s) ? ordered_scratch_bytes(s) : 0;
    return words > bytes ? words : bytes;
}

}  // namespace zp
