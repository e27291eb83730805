#pragma once
// Objects that DMS makes in a source database, under its names, so that existing grants and clean-up scripts
// work. godwit needs none of them: positions of an idle source move without a heartbeat, and DDL is seen in
// the log and in the catalogue. They are made only for those who ask for them.

#include <string>

#include "base/result.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

// One row of awsdms_heartbeat is touched, which makes the source write log. The table is made when it is
// missing; `created` says so. Where the user may not write there, a message in the log does the same. Not on
// a standby.
[[nodiscard]] Result<> beat(pg::Connection& session, const std::string& schema, const std::string& task,
                            bool& created);
[[nodiscard]] Result<> drop_heartbeat(pg::Connection& session, const std::string& schema);

// awsdms_ddl_audit, awsdms_intercept_ddl() and its event trigger. Returns false when they were there.
[[nodiscard]] Result<bool> create_ddl_audit(pg::Connection& session, const std::string& schema);
[[nodiscard]] Result<> drop_ddl_audit(pg::Connection& session, const std::string& schema);

}  // namespace godwit::postgres
