#pragma once
// What the two output plugins have in common: messages of one plugin go in, records of core/change.h come
// out.

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "core/change.h"
#include "core/source.h"
#include "core/table.h"
#include "sources/postgres/lsn.h"

namespace godwit::postgres {

// pg_logical_emit_message(); the views die with the call.
struct LogicalMessage {
    bool transactional = false;
    std::uint32_t xid = 0;  // of an open (streamed) transaction, else 0
    Lsn lsn;
    std::string_view prefix;
    Bytes content;
};

// Called by the thread that streams.
struct DecoderHooks {
    // false: the rows of this table are stepped over. Asked once per table version and again after
    // reselect(). Empty: every table is wanted. `oid` is the root's for partitions.
    std::function<bool(std::uint32_t oid, std::string_view schema, std::string_view table)> wants;
    // May correct the identity that the log claims, before the version is compared with the known one. Needed
    // for partition roots, whose own identity says nothing about that of their leaves (see TableIdentity).
    // Old rows are labelled by the corrected identity: `full` only if it is.
    std::function<void(Relation& relation)> refine;
    std::function<Result<>(const LogicalMessage& message)> message;

    // test_decoding alone, because its text names no oids and no identity. The table as the catalogue has it,
    // the root for a partition leaf; `refresh`: a copy kept by the callee does not fit the log. Null: unknown
    // or dropped.
    std::function<Result<std::shared_ptr<const TableSchema>>(const TableName& name, bool refresh)> resolve;
    // A change that cannot be applied was left out: "update without identity", "truncate of a partition".
    std::function<void(const TableName& name, std::string_view what)> left_out;
};

// Not thread safe: belongs to the thread that streams. It outlives connections, so that a table version that
// comes again after a reconnect keeps its relation id.
class Decoder {
public:
    virtual ~Decoder() = default;
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    // One message of the plugin, without the XLogData header; `at` is that header's start.
    // Damaged input is data_loss; nothing is left half-written in the sink's buffer.
    [[nodiscard]] virtual Result<> decode(Bytes message, Lsn at, ChangeSink& sink) = 0;
    // A connection starts at `from`: what was half read comes again from its beginning. The caller has told
    // the sink.
    virtual void restart(Lsn from);
    // Asks hooks.wants anew, for the tables already seen too.
    virtual void reselect() = 0;

    // The server has nothing more for us before `end`. Ignored while a transaction is being read.
    void keepalive(Lsn end) noexcept {
        if (!in_transaction_ && end > quiet_to_) quiet_to_ = end;
    }
    // The position moved without a record (keepalives, transactions without a wanted change).
    [[nodiscard]] bool keepalive_due() const noexcept { return !begun_ && quiet_to_ > recorded_to_; }
    // Writes it, when there is one, as a keepalive record.
    [[nodiscard]] Result<> write_keepalive(ChangeSink& sink);
    // between Begin and Commit; open streams do not count
    [[nodiscard]] bool in_transaction() const noexcept { return in_transaction_; }

protected:
    explicit Decoder(DecoderHooks hooks) : hooks_(std::move(hooks)) {}
    [[nodiscard]] bool wants(const Relation& relation) const {
        return !hooks_.wants || hooks_.wants(static_cast<std::uint32_t>(relation.source_id),
                                             relation.name.schema, relation.name.table);
    }
    void recorded_to(Lsn end) noexcept {
        if (end > recorded_to_) recorded_to_ = end;
    }

    const DecoderHooks hooks_;
    bool in_transaction_ = false;
    bool begun_ = false;  // its begin record was written
    Lsn quiet_to_;        // everything before it was seen
    Lsn recorded_to_;     // the sink was told so far
};

}  // namespace godwit::postgres
