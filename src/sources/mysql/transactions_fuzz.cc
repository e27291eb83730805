// Any bytes in place of a server's log: errors, never a crash, never half a record.
// Input: events, each with a u16 length (little endian) in front; 0xFFFF is a reconnect.

#include <cstdlib>

#include "fakes/recording_sink.h"
#include "sources/mysql/transactions.h"

namespace {

using namespace godwit;
using namespace godwit::mysql;

class Tables final : public BinlogTables {
public:
    Tables() {
        auto s = std::make_shared<TableSchema>();
        s->name = {"shop", "t"};
        for (const auto& [name, type] : {std::pair{"id", "int"}, std::pair{"v", "varbinary(80)"}}) {
            ColumnSchema c;
            c.name = name;
            c.native_type = type;
            s->columns.push_back(std::move(c));
        }
        s->identity = RowIdentity::key;
        s->identity_columns = {"id"};
        schema_ = std::move(s);
    }
    std::shared_ptr<const TableSchema> find(std::string_view, std::string_view table) override {
        return table.size() % 3 == 1 ? schema_ : nullptr;
    }
    std::vector<TableName> wanted() override { return {schema_->name}; }
    Result<> table_unsure(const TableName&, std::uint64_t, std::string_view) override { return {}; }
    Result<DdlAnswer> ddl(const DdlStatement& s) override {
        DdlAnswer a;
        if (s.sql.size() % 2 == 0) a.truncated = {schema_->name};
        return a;
    }

private:
    std::shared_ptr<const TableSchema> schema_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Tables tables;
    BinlogDecoder decoder(tables, {"uuid", {.mariadb = size % 2 == 0}, false});
    test::RecordingSink sink;
    const LogPosition from{"uuid", "binlog.000001", 4, ""};
    if (!decoder.restart(from)) std::abort();
    ByteReader in(Bytes(reinterpret_cast<const std::byte*>(data), size));
    while (!in.at_end()) {
        const auto length = in.le<std::uint16_t>();
        if (length == 0xFFFF) {
            sink.streams_lost();
            if (!decoder.restart(from)) std::abort();
            continue;
        }
        const Bytes taken = in.take(std::min<std::size_t>(length, in.left()));
        const std::vector<std::byte> exact(taken.begin(), taken.end());
        (void)decoder.decode(exact, sink);
        if (sink.torn()) std::abort();
        if (decoder.keepalive_due() && !decoder.write_keepalive(sink)) std::abort();
        if (!parse_token(decoder.position().token())) std::abort();
        sink.lines.clear();
    }
    return 0;
}
