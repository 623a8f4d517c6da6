#include "../copy_avx2.h"
#include "resize_nearest_neighbor.h"

namespace zp {

void zp_resize_nearest_neighbor_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_resize_nearest_neighbor_params *>(params);
    const int64_t channels = p.channels, line = p.out_w * channels;
    auto *out = static_cast<uint8_t *>(buffers->out[0]) + begin * line;
    for (int64_t unit = begin; unit < end; ++unit, out += line) {
        const int64_t n = unit / p.out_h, oh = unit % p.out_h;
        if (unit > begin && oh > 0 && p.row[oh] == p.row[oh - 1]) {
            __builtin_memcpy(out, out - line, static_cast<size_t>(line));
            continue;
        }
        const auto *in = static_cast<const uint8_t *>(buffers->in[0]) + (n * p.in_h + p.row[oh]) * p.in_w * channels;
        for (int64_t ow = 0; ow < p.out_w; ++ow) copy_bytes(out + ow * channels, in + p.col[ow] * channels, channels);
    }
}

}  // namespace zp
