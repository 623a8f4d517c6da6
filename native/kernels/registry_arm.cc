// The fast kernels for 64-bit Arm, a line each.
#include "arm.h"
#include "depthwise_conv_2d/depthwise_arm.h"
#include "matmul/matmul_arm.h"
#include "registry.h"

namespace zp {

#define ZP_MATMUL_RECORD(op, isa)                                                                                             \
    {#op, "s8", Isa::isa, #op "_s8_" #isa, zp_##op##_s8_##isa, zp_##op##_##isa##_accepts, zp_##op##_##isa##_packed_bytes,     \
     zp_##op##_##isa##_pack, zp_##op##_##isa##_scratch_bytes, zp_##op##_##isa##_units}

void add_arm_records(std::vector<KernelRecord> &r) {
    r.push_back(ZP_MATMUL_RECORD(conv_2d, neon));
    r.push_back(ZP_MATMUL_RECORD(conv_2d, neondot));
    r.push_back(ZP_MATMUL_RECORD(fully_connected, neon));
    r.push_back(ZP_MATMUL_RECORD(fully_connected, neondot));
    r.push_back({"depthwise_conv_2d", "s8", Isa::neon, "depthwise_conv_2d_s8_neon", zp_depthwise_conv_2d_s8_neon,
                 zp_depthwise_conv_2d_neon_accepts, zp_depthwise_conv_2d_neon_packed_bytes, zp_depthwise_conv_2d_neon_pack,
                 zp_depthwise_conv_2d_neon_scratch_bytes, nullptr});
    r.push_back(in_place({"add", "s8", Isa::neon, "add_s8_neon", zp_add_s8_neon, zp_add_neon_accepts}));
    r.push_back(in_place({"mul", "s8", Isa::neon, "mul_s8_neon", zp_mul_s8_neon, zp_mul_neon_accepts}));
    r.push_back({"average_pool_2d", "s8", Isa::neon, "average_pool_2d_s8_neon", zp_average_pool_2d_s8_neon});
    r.push_back({"max_pool_2d", "s8", Isa::neon, "max_pool_2d_s8_neon", zp_max_pool_2d_s8_neon});
    r.push_back({"reduce", "s8", Isa::neon, "reduce_s8_neon", zp_reduce_s8_neon, zp_reduce_neon_accepts});
    r.push_back(in_place({"table", "s8", Isa::neon, "table_s8_neon", zp_table_s8_neon, zp_table_neon_accepts}));
}

}  // namespace zp
