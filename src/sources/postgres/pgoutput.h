#pragma once
// PostgreSQL's own output plugin, protocol versions 1 (PostgreSQL 13) and 2 (14 on, open transactions
// streamed); see "Logical Replication Message Formats" of its manual. Cells stay in the encoding in which
// they came.
//
// A row has the same shape on the wire and in a record (count, then kind and length per cell), so it is
// copied whole and then patched cell by cell.

#include <unordered_map>

#include "sources/postgres/decoder.h"

namespace godwit::postgres {

class PgoutputDecoder final : public Decoder {
public:
    explicit PgoutputDecoder(DecoderHooks hooks = {});
    [[nodiscard]] Result<> decode(Bytes message, Lsn at, ChangeSink& sink) override;
    void restart(Lsn from) override;
    void reselect() override;

private:
    // One version of a table. Its relation record is written before the first row that uses it.
    struct Version {
        Relation relation;  // id 0: not used yet
        bool wanted = true;
        bool written = false;
        std::uint64_t number = 0;  // of the Relation message that brought it
    };
    using Versions = std::unordered_map<std::uint32_t, std::shared_ptr<Version>>;  // by table oid
    // Versions seen inside an open transaction are its own until it commits.
    struct OpenStream {
        Versions versions;
        bool wrote = false;
    };

    Result<> begin(ByteReader& in);
    Result<> commit(ByteReader& in, ChangeSink& sink);
    Result<> relation(ByteReader& in);
    Result<> row(char kind, ByteReader& in, Bytes message, ChangeSink& sink);
    Result<> truncate(ByteReader& in, ChangeSink& sink);
    Result<> logical_message(ByteReader& in);
    Result<> stream_start(ByteReader& in);
    Result<> stream_stop(ByteReader& in);
    Result<> stream_commit(ByteReader& in, ChangeSink& sink);
    Result<> stream_abort(ByteReader& in, ChangeSink& sink);

    // the xid in front of every message of an open transaction
    std::uint32_t subxid(ByteReader& in) const noexcept;
    Version* version(std::uint32_t oid);
    // Begin and relation records that the next change needs in front of it
    Result<> prepare(Version& version, ChangeSink& sink);
    Result<> prepare_transaction(ChangeSink& sink);

    Versions common_;
    std::uint64_t relations_ = 0;                            // Relation messages so far
    std::unordered_map<std::uint32_t, OpenStream> streams_;  // by top-level xid
    OpenStream* stream_ = nullptr;                           // between Stream Start and Stream Stop
    std::uint32_t stream_xid_ = 0;                           // 0: not within a stream
    std::uint32_t last_oid_ = 0;                             // of the row before
    Version* last_ = nullptr;

    std::uint32_t xid_ = 0;
    std::uint64_t order_ = 0;
    std::int64_t commit_time_us_ = 0;
    std::vector<std::uint32_t> list_;  // reused by truncate
};

}  // namespace godwit::postgres
