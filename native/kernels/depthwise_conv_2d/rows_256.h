// The rows of pairs.h on 256-bit registers. Include only in files built for AVX2 or AVX-VNNI; the includer includes the intrinsics
// and names the instruction that multiplies and adds:
//   struct MultiplyAdd { static __m256i sum(__m256i acc, __m256i x, __m256i w); };   acc + the pair products, int32
//
// The image is cut into strips: up to 64 channels, a line of the cache, of some output columns, from the first row to the last, so
// that what is between the two steps stays in the first cache. Widening (widen_256.h) writes planes, a pair of rows each, padding
// included: [group][column][block][8 channels][2] int16; from there on nothing knows of edges. Then tiles (tiles_256.h) go over the
// taps. For the next two output rows the planes that they share with the last move up, and only new rows of the input are widened.
// No standard library here.
#ifndef ZP_KERNELS_DEPTHWISE_CONV_2D_ROWS_256_H
#define ZP_KERNELS_DEPTHWISE_CONV_2D_ROWS_256_H

#include "tiles_256.h"

namespace zp {
namespace {

struct Image {
    const int8_t *at, *end;         // of image n; where the whole batch ends
    const int8_t *zero, *zero_end;  // a line of zero points, as long as all input channels
};

// The columns of one strip: `inside` columns of the image from input column `iw` on, between columns of padding.
struct Columns {
    int64_t left, inside, right, iw;
};

inline Columns strip_columns(const zp_depthwise_conv_2d_params &p, int64_t iw0, int64_t columns) {
    const int64_t left = iw0 < 0 ? (-iw0 < columns ? -iw0 : columns) : 0;
    const int64_t last = p.in_w - iw0 < columns ? p.in_w - iw0 : columns;
    const int64_t inside = last > left ? last - left : 0;
    return {left, inside, columns - left - inside, iw0 + left};
}

// The padding of a plane, which is the same for all rows.
inline void fill_columns(const zp_depthwise_conv_2d_params &p, const Columns &columns, const Group *groups, int64_t count, uint8_t *plane) {
    const __m256i zero_points = _mm256_set1_epi16(static_cast<int16_t>(p.input_zero_point + 128));
    for (const Group *group = groups; group < groups + count; ++group) {
        const int64_t pitch = group->width * 4;
        uint8_t *to = plane + group->at, *end = to + columns.left * pitch;
        for (; to < end; to += 32) store256(to, zero_points);
        to += columns.inside * pitch;
        end = to + columns.right * pitch;
        for (; to < end; to += 32) store256(to, zero_points);
    }
}

// Input rows ih and ih + apart, interleaved.
inline void widen_plane(const zp_depthwise_conv_2d_params &p, const Image &image, int64_t ih, int64_t apart, const Columns &columns,
                        const Group *groups, int64_t count, uint8_t *plane) {
    InputRow row[2];
    for (int64_t half = 0; half < 2; ++half, ih += apart) {
        const bool exists = ih >= 0 && ih < p.in_h && columns.inside > 0;
        row[half] = exists ? InputRow{image.at + (ih * p.in_w + columns.iw) * p.in_c, p.in_c, image.end}
                           : InputRow{image.zero, 0, image.zero_end};
    }
    for (const Group *group = groups; group < groups + count; ++group) {
        const int64_t in_c = group->first_channel / p.depth_multiplier;
        const InputRow a = {row[0].at + in_c, row[0].step, row[0].end}, b = {row[1].at + in_c, row[1].step, row[1].end};
        uint8_t *to = plane + group->at + columns.left * group->width * 4;
        if (p.depth_multiplier == 1) {
            widen_group(a, b, group->width, nullptr, columns.inside, to);
        } else {
            alignas(16) int8_t lanes[16] = {0};
            for (int64_t lane = 0; lane < 8; ++lane)
                lanes[lane] = static_cast<int8_t>((group->first_channel + lane) / p.depth_multiplier - in_c);
            const __m128i order = load128(lanes);
            widen_group(a, b, group->width, &order, columns.inside, to);
        }
    }
}

inline void depthwise_rows(const zp_depthwise_conv_2d_params &p, const uint8_t *packed, const int8_t *x, int64_t n, int64_t oh0, int64_t oh1,
                           int64_t c0, int64_t c1, int8_t *out, int64_t row_pitch, int64_t pixel_pitch, void *scratch) {
    const DepthwisePairs s = depthwise_pairs(p);
    auto *zero = static_cast<int8_t *>(scratch);
    const int64_t line = depthwise_zero_line(p), span = depthwise_span(p), all_pairs = s.all_pairs();
    __builtin_memset(zero, p.input_zero_point, static_cast<size_t>(line));
    auto **planes = reinterpret_cast<const uint8_t **>(static_cast<uint8_t *>(scratch) + line);
    uint8_t *first_plane = static_cast<uint8_t *>(scratch) + line + depthwise_plane_list(p);
    const int64_t image_bytes = int64_t{p.in_h} * p.in_w * p.in_c;
    const Image image = {x + n * image_bytes, x + p.batch * image_bytes, zero, zero + line};

    Strip strip;
    strip.planes = planes;
    strip.taps_w = s.taps_w;
    strip.sets = s.sets;
    strip.weight_step = s.sets * s.pairs * 32;
    strip.block_bytes = s.block_bytes();
    strip.tap_step = p.dilation_w;
    strip.output_step = p.stride_w;
    strip.row_pitch = row_pitch;
    strip.pixel_pitch = pixel_pitch;
    strip.params = &p;
    strip.away_from_zero = p.clamp_min < p.output_zero_point;
    strip.clamps = p.clamp_min > -128 || p.clamp_max < 127;
    strip.low = _mm256_set1_epi8(static_cast<int8_t>(p.clamp_min));
    strip.high = _mm256_set1_epi8(static_cast<int8_t>(p.clamp_max));

    for (int64_t c = c0; c < c1;) {
        Group groups[8];
        int64_t count = 0, blocks = 0;
        // One group at least; more while they are in one line of the cache and leave a strip that is worth it.
        while (c < c1 && blocks < 8) {
            const int64_t width = depthwise_group_width(p, c), taken = width / 8;
            const int64_t bytes = (blocks + taken) * all_pairs * 32;
            if (count > 0 && (blocks + taken > 8 || (span + 3 * p.stride_w) * bytes > kDepthwiseStripBytes)) break;
            const int64_t channels = p.out_c - c < width ? p.out_c - c : width;
            groups[count++] = {packed + c / 8 * strip.block_bytes, 0, width, c, channels};
            blocks += taken;
            c += width;
        }
        int64_t strip_outputs = kDepthwiseStripBytes / (all_pairs * blocks * 32) - span;
        strip_outputs = strip_outputs < 0 ? 1 : strip_outputs / p.stride_w + 1;
        const int64_t strips = (p.out_w + strip_outputs - 1) / strip_outputs, even = ((p.out_w + strips - 1) / strips + 3) / 4 * 4;
        if (even < strip_outputs) strip_outputs = even;

        for (int64_t ow = 0; ow < p.out_w; ow += strip_outputs) {
            const int64_t outputs = p.out_w - ow < strip_outputs ? p.out_w - ow : strip_outputs;
            const Columns columns = strip_columns(p, ow * p.stride_w - p.pad_left, (outputs - 1) * p.stride_w + span);
            const int64_t block_bytes = ((outputs - 1) * p.stride_w + span) * 32, plane_bytes = blocks * block_bytes;
            for (int64_t i = 0; i < count; ++i) groups[i].at = (groups[i].first_channel - groups[0].first_channel) / 8 * block_bytes;
            for (int64_t i = 0; i < all_pairs; ++i) {
                planes[i] = first_plane + i * plane_bytes;
                fill_columns(p, columns, groups, count, first_plane + i * plane_bytes);
            }
            int64_t kept = 0;  // planes that already hold what the next rows need
            for (int64_t oh = oh0; oh < oh1;) {
                const int64_t rows = oh + s.rows <= oh1 ? s.rows : 1;
                const int64_t slots = p.kernel_h + (rows - 1) * p.stride_h, needed = (slots + 1) / 2;
                // A row alone needs fewer pairs than `pairs`, where that counts row B's too: the missing ones have zero weights.
                strip.pairs = rows == 2 ? s.pairs : needed;
                for (int64_t i = kept; i < needed; ++i) {
                    const int64_t ih = oh * p.stride_h - p.pad_top + 2 * i * s.slot_stride;
                    widen_plane(p, image, ih, s.slot_stride, columns, groups, count, const_cast<uint8_t *>(planes[i]));
                }
                const Tiles run = rows == 1 ? tiles_for<1, 0>(strip) : s.lag ? tiles_for<2, 1>(strip) : tiles_for<2, 0>(strip);
                run(strip, groups, count, outputs, out + (oh - oh0) * row_pitch + ow * pixel_pitch + groups[0].first_channel - c0);
                oh += rows;
                // Two rows further are stride_h pairs further.
                kept = 0;
                if (rows == 2) {
                    for (int64_t turn = 0; turn < p.stride_h; ++turn) {
                        const uint8_t *top = planes[0];
                        for (int64_t i = 1; i < all_pairs; ++i) planes[i - 1] = planes[i];
                        planes[all_pairs - 1] = top;
                    }
                    kept = all_pairs > p.stride_h ? all_pairs - p.stride_h : 0;
                }
            }
        }
    }
}

// pairs.h's work units, handed on as far as they are neighbours.
template <class Rows>
inline void depthwise_units(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end, Rows compute) {
    const auto &p = *static_cast<const zp_depthwise_conv_2d_params *>(params);
    const auto *packed = static_cast<const uint8_t *>(buffers->in[1]);
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    const int64_t rows = depthwise_pairs(p).rows, units = depthwise_image_units(p), pixel = p.out_c, row = p.out_w * pixel;
    for (int64_t unit = begin; unit < end;) {
        const int64_t n = unit / units, first = unit % units;
        const int64_t last = first + end - unit < units ? first + end - unit : units;
        int8_t *out = static_cast<int8_t *>(buffers->out[0]) + n * p.out_h * row;
        if (depthwise_units_are_channels(p)) {
            const int64_t c1 = last * 64 < p.out_c ? last * 64 : p.out_c;
            compute(p, packed, x, n, 0, p.out_h, first * 64, c1, out + first * 64, row, pixel, buffers->scratch);
        } else {
            const int64_t oh1 = last * rows < p.out_h ? last * rows : p.out_h;
            compute(p, packed, x, n, first * rows, oh1, 0, pixel, out + first * rows * row, row, pixel, buffers->scratch);
        }
        unit += last - first;
    }
}

}  // namespace
}  // namespace zp
#endif
