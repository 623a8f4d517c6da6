/* The sweeps, written once over the lanes of a simd_*.h; included by one file per instruction set (no header guard). */
#include <float.h>
#include <math.h>

#include "sweeps.h"

namespace {

const float ZP_TINY_GAIN = 8.673617379884035e-19f; /* 2^-60: below, a weight's gain counts as zero */

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- extremes ---- */

/* x * 0 is 0 for finite x, else NaN: one accumulator finds every infinity and NaN. */
struct Seeker {
    vf low = set1(INFINITY), high = set1(-INFINITY), poison = set1(0.0f);
    inline void take(vf x) {
        low = vmin(x, low);
        high = vmax(x, high);
        poison = add(poison, mul(x, set1(0.0f)));
    }
    inline void merge(const Seeker &o) {
        low = vmin(low, o.low);
        high = vmax(high, o.high);
        poison = add(poison, o.poison);
    }
    inline zp_extremes result() const { return {lowest(low), highest(high), sum(poison) == 0.0}; }
};

template <class Value>
inline zp_extremes seek(int64_t n, const Value &value) {
    Seeker a, b, c, d;
    int64_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W) {
        a.take(value(i, W));
        b.take(value(i + W, W));
        c.take(value(i + 2 * W, W));
        d.take(value(i + 3 * W, W));
    }
    for (; i + W <= n; i += W) a.take(value(i, W));
    if (i < n) {
        vf x = value(i, (int)(n - i)); /* lanes past the end repeat lanes that are there */
        vf fill = set1(lowest(choose_n(x, set1(INFINITY), (int)(n - i))));
        a.take(choose_n(x, fill, (int)(n - i)));
    }
    a.merge(b);
    c.merge(d);
    a.merge(c);
    return a.result();
}

inline vf fetch(const float *p, int n) { return n == W ? load(p) : load_n(p, n); }
inline void put(float *p, vf v, int n) {
    if (n == W)
        store(p, v);
    else
        store_n(p, v, n);
}

zp_extremes extremes(const float *x, int64_t n) {
    return seek(n, [=](int64_t i, int k) { return fetch(x + i, k); });
}

zp_extremes add_sweep(const float *a, const float *b, float *out, int64_t n) {
    return seek(n, [=](int64_t i, int k) {
        vf y = add(fetch(a + i, k), fetch(b + i, k));
        put(out + i, y, k);
        return y;
    });
}

/* ---- moments ---- */

zp_moments moments_plane(const float *x, int64_t n, float shift) {
    const int64_t BLOCK = 4096; /* float32 within a block, double between: the error does not grow with the image */
    zp_moments r = {0.0, 0.0, INFINITY, -INFINITY};
    vf k = set1(shift), low = set1(INFINITY), high = set1(-INFINITY);
    for (int64_t start = 0; start < n; start += BLOCK) {
        int64_t end = smaller(n, start + BLOCK), i = start;
        vf s0 = set1(0.0f), s1 = s0, q0 = s0, q1 = s0;
        for (; i + 2 * W <= end; i += 2 * W) {
            vf u = load(x + i), v = load(x + i + W);
            low = vmin(vmin(u, v), low);
            high = vmax(vmax(u, v), high);
            u = sub(u, k);
            v = sub(v, k);
            s0 = add(s0, u);
            s1 = add(s1, v);
            q0 = add(q0, mul(u, u));
            q1 = add(q1, mul(v, v));
        }
        for (; i < end; i += W) {
            int m = (int)smaller(W, end - i);
            vf u = choose_n(fetch(x + i, m), set1(x[i]), m);
            low = vmin(u, low);
            high = vmax(u, high);
            u = keep_n(sub(u, k), m);
            s0 = add(s0, u);
            q0 = add(q0, mul(u, u));
        }
        r.sum += sum(add(s0, s1));
        r.squares += sum(add(q0, q1));
    }
    r.low = lowest(low);
    r.high = highest(high);
    return r;
}

void moments_rows(const float *x, int64_t rows, int64_t channels, const float *shift, double *total, double *squares,
                  float *low, float *high) {
    for (int64_t c = 0; c < channels; c += W) {
        int m = (int)smaller(W, channels - c);
        vf k = fetch(shift + c, m), s0 = set1(0.0f), s1 = s0, q0 = s0, q1 = s0;
        vf lo = fetch(low + c, m), hi = fetch(high + c, m);
        const float *p = x + c;
        int64_t r = 0;
        for (; r + 2 <= rows; r += 2, p += 2 * channels) {
            vf u = fetch(p, m), v = fetch(p + channels, m);
            lo = vmin(vmin(u, v), lo);
            hi = vmax(vmax(u, v), hi);
            u = sub(u, k);
            v = sub(v, k);
            s0 = add(s0, u);
            s1 = add(s1, v);
            q0 = add(q0, mul(u, u));
            q1 = add(q1, mul(v, v));
        }
        if (r < rows) {
            vf u = fetch(p, m);
            lo = vmin(u, lo);
            hi = vmax(u, hi);
            u = sub(u, k);
            s0 = add(s0, u);
            q0 = add(q0, mul(u, u));
        }
        put(low + c, lo, m);
        put(high + c, hi, m);
        add_to_doubles(total + c, add(s0, s1), m);
        add_to_doubles(squares + c, add(q0, q1), m);
    }
}

/* ---- quantize ---- */

struct Quantizer {
    vf low, high, scale, first, last;
    explicit Quantizer(const zp_quantizer *q)
        : low(set1(q->low)), high(set1(q->high)), scale(set1(q->scale)), first(set1(q->first)), last(set1(q->last)) {}
    template <bool QUANTIZE>
    inline vf apply(vf y) const {
        vf c = vmin(vmax(y, low), high);
        if (!QUANTIZE) return c;
        return mul(vmin(vmax(round_away(div(c, scale)), first), last), scale);
    }
};

template <bool QUANTIZE, bool AFFINE, bool ROWS, bool MASK>
inline void quantize_run(const float *x, float *out, int64_t n, const float *gain, const float *offset,
                         const Quantizer &q, uint8_t *mask) {
    vf k = set1(0.0f), b = k;
    if (AFFINE && !ROWS) {
        k = set1(gain[0]);
        b = set1(offset[0]);
    }
    for (int64_t i = 0; i < n; i += W) {
        int m = (int)smaller(W, n - i);
        vf y = fetch(x + i, m);
        if (AFFINE && ROWS) {
            k = fetch(gain + i, m);
            b = fetch(offset + i, m);
        }
        if (AFFINE) y = add(mul(y, k), b);
        if (MASK) put_bits(mask, i, inside(y, q.low, q.high));
        put(out + i, q.apply<QUANTIZE>(y), m);
    }
}

template <bool QUANTIZE, bool AFFINE, bool ROWS>
void quantize_runs(const float *x, float *out, int64_t runs, int64_t n, const float *gain, const float *offset,
                   const zp_quantizer *q, uint8_t *mask) {
    const Quantizer quantizer(q);
    const int64_t stride = zp_mask_stride(n);
    for (int64_t r = 0; r < runs; r++) {
        if (mask)
            quantize_run<QUANTIZE, AFFINE, ROWS, true>(x + r * n, out + r * n, n, gain, offset, quantizer,
                                                       mask + r * stride);
        else
            quantize_run<QUANTIZE, AFFINE, ROWS, false>(x + r * n, out + r * n, n, gain, offset, quantizer, nullptr);
    }
}

template <bool ROWS>
void quantize(const float *x, float *out, int64_t runs, int64_t n, const float *gain, const float *offset,
              const zp_quantizer *q, uint8_t *mask) {
    if (q->quantize && gain)
        quantize_runs<true, true, ROWS>(x, out, runs, n, gain, offset, q, mask);
    else if (q->quantize)
        quantize_runs<true, false, ROWS>(x, out, runs, n, gain, offset, q, mask);
    else if (gain)
        quantize_runs<false, true, ROWS>(x, out, runs, n, gain, offset, q, mask);
    else
        quantize_runs<false, false, ROWS>(x, out, runs, n, gain, offset, q, mask);
}

void quantize_plane(const float *x, float *out, int64_t n, const float *gain, const float *offset,
                    const zp_quantizer *q, uint8_t *mask) {
    quantize<false>(x, out, 1, n, gain, offset, q, mask);
}

void quantize_rows(const float *x, float *out, int64_t rows, int64_t channels, const float *gain, const float *offset,
                   const zp_quantizer *q, uint8_t *mask) {
    quantize<true>(x, out, rows, channels, gain, offset, q, mask);
}

/* ---- backward ---- */

inline vf masked(const float *g, int64_t i, int m, const uint8_t *mask) {
    vf v = fetch(g + i, m);
    return mask ? keep(get_bits(mask, i), v) : v;
}

void mask_plane(const float *g, float *out, int64_t n, const uint8_t *mask, double *total) {
    const int64_t BLOCK = 4096;
    for (int64_t start = 0; start < n; start += BLOCK) {
        int64_t end = smaller(n, start + BLOCK);
        vf s = set1(0.0f);
        for (int64_t i = start; i < end; i += W) {
            int m = (int)smaller(W, end - i);
            vf v = masked(g, i, m, mask);
            s = add(s, v);
            if (out) put(out + i, v, m);
        }
        *total += sum(s);
    }
}

void mask_rows(const float *g, float *out, int64_t rows, int64_t channels, const uint8_t *mask, double *total) {
    const int64_t stride = zp_mask_stride(channels);
    for (int64_t c = 0; c < channels; c += W) {
        int m = (int)smaller(W, channels - c);
        vf s = set1(0.0f);
        for (int64_t r = 0; r < rows; r++) {
            vf v = masked(g + r * channels, c, m, mask ? mask + r * stride : nullptr);
            s = add(s, v);
            if (out) put(out + r * channels + c, v, m);
        }
        add_to_doubles(total + c, s, m);
    }
}

void norm_sums_plane(const float *g, const float *s, int64_t n, const uint8_t *mask, float mean, double *total,
                     double *product) {
    const int64_t BLOCK = 4096;
    const vf centre = set1(mean);
    for (int64_t start = 0; start < n; start += BLOCK) {
        int64_t end = smaller(n, start + BLOCK);
        vf t = set1(0.0f), p = t;
        for (int64_t i = start; i < end; i += W) {
            int m = (int)smaller(W, end - i);
            vf v = masked(g, i, m, mask);
            t = add(t, v);
            p = add(p, mul(v, sub(fetch(s + i, m), centre)));
        }
        *total += sum(t);
        *product += sum(p);
    }
}

void norm_sums_rows(const float *g, const float *s, int64_t rows, int64_t channels, const uint8_t *mask,
                    const float *mean, double *total, double *product) {
    const int64_t stride = zp_mask_stride(channels);
    for (int64_t c = 0; c < channels; c += W) {
        int m = (int)smaller(W, channels - c);
        vf t = set1(0.0f), p = t, centre = fetch(mean + c, m);
        for (int64_t r = 0; r < rows; r++) {
            vf v = masked(g + r * channels, c, m, mask ? mask + r * stride : nullptr);
            t = add(t, v);
            p = add(p, mul(v, sub(fetch(s + r * channels + c, m), centre)));
        }
        add_to_doubles(total + c, t, m);
        add_to_doubles(product + c, p, m);
    }
}

inline vf norm_gradient(vf v, vf s, vf mean, vf gain, vf slope, vf offset) {
    return add(add(mul(v, gain), mul(sub(s, mean), slope)), offset);
}

void norm_gradient_plane(const float *g, const float *s, float *out, int64_t n, const uint8_t *mask, const float *mean,
                         const float *gain, const float *slope, const float *offset) {
    const vf u = set1(mean[0]), k = set1(gain[0]), a = set1(slope[0]), b = set1(offset[0]);
    for (int64_t i = 0; i < n; i += W) {
        int m = (int)smaller(W, n - i);
        put(out + i, norm_gradient(masked(g, i, m, mask), fetch(s + i, m), u, k, a, b), m);
    }
}

void norm_gradient_rows(const float *g, const float *s, float *out, int64_t rows, int64_t channels,
                        const uint8_t *mask, const float *mean, const float *gain, const float *slope,
                        const float *offset) {
    const int64_t stride = zp_mask_stride(channels);
    for (int64_t r = 0; r < rows; r++) {
        const uint8_t *bits = mask ? mask + r * stride : nullptr;
        const int64_t at = r * channels;
        for (int64_t c = 0; c < channels; c += W) {
            int m = (int)smaller(W, channels - c);
            put(out + at + c,
                norm_gradient(masked(g + at, c, m, bits), fetch(s + at + c, m), fetch(mean + c, m), fetch(gain + c, m),
                              fetch(slope + c, m), fetch(offset + c, m)),
                m);
        }
    }
}

/* ---- weights ---- */

zp_extremes weight_extremes(const float *w, int64_t n, float gain) {
    const vf k = set1(gain);
    return seek(n, [=](int64_t i, int m) { return mul(fetch(w + i, m), k); });
}

void weight_quantize(const float *w, float *out, int64_t n, float gain, const zp_quantizer *q, bool undo) {
    const Quantizer quantizer(q);
    const vf k = set1(gain);
    const bool keep_real = undo && fabsf(gain) <= ZP_TINY_GAIN;
    for (int64_t i = 0; i < n; i += W) {
        int m = (int)smaller(W, n - i);
        vf v = fetch(w + i, m);
        if (!keep_real) {
            v = quantizer.apply<true>(mul(v, k));
            if (undo) v = div(v, k);
        }
        put(out + i, v, m);
    }
}

double weight_gradient(const float *g, const float *w, float *out, int64_t n, float gain) {
    const int64_t BLOCK = 4096;
    const vf k = set1(gain);
    double total = 0.0;
    for (int64_t start = 0; start < n; start += BLOCK) {
        int64_t end = smaller(n, start + BLOCK);
        vf s = set1(0.0f);
        for (int64_t i = start; i < end; i += W) {
            int m = (int)smaller(W, end - i);
            vf v = fetch(g + i, m);
            s = add(s, mul(v, fetch(w + i, m)));
            put(out + i, mul(v, k), m);
        }
        total += sum(s);
    }
    return total;
}

}  // namespace

#define ZP_SWEEPS(name)                                                                                            \
    const zp_sweeps zp_sweeps_##name = {                                                                           \
        #name,          extremes,       add_sweep,       moments_plane,  moments_rows,        quantize_plane,      \
        quantize_rows,  mask_plane,     mask_rows,       norm_sums_plane, norm_sums_rows,     norm_gradient_plane, \
        norm_gradient_rows, weight_extremes, weight_quantize, weight_gradient}
