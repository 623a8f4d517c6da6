// The vector forms of fixedpoint.h, each in a file compiled for its instruction set and run where the CPU has it.
#include <cstdio>

#include "../plan/isa.h"

void test_requantize_avx2();
void test_requantize_avx512();

int main() {
    const auto has = [](zp::Isa isa) { return (zp::isa_features(isa) & ~zp::detect_cpu_features()) == 0; };
    if (has(zp::Isa::avx2)) test_requantize_avx2();
    if (has(zp::Isa::avx512vnni)) test_requantize_avx512();
    std::printf("requantize: %s\n", has(zp::Isa::avx512vnni) ? "avx2 and avx512" : has(zp::Isa::avx2) ? "avx2" : "no set of this CPU");
    return 0;
}
