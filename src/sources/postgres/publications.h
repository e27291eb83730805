#pragma once
// Publications and the identities that decide which tables may publish updates and deletes.
//
// A table without a usable identity in a publication of updates makes the *application's* UPDATE fail. So a
// task has two: `<slot>` (all operations; tables with a usable identity) and `i<slot>` (insert, truncate; the
// others). Both exist before the slot, else decoding of what was written before them fails.

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/table.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

// One relation, as the server judges its UPDATEs. Its keys: empty when it has none that serves, which is
// valid, immediate and of columns that the log carries (no generated one).
struct IdentityFacts {
    std::string name;
    char replica_identity = 'd';     // d, n, f, i
    std::vector<std::string> key;    // primary
    std::vector<std::string> index;  // that REPLICA IDENTITY names
    bool deferrable_key = false;     // a primary key that does not serve for that
};
// How the log names the rows of a table. The catalogue and the publications both follow this, or an UPDATE is
// published that nobody can apply:
//  * the leaves that log (permanent, not foreign) decide; without one the table itself does, as an ordinary
//    table always does;
//  * all of them FULL: `full`, named by the primary key of the table itself if that serves, else by the whole
//    row;
//  * else `key`, if each has one that serves (its identity index where it names one, else its primary key;
//    NOTHING: none) over the same columns, and the table itself has it too: an id that is unique in each leaf
//    names no row of the table;
//  * else `none`, and `why_none` says why.
struct NamedRows {
    RowIdentity identity = RowIdentity::none;
    std::vector<std::string> columns;  // in the order of the table itself; empty: the whole row
    std::string why_none;
};
[[nodiscard]] NamedRows name_rows(const IdentityFacts& table, const std::vector<IdentityFacts>& leaves);

struct TableIdentity : NamedRows {
    TableName name;
    std::uint32_t oid = 0;     // 0: no such table
    bool publishable = false;  // an ordinary, permanent table, or partitioned
    bool owned = false;        // by us, directly or through a role
    std::string owner;
};
// One entry per name, in that order.
[[nodiscard]] Result<std::vector<TableIdentity>> read_identities(pg::Connection& session,
                                                                 const std::vector<TableName>& tables);

struct PublicationNames {
    std::string all, inserts;
};
[[nodiscard]] PublicationNames publication_names(const std::string& slot);

struct PublishedTables {
    bool exists = false;  // both publications
    std::vector<TableName> all, inserts;
    std::set<std::uint64_t> ids, inserts_ids;  // of both; of `inserts`
};
[[nodiscard]] Result<PublishedTables> read_publications(pg::Connection& session, const std::string& slot);

// permission_denied says which GRANT is missing, or to use test_decoding.
[[nodiscard]] Result<> check_publication_rights(pg::Connection& session, const std::string& slot,
                                                const std::vector<TableName>& tables);

struct PublicationChanges {
    std::vector<TableName> added;
    std::vector<TableName> removed;
    std::vector<TableName> demoted;   // lost their identity: from now on inserts only
    std::vector<TableName> promoted;  // were named in `promote`
    std::vector<TableName>
        promotable;  // gained an identity, but have missed updates: reload and promote in one step
    std::vector<TableIdentity> tables;  // of all that are wanted
    [[nodiscard]] bool none() const noexcept {
        return added.empty() && removed.empty() && demoted.empty() && promoted.empty();
    }
};
// Makes the two publications hold exactly `tables` (those that cannot be published are left out): creates,
// adds, removes and moves in one transaction. Idempotent, and only reads when there is nothing to do. A table
// moves from inserts to all operations only when it is named in `promote`. `ids`: their numbers, when known;
// a published table of theirs stays whatever its name is by now, and who else has got a name is left alone.
[[nodiscard]] Result<PublicationChanges> mend_publications(pg::Connection& session, const std::string& slot,
                                                           const std::vector<TableName>& tables,
                                                           const std::vector<TableName>& promote = {},
                                                           const std::set<std::uint64_t>& ids = {});
// Idempotent.
[[nodiscard]] Result<> drop_publications(pg::Connection& session, const std::string& slot);

// A publication of the user's own: what it publishes, for publicationName=. not_found when it is missing.
struct ForeignPublication {
    bool inserts = false, updates = false, deletes = false, truncates = false, via_root = false;
    std::vector<TableName> tables;
    std::set<TableName> limited;  // to some columns or rows
    std::set<TableName> listed;   // by their names, not with their schema or with all
    // Change when the publication, or its word on one table (by the relation's number), is touched, even if
    // back and forth.
    std::string version;
    std::map<std::uint64_t, std::string> versions;
};
[[nodiscard]] Result<ForeignPublication> read_foreign_publication(pg::Connection& session,
                                                                  const std::string& name);
// Was a user's publication altered between two looks, if only for a while? Its log lacks what it did not
// publish when that was written. What a look has told is kept in a file when the next one begins: by then the
// engine has acted on it. One thread at a time.
class PublicationWatch {
public:
    explicit PublicationWatch(std::filesystem::path file) : file_(std::move(file)) {}
    // Begins a look; told() ends it, what it has shown goes to the engine.
    [[nodiscard]] Result<> look(const ForeignPublication& now);
    // Since the last one that was told; false in the first one of a capture.
    [[nodiscard]] bool touched(std::uint64_t source_id) const;
    void told() { told_ = true; }
    void forget();

private:
    const std::filesystem::path file_;
    using Versions = std::map<std::uint64_t, std::string>;  // 0: the publication's own
    Versions before_, now_;
    bool read_ = false, told_ = false;
};
// failed_precondition says what it does not publish of these tables.
[[nodiscard]] Result<> check_foreign_publication(pg::Connection& session, const std::string& name,
                                                 const std::vector<TableSchema>& tables);

}  // namespace godwit::postgres
