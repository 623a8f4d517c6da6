// Which weights vpmaddubsw multiplies exactly, and how the others are made to fit.
//
// vpmaddubsw multiplies unsigned by signed bytes and adds two neighbouring products in int16, saturating. With u = x + 128 in
// 0 ... 255 and weights v = w - Zw of one channel, a sum of any number of products stays within int16 for every u, whatever the
// order of its additions, if the positive v of the sum add up to at most 128 and the negative ones to at least -128:
// 255 x 128 = 32640 <= 32767. (129 would not do.) So, where that holds over the four weights that neighbouring groups bring to one
// int16 lane, two results of vpmaddubsw are added in int16 before they are widened, which saves one of four multiplications
// ("paired"); where it holds over each group's own two weights only, every result is widened at once.
//
// Weights that break the rule are split, v = a + b, such that both a and b obey it: a stays, b goes to an extra group, which
// multiplies the same four codes once more. One group takes 128 of an excess; so a single group's two weights, 256 at most,
// can always be split, while four weights of two groups may have too much.
#ifndef ZP_KERNELS_MATMUL_BYTE_PRODUCTS_H
#define ZP_KERNELS_MATMUL_BYTE_PRODUCTS_H

#include <stdint.h>

namespace zp {

// One panel's weights, [segments][groups][lanes][4].
struct ByteWeights {
    int8_t *at;
    int64_t segments, groups, lanes;
};

// Where the extra groups go: weights [count][lanes][4], zeros before, and the number of each one's group among the panel's.
struct ExtraGroups {
    int8_t *weights;
    int32_t *numbers;
};

// Groups (or, `paired`, couples of neighbouring groups) that break the rule: what splitting takes at least; alone, exactly.
int64_t breaking_groups(const ByteWeights &weights, bool paired);

// Splits all weights that need it and returns the number of extra groups, or -1 where two groups have too much to be paired. With
// `to` NULL it counts only.
int64_t split_weights(const ByteWeights &weights, bool paired, const ExtraGroups *to);

}  // namespace zp
#endif
