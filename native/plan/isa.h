// Instruction sets: which this CPU has, which were built, and how a user names one.
//
// The sets of an architecture form one ladder (portable < avx2 < avxvnni < avx512vnni; portable < neon < neondot): naming
// one means "this rung and those below it, as far as this CPU has them".
#ifndef ZP_PLAN_ISA_H
#define ZP_PLAN_ISA_H

#include <cstdint>
#include <string>
#include <vector>

namespace zp {

enum class Isa : int { portable = 0, neon, neondot, avx2, avxvnni, avx512vnni };

enum CpuFeature : std::uint32_t {
    kAvx2 = 1u << 0,
    kAvx512 = 1u << 1,      // F, CD, BW, DQ and VL together; every CPU with VNNI has them
    kAvx512Vnni = 1u << 2,
    kAvxVnni = 1u << 3,     // vpdpbusd on 256 bits, VEX-coded
    kNeon = 1u << 4,        // 64-bit Arm has it always
    kNeonDot = 1u << 5,     // sdot, udot
};

// On x86 what cpuid and xgetbv say: a bit is set only where the operating system saves the registers too. On 64-bit Arm
// what the operating system says.
std::uint32_t detect_cpu_features();

const char *isa_name(Isa isa);
std::uint32_t isa_features(Isa isa);

// Rungs of the ladder that have kernels in this build, lowest first; and those that run on a CPU with `features`.
std::vector<Isa> isas_built();
std::vector<Isa> isas_supported(std::uint32_t features);

// The upper bound for kernel choice. An empty `requested` asks the environment variable ZEROPOINT_ISA, and
// where that is empty too the answer is the best supported rung.
// Throws PlanError for an unknown name and for a rung that this build or CPU lacks.
Isa resolve_isa(const std::string &requested, std::uint32_t features);

}  // namespace zp
#endif
