/* `zeropoint._training`: the sweeps as Python functions. Tensors come as addresses; zeropoint.qat.fused and
 * .fused_layer, the only callers, answer for their type, layout and lifetime. Every function releases the GIL. */
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "training.h"

namespace nb = nanobind;
using Address = uintptr_t;
using Shape = std::tuple<int64_t, int64_t, int64_t>;
using Range = std::tuple<Address, Address, Address, double, int64_t, bool, bool, bool, int>;
using Norm = std::tuple<Address, Address, Address, Address, Address, double>;
using Extremes = std::tuple<bool, float, float>;

namespace {

float *at(Address a) { return reinterpret_cast<float *>(a); }
uint8_t *bytes(Address a) { return reinterpret_cast<uint8_t *>(a); }
zp_shape shape_of(const Shape &s) { return {std::get<0>(s), std::get<1>(s), std::get<2>(s)}; }
zp_range range_of(const Range &r) {
    return {at(std::get<0>(r)), at(std::get<1>(r)), reinterpret_cast<int64_t *>(std::get<2>(r)),
            std::get<3>(r),     std::get<4>(r),     std::get<5>(r),
            std::get<6>(r),     std::get<7>(r),     std::get<8>(r)};
}
zp_norm norm_of(const Norm &n) {
    return {at(std::get<0>(n)), at(std::get<1>(n)), at(std::get<2>(n)),
            at(std::get<3>(n)), at(std::get<4>(n)), std::get<5>(n)};
}
/* Four rows of `channels` floats: mean, variance, low, high. */
zp_batch batch_of(Address a, int64_t channels) {
    float *p = at(a);
    return {p, p + channels, p + 2 * channels, p + 3 * channels};
}
Extremes answer(zp_extremes e) { return {e.finite, e.low, e.high}; }

Extremes extremes(Address x, int64_t n, int threads) {
    nb::gil_scoped_release free;
    return answer(zp_extremes_of(at(x), n, threads));
}

bool moments(Address x, Shape shape, Address batch, int threads) {
    nb::gil_scoped_release free;
    zp_shape s = shape_of(shape);
    return zp_moments_of(at(x), s, batch_of(batch, s.channels), threads);
}

void track(Norm norm, Address batch, int64_t channels, int64_t count, double share) {
    zp_track(norm_of(norm), batch_of(batch, channels), channels, count, share);
}

Extremes activate(Address x, Address out, Shape shape, float low, float high, Range range, int look, bool training,
                  Address mask, int threads) {
    nb::gil_scoped_release free;
    return answer(zp_activate(at(x), at(out), shape_of(shape), low, high, range_of(range), (zp_look)look, training,
                              bytes(mask), threads));
}

Extremes add_activate(Address a, Address b, Address out, Shape shape, float low, float high, Range range, int look,
                      bool training, Address mask, int threads) {
    nb::gil_scoped_release free;
    return answer(zp_add_activate(at(a), at(b), at(out), shape_of(shape), low, high, range_of(range), (zp_look)look,
                                  training, bytes(mask), threads));
}

Extremes norm_activate(Address s, Address out, Shape shape, Norm norm, Address batch, Address saved, float low,
                       float high, Range range, int look, bool training, Address mask, int threads) {
    nb::gil_scoped_release free;
    zp_shape sh = shape_of(shape);
    return answer(zp_norm_activate(at(s), at(out), sh, norm_of(norm), batch_of(batch, sh.channels), at(saved),
                                   at(saved) + sh.channels, low, high, range_of(range), (zp_look)look, training, bytes(mask),
                                   threads));
}

Extremes fold(Address w, Address out, int64_t channels, int64_t each, Norm norm, int bits, bool per_channel, bool undo,
              Address saved, int threads) {
    nb::gil_scoped_release free;
    float *p = at(saved);
    return answer(zp_fold(at(w), at(out), channels, each, norm_of(norm), bits, per_channel, undo, p, p + channels,
                          p + 2 * channels, p + 3 * channels, threads));
}

/* `saved`: what fold wrote, four rows: rstd, gain, shift, centre. */
void fold_backward(Address g, Address w, Address out, int64_t channels, int64_t each, Address saved,
                   Address shift_gradient, Address gamma_gradient, int threads) {
    nb::gil_scoped_release free;
    const float *p = at(saved);
    zp_fold_backward(at(g), at(w), at(out), channels, each, p, p + channels, p + 3 * channels, at(shift_gradient),
                     at(gamma_gradient), threads);
}

void mask_backward(Address g, Address out, Shape shape, Address mask, Address sum, int threads) {
    nb::gil_scoped_release free;
    zp_mask_backward(at(g), at(out), shape_of(shape), bytes(mask), at(sum), threads);
}

void norm_sums(Address g, Address s, Shape shape, Address mask, Address mean, Address sums, int threads) {
    nb::gil_scoped_release free;
    zp_shape sh = shape_of(shape);
    zp_norm_sums(at(g), at(s), sh, bytes(mask), at(mean), at(sums), at(sums) + sh.channels, threads);
}

void norm_gradient(Address g, Address s, Address out, Shape shape, Address mask, Address mean, Address saved,
                   Address sums, int64_t count, int threads) {
    nb::gil_scoped_release free;
    zp_shape sh = shape_of(shape);
    zp_norm_gradient(at(g), at(s), at(out), sh, bytes(mask), at(mean), at(saved), at(saved) + sh.channels, at(sums),
                     at(sums) + sh.channels, count, threads);
}

void use(const std::string &isa) {
    if (!zp_training_use(isa.c_str()))
        throw std::invalid_argument("no training sweeps named '" + isa +
                                    "' here: they are plain, avx2 and avx512, as far as built and supported");
}

}  // namespace

NB_MODULE(_training, m) {
    m.doc() = "Float sweeps of quantization-aware training; private to zeropoint.qat.";
    m.def("extremes", &extremes);
    m.def("moments", &moments);
    m.def("track", &track);
    m.def("activate", &activate);
    m.def("add_activate", &add_activate);
    m.def("norm_activate", &norm_activate);
    m.def("fold", &fold);
    m.def("fold_backward", &fold_backward);
    m.def("mask_backward", &mask_backward);
    m.def("norm_sums", &norm_sums);
    m.def("norm_gradient", &norm_gradient);
    m.def("isa", [] { return std::string(zp_training_sweeps()->isa); });
    m.def("use", &use, nb::arg("isa"));
}
