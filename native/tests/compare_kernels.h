// What the sweeps over kernels share: random operands, and the comparison of every fast kernel with the portable one that
// defines its operation, `==` on every output byte.
//
// Buffers are heap blocks of exactly the needed size, so that a sanitizer build sees every access outside them. The units
// are computed in random pieces. A failure prints the case's seed.
#ifndef ZP_TESTS_COMPARE_KERNELS_H
#define ZP_TESTS_COMPARE_KERNELS_H

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../kernels/registry.h"
#include "../portable/params.h"
#include "check.h"

using zp::KernelRecord;
using zp_test::Random;

namespace {

long compared_bytes = 0, compared_cases = 0, changing_cases = 0, tuned_cases = 0;
std::map<zp::Isa, long> compared_by_isa;
std::map<std::string, long> cases_of_record;

inline std::vector<std::int8_t> bytes(Random &random, std::int64_t n) {
    std::vector<std::int8_t> out(static_cast<std::size_t>(n));
    const bool extremes = random.between(0, 5) == 0;
    for (auto &b : out) b = static_cast<std::int8_t>(extremes ? (random.next() & 1 ? 127 : -128) : random.between(-128, 127));
    return out;
}

// Here and there as symmetric weights are, without -128: kernels take them by other ways.
inline std::vector<std::int8_t> weights(Random &random, std::int64_t n) {
    std::vector<std::int8_t> out = bytes(random, n);
    if (random.between(0, 1))
        for (auto &b : out) b = b == -128 ? std::int8_t{-127} : b;
    return out;
}

inline std::vector<std::int32_t> biases(Random &random, std::int64_t n) {
    std::vector<std::int32_t> out(static_cast<std::size_t>(n));
    const bool extremes = random.between(0, 9) == 0;
    for (auto &b : out) b = extremes ? random.between(INT32_MIN, INT32_MAX) : random.between(-20000, 20000);
    return out;
}

inline std::int32_t any_multiplier(Random &random, bool ordinary) {
    const std::int32_t corners[] = {0, 1, -1, 1 << 30, INT32_MAX, INT32_MIN, INT32_MIN + 1, -(1 << 30)};
    return ordinary ? random.between(1 << 30, INT32_MAX) : random.one_of(corners);
}

inline std::int32_t any_shift(Random &random, bool ordinary) {
    const std::int32_t corners[] = {-31, -30, -16, -1, 0, 1, 2, 15, 30};
    return ordinary ? random.between(-11, -3) : random.one_of(corners);
}

struct Rescaling {
    std::vector<std::int32_t> multiplier, shift;
    Rescaling(Random &random, std::int64_t channels) {
        const int kind = random.between(0, 3);
        for (std::int64_t c = 0; c < channels; ++c) {
            const bool ordinary = kind != 0 && (kind != 1 || random.between(0, 3) != 0);
            multiplier.push_back(any_multiplier(random, ordinary));
            shift.push_back(any_shift(random, ordinary));
        }
    }
};

template <class P>
void random_zero_points(Random &random, P &p) {
    const std::int32_t corners[] = {-128, 127, 0, -1, 3};
    p.input_zero_point = random.one_of(corners);
    p.weight_zero_point = random.between(0, 1) ? 0 : random.one_of(corners);
    p.output_zero_point = random.one_of(corners);
    p.clamp_min = random.between(0, 2) ? -128 : random.between(-128, 0);
    p.clamp_max = random.between(0, 2) ? 127 : random.between(p.clamp_min, 127);
}

struct Aligned {
    explicit Aligned(std::size_t size) : data(size == 0 ? nullptr : ::operator new(size, std::align_val_t{64})) {
        if (data) std::memset(data, 0xA5, size);
    }
    ~Aligned() { ::operator delete(data, std::align_val_t{64}); }
    void *data;
};

// Runs one record on random pieces of its units, in random order of execution; with what `pack` makes of the constants.
inline std::vector<std::int8_t> run(const KernelRecord &record, void (*pack)(const void *, const void *const *, void *), const void *params,
                             const std::vector<const void *> &in, std::size_t out_bytes, std::int64_t portable_units, Random &random) {
    std::vector<const void *> inputs = in;
    Aligned packed(record.pack ? record.packed_bytes(params) : 0), scratch(record.scratch_bytes ? record.scratch_bytes(params) : 0);
    if (pack) {
        pack(params, in.data(), packed.data);
        inputs[1] = packed.data;
    }
    std::unique_ptr<std::int8_t[]> out(new std::int8_t[out_bytes]);
    std::memset(out.get(), 0x55, out_bytes);
    void *outputs[] = {out.get()};
    const zp_buffers buffers = {inputs.data(), outputs, scratch.data};
    const std::int64_t units = record.units ? record.units(params) : portable_units;
    for (std::int64_t at = 0; at < units;) {
        const std::int64_t end = random.between(0, 1) ? units : at + random.between(1, units - at);
        record.fn(params, &buffers, static_cast<std::int32_t>(at), static_cast<std::int32_t>(end));
        at = end;
    }
    return std::vector<std::int8_t>(out.get(), out.get() + out_bytes);
}

inline bool is_supported(const KernelRecord &record) { return (record.cpu_features() & ~zp::detect_cpu_features()) == 0; }

inline const KernelRecord &portable(const std::string &op) {
    for (const KernelRecord &record : zp::kernel_records())
        if (op == record.op && record.isa == zp::Isa::portable) return record;
    std::fprintf(stderr, "no portable kernel for %s\n", op.c_str());
    std::exit(1);
}

inline void compare(const std::string &op, const void *params, const std::vector<const void *> &in, std::int64_t out_bytes,
             std::int64_t portable_units, std::uint64_t seed, const std::string &what) {
    const auto size = static_cast<std::size_t>(out_bytes);
    Random random(seed ^ 0x1234567);
    const std::vector<std::int8_t> expected = run(portable(op), nullptr, params, in, size, portable_units, random);
    for (std::size_t i = 1; i < size; ++i)
        if (expected[i] != expected[0]) {
            ++changing_cases;
            break;
        }
    for (const KernelRecord &record : zp::kernel_records()) {
        if (op != record.op || record.isa == zp::Isa::portable || !is_supported(record)) continue;
        if (record.accepts && !record.accepts(params)) continue;
        const auto compare_packed = [&](void (*pack)(const void *, const void *const *, void *), const char *how) {
            const std::vector<std::int8_t> actual = run(record, pack, params, in, size, portable_units, random);
            for (std::size_t i = 0; i < size; ++i)
                if (actual[i] != expected[i]) {
                    std::fprintf(stderr, "%s%s differs at byte %zu of %zu: %d, expected %d\n  seed %llu: %s\n", record.name, how, i, size,
                                 actual[i], expected[i], static_cast<unsigned long long>(seed), what.c_str());
                    std::exit(1);
                }
            compared_bytes += static_cast<long>(size);
        };
        compare_packed(record.pack, "");
        ++compared_cases;
        ++compared_by_isa[record.isa];
        ++cases_of_record[record.name];
        if (record.pack_tuned) {
            compare_packed(record.pack_tuned, " (tuned)");
            ++tuned_cases;
        }
    }
}

// With a seed on the command line, its case alone; true if there was one.
inline bool one_case(int argc, char **argv, void (*run_case)(std::uint64_t)) {
    if (argc < 2) return false;
    run_case(std::strtoull(argv[1], nullptr, 10));
    std::printf("case %s: %ld bytes equal\n", argv[1], compared_bytes);
    return true;
}

inline void print_totals() {
    std::printf("%ld cases, %ld bytes equal, %ld cases with more than one output value\n", compared_cases, compared_bytes, changing_cases);
}

template <class... N>
std::string list(N... n) {
    std::string out;
    ((out += std::to_string(n) + " "), ...);
    return out;
}

template <class P>
void random_window(Random &random, P &p, std::int32_t largest) {
    p.batch = random.between(1, 2);
    p.kernel_h = random.between(1, 4);
    p.kernel_w = random.between(1, 4);
    p.stride_h = random.between(1, 3);
    p.stride_w = random.between(1, 3);
    p.in_h = random.between(1, largest);
    p.in_w = random.between(1, largest);
    p.out_h = random.between(1, largest);
    p.out_w = random.between(1, largest);
    p.pad_top = random.between(0, 3);
    p.pad_left = random.between(0, 3);
}

}  // namespace
#endif
