#include "../copy_avx2.h"
#include "concatenation.h"

namespace zp {

void zp_concatenation_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_concatenation_params *>(params);
    int64_t width = 0;
    for (int32_t i = 0; i < p.n_inputs; ++i) width += p.inner[i];
    auto *out = static_cast<uint8_t *>(buffers->out[0]);
    for (int32_t i = 0; i < p.n_inputs; ++i) {
        const int64_t n = p.inner[i];
        const auto *in = static_cast<const uint8_t *>(buffers->in[i]);
        for (int64_t step = begin; step < end; ++step) copy_bytes(out + step * width, in + step * n, n);
        out += n;
    }
}

}  // namespace zp
