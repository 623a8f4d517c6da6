#include "peak.h"

#include <algorithm>
#include <chrono>

#include "../../plan/error.h"
#include "loops.h"

namespace zp {

// Long enough for the clock's resolution, short enough that some repetition is not interrupted.
static constexpr std::int64_t kNanoseconds = 1000000;

const std::vector<PeakRecord> &peak_records() {
    static const std::vector<PeakRecord> records = {
        {Isa::portable, "32-bit multiply and add, as the compiler has them", 32, zp_peak_portable},
#if defined(ZP_PEAK_ARM)
        {Isa::neon, "smlal: 8 products of int16, added to int32", 8 * 12, zp_peak_neon},
        {Isa::neondot, "sdot: 16 products of int8, added to int32", 16 * 12, zp_peak_neondot},
#endif
#if defined(ZP_PEAK_X86)
        {Isa::avx2, "four vpmaddubsw on 256 bits, added in int16, then in int32: 128 products of int8", 128 * 8, zp_peak_avx2},
        {Isa::avxvnni, "vpdpbusd on 256 bits: 32 products of int8, added to int32", 32 * 12, zp_peak_avxvnni},
        {Isa::avx512vnni, "vpdpbusd on 512 bits: 64 products of int8, added to int32", 64 * 12, zp_peak_avx512vnni},
#endif
    };
    return records;
}

static std::int64_t now() {
    using std::chrono::steady_clock;
    return static_cast<std::int64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::now().time_since_epoch()).count());
}

static std::int64_t timed(const PeakRecord &record, std::int64_t rounds) {
    const std::int64_t start = now();
    static_cast<void>(record.loop(rounds));
    return std::max<std::int64_t>(now() - start, 1);
}

static const PeakRecord &choose(const std::string &isa) {
    const std::uint32_t features = detect_cpu_features();
    const PeakRecord *best = nullptr;
    std::string choices;
    for (const PeakRecord &record : peak_records()) {
        if ((isa_features(record.isa) & ~features) != 0) continue;
        choices += std::string(choices.empty() ? "" : ", ") + isa_name(record.isa);
        if (isa.empty() || isa == isa_name(record.isa)) best = &record;
    }
    if (best == nullptr) throw PlanError("no multiplication peak is measured for '" + isa + "' on this CPU; choose from: " + choices);
    return *best;
}

MultiplyPeak multiply_peak(const std::string &isa, int repetitions) {
    const PeakRecord *record = &choose(isa);
    std::int64_t rounds = 1024;
    while (timed(*record, rounds) < kNanoseconds / 2) rounds *= 2;
    MultiplyPeak best = {record, record->macs_per_round * rounds, timed(*record, rounds)};
    for (int i = 1; i < repetitions; ++i) best.nanoseconds = std::min(best.nanoseconds, timed(*record, rounds));
    return best;
}

}  // namespace zp
