// The fast kernels for 64-bit Arm, a line each.
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
}

}  // namespace zp
