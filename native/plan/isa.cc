#include "isa.h"

#include <cstdlib>

#include "../kernels/registry.h"
#include "error.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define ZP_X86 1
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace zp {

#ifdef ZP_X86
static std::uint64_t read_xcr0() {
    std::uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (static_cast<std::uint64_t>(high) << 32) | low;
}
#endif

std::uint32_t detect_cpu_features() {
    std::uint32_t found = 0;
#ifdef ZP_X86
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const bool osxsave = (c >> 27) & 1u;
    if (!osxsave) return 0;
    const std::uint64_t xcr0 = read_xcr0();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const bool ymm_saved = (xcr0 & 0x06) == 0x06, zmm_saved = (xcr0 & 0xE6) == 0xE6;
    if (ymm_saved && ((b >> 5) & 1u)) found |= kAvx2;
    const bool f = (b >> 16) & 1u, dq = (b >> 17) & 1u, cd = (b >> 28) & 1u, bw = (b >> 30) & 1u, vl = (b >> 31) & 1u;
    if (zmm_saved && f && cd && dq && bw && vl) {
        found |= kAvx512;
        if ((c >> 11) & 1u) found |= kAvx512Vnni;
    }
    if ((found & kAvx2) && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && ((a >> 4) & 1u)) found |= kAvxVnni;
#ifdef ZP_EMULATE_AVX512
    // A build for tests, whose kernels for these sets are made of AVX2 (kernels/avx512.h).
    if (found & kAvx2) found |= kAvx512 | kAvx512Vnni | kAvxVnni;
#endif
#elif defined(__aarch64__) && defined(__linux__)
    // Bits 1 (ASIMD) and 20 (ASIMDDP) of the kernel's list; its header is older than the second on some systems.
    const unsigned long capabilities = getauxval(AT_HWCAP);
    if ((capabilities >> 1) & 1u) found |= kNeon;
    if ((found & kNeon) && ((capabilities >> 20) & 1u)) found |= kNeonDot;
#elif defined(__aarch64__) && defined(__APPLE__)
    found = kNeon | kNeonDot;  // every Apple CPU that runs macOS has both
#elif defined(__aarch64__)
    found = kNeon;  // part of the architecture; whether sdot exists, this system was not taught to say
#endif
    return found;
}

const char *isa_name(Isa isa) {
    switch (isa) {
        case Isa::neon: return "neon";
        case Isa::neondot: return "neondot";
        case Isa::avx2: return "avx2";
        case Isa::avxvnni: return "avxvnni";
        case Isa::avx512vnni: return "avx512vnni";
        case Isa::portable: break;
    }
    return "portable";
}

std::uint32_t isa_features(Isa isa) {
    switch (isa) {
        case Isa::neon: return kNeon;
        case Isa::neondot: return kNeon | kNeonDot;
        case Isa::avx2: return kAvx2;
        case Isa::avxvnni: return kAvx2 | kAvxVnni;
        case Isa::avx512vnni: return kAvx2 | kAvx512 | kAvx512Vnni;
        case Isa::portable: break;
    }
    return 0;
}

static const Isa kLadder[] = {Isa::portable, Isa::neon, Isa::neondot, Isa::avx2, Isa::avxvnni, Isa::avx512vnni};

std::vector<Isa> isas_built() {
    std::vector<Isa> built;
    for (Isa isa : kLadder) {
        bool any = false;
        for (const KernelRecord &record : kernel_records()) any = any || record.isa == isa;
        if (any) built.push_back(isa);
    }
    return built;
}

std::vector<Isa> isas_supported(std::uint32_t features) {
    std::vector<Isa> supported;
    for (Isa isa : isas_built())
        if ((isa_features(isa) & ~features) == 0) supported.push_back(isa);
    return supported;
}

Isa resolve_isa(const std::string &requested, std::uint32_t features) {
    std::string name = requested;
    if (name.empty())
        if (const char *forced = std::getenv("ZEROPOINT_ISA")) name = forced;
    const std::vector<Isa> supported = isas_supported(features);
    if (name.empty()) return supported.back();
    for (Isa isa : supported)
        if (name == isa_name(isa)) return isa;
    std::string choices;
    for (Isa isa : supported) choices += std::string(choices.empty() ? "" : ", ") + isa_name(isa);
    for (Isa isa : kLadder)
        if (name == isa_name(isa))
            throw PlanError("instruction set '" + name + "' is not available in this build or on this CPU; choose from: " + choices);
    throw PlanError("unknown instruction set '" + name + "' (argument `isa` or ZEROPOINT_ISA); choose from: " + choices);
}

}  // namespace zp
