// Memory of a fixed size.
#ifndef ZP_PLAN_BLOCK_H
#define ZP_PLAN_BLOCK_H

#include <cstddef>
#include <cstdint>
#include <memory>

namespace zp {

inline constexpr std::size_t kAlignment = 64;

inline std::size_t rounded_up(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// 64-byte aligned memory of a size fixed at creation.
class Block {
public:
    Block() = default;
    explicit Block(std::size_t bytes);  // contents are zero
    std::uint8_t *data() const { return data_.get(); }

private:
    struct Free {
        void operator()(std::uint8_t *p) const;
    };
    std::unique_ptr<std::uint8_t, Free> data_;
};

}  // namespace zp
#endif
