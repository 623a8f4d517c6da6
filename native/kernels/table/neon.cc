// The 256 codes lie in sixteen registers, four look-ups of 64 codes each: tbl gives 0, tbx what was there before, for an
// index outside its 64.
#include "../arm.h"
#include "../short_neon.h"

namespace zp {

bool zp_table_neon_accepts(const void *params) { return static_cast<const zp_table_params *>(params)->channels == 1; }

void zp_table_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_table_params *>(params);
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    const int8x16x4_t t0 = vld1q_s8_x4(p.table), t1 = vld1q_s8_x4(p.table + 64);
    const int8x16x4_t t2 = vld1q_s8_x4(p.table + 128), t3 = vld1q_s8_x4(p.table + 192);
    const uint8x16_t next = vdupq_n_u8(64);
    const auto look_up = [&](int8x16_t codes) {
        const uint8x16_t row0 = veorq_u8(vreinterpretq_u8_s8(codes), vdupq_n_u8(128));  // x + 128
        const uint8x16_t row1 = vsubq_u8(row0, next), row2 = vsubq_u8(row1, next), row3 = vsubq_u8(row2, next);
        return vqtbx4q_s8(vqtbx4q_s8(vqtbx4q_s8(vqtbl4q_s8(t0, row0), t1, row1), t2, row2), t3, row3);
    };
    int64_t i = begin;
    for (; i + 16 <= end; i += 16) vst1q_s8(y + i, look_up(vld1q_s8(x + i)));
    if (i < end) store_up_to_16(y + i, look_up(load_up_to_16(x + i, end - i)), end - i);
}

}  // namespace zp
