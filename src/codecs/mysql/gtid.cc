#include "codecs/mysql/gtid.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "codecs/mysql/varlen.h"

namespace godwit::mysql {
namespace {

constexpr std::uint64_t kNumberMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) - 1;
constexpr std::size_t kTagMax = 32;

std::unexpected<Error> unreadable(std::string_view what) {
    return fail(ErrorCode::invalid_argument, "not a GTID " + std::string(what));
}
std::unexpected<Error> damaged() { return fail(ErrorCode::data_loss, "the log sent a damaged GTID set"); }

int nibble(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

void put_number(std::string& to, std::uint64_t v) {
    char text[20];
    const auto [end, error] = std::to_chars(text, text + sizeof text, v);
    to.append(text, end);
}

template <class T>
std::optional<T> number(std::string_view text) {
    T v = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return v;
}

std::string_view trimmed(std::string_view s) {
    const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
    while (!s.empty() && blank(s.front())) s.remove_prefix(1);
    while (!s.empty() && blank(s.back())) s.remove_suffix(1);
    return s;
}

// The part of `rest` before `separator`; both leave `rest`.
std::string_view cut(std::string_view& rest, char separator) {
    const std::size_t n = rest.find(separator);
    const std::string_view part = rest.substr(0, n);
    rest = n == std::string_view::npos ? std::string_view{} : rest.substr(n + 1);
    return trimmed(part);
}

bool is_tag(std::string_view s) {
    if (s.empty() || s.size() > kTagMax) return false;
    return !(s[0] >= '0' && s[0] <= '9') && std::ranges::all_of(s, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
}

}  // namespace

bool parse_uuid(std::string_view text, std::array<std::uint8_t, 16>& to) {
    if (text.size() != 36) return false;
    std::size_t at = 0;
    for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            if (text[at++] != '-') return false;
        const int high = nibble(text[at]), low = nibble(text[at + 1]);
        if (high < 0 || low < 0) return false;
        to[i] = static_cast<std::uint8_t>(high * 16 + low);
        at += 2;
    }
    return true;
}

void print_uuid(const std::array<std::uint8_t, 16>& uuid, std::string& to) {
    constexpr char kHex[] = "0123456789abcdef";
    for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) to += '-';
        to += kHex[uuid[i] >> 4U];
        to += kHex[uuid[i] & 15U];
    }
}

Result<GtidSet> GtidSet::parse(std::string_view text) {
    GtidSet set;
    text = trimmed(text);
    while (!text.empty()) {
        std::string_view part = cut(text, ',');
        if (part.empty()) continue;
        GtidSource source;
        if (!parse_uuid(cut(part, ':'), source.uuid) || part.empty()) return unreadable("set");
        while (!part.empty()) {
            std::string_view piece = cut(part, ':');
            if (is_tag(piece)) {
                source.tag = piece;
                std::ranges::transform(source.tag, source.tag.begin(), [](char c) {
                    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
                });
                continue;
            }
            const bool range = piece.find('-') != std::string_view::npos;
            const auto first = number<std::uint64_t>(cut(piece, '-'));
            const auto last = range ? number<std::uint64_t>(trimmed(piece)) : first;
            if (!first || !last || *first == 0 || *last > kNumberMax) return unreadable("set");
            if (*last >= *first) set.add(source, Interval{*first, *last});
        }
    }
    return set;
}

Result<GtidSet> GtidSet::decode(Bytes encoded) {
    GtidSet set;
    ByteReader in(encoded);
    auto sources = in.le<std::uint64_t>();
    // With tags the count stands in bytes 1 to 6 and the first and last byte are 1.
    const bool tagged = sources >> 56U == 1;
    if (tagged) sources = (sources >> 8U) & 0xFFFF'FFFF'FFFFU;
    for (std::uint64_t i = 0; i < sources && !in.failed(); ++i) {
        GtidSource source;
        const Bytes uuid = in.take(16);
        if (in.failed()) return damaged();
        std::memcpy(source.uuid.data(), uuid.data(), 16);
        if (tagged) {
            const auto length = get_varlen(in);
            if (length > kTagMax) return damaged();
            source.tag = as_text(in.take(length));
        }
        const auto intervals = in.le<std::uint64_t>();
        for (std::uint64_t k = 0; k < intervals && !in.failed(); ++k) {
            const auto first = in.le<std::uint64_t>();
            const auto end = in.le<std::uint64_t>();
            if (in.failed()) return damaged();
            if (first == 0 || end <= first || end > kNumberMax + 1) return damaged();
            set.add(source, Interval{first, end - 1});
        }
    }
    if (in.failed() || !in.at_end()) return damaged();
    return set;
}

void GtidSet::encode(ByteBuffer& to) const {
    const bool tagged = std::ranges::any_of(sources_, [](const auto& s) { return !s.first.tag.empty(); });
    const std::uint64_t n = sources_.size();
    to.put_le(tagged ? (std::uint64_t{1} << 56U) | (n << 8U) | 1U : n);
    for (const auto& [source, intervals] : sources_) {
        to.append(Bytes(reinterpret_cast<const std::byte*>(source.uuid.data()), 16));
        if (tagged) {
            to.put_u8(static_cast<std::uint8_t>(source.tag.size() * 2));  // variable length, one byte
            to.append(source.tag);
        }
        to.put_le(static_cast<std::uint64_t>(intervals.size()));
        for (const auto& i : intervals) {
            to.put_le(i.first);
            to.put_le(i.last + 1);
        }
    }
}

void GtidSet::print(std::string& to) const {
    const GtidSource* before = nullptr;
    for (const auto& [source, intervals] : sources_) {
        if (before == nullptr || before->uuid != source.uuid) {
            if (before != nullptr) to += ',';
            print_uuid(source.uuid, to);
        }
        before = &source;
        if (!source.tag.empty()) {
            to += ':';
            to += source.tag;
        }
        for (const auto& i : intervals) {
            to += ':';
            put_number(to, i.first);
            if (i.last == i.first) continue;
            to += '-';
            put_number(to, i.last);
        }
    }
}

std::string GtidSet::text() const {
    std::string out;
    print(out);
    return out;
}

void GtidSet::add(const GtidSource& source, Interval fresh) {
    auto& list = sources_[source];
    // nearly always the one that follows the last
    if (!list.empty() && fresh.first == list.back().last + 1) {
        list.back().last = fresh.last;
        return;
    }
    auto at = std::ranges::lower_bound(list, fresh.first, {}, [](const Interval& i) { return i.last + 1; });
    if (at == list.end() || fresh.last + 1 < at->first) {
        list.insert(at, fresh);
        return;
    }
    at->first = std::min(at->first, fresh.first);
    at->last = std::max(at->last, fresh.last);
    auto next = at + 1;
    while (next != list.end() && next->first <= at->last + 1) {
        at->last = std::max(at->last, next->last);
        ++next;
    }
    list.erase(at + 1, next);
}

void GtidSet::add(const GtidSet& other) {
    for (const auto& [source, intervals] : other.sources_)
        for (const auto& i : intervals) add(source, i);
}

bool GtidSet::contains(const GtidSource& source, std::uint64_t number) const {
    const auto it = sources_.find(source);
    if (it == sources_.end()) return false;
    const auto at = std::ranges::lower_bound(it->second, number, {}, &Interval::last);
    return at != it->second.end() && at->first <= number;
}

bool GtidSet::contains(const GtidSet& other) const {
    for (const auto& [source, intervals] : other.sources_) {
        const auto it = sources_.find(source);
        if (it == sources_.end()) return false;
        for (const auto& i : intervals) {
            const auto at = std::ranges::lower_bound(it->second, i.last, {}, &Interval::last);
            if (at == it->second.end() || at->first > i.first) return false;
        }
    }
    return true;
}

Result<MariadbGtidPosition> MariadbGtidPosition::parse(std::string_view text) {
    MariadbGtidPosition position;
    text = trimmed(text);
    while (!text.empty()) {
        std::string_view part = cut(text, ',');
        if (part.empty()) continue;
        const auto domain = number<std::uint32_t>(cut(part, '-'));
        const auto server = number<std::uint32_t>(cut(part, '-'));
        const auto sequence = number<std::uint64_t>(part);
        if (!domain || !server || !sequence) return unreadable("position");
        position.set({*domain, *server, *sequence});
    }
    return position;
}

void MariadbGtidPosition::print(std::string& to) const {
    bool first = true;
    for (const auto& [domain, gtid] : last_) {
        if (!first) to += ',';
        first = false;
        put_number(to, gtid.domain);
        to += '-';
        put_number(to, gtid.server);
        to += '-';
        put_number(to, gtid.sequence);
    }
}

std::string MariadbGtidPosition::text() const {
    std::string out;
    print(out);
    return out;
}

bool MariadbGtidPosition::contains(const MariadbGtid& gtid) const {
    const auto it = last_.find(gtid.domain);
    return it != last_.end() && gtid.sequence <= it->second.sequence;
}

bool MariadbGtidPosition::contains(const MariadbGtidPosition& other) const {
    return std::ranges::all_of(other.last_, [&](const auto& entry) { return contains(entry.second); });
}

bool MariadbGtidPosition::continues(const MariadbGtidPosition& before) const {
    return std::ranges::all_of(before.last_, [&](const auto& entry) {
        const auto it = last_.find(entry.first);
        return it != last_.end() &&
               (it->second.server != entry.second.server || it->second.sequence >= entry.second.sequence);
    });
}

}  // namespace godwit::mysql
