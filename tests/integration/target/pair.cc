#include "target/pair.h"

#include <algorithm>

#include "codecs/pg/describe.h"
#include "codecs/pg/relay.h"
#include "targets/postgres/slice_writer.h"

namespace godwit::test {

ServerTraits PairTest::source_traits() {
    auto c = source_.connect({}, true);
    auto traits = postgres::read_server_traits(c);
    if (!traits) throw std::runtime_error(traits.error().text());
    return *traits;
}

bool PairTest::same_server_version() {
    return source_.connect().server_version() / 10000 == target_.connect().server_version() / 10000;
}

int PairTest::older_server_version() {
    return std::min(source_.connect().server_version(), target_.connect().server_version());
}

std::unique_ptr<Target> PairTest::task(const std::string& id, const std::string& schema) {
    const std::string before = task_id_;
    task_id_ = id;
    auto t = process(schema);
    task_id_ = before;
    return t;
}

std::unique_ptr<Target> PairTest::process(const std::string& schema,
                                          std::map<std::string, std::string> attributes) {
    EndpointConfig e = target_.endpoint();
    e.attributes = std::move(attributes);
    if (log_ == nullptr) log_ = std::make_unique<Log>("/dev/null");
    if (!user_.empty()) e.user = user_;
    auto t = postgres::make_target(e, TaskContext{task_id_, {}, {}, nullptr, log_.get()});
    if (!t) throw std::runtime_error(t.error().text());
    if (auto opened = (*t)->open(); !opened) throw std::runtime_error(opened.error().text());
    auto ledger = (*t)->take_over({task_id_, "", schema}, source_traits());
    if (!ledger) throw std::runtime_error(ledger.error().text());
    ledger_ = *ledger;
    return std::move(*t);
}

TableSchema PairTest::table(const std::string& name, const std::string& schema) {
    auto c = source_.connect();
    auto t = postgres::read_table(c, {schema, name});
    if (!t) throw std::runtime_error(t.error().text());
    std::vector<TableSchema> one{std::move(*t)};
    if (auto extras = postgres::read_extras(c, one); !extras) throw std::runtime_error(extras.error().text());
    return one[0];
}

Result<std::uint64_t> PairTest::fill(SliceWriter& writer, const TableSchema& table,
                                     const PreparedTable& prepared, const std::string& where) {
    auto c = source_.connect();
    std::string columns = postgres::written_columns(table);
    columns = columns.substr(2, columns.size() - 3);
    const std::string sql = "COPY (SELECT " + columns + " FROM " +
                            pg::quote_name(table.name.schema, table.name.table) + " " + where +
                            ") TO STDOUT" + postgres::copy_out_options(prepared.format);
    return c.copy_out(sql, {}, [&](Bytes b) { return writer.write(b); });
}

Result<std::uint64_t> PairTest::copy(SliceWriter& writer, const TableSchema& table,
                                     const PreparedTable& prepared, std::uint32_t slice,
                                     const std::string& where) {
    if (!GW_TRY(writer.begin(table, prepared, slice))) return 0;
    const auto rows = GW_TRY(fill(writer, table, prepared, where));
    GW_CHECK(writer.commit(rows));
    return rows;
}

std::vector<std::uint32_t> PairTest::slices(Target& target, const TableSchema& table,
                                            std::uint64_t generation) {
    auto done = target.slices_done(table, generation);
    if (!done) throw std::runtime_error(done.error().text());
    std::vector<std::uint32_t> out;
    for (const auto& s : *done) out.push_back(s.number);
    return out;
}

Result<PreparedTable> PairTest::load(Target& target, const TableSchema& table, PrepMode mode,
                                     TablePhase phase) {
    auto prepared = GW_TRY(target.prepare(table, mode, kBoth, {"mark"}));
    auto writer = GW_TRY(target.open_writer());
    const auto rows = GW_TRY(copy(*writer, table, prepared, 0));
    GW_CHECK(target.finish_load(table, prepared, phase, rows));
    return prepared;
}

}  // namespace godwit::test
