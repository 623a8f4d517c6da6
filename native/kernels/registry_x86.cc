// The fast kernels for x86-64, a line each.
#include "add/add.h"
#include "depthwise_conv_2d/depthwise_conv_2d.h"
#include "matmul/matmul.h"
#include "pool_2d/pool_2d.h"
#include "registry.h"

namespace zp {

void add_x86_records(std::vector<KernelRecord> &r) {
#define ZP_MATMUL(op, isa)                                                                                                          \
    r.push_back({#op, "s8", Isa::isa, #op "_s8_" #isa, zp_##op##_s8_##isa, zp_##op##_accepts_##isa, zp_##op##_packed_bytes_##isa,   \
                 zp_##op##_pack_##isa, zp_##op##_scratch_bytes_##isa, zp_##op##_units_##isa});
    ZP_MATMUL(conv_2d, avx2)
    ZP_MATMUL(conv_2d, avxvnni)
    ZP_MATMUL(conv_2d, avx512vnni)
    ZP_MATMUL(fully_connected, avx2)
    ZP_MATMUL(fully_connected, avxvnni)
    ZP_MATMUL(fully_connected, avx512vnni)
#undef ZP_MATMUL
    r.push_back({"depthwise_conv_2d", "s8", Isa::avx512vnni, "depthwise_conv_2d_s8_avx512vnni", zp_depthwise_conv_2d_s8_avx512vnni,
                 zp_depthwise_conv_2d_accepts, zp_depthwise_conv_2d_packed_bytes, zp_depthwise_conv_2d_pack,
                 zp_depthwise_conv_2d_scratch_bytes, nullptr});
    r.push_back({"add", "s8", Isa::avx512vnni, "add_s8_avx512vnni", zp_add_s8_avx512vnni, zp_add_accepts});
    r.push_back({"average_pool_2d", "s8", Isa::avx512vnni, "average_pool_2d_s8_avx512vnni", zp_average_pool_2d_s8_avx512vnni});
    r.push_back({"max_pool_2d", "s8", Isa::avx512vnni, "max_pool_2d_s8_avx512vnni", zp_max_pool_2d_s8_avx512vnni});
}

}  // namespace zp
