#include "resize_bilinear.h"

namespace zp {

static bool are_shares(const int32_t *low, const int32_t *high, int32_t n, int32_t one) {
    for (int32_t i = 0; i < n; ++i)
        if (low[i] < 0 || high[i] < 0 || low[i] > one || high[i] > one || low[i] + high[i] != one) return false;
    return true;
}

bool zp_resize_bilinear_accepts(const void *params) {
    const auto &p = *static_cast<const zp_resize_bilinear_params *>(params);
    if (p.single_precision || p.weight_bits > 11) return false;
    const int32_t one = 1 << p.weight_bits;
    return are_shares(p.row_low_weight, p.row_high_weight, p.out_h, one) && are_shares(p.col_low_weight, p.col_high_weight, p.out_w, one);
}

}  // namespace zp
