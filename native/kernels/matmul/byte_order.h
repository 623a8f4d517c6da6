// In which order a chunk of 16 weights meets 16 codes, so that their products can be added in int16.
//
// vpmaddubsw multiplies unsigned by signed bytes and adds two neighbouring products in int16, saturating. With u = x + 128 in
// 0 ... 255 and weights v = w - Zw of one channel, a sum of any number of products stays within int16 for every u, whatever the
// order of its additions, if the positive v of the sum add up to at most 128 and the negative ones to at least -128:
// 255 x 128 = 32640 <= 32767. (129 would not do.) The more products are added in int16, the fewer have to be widened.
//
// Which weights meet in a sum is ours to choose: the 16 codes of a chunk are brought into any order by one vpshufb. So the chunk of
// a panel (16 weights of each of 8 channels) gets the order in which the sums may be longest for all of its channels at once:
//   octs    two sums of eight   four products and one widening for 16 weights of 8 channels
//   quads   four sums of four   four and two
//   halves  two sums of four, four of two
//   pairs   eight sums of two   four and four
// A pair that no order helps (100 and 100, say) is split, v = a + b with both within the rule: a stays, b goes to an extra chunk,
// which multiplies the same codes once more.
#ifndef ZP_KERNELS_MATMUL_BYTE_ORDER_H
#define ZP_KERNELS_MATMUL_BYTE_ORDER_H

#include <stdint.h>

namespace zp {

constexpr int64_t kChunk = 16, kChunkLanes = 8;

enum ChunkKind : int { kOcts, kQuads, kHalves, kPairs, kChunkKinds };

// 16 weights of each of 8 channels, [channel][16]; zeros where a channel or a value is missing.
struct ChunkWeights {
    int8_t of[kChunkLanes][kChunk];
};

// Position i of the ordered chunk is position order[i] of the unordered one. Its four groups of four bytes have two sums each of two
// products: those of bytes 0, 1 and of bytes 2, 3; a kind says which groups are added before they are widened.
struct ChunkOrder {
    ChunkKind kind;
    uint8_t order[kChunk];
};

// The natural one; which kind it is, `kind_of_ordered` tells.
constexpr ChunkOrder kNaturalOrder = {kPairs, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

// The order with the longest sums that a search finds: the natural one if it is as good. `effort`: how many sums are tried at most, for
// each kind. The kind may be kPairs although some pairs break the rule.
ChunkOrder order_chunk(const ChunkWeights &weights, int effort);

// The best kind that weights are in the order that they have; false where even their pairs break the rule.
bool kind_of_ordered(const ChunkWeights &weights, ChunkKind *kind);

// What of ordered weights breaks the rule in pairs, moved to `extra`; both obey it then.
void split_chunk(ChunkWeights *ordered, ChunkWeights *extra);

}  // namespace zp
#endif
