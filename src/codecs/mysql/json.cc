#include "codecs/mysql/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "codecs/mysql/values.h"
#include "codecs/mysql/varlen.h"

namespace godwit::mysql {
namespace {

constexpr int kDepthMax = 128;  // the server allows 100

enum Kind : std::uint8_t {
    small_object = 0,
    large_object = 1,
    small_array = 2,
    large_array = 3,
    literal = 4,
    i16 = 5,
    u16 = 6,
    i32 = 7,
    u32 = 8,
    i64 = 9,
    u64 = 10,
    real = 11,
    string = 12,
    opaque = 15,
};

// A valid document spends at least a byte on each value and each character, so a walk that spends more than
// the document's bytes is caught in parts that overlap.
struct Budget {
    std::size_t left;
    bool spend(std::size_t n) noexcept {
        if (n > left) return false;
        left -= n;
        return true;
    }
};

template <class T>
void put_number(T v, ByteBuffer& to) {
    char text[24];
    const auto end = std::to_chars(text, text + sizeof text, v).ptr;
    to.append(std::string_view(text, end));
}

// As the server prints a DOUBLE in JSON: the shortest digits, plain between 1e-15 and 1e15, and always
// recognisable as no integer.
void put_double(double v, ByteBuffer& to) {
    if (std::isnan(v) || std::isinf(v)) {
        to.append(std::string_view("null"));  // no document holds it
        return;
    }
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, v, std::chars_format::scientific).ptr;
    std::string_view s(text, end);
    if (s.front() == '-') {
        to.put_u8('-');
        s.remove_prefix(1);
    }
    const std::size_t e = s.find('e');
    int exponent = 0;
    std::string_view tail = s.substr(e + 1);
    if (tail.front() == '+') tail.remove_prefix(1);
    std::from_chars(tail.data(), tail.data() + tail.size(), exponent);
    char digits[24];
    std::size_t n = 0;
    for (const char c : s.substr(0, e))
        if (c != '.') digits[n++] = c;
    const int point = exponent + 1;  // digits in front of it
    const auto put = [&](std::size_t from, std::size_t count) {
        to.append(std::string_view(digits + from, count));
    };
    if (point < -14 || point > 15) {
        put(0, 1);
        if (n > 1) {
            to.put_u8('.');
            put(1, n - 1);
        }
        to.put_u8('e');
        put_number(point - 1, to);
        return;
    }
    if (v == 0) {
        to.append(std::string_view("0.0"));
    } else if (point <= 0) {
        to.append(std::string_view("0."));
        for (int i = point; i < 0; ++i) to.put_u8('0');
        put(0, n);
    } else if (static_cast<std::size_t>(point) >= n) {
        put(0, n);
        for (auto i = n; i < static_cast<std::size_t>(point); ++i) to.put_u8('0');
        to.append(std::string_view(".0"));
    } else {
        put(0, static_cast<std::size_t>(point));
        to.put_u8('.');
        put(static_cast<std::size_t>(point), n - static_cast<std::size_t>(point));
    }
}

void put_quoted(std::string_view text, ByteBuffer& to) {
    constexpr char kHex[] = "0123456789abcdef";
    to.put_u8('"');
    std::size_t plain = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        to.append(text.substr(plain, i - plain));
        plain = i + 1;
        to.put_u8('\\');
        switch (c) {
            case '"':
            case '\\':
                to.put_u8(c);
                break;
            case '\b':
                to.put_u8('b');
                break;
            case '\t':
                to.put_u8('t');
                break;
            case '\n':
                to.put_u8('n');
                break;
            case '\f':
                to.put_u8('f');
                break;
            case '\r':
                to.put_u8('r');
                break;
            default:
                to.append(std::string_view("u00"));
                to.put_u8(static_cast<std::uint8_t>(kHex[c >> 4U]));
                to.put_u8(static_cast<std::uint8_t>(kHex[c & 15U]));
        }
    }
    to.append(text.substr(plain));
    to.put_u8('"');
}

// The server breaks its lines after 76 characters, in JSON too.
void put_base64(Bytes data, ByteBuffer& to) {
    constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::size_t line = 0;
    for (std::size_t i = 0; i < data.size(); i += 3) {
        if (line == 76) {
            to.append(std::string_view("\\n"));
            line = 0;
        }
        const std::size_t n = std::min<std::size_t>(3, data.size() - i);
        unsigned v = 0;
        for (std::size_t k = 0; k < 3; ++k)
            v = v << 8U | (k < n ? std::to_integer<unsigned>(data[i + k]) : 0U);
        to.put_u8(static_cast<std::uint8_t>(kDigits[v >> 18U & 63U]));
        to.put_u8(static_cast<std::uint8_t>(kDigits[v >> 12U & 63U]));
        to.put_u8(static_cast<std::uint8_t>(n > 1 ? kDigits[v >> 6U & 63U] : '='));
        to.put_u8(static_cast<std::uint8_t>(n > 2 ? kDigits[v & 63U] : '='));
        line += 4;
    }
}

// 7 bits a byte, lowest first
bool get_length(ByteReader& in, std::size_t& length) {
    std::uint64_t v = 0;
    for (unsigned i = 0; i < 5; ++i) {
        const std::uint8_t b = in.u8();
        v |= std::uint64_t{b & 0x7FU} << (7 * i);
        if ((b & 0x80U) == 0) {
            length = static_cast<std::size_t>(v);
            return !in.failed() && v <= 0xFFFF'FFFFU;
        }
    }
    return false;
}

bool put_opaque(Bytes data, ByteBuffer& to, Budget& budget) {
    ByteReader in(data);
    const std::uint8_t type = in.u8();
    std::size_t length = 0;
    if (!get_length(in, length)) return false;
    const Bytes value = in.take(length);
    if (in.failed() || !budget.spend(length)) return false;
    char text[kDecimalChars];
    char* end = text;
    constexpr std::uint8_t kTimestamp = 7, kDate = 10, kTime = 11, kDatetime = 12, kDecimal = 246;
    switch (type) {
        case kDecimal: {
            ByteReader v(value);
            const unsigned precision = v.u8(), scale = v.u8();
            const std::size_t bytes = decimal_bytes(precision, scale);
            if (v.failed() || bytes == 0 || v.left() != bytes) return false;
            end = print_decimal(value.data() + 2, precision, scale, text);
            if (end == nullptr) return false;
            to.append(std::string_view(text, end));
            return true;
        }
        case kTimestamp:
        case kDate:
        case kTime:
        case kDatetime: {
            ByteReader v(value);
            const auto packed = v.le<std::int64_t>();
            if (v.failed() || !v.at_end()) return false;
            Date date;
            Clock clock;
            if (type == kTime) {
                const bool negative = split_packed_time(packed, clock);
                end = print_time(negative, clock, 6, text);
            } else {
                split_packed_datetime(packed, date, clock);
                end = type == kDate ? print_date(date, text) : print_datetime(date, clock, 6, text);
            }
            to.put_u8('"');
            to.append(std::string_view(text, end));
            to.put_u8('"');
            return true;
        }
        default:
            to.append(std::string_view("\"base64:type"));
            put_number(unsigned{type}, to);
            to.put_u8(':');
            put_base64(value, to);
            to.put_u8('"');
            return true;
    }
}

// A scalar that is not inlined; `data` begins with it.
bool put_scalar(std::uint8_t kind, Bytes data, ByteBuffer& to, Budget& budget) {
    ByteReader in(data);
    switch (kind) {
        case literal: {
            constexpr std::string_view kNames[] = {"null", "true", "false"};
            const auto which = in.u8();
            if (in.failed() || which > 2) return false;
            to.append(kNames[which]);
            return true;
        }
        case i16:
            put_number(in.le<std::int16_t>(), to);
            return !in.failed();
        case u16:
            put_number(in.le<std::uint16_t>(), to);
            return !in.failed();
        case i32:
            put_number(in.le<std::int32_t>(), to);
            return !in.failed();
        case u32:
            put_number(in.le<std::uint32_t>(), to);
            return !in.failed();
        case i64:
            put_number(in.le<std::int64_t>(), to);
            return !in.failed();
        case u64:
            put_number(in.le<std::uint64_t>(), to);
            return !in.failed();
        case real: {
            const auto bits = in.le<std::uint64_t>();
            if (in.failed()) return false;
            put_double(std::bit_cast<double>(bits), to);
            return true;
        }
        case string: {
            std::size_t length = 0;
            if (!get_length(in, length)) return false;
            const Bytes text = in.take(length);
            if (in.failed() || !budget.spend(length)) return false;
            put_quoted(as_text(text), to);
            return true;
        }
        case opaque:
            return put_opaque(data, to, budget);
        default:
            return false;
    }
}

// An object or array, opened: where its entries stand.
struct Container {
    Bytes data;  // from the count on
    bool large = false, object = false;
    std::size_t count = 0;
    std::size_t values = 0;  // offset of the value entries

    bool open(std::uint8_t kind, Bytes from) {
        large = kind == large_object || kind == large_array;
        object = kind == small_object || kind == large_object;
        const std::size_t word = large ? 4 : 2;
        if (from.size() < 2 * word) return false;
        count = word_at(from, 0);
        const std::size_t size = word_at(from, word);
        if (size > from.size() || size < 2 * word) return false;
        data = from.first(size);
        values = 2 * word + (object ? count * (word + 2) : 0);
        return count <= size && values + count * (word + 1) <= size;
    }
    [[nodiscard]] std::size_t word_at(Bytes from, std::size_t at) const noexcept {
        if (!large) {
            std::uint16_t v = 0;
            std::memcpy(&v, from.data() + at, 2);
            return v;
        }
        std::uint32_t v = 0;
        std::memcpy(&v, from.data() + at, 4);
        return v;
    }
    bool key(std::size_t i, std::string_view& to) const {
        const std::size_t word = large ? 4 : 2;
        const std::size_t entry = 2 * word + i * (word + 2);
        const std::size_t offset = word_at(data, entry);
        std::uint16_t length = 0;
        std::memcpy(&length, data.data() + entry + word, 2);
        if (offset > data.size() || length > data.size() - offset) return false;
        to = as_text(data.subspan(offset, length));
        return true;
    }
    // The kind of a value and where it begins: in its entry when it is small enough.
    bool value(std::size_t i, std::uint8_t& kind, Bytes& from) const {
        const std::size_t word = large ? 4 : 2;
        const std::size_t entry = values + i * (word + 1);
        kind = std::to_integer<std::uint8_t>(data[entry]);
        if (kind == literal || kind == i16 || kind == u16 || (large && (kind == i32 || kind == u32))) {
            from = data.subspan(entry + 1, word);
            return true;
        }
        const std::size_t offset = word_at(data, entry + 1);
        if (offset >= data.size() || offset < values) return false;
        from = data.subspan(offset);
        return true;
    }
};

bool put_value(std::uint8_t kind, Bytes data, ByteBuffer& to, Budget& budget, int depth) {
    if (kind > large_array) return put_scalar(kind, data, to, budget);
    if (depth == kDepthMax) return false;
    Container c;
    if (!c.open(kind, data)) return false;
    to.put_u8(c.object ? '{' : '[');
    for (std::size_t i = 0; i < c.count; ++i) {
        if (i != 0) to.append(std::string_view(", "));
        if (c.object) {
            std::string_view key;
            if (!c.key(i, key) || !budget.spend(key.size())) return false;
            put_quoted(key, to);
            to.append(std::string_view(": "));
        }
        std::uint8_t inner = 0;
        Bytes from;
        if (!budget.spend(1) || !c.value(i, inner, from) || !put_value(inner, from, to, budget, depth + 1))
            return false;
    }
    to.put_u8(c.object ? '}' : ']');
    return true;
}

// ------------------------------------------------------------------------------------ partial updates

// A document taken apart, to be changed. Scalars are kept as their text.
struct Node {
    enum class Kind : std::uint8_t { scalar, object, array } kind = Kind::scalar;
    std::string text;
    struct Member;
    std::vector<Member> members;  // of objects and, without names, of arrays
};
struct Node::Member {
    std::string name;
    Node value;
};

bool build(std::uint8_t kind, Bytes data, Node& to, Budget& budget, int depth) {
    if (kind > large_array) {
        ByteBuffer text;
        if (!put_scalar(kind, data, text, budget)) return false;
        to.text = as_text(text.view());
        return true;
    }
    if (depth == kDepthMax) return false;
    Container c;
    if (!c.open(kind, data)) return false;
    to.kind = c.object ? Node::Kind::object : Node::Kind::array;
    for (std::size_t i = 0; i < c.count; ++i) {
        if (!budget.spend(1)) return false;
        auto& member = to.members.emplace_back();
        if (c.object) {
            std::string_view key;
            if (!c.key(i, key) || !budget.spend(key.size())) return false;
            member.name = key;
        }
        std::uint8_t inner = 0;
        Bytes from;
        if (!c.value(i, inner, from) || !build(inner, from, member.value, budget, depth + 1)) return false;
    }
    return true;
}

bool build(Bytes document, Node& to) {
    if (document.empty()) {
        to.text = "null";
        return true;
    }
    Budget budget{document.size()};
    return build(std::to_integer<std::uint8_t>(document[0]), document.subspan(1), to, budget, 0);
}

void print(const Node& node, ByteBuffer& to) {
    if (node.kind == Node::Kind::scalar) {
        to.append(node.text);
        return;
    }
    const bool object = node.kind == Node::Kind::object;
    to.put_u8(object ? '{' : '[');
    for (std::size_t i = 0; i < node.members.size(); ++i) {
        if (i != 0) to.append(std::string_view(", "));
        if (object) {
            put_quoted(node.members[i].name, to);
            to.append(std::string_view(": "));
        }
        print(node.members[i].value, to);
    }
    to.put_u8(object ? '}' : ']');
}

struct Leg {
    bool member = false;
    std::string name;
    std::size_t index = 0;
};

void put_utf8(unsigned c, std::string& to) {
    const auto put = [&](unsigned b) { to += static_cast<char>(b); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0U | c >> 6U);
        put(0x80U | (c & 0x3FU));
    } else if (c < 0x10000) {
        put(0xE0U | c >> 12U);
        put(0x80U | (c >> 6U & 0x3FU));
        put(0x80U | (c & 0x3FU));
    } else {
        put(0xF0U | c >> 18U);
        put(0x80U | (c >> 12U & 0x3FU));
        put(0x80U | (c >> 6U & 0x3FU));
        put(0x80U | (c & 0x3FU));
    }
}

bool read_hex4(std::string_view& rest, unsigned& v) {
    if (rest.size() < 4) return false;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + 4, v, 16);
    if (error != std::errc{} || end != rest.data() + 4) return false;
    rest.remove_prefix(4);
    return true;
}

bool read_quoted(std::string_view& rest, std::string& to) {
    rest.remove_prefix(1);
    while (!rest.empty()) {
        const char c = rest.front();
        rest.remove_prefix(1);
        if (c == '"') return true;
        if (c != '\\') {
            to += c;
            continue;
        }
        if (rest.empty()) return false;
        const char e = rest.front();
        rest.remove_prefix(1);
        switch (e) {
            case 'b':
                to += '\b';
                break;
            case 'f':
                to += '\f';
                break;
            case 'n':
                to += '\n';
                break;
            case 'r':
                to += '\r';
                break;
            case 't':
                to += '\t';
                break;
            case 'u': {
                unsigned v = 0, low = 0;
                if (!read_hex4(rest, v)) return false;
                if (v >= 0xD800 && v < 0xDC00) {
                    if (!rest.starts_with("\\u")) return false;
                    rest.remove_prefix(2);
                    if (!read_hex4(rest, low) || low < 0xDC00 || low > 0xDFFF) return false;
                    v = 0x10000U + ((v - 0xD800U) << 10U) + (low - 0xDC00U);
                }
                put_utf8(v, to);
                break;
            }
            default:
                to += e;
        }
    }
    return false;
}

// $.name."other name"[3]
bool read_path(std::string_view rest, std::vector<Leg>& legs) {
    if (rest.starts_with('$')) rest.remove_prefix(1);
    while (!rest.empty()) {
        Leg leg;
        if (rest.front() == '.') {
            rest.remove_prefix(1);
            leg.member = true;
            if (rest.empty()) return false;
            if (rest.front() == '"') {
                if (!read_quoted(rest, leg.name)) return false;
            } else {
                leg.name = rest.substr(0, rest.find_first_of(".["));
                rest.remove_prefix(leg.name.size());
            }
        } else if (rest.front() == '[') {
            rest.remove_prefix(1);
            const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), leg.index);
            if (error != std::errc{}) return false;
            rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
            if (!rest.starts_with(']')) return false;
            rest.remove_prefix(1);
        } else {
            return false;
        }
        legs.push_back(std::move(leg));
        if (legs.size() > kDepthMax) return false;
    }
    return true;
}

// Where `leg` leads within `node`; the number of members when nowhere.
std::size_t find(const Node& node, const Leg& leg) {
    if (leg.member) {
        if (node.kind != Node::Kind::object) return node.members.size();
        const auto it = std::ranges::find(node.members, leg.name, &Node::Member::name);
        return static_cast<std::size_t>(it - node.members.begin());
    }
    if (node.kind != Node::Kind::array) return node.members.size();
    return std::min(leg.index, node.members.size());
}

enum class Change : std::uint8_t { replace = 0, insert = 1, remove = 2 };

bool change(Node& root, Change what, const std::vector<Leg>& legs, Node&& value) {
    if (legs.empty()) {
        if (what != Change::replace) return false;
        root = std::move(value);
        return true;
    }
    Node* node = &root;
    for (std::size_t i = 0; i + 1 < legs.size(); ++i) {
        const std::size_t at = find(*node, legs[i]);
        if (at == node->members.size()) return false;
        node = &node->members[at].value;
    }
    const Leg& last = legs.back();
    if (last.member != (node->kind == Node::Kind::object) || node->kind == Node::Kind::scalar) return false;
    const std::size_t at = find(*node, last);
    auto& members = node->members;
    const bool there = at != members.size();
    const auto place = static_cast<std::ptrdiff_t>(at);
    switch (what) {
        case Change::replace:
            if (!there) return false;
            members[at].value = std::move(value);
            return true;
        case Change::remove:
            if (!there) return false;
            members.erase(members.begin() + place);
            return true;
        case Change::insert:
            if (!last.member) {
                members.insert(members.begin() + place, {{}, std::move(value)});
                return true;
            }
            if (there) return false;
            // the server keeps names by length, then by bytes
            const auto before = [](const Node::Member& m, const std::string& name) {
                return m.name.size() != name.size() ? m.name.size() < name.size() : m.name < name;
            };
            members.insert(std::lower_bound(members.begin(), members.end(), last.name, before),
                           {last.name, std::move(value)});
            return true;
    }
    return false;
}

}  // namespace

bool print_json(Bytes document, ByteBuffer& to) {
    if (document.empty()) {
        to.append(std::string_view("null"));
        return true;
    }
    Budget budget{document.size()};
    return put_value(std::to_integer<std::uint8_t>(document[0]), document.subspan(1), to, budget, 0);
}

bool print_json_changed(Bytes document, Bytes changes, ByteBuffer& to) {
    Node root;
    if (!build(document, root)) return false;
    ByteReader in(changes);
    while (!in.at_end()) {
        const auto what = in.u8();
        if (what > 2) return false;
        const std::string_view path = as_text(in.take(get_lenenc(in)));
        std::vector<Leg> legs;
        if (in.failed() || !read_path(path, legs)) return false;
        Node value;
        if (static_cast<Change>(what) != Change::remove) {
            const Bytes document_of = in.take(get_lenenc(in));
            if (in.failed() || !build(document_of, value)) return false;
        }
        if (!change(root, static_cast<Change>(what), legs, std::move(value))) return false;
    }
    print(root, to);
    return true;
}

}  // namespace godwit::mysql
