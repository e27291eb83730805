#pragma once
// Growing and reading byte strings. ByteReader never reads past its end: a short read sets failed() and every
// later read yields zero, so that a decoder checks once per message.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace godwit {

using Bytes = std::span<const std::byte>;

inline Bytes as_bytes(std::string_view s) noexcept {
    return {reinterpret_cast<const std::byte*>(s.data()), s.size()};
}
inline std::string_view as_text(Bytes b) noexcept {
    return {reinterpret_cast<const char*>(b.data()), b.size()};
}

// std::vector without the zero fill on growth. Not thread safe.
class ByteBuffer {
public:
    ByteBuffer() = default;
    ByteBuffer(ByteBuffer&& o) noexcept : data_(o.data_), size_(o.size_), capacity_(o.capacity_) {
        o.forget();
    }
    ByteBuffer& operator=(ByteBuffer&& o) noexcept {
        if (this != &o) {
            ::operator delete(data_);
            data_ = o.data_, size_ = o.size_, capacity_ = o.capacity_;
            o.forget();
        }
        return *this;
    }
    ByteBuffer(const ByteBuffer&) = delete;
    ByteBuffer& operator=(const ByteBuffer&) = delete;
    ~ByteBuffer() { ::operator delete(data_); }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::byte* data() noexcept { return data_; }
    [[nodiscard]] const std::byte* data() const noexcept { return data_; }
    [[nodiscard]] Bytes view() const noexcept { return {data_, size_}; }
    void clear() noexcept { size_ = 0; }
    void resize_down(std::size_t n) noexcept { size_ = n; }
    void reserve(std::size_t n) {
        if (n > capacity_) grow(n);
    }
    // n uninitialised bytes at the end
    std::byte* extend(std::size_t n) {
        if (capacity_ - size_ < n) grow(size_ + n);
        std::byte* at = data_ + size_;
        size_ += n;
        return at;
    }
    void append(Bytes b) {
        if (!b.empty()) std::memcpy(extend(b.size()), b.data(), b.size());
    }
    void append(std::string_view s) { append(as_bytes(s)); }
    void put_u8(std::uint8_t v) { *extend(1) = std::byte{v}; }
    // little endian: godwit's own records
    template <class T>
    void put_le(T v) {
        static_assert(std::is_integral_v<T> && std::endian::native == std::endian::little);
        std::memcpy(extend(sizeof v), &v, sizeof v);
    }
    // big endian: PostgreSQL's wire
    template <class T>
    void put_be(T v) {
        store_be(extend(sizeof v), v);
    }
    template <class T>
    static void store_be(std::byte* at, T v) noexcept {
        using U = std::make_unsigned_t<T>;
        auto u = static_cast<U>(v);
        for (std::size_t i = 0; i < sizeof v; ++i)
            at[i] = static_cast<std::byte>((u >> (8 * (sizeof v - 1 - i))) & 0xffU);
    }
    void release_memory() {
        ::operator delete(data_);
        forget();
    }

private:
    void grow(std::size_t need) {
        std::size_t to = capacity_ < 256 ? 256 : capacity_ * 2;
        if (to < need) to = need;
        auto* fresh = static_cast<std::byte*>(::operator new(to));
        if (size_ != 0) std::memcpy(fresh, data_, size_);
        ::operator delete(data_);
        data_ = fresh;
        capacity_ = to;
    }
    void forget() noexcept { data_ = nullptr, size_ = 0, capacity_ = 0; }

    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

class ByteReader {
public:
    explicit ByteReader(Bytes b) noexcept : data_(b.data()), size_(b.size()) {}
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    [[nodiscard]] std::size_t left() const noexcept { return size_ - at_; }
    [[nodiscard]] std::size_t position() const noexcept { return at_; }
    [[nodiscard]] bool at_end() const noexcept { return at_ == size_; }
    std::uint8_t u8() noexcept {
        if (!need(1)) return 0;
        return static_cast<std::uint8_t>(data_[at_++]);
    }
    template <class T>
    T le() noexcept {
        T v{};
        if (!need(sizeof v)) return v;
        std::memcpy(&v, data_ + at_, sizeof v);
        at_ += sizeof v;
        return v;
    }
    template <class T>
    T be() noexcept {
        using U = std::make_unsigned_t<T>;
        U v{};
        if (!need(sizeof v)) return T{};
        for (std::size_t i = 0; i < sizeof v; ++i)
            v = static_cast<U>(static_cast<U>(v << (sizeof(U) > 1 ? 8 : 0)) | static_cast<U>(data_[at_ + i]));
        at_ += sizeof v;
        return static_cast<T>(v);
    }
    Bytes take(std::size_t n) noexcept {
        if (!need(n)) return {};
        Bytes b{data_ + at_, n};
        at_ += n;
        return b;
    }
    // bytes up to a NUL, which is skipped
    std::string_view cstring() noexcept {
        const void* end = at_ < size_ ? std::memchr(data_ + at_, 0, size_ - at_) : nullptr;
        if (end == nullptr) {
            failed_ = true;
            at_ = size_;
            return {};
        }
        const auto n = static_cast<std::size_t>(static_cast<const std::byte*>(end) - (data_ + at_));
        std::string_view s{reinterpret_cast<const char*>(data_ + at_), n};
        at_ += n + 1;
        return s;
    }

private:
    bool need(std::size_t n) noexcept {
        if (size_ - at_ >= n) return true;
        failed_ = true;
        at_ = size_;
        return false;
    }
    const std::byte* data_;
    std::size_t size_;
    std::size_t at_ = 0;
    bool failed_ = false;
};

// length-prefixed string, u32 little endian
inline void put_string(ByteBuffer& to, std::string_view s) {
    to.put_le(static_cast<std::uint32_t>(s.size()));
    to.append(s);
}
inline std::string get_string(ByteReader& from) {
    const auto n = from.le<std::uint32_t>();
    return std::string(as_text(from.take(n)));
}

}  // namespace godwit
