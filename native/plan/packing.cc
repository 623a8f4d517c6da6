#include "packing.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "flip.h"
#include "step.h"

namespace zp {

// More threads do not pack faster: memory is the limit.
static constexpr std::size_t kMostPackers = 8;

static std::size_t size_of(const TensorSpec &constant) {
    return static_cast<std::size_t>(elements(constant) * element_size(constant.dtype));
}

namespace {

// A packer takes one task after the other, until none is left, and puts the results into a slab of its own.
class Packing {
public:
    Packing(std::vector<PackingTask> tasks, std::size_t packers, std::size_t more) : tasks_(std::move(tasks)) {
        std::size_t most = 0, most_flipped = 0;
        for (const PackingTask &task : tasks_) {
            most += bound(task);
            std::size_t flipped = 0;
            for (const TensorSpec *constant : task.constants)
                if (constant && constant->flip) flipped += aligned_size(size_of(*constant));
            most_flipped = std::max(most_flipped, flipped);
        }
        if (packers > 1)  // the largest first, so that all end at the same time
            std::stable_sort(tasks_.begin(), tasks_.end(), [](const PackingTask &a, const PackingTask &b) { return bound(a) > bound(b); });
        for (std::size_t i = 0; i < packers; ++i) {
            slabs_.emplace_back(most + (i == 0 ? more : 0), tasks_.size() + 2);
            flipped_.emplace_back(most_flipped);
        }
    }

    std::vector<Slab> on(Pool &pool) {
        // Units are packers, not tasks: a thread that comes late finds nothing to do.
        pool.run(static_cast<std::int32_t>(slabs_.size()), 1, run, this);
        if (error_) std::rethrow_exception(error_);
        for (std::size_t i = 1; i < slabs_.size(); ++i) slabs_[i].close();
        return std::move(slabs_);
    }

private:
    static std::size_t bound(const PackingTask &task) { return task.kernel->packed_bytes(task.params); }

    static void run(void *context, std::int32_t begin, std::int32_t end, int) {
        auto &packing = *static_cast<Packing *>(context);
        for (std::int32_t packer = begin; packer < end; ++packer)
            for (std::size_t i; (i = packing.next_.fetch_add(1)) < packing.tasks_.size();)
                packing.attempt(packing.tasks_[i], static_cast<std::size_t>(packer));
    }

    // No error may leave the pool's threads, nor the caller while they work.
    void attempt(const PackingTask &task, std::size_t packer) {
        try {
            pack(task, slabs_[packer], flipped_[packer]);
        } catch (...) {
            const std::lock_guard<std::mutex> lock(failing_);
            error_ = std::current_exception();
        }
    }

    static void pack(const PackingTask &task, Slab &slab, const Pages &flipped) {
        std::vector<const void *> data;
        std::size_t used = 0;
        for (const TensorSpec *constant : task.constants) {
            data.push_back(constant ? constant->data : nullptr);
            if (!constant || !constant->flip) continue;
            std::uint8_t *codes = flipped.data() + used;
            copy_edge(codes, constant->data, size_of(*constant), true);
            used += aligned_size(size_of(*constant));
            data.back() = codes;
        }
        while (data.size() < kMinOperands) data.push_back(nullptr);
        std::uint8_t *to = slab.next();
        task.pack(task.params, data.data(), to);
        slab.take(task.kernel->kept_bytes ? task.kernel->kept_bytes(task.params, to) : bound(task));
        *task.packed = to;
        for (const TensorSpec *constant : task.constants)
            if (constant && constant->file) drop_file_pages(constant->data, size_of(*constant), constant->file, constant->file_bytes);
    }

    std::vector<PackingTask> tasks_;
    std::vector<Slab> slabs_;
    std::vector<Pages> flipped_;  // constants of one task in the engine's codes
    std::atomic<std::size_t> next_{0};
    std::mutex failing_;
    std::exception_ptr error_;
};

}  // namespace

std::vector<Slab> pack(std::vector<PackingTask> tasks, Pool &pool, std::size_t more) {
    const std::size_t packers = std::min({static_cast<std::size_t>(pool.threads()), kMostPackers, std::max(tasks.size(), std::size_t{1})});
    return Packing(std::move(tasks), packers, more).on(pool);
}

}  // namespace zp
