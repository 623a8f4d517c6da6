// Copying across the network's edge, where uint8 codes become int8 codes and back.
#ifndef ZP_PLAN_FLIP_H
#define ZP_PLAN_FLIP_H

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace zp {

// q - 128 as int8 has the bits of q with the top one inverted, in both directions. Eight bytes at a time,
// which compilers turn into whole vectors.
inline void copy_edge(void *to, const void *from, std::size_t bytes, bool flip) {
    if (!flip) {
        std::memcpy(to, from, bytes);
        return;
    }
    auto *out = static_cast<std::uint8_t *>(to);
    const auto *in = static_cast<const std::uint8_t *>(from);
    for (std::size_t eights = bytes / 8; eights > 0; --eights, in += 8, out += 8) {
        std::uint64_t eight;
        std::memcpy(&eight, in, 8);
        eight ^= 0x8080808080808080u;
        std::memcpy(out, &eight, 8);
    }
    for (std::size_t i = 0; i < bytes % 8; ++i) out[i] = static_cast<std::uint8_t>(in[i] ^ 0x80u);
}

}  // namespace zp
#endif
