// The multiplication peak: every loop that this CPU has the instructions for is measured, an unknown name is refused.
#include <cstdio>
#include <string>

#include "../kernels/peak/peak.h"
#include "../plan/error.h"

int main() {
    const std::uint32_t features = zp::detect_cpu_features();
    int measured = 0;
    for (const zp::PeakRecord &record : zp::peak_records()) {
        if ((zp::isa_features(record.isa) & ~features) != 0) continue;
        const zp::MultiplyPeak peak = zp::multiply_peak(zp::isa_name(record.isa), 3);
        std::printf("%s: %lld products in %lld ns\n", zp::isa_name(record.isa), static_cast<long long>(peak.macs),
                    static_cast<long long>(peak.nanoseconds));
        if (peak.record != &record || peak.macs < record.macs_per_round || peak.nanoseconds < 1) return 1;
        ++measured;
    }
    if (measured < 1) return 1;
    try {
        zp::multiply_peak("abacus", 1);
        return 1;
    } catch (const zp::PlanError &error) {
        if (std::string(error.what()).find("'abacus'") == std::string::npos) return 1;
    }
    return 0;
}
