// Any bytes in place of test_decoding's lines: errors, never a crash, never half a record.
// Input: lines, each with a u16 length (little endian) in front; 0xFFFF is a reconnect.

#include <cstdlib>

#include "fakes/recording_sink.h"
#include "sources/postgres/test_decoding.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::postgres;
    DecoderHooks hooks;
    hooks.message = [](const LogicalMessage&) -> Result<> { return {}; };
    hooks.resolve = [](const TableName& name, bool refresh) -> Result<std::shared_ptr<const TableSchema>> {
        if (name.table == "gone") return nullptr;
        auto schema = std::make_shared<TableSchema>();
        schema->name = name;
        if (name.table.starts_with("leaf")) schema->name.table = "root";
        schema->source_id = 100 + name.table.size();
        for (const auto* column : {"id", "v", "w"}) {
            ColumnSchema c;
            c.name = column;
            c.type_id = 25;
            schema->columns.push_back(std::move(c));
            if (!refresh && schema->columns.size() == 2) break;
        }
        schema->identity = name.table == "full"   ? RowIdentity::full
                           : name.table == "none" ? RowIdentity::none
                                                  : RowIdentity::key;
        if (schema->identity == RowIdentity::key) schema->identity_columns = {"id"};
        return schema;
    };
    TestDecodingDecoder decoder(hooks, 256);
    test::RecordingSink sink;
    ByteReader in(Bytes(reinterpret_cast<const std::byte*>(data), size));
    std::uint64_t at = 1;
    while (!in.at_end()) {
        const auto length = in.le<std::uint16_t>();
        if (length == 0xFFFF) {
            decoder.restart(Lsn{});
            sink.streams_lost();
            continue;
        }
        const Bytes taken = in.take(std::min<std::size_t>(length, in.left()));
        const std::vector<std::byte> exact(taken.begin(), taken.end());
        const auto done = decoder.decode(exact, Lsn(++at), sink);
        if (sink.torn() || (!done && done.error().code != ErrorCode::data_loss)) std::abort();
        if (decoder.keepalive_due() && !decoder.write_keepalive(sink)) std::abort();
        sink.lines.clear();
    }
    return 0;
}
