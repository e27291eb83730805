#include "sources/postgres/connect.h"

namespace godwit::postgres {

pg::ConnectOptions source_options(const EndpointConfig& e, const std::string& task, const std::string& role,
                                  bool replication) {
    pg::ConnectOptions o;
    o.host = e.host;
    o.port = e.port == 0 ? 5432 : e.port;
    o.database = e.database;
    o.user = e.user;
    o.password = e.password;
    o.ssl_mode = e.ssl_mode;
    o.ca_certificate_pem = e.ca_certificate_pem;
    o.connect_timeout_s = static_cast<int>(e.number("connectiontimeout", 10));
    o.application_name = "godwit/" + task + "/" + role;
    o.replication = replication;
    o.settings = pg::source_session_settings();
    if (!replication) o.script = e.attribute("afterconnectscript");
    return o;
}

}  // namespace godwit::postgres
