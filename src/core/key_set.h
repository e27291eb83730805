#pragma once
// Hashes of the keys in a table's open statements, so that each key occurs at most once among them. Not
// thread safe.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/bytes.h"

namespace godwit {

inline std::uint64_t hash_bytes(std::uint64_t seed, Bytes bytes) noexcept {
    std::uint64_t h = seed ^ (bytes.size() * 0x9e3779b97f4a7c15ULL);
    const std::byte* p = bytes.data();
    std::size_t n = bytes.size();
    while (n >= 8) {
        std::uint64_t v = 0;
        std::memcpy(&v, p, 8);
        h = (h ^ v) * 0xff51afd7ed558ccdULL;
        h ^= h >> 32;
        p += 8;
        n -= 8;
    }
    std::uint64_t v = 0;
    if (n != 0) std::memcpy(&v, p, n);
    h = (h ^ v) * 0xff51afd7ed558ccdULL;
    return h ^ (h >> 29);
}

// Two keys may have one hash: a hit says that the key may be there. Small until many keys come, and small
// again after clear().
class KeySet {
public:
    static constexpr std::size_t kMax = 32768;  // the caller sends before there are more
    KeySet() : slots_(kSmall) {}
    // Adds the key with `value`, which says where its row waits; nullptr: it is new. Else the value that it
    // has, valid until the next call.
    std::uint32_t* add(std::uint64_t key, std::uint32_t value) {
        if (2 * (size_ + 1) > slots_.size()) grow();
        Slot& slot = slot_of(key);
        if (slot.stamp == stamp_) return &slot.value;
        slot = {key, stamp_, value};
        ++size_;
        return nullptr;
    }
    // false: already there
    bool insert(std::uint64_t key) { return add(key, 0) == nullptr; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    void clear() {
        if (slots_.size() > kKept) {
            slots_ = std::vector<Slot>(kSmall);
            stamp_ = 0;
        }
        if (++stamp_ == 0) {  // the old stamps would be new again
            slots_.assign(slots_.size(), {});
            stamp_ = 1;
        }
        size_ = 0;
    }

private:
    static constexpr std::size_t kSmall = 256, kKept = 2048;
    struct Slot {
        std::uint64_t key = 0;
        std::uint32_t stamp = 0;
        std::uint32_t value = 0;
    };
    Slot& slot_of(std::uint64_t key) noexcept {
        std::size_t i = key & (slots_.size() - 1);
        while (slots_[i].stamp == stamp_ && slots_[i].key != key) i = (i + 1) & (slots_.size() - 1);
        return slots_[i];
    }
    void grow() {
        std::vector<Slot> old(2 * slots_.size());
        std::swap(old, slots_);
        for (const Slot& slot : old)
            if (slot.stamp == stamp_) slot_of(slot.key) = slot;
    }
    std::vector<Slot> slots_;
    std::uint32_t stamp_ = 1;
    std::size_t size_ = 0;
};

}  // namespace godwit
