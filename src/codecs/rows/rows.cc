#include "codecs/rows/rows.h"

#include <array>

namespace godwit::rows {
namespace {

// What stands behind the backslash; 0: the byte passes as it is.
using Escapes = std::array<char, 256>;
constexpr Escapes make_escapes(bool nul) {
    Escapes e{};
    e['\\'] = '\\';
    e['\t'] = 't';
    e['\n'] = 'n';
    e['\r'] = 'r';
    if (nul) e[0] = '0';
    return e;
}
constexpr Escapes kText = make_escapes(false);
constexpr Escapes kRaw = make_escapes(true);
constexpr char kHex[] = "0123456789abcdef";

// Runs of plain bytes are copied at once: most cells have no special byte at all.
template <const Escapes& escapes>
void put(ByteBuffer& to, Bytes text) {
    const auto* const from = reinterpret_cast<const unsigned char*>(text.data());
    const std::size_t n = text.size();
    std::size_t plain = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const char escape = escapes[from[i]];
        if (escape == 0) continue;
        to.append(text.subspan(plain, i - plain));
        std::byte* at = to.extend(2);
        at[0] = std::byte{'\\'};
        at[1] = static_cast<std::byte>(escape);
        plain = i + 1;
    }
    to.append(text.subspan(plain));
}

}  // namespace

void put_text(ByteBuffer& to, Bytes text) { put<kText>(to, text); }

std::size_t put_text_without_nul(ByteBuffer& to, Bytes text) {
    std::size_t replaced = 0;
    while (!text.empty()) {
        const auto* nul = static_cast<const std::byte*>(std::memchr(text.data(), 0, text.size()));
        if (nul == nullptr) break;
        const auto before = static_cast<std::size_t>(nul - text.data());
        put<kText>(to, text.first(before));
        to.put_u8(' ');
        ++replaced;
        text = text.subspan(before + 1);
    }
    put<kText>(to, text);
    return replaced;
}

void put_bytes_raw(ByteBuffer& to, Bytes bytes) { put<kRaw>(to, bytes); }

void put_bytes_hex(ByteBuffer& to, Bytes bytes) {
    auto* at = reinterpret_cast<char*>(to.extend(3 + 2 * bytes.size()));
    *at++ = '\\';
    *at++ = '\\';
    *at++ = 'x';
    for (const std::byte b : bytes) {
        *at++ = kHex[std::to_integer<unsigned>(b) >> 4U];
        *at++ = kHex[std::to_integer<unsigned>(b) & 15U];
    }
}

}  // namespace godwit::rows
