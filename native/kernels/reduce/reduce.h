// Mean and sum over axes, in two forms: the innermost dimension is kept, and its elements are added side by side (the mean over
// the height and width of NHWC); or it is reduced, and its elements are added up along it (the mean over channels).
#ifndef ZP_KERNELS_REDUCE_H
#define ZP_KERNELS_REDUCE_H

#include <stdint.h>

#include "../../portable/fixedpoint.h"
#include "../../portable/params.h"

namespace zp {

bool zp_reduce_accepts(const void *params);
void zp_reduce_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_reduce_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

namespace {

// Dimensions, innermost first, those that lie in memory as one made one.
struct Axes {
    int rank = 0;
    int64_t shape[ZP_MAX_RANK + 1], stride[ZP_MAX_RANK + 1];

    Axes(int32_t n, const int32_t *sizes, const int32_t *strides) {
        for (int32_t d = n - 1; d >= 0; --d) {
            if (sizes[d] == 1) continue;
            if (rank > 0 && strides[d] == stride[rank - 1] * shape[rank - 1]) {
                shape[rank - 1] *= sizes[d];
            } else {
                shape[rank] = sizes[d];
                stride[rank++] = strides[d];
            }
        }
        if (rank == 0) {
            shape[0] = stride[0] = 1;
            rank = 1;
        }
    }

    // Where element number `index` in row-major order lies.
    int64_t offset(int64_t index) const {
        int64_t at = 0;
        for (int d = 0; d < rank; index /= shape[d++]) at += index % shape[d] * stride[d];
        return at;
    }

    // Calls row(offset) for every index of the dimensions outside the innermost.
    template <class Function>
    void for_rows(Function row) const {
        int64_t index[ZP_MAX_RANK + 1] = {0}, at = 0;
        for (;;) {
            row(at);
            int d = 1;
            for (; d < rank; ++d) {
                at += stride[d];
                if (++index[d] < shape[d]) break;
                at -= shape[d] * stride[d];
                index[d] = 0;
            }
            if (d == rank) return;
        }
    }
};

struct Reduction {
    Axes kept, reduced;
    uint32_t zero;  // count * input_zero_point

    explicit Reduction(const zp_reduce_params &p)
        : kept(p.keep_rank, p.keep_shape, p.keep_stride), reduced(p.reduce_rank, p.reduce_shape, p.reduce_stride) {
        uint32_t count = 1;
        for (int32_t d = 0; d < p.reduce_rank; ++d) count *= static_cast<uint32_t>(p.reduce_shape[d]);
        zero = count * static_cast<uint32_t>(p.input_zero_point);
    }

    bool side_by_side() const { return kept.stride[0] == 1 && kept.shape[0] >= 8; }
    bool along() const { return reduced.stride[0] == 1 && reduced.shape[0] >= 16; }

    int8_t code(uint32_t sum, const zp_reduce_params &p) const {
        return zp_requantize(zp_int32_from_bits(sum - zero), p.multiplier, p.shift, p.output_zero_point, p.clamp_min, p.clamp_max);
    }
};

// A sum of up to so many codes fits int16.
constexpr int64_t kReduceShortSums = 256;

// One output after the other: the sum along the innermost dimension is `sum_of(first, elements)`.
template <class Sum>
inline void reduce_along(const Reduction &r, const zp_reduce_params &p, const zp_buffers *buffers, int64_t begin, int64_t end, Sum sum_of) {
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    for (int64_t unit = begin; unit < end; ++unit) {
        const int8_t *first = x + r.kept.offset(unit);
        uint32_t sum = 0;
        r.reduced.for_rows([&](int64_t at) { sum += sum_of(first + at, r.reduced.shape[0], r.reduced.stride[0]); });
        y[unit] = r.code(sum, p);
    }
}

// Calls stretch(first element, output, elements) for kept elements that lie side by side.
template <class Function>
inline void reduce_side_by_side(const Reduction &r, const zp_buffers *buffers, int64_t begin, int64_t end, Function stretch) {
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    for (int64_t unit = begin; unit < end;) {
        const int64_t left = r.kept.shape[0] - unit % r.kept.shape[0], n = left < end - unit ? left : end - unit;
        stretch(x + r.kept.offset(unit), y + unit, n);
        unit += n;
    }
}

inline uint32_t sum_one_by_one(const int8_t *from, int64_t n, int64_t stride) {
    uint32_t sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<uint32_t>(static_cast<int32_t>(from[i * stride]));
    return sum;
}

}  // namespace
}  // namespace zp
#endif
