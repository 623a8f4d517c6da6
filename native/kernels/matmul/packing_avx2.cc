// AVX2's choice between byte products and int16 products, made for a layer from its weights; and its byte form. Runs once, on any CPU.
#include <string.h>

#include "byte_products.h"
#include "matmul.h"

namespace zp {
namespace {

// Cost of a group of four values for a tile, in thirds of a cycle. The first two are rates measured on Zen 3, the others
// estimates from the instructions saved or added: int16 products, byte products, paired ones,
// and an extra group with what it takes to reach it.
constexpr int64_t kWordsCost = 45, kSingleCost = 38, kPairedCost = 31, kExtraCost = 45;

constexpr MatmulLayout kBytes = kAvx2BytesLayout;

constexpr int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

int64_t groups_of_panel(const MatmulShape &s) { return s.segments() * s.segment_padded(kBytes) / kBytes.group; }

// More extra groups never pay: kPairedCost + kExtraCost / 3 is beyond kWordsCost.
int64_t most_extras(const MatmulShape &s) { return s.panels(kBytes) * groups_of_panel(s) / 3; }

int64_t extra_bytes() { return kBytes.panel() * kBytes.group; }

struct ByteForm {
    uint8_t *panels, *extra_weights;
    int32_t *extra_offsets;
};

ByteForm byte_form(const MatmulShape &s, void *packed) {
    uint8_t *panels = static_cast<uint8_t *>(packed) + kAvx2HeaderBytes;
    uint8_t *extras = panels + s.panels(kBytes) * s.panel_bytes(kBytes);
    return {panels, extras, reinterpret_cast<int32_t *>(extras + most_extras(s) * extra_bytes())};
}

int64_t byte_form_bytes(const MatmulShape &s) {
    return s.panels(kBytes) * s.panel_bytes(kBytes) + most_extras(s) * extra_bytes() + aligned(most_extras(s) * 4);
}

bool narrow(const MatmulShape &s, int64_t panel) {
    return s.channels - panel % s.panels_per_group(kBytes) * kBytes.panel() <= kBytes.lanes;
}

ByteWeights weights_of_panel(const MatmulShape &s, const ByteForm &form, int64_t panel) {
    return {reinterpret_cast<int8_t *>(form.panels + panel * s.panel_bytes(kBytes)), s.segments(), s.segment_padded(kBytes) / kBytes.group,
            narrow(s, panel) ? kBytes.lanes : kBytes.panel()};
}

// Splits a panel's weights in the cheaper of both ways; false where int16 products cost no more, or no room for extra groups is left.
bool split_panel(const MatmulShape &s, const ByteForm &form, int64_t panel, Avx2Header *header) {
    const ByteWeights weights = weights_of_panel(s, form, panel);
    const int64_t groups = groups_of_panel(s), alone = breaking_groups(weights, false), alone_cost = groups * kSingleCost + alone * kExtraCost;
    bool paired = false;
    int64_t extras = alone, cost = alone_cost;
    // Counting what pairs of groups give up is slow, so it is done only where the least that they can cost is less.
    if (groups * kPairedCost + breaking_groups(weights, true) * kExtraCost < alone_cost) {
        const int64_t together = split_weights(weights, true, nullptr), together_cost = groups * kPairedCost + together * kExtraCost;
        if (together >= 0 && together_cost < alone_cost) {
            paired = true;
            extras = together;
            cost = together_cost;
        }
    }
    if (cost >= groups * kWordsCost) return false;
    if (header->extras + extras > most_extras(s)) return false;

    uint8_t *start = form.panels + panel * s.panel_bytes(kBytes), *flags_at = start + s.weight_bytes(kBytes) + 6 * 4 * kBytes.panel();
    Flags flags;
    memcpy(&flags, flags_at, sizeof flags);
    flags.paired = paired ? 1 : 0;
    flags.extras = static_cast<int32_t>(extras);
    uint8_t *extra_weights = form.extra_weights + header->extras * extra_bytes();
    int32_t *offsets = form.extra_offsets + header->extras;
    flags.extra_weights = extra_weights - start;
    flags.extra_offsets = reinterpret_cast<uint8_t *>(offsets) - start;
    memcpy(flags_at, &flags, sizeof flags);
    if (extras > 0) {
        const ExtraGroups to = {reinterpret_cast<int8_t *>(extra_weights), offsets};
        split_weights(weights, paired, &to);
        for (int64_t i = 0; i < extras; ++i) {  // numbers of groups become places
            const int64_t segment = offsets[i] / weights.groups, group = offsets[i] % weights.groups;
            offsets[i] = static_cast<int32_t>(s.segment_offset(kBytes, segment) + kBytes.group * group);
        }
    }
    header->extras += extras;
    header->paired_panels += paired ? 1 : 0;
    return true;
}

bool pack_bytes(const MatmulShape &s, const void *const *inputs, void *packed) {
    const ByteForm form = byte_form(s, packed);
    if (!matmul_pack_panels(s, kBytes, inputs, form.panels)) return false;
    Avx2Header header = {1, 0, 0};
    for (int64_t panel = 0; panel < s.panels(kBytes); ++panel) {
        if (!split_panel(s, form, panel, &header)) return false;
    }
    memcpy(packed, &header, sizeof header);
    return true;
}

}  // namespace

int64_t matmul_packed_bytes(const MatmulShape &s, Avx2Forms) {
    const int64_t words = matmul_packed_bytes(s, kAvx2Layout), bytes = byte_form_bytes(s);
    return kAvx2HeaderBytes + (words > bytes ? words : bytes);
}

void matmul_pack(const MatmulShape &s, Avx2Forms form, const void *const *inputs, void *packed) {
    const auto size = static_cast<size_t>(matmul_packed_bytes(s, form));
    memset(packed, 0, size);
    if (pack_bytes(s, inputs, packed)) return;
    memset(packed, 0, size);
    matmul_pack_panels(s, kAvx2Layout, inputs, static_cast<uint8_t *>(packed) + kAvx2HeaderBytes);
}

}  // namespace zp
