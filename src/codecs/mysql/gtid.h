#pragma once
// Global transaction ids: MySQL's sets (uuid[:tag]:interval...) and MariaDB's positions (one
// domain-server-sequence a domain). Values; not thread safe.

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace godwit::mysql {

struct GtidSource {
    std::array<std::uint8_t, 16> uuid{};
    std::string tag;  // MySQL 8.3 on; empty: none
    friend auto operator<=>(const GtidSource&, const GtidSource&) = default;
};

// "3e11fa47-71ca-11e1-9e33-c80aa9429562"; false when it is not one
[[nodiscard]] bool parse_uuid(std::string_view text, std::array<std::uint8_t, 16>& to);
void print_uuid(const std::array<std::uint8_t, 16>& uuid, std::string& to);

class GtidSet {
public:
    struct Interval {
        std::uint64_t first = 0, last = 0;  // both included
        friend bool operator==(const Interval&, const Interval&) = default;
    };

    // as @@gtid_executed prints it; blanks and line feeds are allowed
    [[nodiscard]] static Result<GtidSet> parse(std::string_view text);
    // the encoding of PREVIOUS_GTIDS events and of the dump command
    [[nodiscard]] static Result<GtidSet> decode(Bytes encoded);
    void encode(ByteBuffer& to) const;
    void print(std::string& to) const;  // appends
    [[nodiscard]] std::string text() const;

    void add(const GtidSource& source, std::uint64_t number) { add(source, Interval{number, number}); }
    void add(const GtidSource& source, Interval interval);
    void add(const GtidSet& other);
    [[nodiscard]] bool contains(const GtidSource& source, std::uint64_t number) const;
    [[nodiscard]] bool contains(const GtidSet& other) const;
    [[nodiscard]] bool empty() const noexcept { return sources_.empty(); }
    friend bool operator==(const GtidSet&, const GtidSet&) = default;

private:
    // intervals are sorted, disjoint and not adjacent
    std::map<GtidSource, std::vector<Interval>> sources_;
};

struct MariadbGtid {
    std::uint32_t domain = 0, server = 0;
    std::uint64_t sequence = 0;
    friend bool operator==(const MariadbGtid&, const MariadbGtid&) = default;
};

// @@gtid_binlog_pos: the last transaction of each domain
class MariadbGtidPosition {
public:
    [[nodiscard]] static Result<MariadbGtidPosition> parse(std::string_view text);
    void print(std::string& to) const;  // appends
    [[nodiscard]] std::string text() const;
    void set(const MariadbGtid& gtid) { last_[gtid.domain] = gtid; }
    // the domain's sequence is at or behind its place here
    [[nodiscard]] bool contains(const MariadbGtid& gtid) const;
    [[nodiscard]] bool contains(const MariadbGtidPosition& other) const;
    // May a log that ended there have come as far as here? Where several servers write to one domain and
    // gtid_strict_mode is off, only each server's own numbers grow.
    [[nodiscard]] bool continues(const MariadbGtidPosition& before) const;
    [[nodiscard]] bool empty() const noexcept { return last_.empty(); }
    friend bool operator==(const MariadbGtidPosition&, const MariadbGtidPosition&) = default;

private:
    std::map<std::uint32_t, MariadbGtid> last_;
};

}  // namespace godwit::mysql
