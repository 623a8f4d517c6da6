// Memory by the page, and packing on several threads: the same bytes as one by one, whoever packs them; what a kernel gives back;
// codes of uint8 networks; errors that leave the threads in order.
#include "../plan/packing.h"

#include <cstring>
#include <new>
#include <stdexcept>
#include <vector>

#include "check.h"

using namespace zp;
using zp_test::Random;

namespace {

void check_pages() {
    for (std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{(1 << 20) - 1}, std::size_t{1} << 20, std::size_t{5} << 20}) {
        Pages pages(size);
        CHECK(pages.size() >= size);
        CHECK(reinterpret_cast<std::uintptr_t>(pages.data()) % kAlignment == 0);
        for (std::size_t i = 0; i < size; i += 1023) CHECK(pages.data()[i] == 0);
        std::memset(pages.data(), 1, size);
        Pages other(std::move(pages));
        CHECK(pages.data() == nullptr && other.data()[size - 1] == 1);
        other.shrink(size / 2);
        CHECK(size / 2 == 0 ? other.data() == nullptr : other.size() >= size / 2 && other.data()[size / 2 - 1] == 1);
        other.shrink(size);  // never more again
        other.shrink(0);
        CHECK(other.data() == nullptr && other.size() == 0);
    }
    CHECK(Pages().data() == nullptr && Pages(0).data() == nullptr);
    bool refused = false;
    try {
        Pages none(SIZE_MAX - 100);
    } catch (const std::bad_alloc &) {
        refused = true;
    }
    CHECK(refused);
}

void check_slab() {
    Slab slab(1000, 3);
    std::uint8_t *first = slab.next();
    std::memset(first, 1, 999);
    slab.take(65);
    std::uint8_t *second = slab.next();
    CHECK(second >= first + 128 && reinterpret_cast<std::uintptr_t>(second) % kAlignment == 0);
    std::memset(second, 2, 500);
    slab.take(1);
    std::uint8_t *third = slab.next();
    slab.take(0);
    CHECK(slab.next() >= third && third > second);
    slab.close();
    CHECK(first[64] == 1 && second[0] == 2);
}

// A made-up kernel: packs input 1 in reverse order behind its length, and wants room for twice as much.
struct Form {
    std::int64_t size;
    int fail;
};
const Form &form(const void *params) { return *static_cast<const Form *>(params); }
std::size_t packed_bytes(const void *params) { return static_cast<std::size_t>(8 + 2 * form(params).size); }
std::size_t kept_bytes(const void *params, const void *packed) {
    std::int64_t size = 0;
    std::memcpy(&size, packed, 8);
    CHECK(size == form(params).size);
    return static_cast<std::size_t>(8 + size);
}
void pack_reversed(const void *params, const void *const *inputs, void *packed) {
    if (form(params).fail) throw std::runtime_error("no");
    CHECK(inputs[0] == nullptr && inputs[2] == nullptr);
    const std::int64_t size = form(params).size;
    const auto *from = static_cast<const std::uint8_t *>(inputs[1]);
    auto *to = static_cast<std::uint8_t *>(packed);
    std::memset(to, 0xA5, packed_bytes(params));  // what is not kept has any contents
    std::memcpy(to, &size, 8);
    for (std::int64_t i = 0; i < size; ++i) to[8 + i] = from[size - 1 - i];
}

long check_packing(std::uint64_t seed) {
    Random random(seed);
    KernelRecord whole = {}, part = {};
    whole.packed_bytes = part.packed_bytes = packed_bytes;
    whole.pack = part.pack = pack_reversed;
    part.kept_bytes = kept_bytes;
    const auto count = static_cast<std::size_t>(random.between(0, 40));
    std::vector<Form> forms(count);
    std::vector<std::vector<std::uint8_t>> data(count);
    std::vector<TensorSpec> specs(count);
    std::vector<const std::uint8_t *> packed(count, nullptr);
    std::vector<PackingTask> tasks;
    const std::size_t failing = random.between(0, 9) == 0 && count > 0 ? static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(count) - 1)) : count;
    for (std::size_t i = 0; i < count; ++i) {
        const auto size = static_cast<std::size_t>(random.between(0, 9) ? random.between(1, 5000) : random.between(1, 400000));
        data[i].resize(size);
        for (auto &byte : data[i]) byte = static_cast<std::uint8_t>(random.next());
        forms[i] = {static_cast<std::int64_t>(size), i == failing};
        specs[i].shape = {static_cast<std::int64_t>(size)};
        specs[i].data = data[i].data();
        specs[i].flip = random.between(0, 2) == 0;
        tasks.push_back({random.between(0, 1) ? &whole : &part, pack_reversed, &forms[i], {nullptr, &specs[i]}, &packed[i]});
    }
    Pool pool(random.between(1, 5));
    std::vector<Slab> slabs;
    try {
        slabs = pack(std::move(tasks), pool, 5000);
        CHECK(failing == count);
    } catch (const std::runtime_error &) {
        CHECK(failing < count);
        return 0;
    }
    std::memset(slabs[0].next(), 0, 5000);  // room for more
    slabs[0].take(5000);
    slabs[0].close();
    for (std::size_t i = 0; i < count; ++i) {
        CHECK(reinterpret_cast<std::uintptr_t>(packed[i]) % kAlignment == 0);
        for (std::size_t k = 0; k < data[i].size(); ++k)
            CHECK(packed[i][8 + k] == (data[i][data[i].size() - 1 - k] ^ (specs[i].flip ? 0x80 : 0)));
    }
    return static_cast<long>(count);
}

}  // namespace

int main(int argc, char **argv) {
    check_pages();
    check_slab();
    const std::uint64_t cases = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200;
    long packed = 0;
    for (std::uint64_t seed = 1; seed <= cases; ++seed) packed += check_packing(seed);
    CHECK(packed > static_cast<long>(cases));
    std::printf("packing: %ld operands, seeds 1 to %llu\n", packed, static_cast<unsigned long long>(cases));
    return 0;
}
