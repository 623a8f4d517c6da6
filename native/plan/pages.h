// Memory by the page: what a plan holds for all its life, or a run works in, lies in few large pieces.
//
// Why not the heap. A fresh page costs a fault, some microseconds on a virtual machine, which is more than packing a page of weights; a
// page of 2 MiB costs hardly more than one of 4 KiB. So large pieces are mapped where the system can use large pages, and nobody
// fills them with zeros. What a piece turns out not to need was never touched, or goes back at once: a process's peak memory
// holds what is used and nothing else.
#ifndef ZP_PLAN_PAGES_H
#define ZP_PLAN_PAGES_H

#include <cstddef>
#include <cstdint>

namespace zp {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t aligned_size(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Zeros; each page takes memory from its first use on. Move-only.
class Pages {
public:
    Pages() = default;
    explicit Pages(std::size_t bytes);  // throws std::bad_alloc
    ~Pages() { unmap(); }
    Pages(Pages &&other) noexcept;
    Pages &operator=(Pages &&other) noexcept;

    std::uint8_t *data() const { return data_; }
    std::size_t size() const { return size_; }
    // Gives back the whole pages behind the first `bytes`.
    void shrink(std::size_t bytes);

private:
    void unmap();

    std::uint8_t *data_ = nullptr;
    std::size_t size_ = 0;
};

// Blocks one behind the other, each as long as its writer says in the end.
class Slab {
public:
    Slab() = default;
    // Room for blocks of `bytes` in all, `blocks` of them.
    Slab(std::size_t bytes, std::size_t blocks);

    // Where the next block begins; 64-byte aligned, its contents of any value.
    std::uint8_t *next() const { return pages_.data() + used_; }
    // It has `bytes`; the one after it begins behind them.
    void take(std::size_t bytes);
    // No further block: what is left goes back.
    void close() { pages_.shrink(used_); }

private:
    Pages pages_;
    std::size_t used_ = 0;
};

// Around `bytes` at `data`, in a mapping of a file that nobody writes, pages leave this process: those that hold them, and what the
// system brought in beside them. Whoever reads one later finds it in the file again.
void drop_file_pages(const void *data, std::size_t bytes, const void *file, std::size_t file_bytes);

}  // namespace zp
#endif
