#pragma once
// Numbers for names that have none of their own. Pure functions.

#include <cstdint>
#include <string_view>

namespace godwit {

// The same for the same two texts in every process and version, for it is kept; positive as a signed number
// and never zero, which means "not known".
inline std::uint64_t stable_id(std::string_view first, std::string_view second) noexcept {
    std::uint64_t h = 0xcbf29ce484222325ULL;
    for (const std::string_view text : {first, second}) {
        for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
        h = (h ^ 0xffU) * 0x100000001b3ULL;  // parts the two
    }
    return (h & 0x7fffffffffffffffULL) | 1U;
}

}  // namespace godwit
