#include "training.h"

#include <cfloat>
#include <cmath>
#include <cstring>
#include <vector>

namespace {

const double DEAD_EXTENT = 0.0009765625;              /* 2^-10, as zeropoint.qat.ranges.DEAD_EXTENT */
const double SMALLEST_EXTENT = 7.888609052210118e-31; /* 2^-100 */
const int64_t FLAT = 16384;                           /* elements that one thread takes at a time */
const int64_t TILE = 8192;                            /* elements of a tile of rows: within L1 and L2 */

const zp_sweeps *best() {
#if defined(ZP_HAVE_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return &zp_sweeps_avx512;
    if (__builtin_cpu_supports("avx2")) return &zp_sweeps_avx2;
#endif
    return &zp_sweeps_plain;
}

const zp_sweeps *current = best();

template <class Body>
void parallel(int64_t parts, int threads, const Body &body) {
    if (threads <= 1 || parts <= 1) {
        for (int64_t p = 0; p < parts; p++) body(p);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t p = 0; p < parts; p++) body(p);
}

int64_t parts_of(int64_t n, int64_t size) { return (n + size - 1) / size; }
int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

zp_extremes merge(const std::vector<zp_extremes> &pieces) {
    zp_extremes all = {INFINITY, -INFINITY, true};
    for (const zp_extremes &e : pieces) {
        all.low = e.low < all.low ? e.low : all.low;
        all.high = e.high > all.high ? e.high : all.high;
        all.finite = all.finite && e.finite;
    }
    return all;
}

/* Rows of a tile: what a thread works on at a time, and what a sum in float32 covers. */
int64_t tile_rows(int64_t channels) {
    int64_t rows = TILE / channels;
    return rows < 4 ? 4 : rows > 256 ? 256 : rows;
}

/* T1, T2-T4 and the clamp. */
zp_quantizer quantizer_of(const zp_range &r, bool observe, bool training, float low, float high, zp_extremes seen) {
    if (observe && !r.frozen) {
        if (!r.fixed) {
            float lo = seen.low < low ? low : seen.low > high ? high : seen.low;
            float hi = seen.high < low ? low : seen.high > high ? high : seen.high;
            bool first = *r.steps == 0;
            float a = (float)r.momentum, b = (float)(1.0 - r.momentum);
            *r.minimum = first ? lo : a * *r.minimum + b * lo;
            *r.maximum = first ? hi : a * *r.maximum + b * hi;
        }
        ++*r.steps;
    }
    double lo = *r.minimum < 0 ? *r.minimum : 0.0, hi = *r.maximum > 0 ? *r.maximum : 0.0;
    if (hi - lo < SMALLEST_EXTENT) hi = DEAD_EXTENT;
    int steps = (1 << r.bits) - 1;
    float scale = (float)((hi - lo) / steps);
    double zero = std::floor(-lo / (double)scale + 0.5);
    zero = zero < 0 ? 0 : zero > steps ? steps : zero;
    bool active = !training || r.frozen || *r.steps > r.delay;
    return {low, high, scale, (float)-zero, (float)(steps - zero), active};
}

void quantize_all(const float *x, float *out, zp_shape shape, const float *gain, const float *offset,
                  const zp_quantizer &q, uint8_t *mask, int threads) {
    const zp_sweeps *k = current;
    const int64_t length = shape.length(), stride = zp_mask_stride(length);
    if (!gain && !mask) { /* nothing depends on where an element is */
        parallel(parts_of(shape.size(), FLAT), threads, [&](int64_t p) {
            int64_t at = p * FLAT, n = least(FLAT, shape.size() - at);
            k->quantize_plane(x + at, out + at, n, nullptr, nullptr, &q, nullptr);
        });
    } else if (shape.runs() == 1 && !gain) { /* one long run: FLAT is a multiple of 16, so bits stay aligned */
        parallel(parts_of(length, FLAT), threads, [&](int64_t p) {
            int64_t at = p * FLAT, n = least(FLAT, length - at);
            k->quantize_plane(x + at, out + at, n, nullptr, nullptr, &q, mask + at / 8);
        });
    } else if (shape.rows()) {
        const int64_t tile = tile_rows(length);
        parallel(parts_of(shape.outer, tile), threads, [&](int64_t p) {
            int64_t r = p * tile, n = least(tile, shape.outer - r);
            k->quantize_rows(x + r * length, out + r * length, n, length, gain, offset, &q,
                             mask ? mask + r * stride : nullptr);
        });
    } else {
        parallel(shape.runs(), threads, [&](int64_t r) {
            int64_t c = r % shape.channels;
            k->quantize_plane(x + r * length, out + r * length, length, gain ? gain + c : nullptr,
                              gain ? offset + c : nullptr, &q, mask ? mask + r * stride : nullptr);
        });
    }
}

}  // namespace

const zp_sweeps *zp_training_sweeps() { return current; }

bool zp_training_use(const char *isa) {
    if (!std::strcmp(isa, "plain")) {
        current = &zp_sweeps_plain;
        return true;
    }
#if defined(ZP_HAVE_X86)
    __builtin_cpu_init();
    if (!std::strcmp(isa, "avx2") && __builtin_cpu_supports("avx2")) {
        current = &zp_sweeps_avx2;
        return true;
    }
    if (!std::strcmp(isa, "avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
        current = &zp_sweeps_avx512;
        return true;
    }
#endif
    return false;
}

zp_extremes zp_extremes_of(const float *x, int64_t n, int threads) {
    std::vector<zp_extremes> pieces((size_t)parts_of(n, FLAT));
    parallel((int64_t)pieces.size(), threads,
             [&](int64_t p) { pieces[(size_t)p] = current->extremes(x + p * FLAT, least(FLAT, n - p * FLAT)); });
    return merge(pieces);
}

bool zp_moments_of(const float *x, zp_shape shape, zp_batch batch, int threads) {
    const zp_sweeps *k = current;
    const int64_t channels = shape.channels;
    /* Shifted by the channel's first value, the squares do not cancel when the mean is far from zero. */
    std::vector<float> shift((size_t)channels);
    for (int64_t c = 0; c < channels; c++) shift[(size_t)c] = x[c * shape.inner];
    const int64_t tile = tile_rows(channels);
    const int64_t pieces = shape.rows() ? parts_of(shape.outer, tile) : shape.outer;
    std::vector<double> sums((size_t)(pieces * channels)), squares(sums.size());
    std::vector<float> lows(sums.size(), INFINITY), highs(sums.size(), -INFINITY);
    if (shape.rows()) {
        parallel(pieces, threads, [&](int64_t p) {
            int64_t r = p * tile;
            size_t at = (size_t)(p * channels);
            k->moments_rows(x + r * channels, least(tile, shape.outer - r), channels, shift.data(), &sums[at],
                            &squares[at], &lows[at], &highs[at]);
        });
    } else {
        parallel(shape.runs(), threads, [&](int64_t r) {
            zp_moments m = k->moments_plane(x + r * shape.inner, shape.inner, shift[(size_t)(r % channels)]);
            size_t at = (size_t)r;
            sums[at] = m.sum;
            squares[at] = m.squares;
            lows[at] = m.low;
            highs[at] = m.high;
        });
    }
    const double count = (double)(shape.outer * shape.inner);
    bool finite = true;
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0.0, square = 0.0;
        float low = INFINITY, high = -INFINITY;
        for (int64_t p = 0; p < pieces; p++) {
            size_t at = (size_t)(p * channels + c);
            sum += sums[at];
            square += squares[at];
            low = lows[at] < low ? lows[at] : low;
            high = highs[at] > high ? highs[at] : high;
        }
        double mean = sum / count, var = square / count - mean * mean;
        finite = finite && std::isfinite(var);
        batch.mean[c] = (float)(mean + shift[(size_t)c]);
        batch.var[c] = (float)(var > 0 ? var : 0);
        batch.low[c] = low;
        batch.high[c] = high;
    }
    return finite;
}

void zp_track(const zp_norm &norm, zp_batch batch, int64_t channels, int64_t count, double share) {
    const double unbiased = (double)count / (double)(count > 1 ? count - 1 : 1);
    for (int64_t c = 0; c < channels; c++) {
        double mean = (double)batch.mean[c] + (norm.bias ? norm.bias[c] : 0.0f);
        norm.mean[c] = (float)(norm.mean[c] + share * (mean - norm.mean[c]));
        norm.var[c] = (float)(norm.var[c] + share * (batch.var[c] * unbiased - norm.var[c]));
    }
}

zp_extremes zp_activate(const float *x, float *out, zp_shape shape, float low, float high, const zp_range &range,
                        zp_look look, bool training, uint8_t *mask, int threads) {
    zp_extremes seen = {0.0f, 0.0f, true};
    if (look != ZP_IGNORE) {
        seen = zp_extremes_of(x, shape.size(), threads);
        if (!seen.finite) return seen;
    }
    quantize_all(x, out, shape, nullptr, nullptr, quantizer_of(range, look == ZP_OBSERVE, training, low, high, seen), mask,
                 threads);
    return seen;
}

zp_extremes zp_add_activate(const float *a, const float *b, float *out, zp_shape shape, float low, float high,
                            const zp_range &range, zp_look look, bool training, uint8_t *mask, int threads) {
    const int64_t n = shape.size();
    std::vector<zp_extremes> pieces((size_t)parts_of(n, FLAT));
    parallel((int64_t)pieces.size(), threads, [&](int64_t p) {
        int64_t at = p * FLAT;
        pieces[(size_t)p] = current->add(a + at, b + at, out + at, least(FLAT, n - at));
    });
    zp_extremes seen = merge(pieces);
    if (look != ZP_IGNORE && !seen.finite) return seen;
    quantize_all(out, out, shape, nullptr, nullptr, quantizer_of(range, look == ZP_OBSERVE, training, low, high, seen), mask,
                 threads);
    return seen;
}

zp_extremes zp_norm_activate(const float *s, float *out, zp_shape shape, const zp_norm &norm, zp_batch batch,
                             float *rstd, float *gain, float low, float high, const zp_range &range, zp_look look,
                             bool training, uint8_t *mask, int threads) {
    const int64_t channels = shape.channels;
    std::vector<float> offset((size_t)channels);
    zp_extremes seen = {INFINITY, -INFINITY, true};
    for (int64_t c = 0; c < channels; c++) {
        rstd[c] = (float)(1.0 / std::sqrt((double)batch.var[c] + norm.eps));
        gain[c] = (norm.gamma ? norm.gamma[c] : 1.0f) * rstd[c];
        offset[(size_t)c] = (norm.beta ? norm.beta[c] : 0.0f) - batch.mean[c] * gain[c];
        /* y = s * gain + offset is monotone in s, rounding included: its ends are the images of s's ends */
        float a = batch.low[c] * gain[c] + offset[(size_t)c], b = batch.high[c] * gain[c] + offset[(size_t)c];
        seen.low = a < seen.low ? a : seen.low;
        seen.low = b < seen.low ? b : seen.low;
        seen.high = a > seen.high ? a : seen.high;
        seen.high = b > seen.high ? b : seen.high;
        seen.finite = seen.finite && std::isfinite(a) && std::isfinite(b);
    }
    if (!seen.finite) return seen;
    quantize_all(s, out, shape, gain, offset.data(), quantizer_of(range, look == ZP_OBSERVE, training, low, high, seen), mask,
                 threads);
    return seen;
}

zp_extremes zp_fold(const float *w, float *out, int64_t channels, int64_t each, const zp_norm &norm, int bits,
                    bool per_channel, bool undo, float *rstd, float *gain, float *shift, float *centre,
                    int threads) {
    const zp_sweeps *k = current;
    for (int64_t c = 0; c < channels; c++) {
        rstd[c] = norm.mean ? 1.0f / std::sqrt(norm.var[c] + (float)norm.eps) : 1.0f;
        gain[c] = norm.mean && norm.gamma ? norm.gamma[c] * rstd[c] : rstd[c];
        centre[c] = (norm.bias ? norm.bias[c] : 0.0f) - (norm.mean ? norm.mean[c] : 0.0f);
        shift[c] = centre[c] * gain[c] + (norm.beta ? norm.beta[c] : 0.0f);
    }
    std::vector<zp_extremes> pieces((size_t)channels);
    const int split = channels * each < FLAT ? 1 : threads;
    parallel(channels, split,
             [&](int64_t c) { pieces[(size_t)c] = k->weight_extremes(w + c * each, each, gain[c]); });
    const zp_extremes all = merge(pieces);
    if (!all.finite) return all;

    zp_quantizer q = {-INFINITY, INFINITY, 1.0f, 0.0f, 0.0f, true};
    double smallest = 0.0;
    if (per_channel) {
        const double bound = std::fmax(-(double)all.low, (double)all.high);
        smallest = bound < SMALLEST_EXTENT / 2 ? 0.0 : bound / 4096;
        q.last = (float)((1 << (bits - 1)) - 1);
        q.first = -q.last;
    } else {
        double lo = all.low < 0 ? all.low : 0.0, hi = all.high > 0 ? all.high : 0.0;
        if (hi - lo < SMALLEST_EXTENT) hi = DEAD_EXTENT;
        const int steps = (1 << bits) - 1;
        q.scale = (float)((hi - lo) / steps);
        double zero = std::floor(-lo / (double)q.scale + 0.5);
        zero = zero < 0 ? 0 : zero > steps ? steps : zero;
        q.first = (float)-zero;
        q.last = (float)(steps - zero);
    }
    parallel(channels, split, [&](int64_t c) {
        zp_quantizer own = q;
        if (per_channel) {
            double bound = std::fmax(-(double)pieces[(size_t)c].low, (double)pieces[(size_t)c].high);
            bool dead = 2 * bound < SMALLEST_EXTENT;
            bound = smallest > 0 ? std::fmax(dead ? 0.0 : bound, smallest) : dead ? DEAD_EXTENT : bound;
            own.scale = (float)(bound / q.last);
        }
        k->weight_quantize(w + c * each, out + c * each, each, gain[c], &own, undo);
    });
    return all;
}

void zp_fold_backward(const float *g, const float *w, float *out, int64_t channels, int64_t each, const float *rstd,
                      const float *gain, const float *centre, const float *shift_gradient, float *gamma_gradient,
                      int threads) {
    parallel(channels, channels * each < FLAT ? 1 : threads, [&](int64_t c) {
        double dot = current->weight_gradient(g + c * each, w + c * each, out + c * each, each, gain[c]);
        if (gamma_gradient) gamma_gradient[c] = (float)((dot + (double)shift_gradient[c] * centre[c]) * rstd[c]);
    });
}

void zp_mask_backward(const float *g, float *out, zp_shape shape, const uint8_t *mask, float *sum, int threads) {
    const zp_sweeps *k = current;
    const int64_t channels = shape.channels, length = shape.length(), stride = zp_mask_stride(length);
    const int64_t tile = tile_rows(channels), pieces = shape.rows() ? parts_of(shape.outer, tile) : shape.outer;
    std::vector<double> sums((size_t)(pieces * channels));
    parallel(shape.rows() ? pieces : shape.runs(), threads, [&](int64_t p) {
        int64_t r = shape.rows() ? p * tile : p, at = r * length;
        const uint8_t *bits = mask ? mask + r * stride : nullptr;
        if (shape.rows())
            k->mask_rows(g + at, out ? out + at : nullptr, least(tile, shape.outer - r), channels, bits,
                         &sums[(size_t)(p * channels)]);
        else
            k->mask_plane(g + at, out ? out + at : nullptr, length, bits, &sums[(size_t)r]);
    });
    for (int64_t c = 0; sum && c < channels; c++) {
        double total = 0.0;
        for (int64_t p = 0; p < pieces; p++) total += sums[(size_t)(p * channels + c)];
        sum[c] = (float)total;
    }
}

void zp_norm_sums(const float *g, const float *s, zp_shape shape, const uint8_t *mask, const float *mean, float *sum,
                  float *product, int threads) {
    const zp_sweeps *k = current;
    const int64_t channels = shape.channels, length = shape.length(), stride = zp_mask_stride(length);
    const int64_t tile = tile_rows(channels), pieces = shape.rows() ? parts_of(shape.outer, tile) : shape.outer;
    std::vector<double> sums((size_t)(pieces * channels)), products(sums.size());
    parallel(shape.rows() ? pieces : shape.runs(), threads, [&](int64_t p) {
        int64_t r = shape.rows() ? p * tile : p, at = r * length;
        const uint8_t *bits = mask ? mask + r * stride : nullptr;
        size_t to = (size_t)(shape.rows() ? p * channels : r);
        if (shape.rows())
            k->norm_sums_rows(g + at, s + at, least(tile, shape.outer - r), channels, bits, mean, &sums[to],
                              &products[to]);
        else
            k->norm_sums_plane(g + at, s + at, length, bits, mean[r % channels], &sums[to], &products[to]);
    });
    for (int64_t c = 0; c < channels; c++) {
        double a = 0.0, b = 0.0;
        for (int64_t p = 0; p < pieces; p++) {
            a += sums[(size_t)(p * channels + c)];
            b += products[(size_t)(p * channels + c)];
        }
        sum[c] = (float)a;
        product[c] = (float)b;
    }
}

void zp_norm_gradient(const float *g, const float *s, float *out, zp_shape shape, const uint8_t *mask,
                      const float *mean, const float *rstd, const float *gain, const float *sum, const float *product,
                      int64_t count, int threads) {
    const zp_sweeps *k = current;
    const int64_t channels = shape.channels, length = shape.length(), stride = zp_mask_stride(length);
    std::vector<float> slope((size_t)channels), offset((size_t)channels);
    for (int64_t c = 0; c < channels; c++) {
        double share = -(double)gain[c] / (double)count;
        slope[(size_t)c] = (float)(share * rstd[c] * rstd[c] * product[c]);
        offset[(size_t)c] = (float)(share * sum[c]);
    }
    const int64_t tile = tile_rows(channels);
    parallel(shape.rows() ? parts_of(shape.outer, tile) : shape.runs(), threads, [&](int64_t p) {
        int64_t r = shape.rows() ? p * tile : p, at = r * length, c = r % channels;
        const uint8_t *bits = mask ? mask + r * stride : nullptr;
        if (shape.rows())
            k->norm_gradient_rows(g + at, s + at, out + at, least(tile, shape.outer - r), channels, bits, mean, gain,
                                  slope.data(), offset.data());
        else
            k->norm_gradient_plane(g + at, s + at, out + at, length, bits, mean + c, gain + c, &slope[(size_t)c],
                                   &offset[(size_t)c]);
    });
}
