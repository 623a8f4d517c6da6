// How many 8-bit products with int32 sums this CPU can do at best: the figure that a network's speed is a share of.
//
// Each loop issues the multiply instruction that the exact 8-bit kernels of its instruction set are made of, on registers
// alone, with as many independent accumulators as hide its latency. Nothing is loaded, so no kernel is faster.
#ifndef ZP_KERNELS_PEAK_H
#define ZP_KERNELS_PEAK_H

#include <cstdint>
#include <string>
#include <vector>

#include "../../plan/isa.h"

namespace zp {

struct PeakRecord {
    Isa isa;
    const char *instruction;       // what the figure is the peak of
    std::int64_t macs_per_round;   // products in one round of `loop`
    std::int32_t (*loop)(std::int64_t rounds);  // returns something made of the sums, so that they are computed
};

// The loops of this build, lowest instruction set first; the portable one is always there.
const std::vector<PeakRecord> &peak_records();

struct MultiplyPeak {
    const PeakRecord *record;
    std::int64_t macs, nanoseconds;  // of the fastest repetition
};

// Runs the loop of the instruction set named `isa` (empty: the highest that this CPU has), `repetitions` times for about a
// millisecond each. Throws PlanError for a name without a loop and for a set that this CPU lacks.
MultiplyPeak multiply_peak(const std::string &isa, int repetitions);

}  // namespace zp
#endif
