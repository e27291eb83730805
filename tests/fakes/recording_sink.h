#pragma once
// A ChangeSink that prints what it is given, one line per record, and checks the rules of its
// callers.
//
//   relation 1 public.t oid=16384 key [id*:23 v:25(10)]
//   begin 740 @0000000000000010 t=12
//   insert 1 (t:1, null, unchanged, b:00ff)

#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/change.h"
#include "core/source.h"

namespace godwit::test {

inline std::string printed(const RowView& row) {
    std::string out = "(";
    row.each([&](std::uint16_t i, const Cell& cell) {
        if (i != 0) out += ", ";
        switch (cell.state) {
            case CellState::null:
                out += "null";
                break;
            case CellState::unchanged:
                out += "unchanged";
                break;
            case CellState::text:
                out += "t:" + std::string(as_text(cell.bytes));
                break;
            case CellState::binary:
                out += "b:";
                for (const auto b : cell.bytes) out += fmt::format("{:02x}", std::to_integer<unsigned>(b));
                break;
        }
    });
    return out + ")";
}

inline std::string printed(const Record& r) {
    const auto old = [&] {
        return std::string(r.old_kind == OldRow::full ? "full " : "key ") + printed(r.old_row);
    };
    const std::string sub = r.xid == 0 ? "" : fmt::format(" sub={}", r.xid);
    switch (r.kind) {
        case RecordKind::relation: {
            Relation relation;
            if (!read_relation(r, relation)) return "relation DAMAGED";
            constexpr const char* kIdentities[] = {"none", "key", "full"};
            std::string out =
                fmt::format("relation {} {} oid={} {} [", relation.id, relation.name.text(),
                            relation.source_id, kIdentities[static_cast<int>(relation.identity)]);
            for (std::size_t i = 0; i < relation.columns.size(); ++i) {
                const auto& c = relation.columns[i];
                out += fmt::format("{}{}{}:{}", i == 0 ? "" : " ", c.name, c.identity ? "*" : "", c.type_id);
                if (c.type_modifier != -1) out += fmt::format("({})", c.type_modifier);
            }
            return out + "]";
        }
        case RecordKind::begin:
            return fmt::format("begin {} @{:016X} t={}{}", r.xid, r.order, r.commit_time_us,
                               r.streamed ? " streamed" : "");
        case RecordKind::insert:
            return fmt::format("insert {}{} {}", r.relation, sub, printed(r.row));
        case RecordKind::update:
            return fmt::format("update {}{} {}{}", r.relation, sub,
                               r.old_kind == OldRow::none ? "" : old() + " -> ", printed(r.row));
        case RecordKind::remove:
            return fmt::format("remove {}{} {}", r.relation, sub, old());
        case RecordKind::truncate: {
            std::string out = fmt::format("truncate{} flags={} [", sub, r.flags);
            ByteReader list(r.list);
            for (bool first = true; !list.at_end(); first = false)
                out += fmt::format("{}{}", first ? "" : " ", list.le<std::uint32_t>());
            return out + "]";
        }
        case RecordKind::commit:
            return fmt::format("commit {} t={}", r.position, r.commit_time_us);
        case RecordKind::keepalive:
            return fmt::format("keepalive {}", r.position);
    }
    return "?";
}

class RecordingSink final : public ChangeSink {
public:
    ByteBuffer& buffer(std::uint32_t stream) override { return buffers_[stream]; }
    Result<> recorded(std::uint32_t stream) override {
        ByteBuffer& b = buffers_[stream];
        RecordReader reader(b.view());
        Record r;
        if (!reader.next(r)) return fail(ErrorCode::internal, "no whole record was written");
        auto& to = stream == 0 ? lines : open[stream];
        to.push_back(printed(r));
        if (reader.position() != b.size())
            return fail(ErrorCode::internal, "more than one record was written");
        if (r.kind == RecordKind::relation) {
            Relation relation;
            if (!read_relation(r, relation) || !relations.contains(relation.id))
                return fail(ErrorCode::internal, "a relation was not defined");
        }
        b.clear();
        if (on_record) on_record(stream, r);
        return {};
    }
    bool full() override { return is_full; }
    std::uint32_t new_relation_id() override { return ++last_id_; }
    void define(const Relation& relation) override { relations[relation.id] = relation; }
    Result<> stream_commit(std::uint32_t stream, std::uint64_t order, std::uint64_t,
                           std::string_view position, std::int64_t time) override {
        lines.push_back(fmt::format("begin {} @{:016X} t={} streamed", stream, order, time));
        for (auto& line : open[stream]) lines.push_back(std::move(line));
        for (const auto sub : aborted[stream]) lines.push_back(fmt::format("aborted {}", sub));
        lines.push_back(fmt::format("commit {} t={}", position, time));
        open.erase(stream);
        buffers_.erase(stream);
        aborted.erase(stream);
        return {};
    }
    void stream_abort(std::uint32_t stream, std::uint32_t subxid) override {
        if (stream != subxid) {
            aborted[stream].push_back(subxid);
            return;
        }
        open.erase(stream);
        aborted.erase(stream);
        buffers_.erase(stream);
    }
    void streams_lost() override {
        ++losses;
        open.clear();
        aborted.clear();
        buffers_.clear();
    }
    Result<> idle() override { return {}; }
    Position acknowledged() override { return acknowledge; }

    // true while some record was started and not finished
    [[nodiscard]] bool torn() const {
        for (const auto& [stream, b] : buffers_)
            if (!b.empty()) return true;
        return false;
    }
    [[nodiscard]] std::string text() const {
        std::string out;
        for (const auto& line : lines) out += line + "\n";
        return out;
    }

    std::vector<std::string> lines;
    std::map<std::uint32_t, std::vector<std::string>> open;
    std::map<std::uint32_t, std::vector<std::uint32_t>> aborted;
    std::map<std::uint32_t, Relation> relations;
    std::function<void(std::uint32_t stream, const Record&)> on_record;
    Position acknowledge;
    std::atomic<bool> is_full = false;
    int losses = 0;

private:
    std::map<std::uint32_t, ByteBuffer> buffers_;
    std::uint32_t last_id_ = 0;
};

}  // namespace godwit::test
