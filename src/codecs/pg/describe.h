#pragma once
// Reads relations of a PostgreSQL catalogue in few queries, however many there are: columns with the types
// that they are made of, primary key, replica identity. Takes no lock on the relations. Used by source and
// target alike. The session's search_path must be empty or pg_catalog, so that names come out qualified.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/endpoint.h"
#include "core/table.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

struct DescribedRelation {
    TableSchema schema;           // name, source_id, columns, types, primary key
    char kind = 'r';              // pg_class.relkind
    char persistence = 'p';       // p, u, t
    char replica_identity = 'd';  // d, n, f, i
    bool is_partition = false;
    bool key_immediate = false;               // a valid primary key that is not deferrable
    std::vector<std::string> identity_index;  // columns of the index that REPLICA IDENTITY names
};

// A relation that is gone is left out.
[[nodiscard]] Result<std::map<std::uint32_t, DescribedRelation>> describe_relations(
    pg::Connection& connection, const std::vector<std::uint32_t>& oids);

// Empty when there is no such relation.
[[nodiscard]] Result<std::vector<DescribedRelation>> describe_relation(pg::Connection& connection,
                                                                       const TableName& name);

// Version, database encoding, system identifier, timeline. Facts: lc_monetary as this session has it, so ask
// before it is changed.
[[nodiscard]] Result<ServerTraits> read_server_traits(pg::Connection& connection);

// "{1,2,3}" for a parameter of type oid[]
[[nodiscard]] std::string oid_array(const std::vector<std::uint32_t>& oids);

}  // namespace godwit::postgres
