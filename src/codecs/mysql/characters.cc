#include "codecs/mysql/characters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace godwit::mysql {
namespace {

constexpr std::uint32_t kNone = 0xFFFF'FFFF;  // no character's UTF-8
constexpr char kBehind = '\n';                // of each code in a question; no code of several bytes holds it
constexpr std::size_t kQuestionBytes = 64 << 10;
constexpr std::size_t kChunk = 64 << 10;

struct Range {
    unsigned first = 1, last = 0;
    [[nodiscard]] constexpr bool has(unsigned b) const { return b >= first && b <= last; }
};
enum class Longer : std::uint8_t { none, euc, gb18030 };
// Which bytes make a character: the servers refuse to store anything else.
struct Form {
    std::string_view charset;
    std::array<Range, 2> leads;
    std::array<Range, 3> trails;
    Range alone;  // besides ASCII
    Longer longer = Longer::none;
};
constexpr Range kEuc{0xA1, 0xFE};
constexpr Range kHalfWidth{0xA1, 0xDF};
constexpr Form kForms[] = {
    {"big5", {{{0xA1, 0xF9}}}, {{{0x40, 0x7E}, {0xA1, 0xFE}}}, {}},
    {"cp932", {{{0x81, 0x9F}, {0xE0, 0xFC}}}, {{{0x40, 0x7E}, {0x80, 0xFC}}}, kHalfWidth},
    {"eucjpms", {{kEuc}}, {{kEuc}}, {}, Longer::euc},
    {"euckr", {{{0x81, 0xFE}}}, {{{0x41, 0x5A}, {0x61, 0x7A}, {0x81, 0xFE}}}, {}},
    {"gb18030", {{{0x81, 0xFE}}}, {{{0x40, 0x7E}, {0x80, 0xFE}}}, {}, Longer::gb18030},
    {"gb2312", {{{0xA1, 0xF7}}}, {{kEuc}}, {}},
    {"gbk", {{{0x81, 0xFE}}}, {{{0x40, 0x7E}, {0x80, 0xFE}}}, {}},
    {"sjis", {{{0x81, 0x9F}, {0xE0, 0xFC}}}, {{{0x40, 0x7E}, {0x80, 0xFC}}}, kHalfWidth},
    {"ujis", {{kEuc}}, {{kEuc}}, {}, Longer::euc},
};
constexpr unsigned kEucHalfWidth = 0x8E;  // and one more byte
constexpr unsigned kEucThird = 0x8F;      // and two more bytes

// gb18030's codes of four bytes are numbers in their order. Up to U+FFFF only a table says which are which,
// from kFourPlanes on they are those of Unicode.
constexpr std::size_t kFourTable = 4UL * 12'600;
constexpr std::size_t kFourPlanes = 15UL * 12'600;

template <std::size_t n>
constexpr bool any_has(const std::array<Range, n>& ranges, unsigned b) {
    return std::ranges::any_of(ranges, [b](const Range& r) { return r.has(b); });
}

// UTF-8 with the first byte lowest; surrogates as the servers write them.
constexpr std::uint32_t packed(std::uint32_t c) {
    if (c < 0x80) return c;
    if (c < 0x800) return (0xC0U | c >> 6U) | (0x80U | (c & 0x3FU)) << 8U;
    if (c < 0x1'0000)
        return (0xE0U | c >> 12U) | (0x80U | (c >> 6U & 0x3FU)) << 8U | (0x80U | (c & 0x3FU)) << 16U;
    return (0xF0U | c >> 18U) | (0x80U | (c >> 12U & 0x3FU)) << 8U | (0x80U | (c >> 6U & 0x3FU)) << 16U |
           (0x80U | (c & 0x3FU)) << 24U;
}

constexpr std::array<std::uint8_t, 16> kLengths = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
constexpr std::size_t length_of(std::uint32_t utf8) { return kLengths[utf8 >> 4U & 15U]; }

// `to` has room for four bytes.
std::byte* put(std::byte* to, std::uint32_t utf8) noexcept {
    std::memcpy(to, &utf8, 4);
    return to + length_of(utf8);
}

// cp1252 for 0x80 to 0x9F; the five places that it leaves empty are control codes to MySQL
constexpr std::array<char16_t, 32> kLatin1High = {
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008D, 0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178,
};
constexpr std::array<std::uint32_t, 256> kLatin1 = [] {
    std::array<std::uint32_t, 256> all{};
    for (std::uint32_t c = 0; c < 256; ++c)
        all[c] = packed(c >= 0x80 && c < 0xA0 ? kLatin1High[c - 0x80] : c);
    return all;
}();
constexpr std::array<std::uint32_t, 256> kAscii = [] {
    std::array<std::uint32_t, 256> all{};
    for (std::uint32_t c = 0; c < 256; ++c) all[c] = c < 0x80 ? c : '?';
    return all;
}();

bool ascii(Bytes text) noexcept {
    const std::byte* at = text.data();
    std::size_t n = text.size();
    std::uint64_t all = 0;
    for (; n >= 8; n -= 8, at += 8) {
        std::uint64_t v = 0;
        std::memcpy(&v, at, 8);
        all |= v;
    }
    for (; n != 0; --n) all |= std::to_integer<std::uint64_t>(*at++);
    return (all & 0x8080'8080'8080'8080U) == 0;
}

// next(at, left, n): the UTF-8 of the character there, and its bytes
template <class Next>
void append_each(Bytes text, ByteBuffer& to, const Next& next) {
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    const unsigned char* const end = at + text.size();
    while (at != end) {
        const auto most = std::min<std::size_t>(static_cast<std::size_t>(end - at), kChunk);
        const unsigned char* const stop = at + most;
        std::byte* put_at = to.extend(4 * most);
        while (at < stop) {
            std::size_t n = 1;
            put_at = put(put_at, next(at, static_cast<std::size_t>(end - at), n));
            at += n;
        }
        to.resize_down(static_cast<std::size_t>(put_at - to.data()));
    }
}

void append_bytes(Bytes text, ByteBuffer& to, const std::array<std::uint32_t, 256>& one) {
    if (ascii(text))
        to.append(text);
    else
        append_each(text, to,
                    [&one](const unsigned char* at, std::size_t, std::size_t&) { return one[*at]; });
}

constexpr bool high_surrogate(std::uint32_t c) { return c >= 0xD800 && c < 0xDC00; }
constexpr bool low_surrogate(std::uint32_t c) { return c >= 0xDC00 && c < 0xE000; }

template <bool little>
std::uint32_t unit(const unsigned char* at) {
    return little ? at[0] | static_cast<std::uint32_t>(at[1]) << 8U
                  : static_cast<std::uint32_t>(at[0]) << 8U | at[1];
}

// ucs2 and utf32 hold single surrogates; the server sends them as they are, and so do we
std::uint32_t next_ucs2(const unsigned char* at, std::size_t left, std::size_t& n) {
    if (left < 2) return '?';
    n = 2;
    return packed(unit<false>(at));
}
template <bool little>
std::uint32_t next_utf16(const unsigned char* at, std::size_t left, std::size_t& n) {
    if (left < 2) return '?';
    n = 2;
    const std::uint32_t c = unit<little>(at);
    if (!high_surrogate(c)) return low_surrogate(c) ? '?' : packed(c);
    if (left < 4) return '?';
    const std::uint32_t low = unit<little>(at + 2);
    if (!low_surrogate(low)) return '?';
    n = 4;
    return packed(0x1'0000U + ((c - 0xD800U) << 10U) + (low - 0xDC00U));
}
std::uint32_t next_utf32(const unsigned char* at, std::size_t left, std::size_t& n) {
    if (left < 4) return '?';
    n = 4;
    const std::uint32_t c = unit<false>(at) << 16U | unit<false>(at + 2);
    return c > 0x10'FFFF ? '?' : packed(c);
}

// Codes one behind the other, and where the answer to each belongs.
class Questions {
public:
    explicit Questions(const CharacterMap::Ask& ask, std::string_view charset)
        : ask_(ask), charset_(charset) {}

    Result<> add(std::initializer_list<unsigned> code, std::uint32_t& answer) {
        for (const unsigned b : code) text_ += static_cast<char>(b);
        text_ += kBehind;
        answers_.push_back(&answer);
        return text_.size() < kQuestionBytes ? Result<>{} : send();
    }
    Result<> send() {
        if (text_.empty()) return {};
        const std::string said = GW_TRY(ask_(text_));
        std::string_view rest = said;
        for (std::uint32_t* answer : answers_) {
            const std::size_t n = rest.empty() ? 0 : length_of(static_cast<unsigned char>(rest.front()));
            if (rest.size() <= n || rest[n] != kBehind) return not_understood();
            *answer = 0;
            std::memcpy(answer, rest.data(), n);
            rest.remove_prefix(n + 1);
        }
        if (!rest.empty()) return not_understood();
        text_.clear();
        answers_.clear();
        return {};
    }

private:
    [[nodiscard]] std::unexpected<Error> not_understood() const {
        return fail(ErrorCode::unsupported, fmt::format("character set {} cannot be read", charset_));
    }
    const CharacterMap::Ask& ask_;
    const std::string_view charset_;
    std::string text_;
    std::vector<std::uint32_t*> answers_;
};

}  // namespace

Result<std::shared_ptr<const CharacterMap>> CharacterMap::read(std::string_view charset, const Ask& ask) {
    const Form* const form = [&]() -> const Form* {
        const auto* found = std::ranges::find(kForms, charset, &Form::charset);
        return found == std::end(kForms) ? nullptr : found;
    }();
    const auto map = std::make_shared<CharacterMap>();
    CharacterMap& m = *map;
    Questions questions(ask, charset);
    m.one_.fill(kNone);
    m.one_[static_cast<unsigned char>(kBehind)] = kBehind;
    for (unsigned b = 0; b < 256; ++b)
        if (b != static_cast<unsigned char>(kBehind) && (form == nullptr || b < 0x80 || form->alone.has(b)))
            GW_CHECK(questions.add({b}, m.one_[b]));
    if (form != nullptr) {
        const bool euc = form->longer == Longer::euc;
        m.two_.assign(0x1'0000, kNone);
        if (euc) m.three_.assign(0x1'0000, kNone);
        for (unsigned lead = 0x80; lead < 256; ++lead) {
            const bool half = euc && lead == kEucHalfWidth;
            if (!half && !any_has(form->leads, lead)) continue;
            for (unsigned trail = 0; trail < 256; ++trail) {
                if (!(half ? kHalfWidth.has(trail) : any_has(form->trails, trail))) continue;
                GW_CHECK(questions.add({lead, trail}, m.two_[lead << 8U | trail]));
                if (euc && !half)
                    GW_CHECK(questions.add({kEucThird, lead, trail}, m.three_[lead << 8U | trail]));
            }
        }
        if (form->longer == Longer::gb18030) {
            m.four_.assign(kFourTable, kNone);
            for (unsigned i = 0; i < kFourTable; ++i)
                GW_CHECK(questions.add(
                    {0x81 + i / 12'600, 0x30 + i / 1260 % 10, 0x81 + i / 10 % 126, 0x30 + i % 10},
                    m.four_[i]));
        }
    }
    GW_CHECK(questions.send());
    for (unsigned b = 0; b < 0x80; ++b) m.ascii_ = m.ascii_ && m.one_[b] == b;
    return map;
}

std::uint32_t CharacterMap::longer(const unsigned char* at, std::size_t left, std::size_t& n) const {
    std::uint32_t out = kNone;
    if (left >= 2 && !two_.empty()) {
        n = 2;
        out = two_[static_cast<std::size_t>(at[0]) << 8U | at[1]];
    }
    if (out == kNone && left >= 3 && !three_.empty() && at[0] == kEucThird) {
        n = 3;
        out = three_[static_cast<std::size_t>(at[1]) << 8U | at[2]];
    }
    if (out == kNone && left >= 4 && !four_.empty() && Range{0x81, 0xFE}.has(at[0]) &&
        Range{0x30, 0x39}.has(at[1]) && Range{0x81, 0xFE}.has(at[2]) && Range{0x30, 0x39}.has(at[3])) {
        n = 4;
        const std::size_t i =
            (at[0] - 0x81U) * 12'600UL + (at[1] - 0x30U) * 1260UL + (at[2] - 0x81U) * 10UL + (at[3] - 0x30U);
        if (i < four_.size()) return four_[i];
        return i >= kFourPlanes && i - kFourPlanes < 0x10'0000
                   ? packed(0x1'0000U + static_cast<std::uint32_t>(i - kFourPlanes))
                   : '?';
    }
    if (out != kNone) return out;
    n = 1;
    return '?';
}

void CharacterMap::append(Bytes text, ByteBuffer& to) const {
    if (ascii_ && ascii(text)) {
        to.append(text);
        return;
    }
    append_each(text, to, [this](const unsigned char* at, std::size_t left, std::size_t& n) {
        const std::uint32_t known = one_[*at];
        return known != kNone ? known : longer(at, left, n);
    });
}

Result<Transcoder> Transcoder::open(std::string_view charset, const CharacterMaps& maps) {
    struct Known {
        std::string_view charset;
        Kind kind;
    };
    static constexpr Known kKnown[] = {
        {"", Kind::pass},       {"utf8mb4", Kind::pass},    {"utf8mb3", Kind::pass},  {"utf8", Kind::pass},
        {"binary", Kind::pass}, {"ascii", Kind::ascii},     {"latin1", Kind::latin1}, {"ucs2", Kind::ucs2},
        {"utf16", Kind::utf16}, {"utf16le", Kind::utf16le}, {"utf32", Kind::utf32},
    };
    Transcoder t;
    if (const auto* known = std::ranges::find(kKnown, charset, &Known::charset); known != std::end(kKnown)) {
        t.kind_ = known->kind;
        return t;
    }
    if (!maps) return fail(ErrorCode::unsupported, fmt::format("character set {} cannot be read", charset));
    t.kind_ = Kind::map;
    t.map_ = GW_TRY(maps(charset));
    return t;
}

void Transcoder::append(Bytes text, ByteBuffer& to) const {
    switch (kind_) {
        case Kind::pass:
            to.append(text);
            break;
        case Kind::ascii:
            append_bytes(text, to, kAscii);
            break;
        case Kind::latin1:
            append_bytes(text, to, kLatin1);
            break;
        case Kind::ucs2:
            append_each(text, to, next_ucs2);
            break;
        case Kind::utf16:
            append_each(text, to, next_utf16<false>);
            break;
        case Kind::utf16le:
            append_each(text, to, next_utf16<true>);
            break;
        case Kind::utf32:
            append_each(text, to, next_utf32);
            break;
        case Kind::map:
            map_->append(text, to);
            break;
    }
}

}  // namespace godwit::mysql
