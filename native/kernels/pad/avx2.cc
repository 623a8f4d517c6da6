#include "../copy_avx2.h"
#include "pad.h"

namespace zp {
namespace {

struct Frame {
    int64_t before, inside, all;    // elements of this dimension: of the frame, of the input, of the output
    int64_t in_stride, out_stride;  // bytes
};

// Dimensions, innermost first; the outermost, along which the work is divided, is kept on its own.
struct Frames {
    int rank = 0;
    Frame f[ZP_MAX_RANK + 1];
    uint8_t value;

    explicit Frames(const zp_pad_params &p) : value(static_cast<uint8_t>(p.value & 0xff)) {
        f[rank++] = {0, p.element_size, p.element_size, 1, 1};
        for (int32_t d = p.rank - 1; d >= 0; --d) {
            Frame &last = f[rank - 1];
            const int64_t in = last.inside, out = last.all;
            if (in == out && d > 0) {  // no frame: its bytes are this dimension's
                last = {p.before[d] * in, p.in_shape[d] * in, p.out_shape[d] * in, last.in_stride, last.out_stride};
            } else {
                f[rank++] = {p.before[d], p.in_shape[d], p.out_shape[d], last.in_stride * in, last.out_stride * out};
            }
        }
    }

    // Elements begin..end-1 of dimension `level`, whose first element of all is at `in` and `out`.
    void write(int level, const uint8_t *in, uint8_t *out, int64_t begin, int64_t end) const {
        const Frame &d = f[level];
        const auto limited = [&](int64_t at) { return at < begin ? begin : at > end ? end : at; };
        const int64_t first = limited(d.before), stop = limited(d.before + d.inside);
        fill_bytes(out + begin * d.out_stride, value, (first - begin) * d.out_stride);
        if (level == 0) {
            copy_bytes(out + first, in + (first - d.before), stop - first);
        } else {
            for (int64_t i = first; i < stop; ++i) write(level - 1, in + (i - d.before) * d.in_stride, out + i * d.out_stride, 0,
                f[level - 1].all);
        }
        fill_bytes(out + stop * d.out_stride, value, (end - stop) * d.out_stride);
    }
};

}  // namespace

void zp_pad_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const Frames frames(*static_cast<const zp_pad_params *>(params));
    frames.write(frames.rank - 1, static_cast<const uint8_t *>(buffers->in[0]), static_cast<uint8_t *>(buffers->out[0]), begin, end);
}

}  // namespace zp
