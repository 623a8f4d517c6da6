#include "pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define ZP_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ZP_ADDRESS_SANITIZER
#endif
#endif
#ifdef ZP_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace zp {

static constexpr std::size_t kLargePage = std::size_t{2} << 20;
// Pieces from half a large page on are rounded up to whole ones.
static constexpr std::size_t kLargeFrom = std::size_t{1} << 20;

// Who looks at one page of a file gets as many bytes of it, if they are in memory anyway.
static constexpr std::size_t kBroughtIn = std::size_t{64} << 10;

static std::size_t page_size() {
    static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return size;
}

static std::size_t rounded(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

// An access between two blocks is an error that the address sanitizer shall see, as it does between blocks of the heap.
#ifdef ZP_ADDRESS_SANITIZER
static constexpr std::size_t kGap = kAlignment;
static void forbid(std::uint8_t *at, std::size_t bytes) { ASAN_POISON_MEMORY_REGION(at, bytes); }
static void allow(std::uint8_t *at, std::size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(at, bytes); }
#else
static constexpr std::size_t kGap = 0;
static void forbid(std::uint8_t *, std::size_t) {}
static void allow(std::uint8_t *, std::size_t) {}
#endif

Pages::Pages(std::size_t bytes) {
    const bool large = bytes >= kLargeFrom;
    if (bytes == 0) return;
    if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
    size_ = rounded(bytes, large ? kLargePage : page_size());
    const std::size_t mapped = large ? size_ + kLargePage : size_;
    void *at = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        size_ = 0;
        throw std::bad_alloc();
    }
    data_ = static_cast<std::uint8_t *>(at);
    if (!large) return;
    // Of an address that is no multiple of a large page, the part before the first one is of no use.
    const std::size_t before = rounded(reinterpret_cast<std::uintptr_t>(at), kLargePage) - reinterpret_cast<std::uintptr_t>(at);
    if (before > 0) munmap(data_, before);
    data_ += before;
    if (before < kLargePage) munmap(data_ + size_, kLargePage - before);
#ifdef MADV_HUGEPAGE
    madvise(data_, size_, MADV_HUGEPAGE);  // a wish: without large pages all goes on as it is
#endif
}

Pages::Pages(Pages &&other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Pages &Pages::operator=(Pages &&other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

void Pages::unmap() {
    if (data_ == nullptr) return;
    allow(data_, size_);
    munmap(data_, size_);
}

void Pages::shrink(std::size_t bytes) {
    const std::size_t kept = rounded(bytes, page_size());
    if (kept >= size_) return;
    if (kept == 0) {
        *this = Pages();
        return;
    }
    allow(data_ + kept, size_ - kept);
    munmap(data_ + kept, size_ - kept);
    size_ = kept;
}

Slab::Slab(std::size_t bytes, std::size_t blocks) : pages_(bytes + blocks * (kAlignment + kGap)) {}

void Slab::take(std::size_t bytes) {
    const std::size_t end = used_ + bytes;
    used_ = aligned_size(end) + kGap;
    forbid(pages_.data() + end, used_ - end);
}

void drop_file_pages(const void *data, std::size_t bytes, const void *file, std::size_t file_bytes) {
    const auto start = reinterpret_cast<std::uintptr_t>(file), end = start + rounded(file_bytes, page_size());
    const auto first = reinterpret_cast<std::uintptr_t>(data) / kBroughtIn * kBroughtIn;
    const auto last = rounded(reinterpret_cast<std::uintptr_t>(data) + bytes, kBroughtIn);
    const std::uintptr_t from = first < start ? start : first, to = last > end ? end : last;
    madvise(reinterpret_cast<void *>(from), to - from, MADV_DONTNEED);
}

}  // namespace zp
