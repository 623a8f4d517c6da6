// Convolutions and fully connected layers whose weights AVX2 multiplies as bytes, with a few or many extra groups, or not at all:
// against the portable kernels, with codes all at one end, where int16 sums are as large as they can be, and with random ones.
// `zp_test_byte_products <seed>` runs one case alone.
#include <string>
#include <vector>

#include "../kernels/matmul/byte_products.h"
#include "../kernels/matmul/matmul.h"
#include "compare_kernels.h"

namespace {

// How often each form was used, by what the packed block of AVX2's kernel says.
struct Forms {
    long words = 0, bytes = 0, with_extras = 0, paired = 0, single = 0, mixed = 0;
} forms;

void count_form(const std::string &name, const void *params, std::vector<const void *> in, std::int64_t panels) {
    for (const KernelRecord &record : zp::kernel_records()) {
        if (record.name != name || (record.accepts && !record.accepts(params))) continue;
        Aligned packed(record.packed_bytes(params));
        record.pack(params, in.data(), packed.data);
        zp::Avx2Header header;
        std::memcpy(&header, packed.data, sizeof header);
        if (!header.bytes) {
            ++forms.words;
            return;
        }
        ++forms.bytes;
        if (header.extras > 0) ++forms.with_extras;
        if (header.paired_panels == panels) ++forms.paired;
        else if (header.paired_panels == 0) ++forms.single;
        else ++forms.mixed;
    }
}

// Weights by kind: small ones; few and many large ones among small ones; pairs at the very bound and one beyond it; all large.
std::vector<std::int8_t> weights_of_kind(Random &random, std::int64_t n, int kind, std::int32_t zero_point) {
    std::vector<std::int8_t> out(static_cast<std::size_t>(n));
    const std::int32_t quarters[] = {32, -32, 31, -31, 33, -33}, halves[] = {64, -64, 63, -63, 65, -65, 0, 127, -128, 1, -1};
    for (auto &w : out) {
        std::int32_t v = 0;
        switch (kind) {
            case 0: v = random.between(-32, 32); break;
            case 1: v = random.between(0, 999) ? random.between(-25, 25) : random.between(-128, 127); break;
            case 2: v = random.between(0, 19) ? random.between(-20, 20) : random.between(-128, 127); break;
            case 3: v = random.one_of(quarters); break;
            case 4: v = random.one_of(halves); break;
            case 5: v = random.between(-64, 64); break;
            case 6: v = random.between(0, 199) ? random.between(-60, 60) : random.between(-128, 127); break;
            case 7: v = random.between(-80, 80); break;
            default: v = random.between(0, 1) ? 127 : -128; break;
        }
        v += zero_point;
        w = static_cast<std::int8_t>(v < -128 ? -128 : (v > 127 ? 127 : v));
    }
    return out;
}

std::vector<std::int8_t> codes(Random &random, std::int64_t n) {
    const int kind = random.between(0, 3);
    if (kind < 2) return std::vector<std::int8_t>(static_cast<std::size_t>(n), kind ? std::int8_t{127} : std::int8_t{-128});
    return bytes(random, n);
}

template <class P>
void zero_points(Random &random, P &p) {
    random_zero_points(random, p);
    if (random.between(0, 3)) p.weight_zero_point = random.between(0, 2) ? 0 : random.between(-3, 3);
}

void fully_connected_case(std::uint64_t seed) {
    Random random(seed);
    const std::int32_t ks[] = {1, 3, 4, 5, 7, 8, 9, 12, 16, 31, 33, 64, 100, 256, 511}, ns[] = {1, 7, 8, 9, 15, 16, 17, 24, 25, 32, 40, 65};
    zp_fully_connected_params p{};
    p.rows = random.between(0, 1) ? random.between(1, 14) : random.between(1, 200);
    p.in_features = random.one_of(ks);
    p.out_features = random.one_of(ns);
    zero_points(random, p);
    const Rescaling rescaling(random, p.out_features);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    const auto x = codes(random, std::int64_t{p.rows} * p.in_features);
    const auto w = weights_of_kind(random, std::int64_t{p.out_features} * p.in_features, random.between(0, 8), p.weight_zero_point);
    const auto bias = biases(random, p.out_features);
    const std::vector<const void *> in = {x.data(), w.data(), random.between(0, 2) ? bias.data() : nullptr};
    compare("fully_connected", &p, in, std::int64_t{p.rows} * p.out_features, std::int64_t{p.rows} * p.out_features, seed,
            "fully_connected rows k channels " + list(p.rows, p.in_features, p.out_features));
    count_form("fully_connected_s8_avx2", &p, in, (p.out_features + 15) / 16);
}

void conv_2d_case(std::uint64_t seed) {
    Random random(seed);
    zp_conv_2d_params p{};
    random_window(random, p, 9);
    p.dilation_h = random.between(1, 2);
    p.dilation_w = random.between(1, 2);
    p.groups = random.between(0, 3) ? 1 : random.between(2, 3);
    p.in_c = p.groups * random.between(1, 40);
    const std::int32_t out[] = {4, 7, 8, 9, 16, 17, 24, 32, 40};
    p.out_c = p.groups * random.one_of(out);
    zero_points(random, p);
    const Rescaling rescaling(random, p.out_c);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    const auto x = codes(random, std::int64_t{p.batch} * p.in_h * p.in_w * p.in_c);
    const std::int64_t k = std::int64_t{p.kernel_h} * p.kernel_w * (p.in_c / p.groups);
    const auto w = weights_of_kind(random, p.out_c * k, random.between(0, 8), p.weight_zero_point);
    const auto bias = biases(random, p.out_c);
    const std::vector<const void *> in = {x.data(), w.data(), random.between(0, 2) ? bias.data() : nullptr};
    compare("conv_2d", &p, in, std::int64_t{p.batch} * p.out_h * p.out_w * p.out_c, std::int64_t{p.batch} * p.out_h, seed,
            "conv_2d batch in out kernel stride dilation pad groups " +
                list(p.batch, p.in_h, p.in_w, p.in_c, p.out_h, p.out_w, p.out_c, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w,
                     p.dilation_h, p.dilation_w, p.pad_top, p.pad_left, p.groups));
    count_form("conv_2d_s8_avx2", &p, in, (p.out_c / p.groups + 15) / 16 * p.groups);
}

// Split weights add up to the given ones and obey the rule; where nothing had to be split, nothing was changed.
void check_split(std::uint64_t seed, bool paired) {
    Random random(seed);
    const std::int64_t segments = random.between(1, 3), groups = random.between(1, 7), lanes = random.between(0, 1) ? 8 : 16;
    const std::int64_t n = segments * groups * lanes * 4;
    const std::vector<std::int8_t> given = weights_of_kind(random, n, random.between(0, 8), 0);
    std::vector<std::int8_t> kept = given, extra(given.size());
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(segments * groups), -1);
    const zp::ByteWeights weights = {kept.data(), segments, groups, lanes};
    const std::int64_t count = zp::split_weights(weights, paired, nullptr);
    CHECK(kept == given);
    CHECK(paired || count >= 0);
    if (count < 0) return;
    const zp::ExtraGroups to = {extra.data(), numbers.data()};
    CHECK(count <= segments * groups);
    CHECK(zp::split_weights(weights, paired, &to) == count);

    const auto obeys = [](const std::int8_t *v, std::int64_t stride, std::int64_t together) {
        int positive = 0, negative = 0;
        for (std::int64_t g = 0; g < together; ++g)
            for (int i = 0; i < 2; ++i) (v[g * stride + i] > 0 ? positive : negative) += v[g * stride + i];
        return positive <= 128 && negative >= -128;
    };
    std::vector<int> sum(kept.begin(), kept.end());
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t number = numbers[static_cast<std::size_t>(i)];
        CHECK(number >= 0 && number < segments * groups);
        for (std::int64_t j = 0; j < lanes * 4; ++j) sum[static_cast<std::size_t>(number * lanes * 4 + j)] += extra[static_cast<std::size_t>(i * lanes * 4 + j)];
        for (std::int64_t j = 0; j < lanes * 4; j += 2) CHECK(obeys(&extra[static_cast<std::size_t>(i * lanes * 4 + j)], 0, 1));
    }
    CHECK(sum == std::vector<int>(given.begin(), given.end()));
    for (std::int64_t s = 0; s < segments; ++s)
        for (std::int64_t g = 0; g < groups;) {
            const std::int64_t together = paired && g + 1 < groups ? 2 : 1;
            for (std::int64_t j = 0; j < lanes * 4; j += 2) CHECK(obeys(&kept[static_cast<std::size_t>((s * groups + g) * lanes * 4 + j)], lanes * 4, together));
            g += together;
        }
}

void run_case(std::uint64_t seed) {
    if (seed % 3 == 0) {
        fully_connected_case(seed);
    } else {
        conv_2d_case(seed);
    }
}

}  // namespace

int main(int argc, char **argv) {
    if (argc > 1) {
        run_case(std::strtoull(argv[1], nullptr, 10));
        std::printf("case %s: %ld bytes equal\n", argv[1], compared_bytes);
        return 0;
    }
    for (std::uint64_t seed = 0; seed < 4000; ++seed) check_split(seed, seed % 2 == 0);
    for (std::uint64_t seed = 0; seed < 6000; ++seed) run_case(seed);
    std::printf("%ld cases, %ld bytes equal, %ld cases with more than one output value\n", compared_cases, compared_bytes, changing_cases);
    std::printf("int16 products %ld, byte products %ld: %ld with extra groups; %ld paired, %ld not, %ld both\n", forms.words, forms.bytes,
                forms.with_extras, forms.paired, forms.single, forms.mixed);
    if ((zp::detect_cpu_features() & zp::isa_features(zp::Isa::avx2)) != zp::isa_features(zp::Isa::avx2)) return 0;
    CHECK(changing_cases > 2000);
    CHECK(forms.words > 300 && forms.with_extras > 300 && forms.bytes - forms.with_extras > 300);
    CHECK(forms.paired > 300 && forms.single > 100 && forms.mixed > 20);
    return 0;
}
