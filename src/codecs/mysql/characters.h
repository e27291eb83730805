#pragma once
// Text of the binlog comes in its column's character set, and a load's was converted by the server. So that
// load and stream say the same, the server is asked once how it converts each character of a set: its tables
// are its own (greek 0xA1 is U+02BD there and U+2018 to others; characters without a place in Unicode, of
// which columns may hold some, are '?').

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace godwit::mysql {

// All characters of one set in UTF-8. Never changes: may be shared by threads.
class CharacterMap {
public:
    // Well-formed text of the set as the server sends it in UTF-8, nothing added.
    using Ask = std::function<Result<std::string>(std::string_view text)>;
    // At most a few questions of some 64 kB. unsupported: the answers are not understood.
    [[nodiscard]] static Result<std::shared_ptr<const CharacterMap>> read(std::string_view charset,
                                                                          const Ask& ask);
    // What is no character becomes '?', byte by byte, as the server does it; columns hold no such text.
    void append(Bytes text, ByteBuffer& to) const;

private:
    [[nodiscard]] std::uint32_t longer(const unsigned char* at, std::size_t left, std::size_t& n) const;

    // A character's UTF-8, its first byte lowest.
    std::array<std::uint32_t, 256> one_{};
    std::vector<std::uint32_t> two_;    // by both bytes; empty: there are none
    std::vector<std::uint32_t> three_;  // those that 0x8F begins, by the two bytes behind it
    std::vector<std::uint32_t>
        four_;           // of gb18030, in the order of its codes, as far as Unicode's is another
    bool ascii_ = true;  // bytes below 0x80 are ASCII
};
using CharacterMaps = std::function<Result<std::shared_ptr<const CharacterMap>>(std::string_view charset)>;

// From a character set to UTF-8.
class Transcoder {
public:
    // `maps` is asked for sets that are not known by rule.
    [[nodiscard]] static Result<Transcoder> open(std::string_view charset, const CharacterMaps& maps);
    // The bytes are UTF-8 already (or have no character set).
    [[nodiscard]] bool passes() const noexcept { return kind_ == Kind::pass; }
    void append(Bytes text, ByteBuffer& to) const;

private:
    enum class Kind : std::uint8_t { pass, ascii, latin1, ucs2, utf16, utf16le, utf32, map };
    Kind kind_ = Kind::pass;
    std::shared_ptr<const CharacterMap> map_;
};

}  // namespace godwit::mysql
