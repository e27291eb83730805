// The one file that names concrete engines.

#include "app/wiring.h"

#include "sources/mysql/source.h"
#include "sources/postgres/keeper.h"
#include "sources/postgres/register.h"
#include "targets/mysql/target.h"
#include "targets/postgres/target.h"

namespace godwit::app {
namespace {

Result<> check_postgres_position(const std::string& native) {
    // Of a source that never connects: the one that reads the position at the start.
    const auto source = GW_TRY(postgres::make_source({}, {}));
    GW_TRY(source->parse_position(native));
    return {};
}

}  // namespace

void add_all(EndpointRegistry& registry) {
    EndpointKind kind;
    kind.engine_names = {"postgres", "aurora-postgresql", "aurora-postgresql-serverless"};
    kind.display_name = "PostgreSQL";
    kind.source = postgres::make_source;
    kind.target = postgres::make_target;
    kind.probe = postgres::probe;
    kind.check_position = check_postgres_position;
    kind.keeper = postgres::keeper_main;
    registry.add(std::move(kind));

    EndpointKind my;
    my.engine_names = {"mysql", "mariadb", "aurora", "aurora-serverless"};
    my.display_name = "MySQL";
    my.source = mysql::make_source;
    my.target = mysql::make_target;
    my.probe = mysql::probe;
    my.check_position = mysql::check_position;
    registry.add(std::move(my));
}

}  // namespace godwit::app
