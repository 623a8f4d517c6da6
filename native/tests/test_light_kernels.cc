// Every operation that multiplies no matrices: each fast kernel against the portable one, over sizes around every vector edge and
// over extreme zero points, multipliers, shifts and clamps. `zp_test_light_kernels <seed>` runs one case alone.
#include <algorithm>
#include <string>
#include <vector>

#include "compare_kernels.h"

namespace {

std::int64_t product_of(const std::int32_t *shape, std::int32_t rank) {
    std::int64_t n = 1;
    for (std::int32_t d = 0; d < rank; ++d) n *= shape[d];
    return n;
}

// Sizes around one, two and four vectors of either width.
std::int32_t near_a_vector(Random &random) {
    const std::int32_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 95, 96, 97, 127, 128, 129, 160, 200, 257};
    return random.one_of(sizes);
}

template <class P>
void random_clamp(Random &random, P &p) {
    p.clamp_min = random.between(0, 2) ? -128 : random.between(-128, 0);
    p.clamp_max = random.between(0, 2) ? 127 : random.between(p.clamp_min, 127);
}

// Shape of the output and a way of broadcasting each input: of one shape, one value, one value per channel or per row, or any
// dimensions whatever. Returns how many elements the inputs have.
template <class P>
void random_broadcast(Random &random, P &p, std::int64_t count[2]) {
    p.rank = random.between(0, 4);
    for (std::int32_t d = 0; d < p.rank; ++d) p.shape[d] = d + 1 == p.rank ? near_a_vector(random) : random.between(1, 4);
    const int kind = random.between(0, 4);
    for (int input = 0; input < 2; ++input) {
        std::int32_t *stride = input ? p.stride2 : p.stride1, size = 1;
        for (std::int32_t d = p.rank - 1; d >= 0; --d) {
            bool kept = true;
            if (input == kind % 2 && kind >= 2) kept = kind == 4 ? random.between(0, 1) : kind == 2 ? d + 1 == p.rank : d + 1 != p.rank;
            stride[d] = kept ? size : 0;
            if (kept) size *= p.shape[d];
        }
        count[input] = size;
    }
    const std::int32_t corners[] = {-128, 127, 0, 5};
    p.input1_zero_point = random.one_of(corners);
    p.input2_zero_point = random.one_of(corners);
    p.output_zero_point = random.one_of(corners);
    random_clamp(random, p);
}

// Every pair of codes, with factors whose sums lie on the halves of the output again and again.
void add_every_pair(std::uint64_t seed) {
    Random random(seed);
    zp_add_params p{};
    p.rank = 1;
    p.shape[0] = 1 << 16;
    p.stride1[0] = p.stride2[0] = 1;
    const std::int32_t multipliers[] = {1 << 30, (1 << 30) + 1, 3 << 29, INT32_MAX, INT32_MAX - (1 << 15), 1610612737};
    const auto multiplier = [&] { return random.between(0, 1) ? random.one_of(multipliers) : random.between(1 << 30, INT32_MAX); };
    p.left_shift = random.between(0, 3) ? 20 : random.between(17, 22);
    p.multiplier1 = multiplier();
    p.multiplier2 = multiplier();
    p.output_multiplier = multiplier();
    p.shift1 = p.multiplier1 == 1 << 30 ? 0 : -random.between(1, 4);
    p.shift2 = random.between(0, 1) && p.multiplier2 == 1 << 30 ? 0 : -random.between(1, 4);
    p.output_shift = -p.left_shift + random.between(-2, 3);
    p.input1_zero_point = random.between(-128, 127);
    p.input2_zero_point = random.between(-128, 127);
    p.output_zero_point = random.between(-128, 127);
    p.clamp_min = random.between(0, 2) ? -128 : random.between(-128, 0);
    p.clamp_max = random.between(0, 2) ? 127 : random.between(p.clamp_min, 127);
    p.subtract = random.between(0, 1);
    std::vector<std::int8_t> a(1 << 16), b(1 << 16);
    for (std::size_t i = 0; i < a.size(); ++i) {
        a[i] = static_cast<std::int8_t>(i & 0xFF);
        b[i] = static_cast<std::int8_t>(i >> 8);
    }
    compare("add", &p, {a.data(), b.data(), nullptr}, 1 << 16, 1 << 16, seed,
            "add of every pair, left shift, output shift " + list(p.left_shift, p.output_shift));
}

void add_case(std::uint64_t seed) {
    Random random(seed);
    if (random.between(0, 7) == 0) return add_every_pair(seed);
    zp_add_params p{};
    std::int64_t count[2];
    random_broadcast(random, p, count);
    // Mostly what lowering makes: one input of twice the largest scale (M = 1/2 exactly), or both.
    const bool ordinary = random.between(0, 3) != 0;
    p.left_shift = ordinary ? (random.between(0, 3) ? 20 : random.between(16, 23)) : random.between(0, 30);
    const int half = ordinary ? random.between(0, 4) : -1;
    p.multiplier1 = half == 0 || half == 1 ? 1 << 30 : any_multiplier(random, ordinary);
    p.shift1 = half == 0 || half == 1 ? 0 : ordinary ? -random.between(1, 12) : any_shift(random, false);
    p.multiplier2 = half == 0 || half == 2 ? 1 << 30 : any_multiplier(random, ordinary);
    p.shift2 = half == 0 || half == 2 ? 0 : ordinary ? -random.between(1, 12) : any_shift(random, false);
    p.output_multiplier = any_multiplier(random, ordinary);
    p.output_shift = ordinary ? -random.between(14, 25) : any_shift(random, false);
    p.subtract = random.between(0, 1);
    const std::int64_t n = product_of(p.shape, p.rank);
    const auto a = bytes(random, count[0]), b = bytes(random, count[1]);
    compare("add", &p, {a.data(), b.data(), nullptr}, n, n, seed, "add rank, last size, left shift " + list(p.rank, p.rank ? p.shape[p.rank - 1] : 1, p.left_shift));
}

void mul_case(std::uint64_t seed) {
    Random random(seed);
    zp_mul_params p{};
    std::int64_t count[2];
    random_broadcast(random, p, count);
    const bool ordinary = random.between(0, 3) != 0;
    p.multiplier = any_multiplier(random, ordinary);
    p.shift = ordinary ? -random.between(1, 24) : any_shift(random, false);
    const std::int64_t n = product_of(p.shape, p.rank);
    const auto a = bytes(random, count[0]), b = bytes(random, count[1]);
    compare("mul", &p, {a.data(), b.data(), nullptr}, n, n, seed, "mul rank, last size " + list(p.rank, p.rank ? p.shape[p.rank - 1] : 1));
}

void pool_2d_case(std::uint64_t seed) {
    Random random(seed);
    zp_pool_2d_params p{};
    random_window(random, p, 9);
    p.channels = near_a_vector(random);
    p.code_offset = random.between(0, 1) ? 128 : random.between(0, 1) ? 0 : random.between(0, 128);
    if (random.between(0, 7) == 0) {  // a mean of many, up to more than int16 holds
        p.in_h = random.between(1, 40);
        p.in_w = random.between(1, 40);
        p.kernel_h = p.kernel_w = 60;
    }
    // As the planner demands: every window touches the image.
    p.pad_top = random.between(0, p.kernel_h - 1);
    p.pad_left = random.between(0, p.kernel_w - 1);
    p.out_h = random.between(1, std::min(9, (p.in_h - 1 + p.pad_top) / p.stride_h + 1));
    p.out_w = random.between(1, std::min(9, (p.in_w - 1 + p.pad_left) / p.stride_w + 1));
    random_clamp(random, p);
    const auto x = bytes(random, std::int64_t{p.batch} * p.in_h * p.in_w * p.channels);
    const std::int64_t size = std::int64_t{p.batch} * p.out_h * p.out_w * p.channels;
    for (const char *op : {"average_pool_2d", "max_pool_2d"})
        compare(op, &p, {x.data(), nullptr, nullptr}, size, std::int64_t{p.batch} * p.out_h, seed,
                std::string(op) + " in out kernel stride pad " + list(p.in_h, p.in_w, p.channels, p.out_h, p.out_w, p.kernel_h,
                                                                     p.kernel_w, p.stride_h, p.stride_w, p.pad_top, p.pad_left));
}

// Any axes of a tensor of up to four dimensions.
void reduce_case(std::uint64_t seed) {
    Random random(seed);
    zp_reduce_params p{};
    const std::int32_t rank = random.between(1, 4);
    std::int32_t shape[4], stride[4], size = 1;
    for (std::int32_t d = 0; d < rank; ++d) shape[d] = d + 1 == rank ? near_a_vector(random) : random.between(1, 7);
    if (rank >= 2 && random.between(0, 9) == 0) shape[rank - 2] = random.between(250, 600);  // more than int16 holds
    for (std::int32_t d = rank - 1; d >= 0; size *= shape[d--]) stride[d] = size;
    const int kind = random.between(0, 3);  // the image, the channels, or any
    for (std::int32_t d = 0; d < rank; ++d) {
        const bool reduced = kind == 0 ? d + 1 == rank : kind == 1 ? random.between(0, 1) : d + 1 != rank && (d > 0 || kind == 3);
        if (reduced) {
            p.reduce_shape[p.reduce_rank] = shape[d];
            p.reduce_stride[p.reduce_rank++] = stride[d];
        } else {
            p.keep_shape[p.keep_rank] = shape[d];
            p.keep_stride[p.keep_rank++] = stride[d];
        }
    }
    const std::int32_t corners[] = {-128, 127, 0, 5};
    p.input_zero_point = random.one_of(corners);
    p.output_zero_point = random.one_of(corners);
    random_clamp(random, p);
    const bool ordinary = random.between(0, 3) != 0;
    p.multiplier = any_multiplier(random, ordinary);
    p.shift = ordinary ? -random.between(0, 12) : any_shift(random, false);
    const auto x = bytes(random, size);
    const std::int64_t kept = product_of(p.keep_shape, p.keep_rank);
    compare("reduce", &p, {x.data(), nullptr, nullptr}, kept, kept, seed,
            "reduce ranks " + list(p.keep_rank, p.reduce_rank) + "shape " + list(shape[0], rank > 1 ? shape[1] : 0, rank > 2 ? shape[2] : 0, rank > 3 ? shape[3] : 0));
}

void table_case(std::uint64_t seed) {
    Random random(seed);
    zp_table_params p{};
    p.channels = random.between(0, 9) ? 1 : random.between(2, 5);
    p.count = p.channels * (random.between(0, 1) ? near_a_vector(random) : random.between(1, 2000));
    const auto table = bytes(random, std::int64_t{p.channels} * 256), x = bytes(random, p.count);
    p.table = table.data();
    compare("table", &p, {x.data(), nullptr, nullptr}, p.count, p.count, seed, "table count channels " + list(p.count, p.channels));
}

void softmax_case(std::uint64_t seed) {
    Random random(seed);
    zp_softmax_params p{};
    p.rows = random.between(1, 5);
    p.depth = random.between(0, 30) ? near_a_vector(random) : random.between(1000, 4000);
    // What lowering makes of beta S between 1/1000 and 2, and anything else.
    p.input_left_shift = random.between(0, 3) ? random.between(16, 27) : random.between(0, 31);
    p.input_multiplier = random.between(0, 9) ? random.between(1 << 30, INT32_MAX) : random.between(0, INT32_MAX);
    const std::int32_t differences[] = {0, -1, -100, -255, -1000, INT32_MIN};
    p.diff_min = random.between(0, 1) ? random.between(-255, 0) : random.one_of(differences);
    const std::int64_t n = std::int64_t{p.rows} * p.depth;
    auto x = bytes(random, n);
    if (random.between(0, 2) == 0) std::fill(x.begin(), x.end(), x[0]);  // the largest sums
    compare("softmax", &p, {x.data(), nullptr, nullptr}, n, p.rows, seed,
            "softmax rows depth multiplier shift min " + list(p.rows, p.depth, p.input_multiplier, p.input_left_shift, p.diff_min));
}

void concatenation_case(std::uint64_t seed) {
    Random random(seed);
    zp_concatenation_params p{};
    p.outer = random.between(1, 40);
    p.n_inputs = random.between(1, 5);
    std::vector<std::int32_t> inner;
    std::vector<std::vector<std::int8_t>> data;
    std::vector<const void *> in;
    std::int64_t width = 0;
    for (std::int32_t i = 0; i < p.n_inputs; ++i) {
        inner.push_back(near_a_vector(random));
        data.push_back(bytes(random, std::int64_t{p.outer} * inner.back()));
        width += inner.back();
    }
    for (const auto &d : data) in.push_back(d.data());
    while (in.size() < 3) in.push_back(nullptr);
    p.inner = inner.data();
    compare("concatenation", &p, in, width * p.outer, p.outer, seed, "concatenation outer inputs " + list(p.outer, p.n_inputs, inner[0]));
}

void pad_case(std::uint64_t seed) {
    Random random(seed);
    zp_pad_params p{};
    const std::int32_t sizes[] = {1, 1, 1, 2, 4, 8};
    p.element_size = random.one_of(sizes);
    p.rank = random.between(1, 4);
    for (std::int32_t d = 0; d < p.rank; ++d) {
        p.in_shape[d] = d + 1 == p.rank ? near_a_vector(random) : random.between(1, 5);
        p.before[d] = random.between(0, 1) ? 0 : random.between(0, 3);
        p.out_shape[d] = p.in_shape[d] + p.before[d] + (random.between(0, 1) ? 0 : random.between(0, 40));
        if (d + 1 < p.rank && p.out_shape[d] > 12) p.out_shape[d] = p.in_shape[d] + p.before[d] + 2;
    }
    p.value = p.element_size == 1 ? random.between(-128, 127) : random.between(0, 1) ? random.between(-1, 0) : random.between(INT32_MIN, INT32_MAX);
    const auto x = bytes(random, product_of(p.in_shape, p.rank) * p.element_size);
    compare("pad", &p, {x.data(), nullptr, nullptr}, product_of(p.out_shape, p.rank) * p.element_size, p.out_shape[0], seed,
            "pad rank element " + list(p.rank, p.element_size) + "in " + list(p.in_shape[0], p.in_shape[1], p.in_shape[2], p.in_shape[3]) +
                "out " + list(p.out_shape[0], p.out_shape[1], p.out_shape[2], p.out_shape[3]));
}

// Any order of the source's dimensions, some of them reversed, thinned or repeated.
void strided_copy_case(std::uint64_t seed) {
    Random random(seed);
    zp_strided_copy_params p{};
    const std::int32_t sizes[] = {1, 1, 1, 2, 4, 8};
    p.element_size = random.one_of(sizes);
    p.rank = random.between(1, 4);
    std::int32_t shape[4], stride[4], order[4] = {0, 1, 2, 3}, size = 1;
    const bool two_big = random.between(0, 1);
    for (std::int32_t d = 0; d < p.rank; ++d) shape[d] = d + 1 == p.rank || (two_big && d + 2 == p.rank) ? std::min(near_a_vector(random), 130) : random.between(1, 4);
    if (random.between(0, 9) == 0) shape[p.rank - 1] = random.between(1000, 3000);
    for (std::int32_t d = p.rank - 1; d >= 0; size *= shape[d--]) stride[d] = size;
    if (random.between(0, 3))
        for (std::int32_t d = p.rank - 1; d > 0; --d) std::swap(order[d], order[random.between(0, d)]);
    for (std::int32_t d = 0; d < p.rank; ++d) {
        const std::int32_t from = order[d], kind = random.between(0, 9);
        p.shape[d] = shape[from];
        p.in_stride[d] = stride[from];
        if (kind == 0) {  // reversed
            p.in_offset += (shape[from] - 1) * stride[from];
            p.in_stride[d] = -stride[from];
        } else if (kind == 1) {  // every other one, from somewhere
            p.shape[d] = (shape[from] + 1) / 2;
            p.in_stride[d] = 2 * stride[from];
        } else if (kind == 2) {  // a part of it
            const std::int32_t begin = random.between(0, shape[from] - 1);
            p.in_offset += begin * stride[from];
            p.shape[d] = random.between(1, shape[from] - begin);
        } else if (kind == 3) {  // one of it, repeated
            p.in_stride[d] = 0;
        }
    }
    const auto x = bytes(random, std::int64_t{size} * p.element_size);
    compare("strided_copy", &p, {x.data(), nullptr, nullptr}, product_of(p.shape, p.rank) * p.element_size, p.shape[0], seed,
            "strided_copy rank element " + list(p.rank, p.element_size) + "shape " + list(p.shape[0], p.shape[1], p.shape[2], p.shape[3]) +
                "stride " + list(p.in_stride[0], p.in_stride[1], p.in_stride[2], p.in_stride[3]));
}

std::vector<std::int32_t> positions(Random &random, std::int32_t n, std::int32_t limit, bool rising) {
    std::vector<std::int32_t> out;
    for (std::int32_t i = 0; i < n; ++i) out.push_back(rising ? i * limit / n : random.between(0, limit - 1));
    return out;
}

template <class P>
std::vector<std::int8_t> random_image(Random &random, P &p) {
    p.batch = random.between(1, 2);
    p.in_h = random.between(1, 9);
    p.in_w = random.between(1, 9);
    p.out_h = random.between(1, 12);
    p.out_w = random.between(1, 12);
    p.channels = near_a_vector(random);
    return bytes(random, std::int64_t{p.batch} * p.in_h * p.in_w * p.channels);
}

void resize_nearest_neighbor_case(std::uint64_t seed) {
    Random random(seed);
    zp_resize_nearest_neighbor_params p{};
    const auto x = random_image(random, p);
    const bool rising = random.between(0, 3) != 0;
    const auto row = positions(random, p.out_h, p.in_h, rising), col = positions(random, p.out_w, p.in_w, rising);
    p.row = row.data();
    p.col = col.data();
    compare("resize_nearest_neighbor", &p, {x.data(), nullptr, nullptr}, std::int64_t{p.batch} * p.out_h * p.out_w * p.channels,
            std::int64_t{p.batch} * p.out_h, seed, "resize_nearest_neighbor in out " + list(p.in_h, p.in_w, p.channels, p.out_h, p.out_w));
}

// Pairs of weights that add up to one, now and then lying outside of [0, 1].
void random_weights(Random &random, std::int32_t n, std::int32_t bits, bool single, bool wild, std::vector<std::int32_t> &low, std::vector<std::int32_t> &high) {
    const std::int32_t one = 1 << bits;
    for (std::int32_t i = 0; i < n; ++i) {
        const std::int32_t w = random.between(0, 3) ? random.between(0, one) : random.between(0, 1) ? one : one / 2;
        high.push_back(wild ? random.between(-one, 2 * one) : w);
        low.push_back(one - high.back());
        if (!single) continue;
        for (auto *v : {&low, &high}) {  // the same number in single precision
            const float real = static_cast<float>(v->back()) / static_cast<float>(one);
            std::memcpy(&v->back(), &real, 4);
        }
    }
}

void resize_bilinear_case(std::uint64_t seed) {
    Random random(seed);
    zp_resize_bilinear_params p{};
    const auto x = random_image(random, p);
    p.code_offset = random.between(0, 1) ? 128 : 0;
    p.single_precision = random.between(0, 4) == 0;
    p.weight_bits = random.between(0, 2) ? 10 : random.between(0, 20);
    const bool wild = random.between(0, 4) == 0;
    std::vector<std::int32_t> weights[4];
    random_weights(random, p.out_h, p.weight_bits, p.single_precision, wild, weights[0], weights[1]);
    random_weights(random, p.out_w, p.weight_bits, p.single_precision, wild, weights[2], weights[3]);
    const auto row_low = positions(random, p.out_h, p.in_h, false), row_high = positions(random, p.out_h, p.in_h, false);
    const auto col_low = positions(random, p.out_w, p.in_w, false), col_high = positions(random, p.out_w, p.in_w, false);
    p.row_low = row_low.data();
    p.row_high = row_high.data();
    p.col_low = col_low.data();
    p.col_high = col_high.data();
    p.row_low_weight = weights[0].data();
    p.row_high_weight = weights[1].data();
    p.col_low_weight = weights[2].data();
    p.col_high_weight = weights[3].data();
    compare("resize_bilinear", &p, {x.data(), nullptr, nullptr}, std::int64_t{p.batch} * p.out_h * p.out_w * p.channels,
            std::int64_t{p.batch} * p.out_h, seed,
            "resize_bilinear in out bits single " + list(p.in_h, p.in_w, p.channels, p.out_h, p.out_w, p.weight_bits, p.single_precision));
}

using CaseFunction = void (*)(std::uint64_t);
const CaseFunction kCases[] = {add_case, mul_case, pool_2d_case, reduce_case, table_case, softmax_case, concatenation_case, pad_case,
                               strided_copy_case, resize_nearest_neighbor_case, resize_bilinear_case};
constexpr std::uint64_t kKinds = sizeof(kCases) / sizeof(kCases[0]);

}  // namespace

int main(int argc, char **argv) {
    if (argc > 1) {
        const std::uint64_t seed = std::strtoull(argv[1], nullptr, 10);
        kCases[seed % kKinds](seed);
        std::printf("case %s: %ld bytes equal\n", argv[1], compared_bytes);
        return 0;
    }
    const std::uint64_t rounds = 1500;
    for (std::uint64_t seed = 0; seed < rounds * kKinds; ++seed) kCases[seed % kKinds](seed);
    for (const auto &[name, cases] : cases_of_record) std::printf("%s: %ld cases equal\n", name.c_str(), cases);
    print_totals();
    CHECK(changing_cases > static_cast<long>(rounds * kKinds / 2));
    const std::string elsewhere[] = {"conv_2d", "depthwise_conv_2d", "fully_connected"};  // test_kernels.cc
    for (const KernelRecord &record : zp::kernel_records()) {
        if (record.isa == zp::Isa::portable || !is_supported(record)) continue;
        if (std::find(std::begin(elsewhere), std::end(elsewhere), record.op) == std::end(elsewhere)) CHECK(cases_of_record[record.name] > 200);
    }
    return 0;
}
