// The one file that names concrete engines.

#include "app/wiring.h"

#include "sources/postgres/keeper.h"
#include "sources/postgres/register.h"
#include "targets/postgres/target.h"

namespace godwit::app {

void add_all(EndpointRegistry& registry) {
    EndpointKind kind;
    kind.engine_names = {"postgres", "aurora-postgresql", "aurora-postgresql-serverless"};
    kind.display_name = "PostgreSQL";
    kind.source = postgres::make_source;
    kind.target = postgres::make_target;
    kind.probe = postgres::probe;
    kind.keeper = postgres::keeper_main;
    registry.add(std::move(kind));
}

}  // namespace godwit::app
