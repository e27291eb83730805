#pragma once
// A source database read by plain COPY and a target under test.

#include <memory>

#include "base/log.h"
#include "core/target.h"
#include "sources/postgres/catalogue.h"
#include "target/servers.h"
#include "targets/postgres/target.h"

namespace godwit::test {

class PairTest : public ServersTest {
protected:
    // A target as a process of its own would open and take it over. Every call is a new epoch.
    std::unique_ptr<Target> process(const std::string& schema = {},
                                    std::map<std::string, std::string> attributes = {});
    // one more in the same test, with another task name
    std::unique_ptr<Target> task(const std::string& id, const std::string& schema = {});
    TableSchema table(const std::string& name, const std::string& schema = "public");
    ServerTraits source_traits();
    // major versions; otherwise more goes as text
    bool same_server_version();
    int older_server_version();
    // Copies the whole source table as slice `slice` and commits. Rows copied.
    Result<std::uint64_t> copy(SliceWriter& writer, const TableSchema& table, const PreparedTable& prepared,
                               std::uint32_t slice, const std::string& where = {});
    // Everything up to and with the commit; the last step is left to the caller.
    Result<std::uint64_t> fill(SliceWriter& writer, const TableSchema& table, const PreparedTable& prepared,
                               const std::string& where = {});
    // numbers of the slices that are in
    static std::vector<std::uint32_t> slices(Target& target, const TableSchema& table,
                                             std::uint64_t generation);
    // prepare, one slice, finish
    Result<PreparedTable> load(Target& target, const TableSchema& table,
                               PrepMode mode = PrepMode::drop_and_create,
                               TablePhase phase = TablePhase::joined);

    static inline const std::vector<std::string> kBoth{"pg.binary", "pg.csv"};
    std::string task_id_ = "task1";
    std::string user_;  // of the target's sessions; empty: the administrator
    Ledger ledger_;     // of the last process()

private:
    std::unique_ptr<Log> log_;
};

}  // namespace godwit::test
