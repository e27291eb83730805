#include "mytarget/servers.h"

#include <cstdlib>
#include <stdexcept>

namespace godwit::test {

mysql::Connection MyHost::connect(bool local_infile) const {
    mysql::ConnectOptions o;
    o.host = host;
    o.port = port;
    o.user = "root";
    o.program_name = "test";
    o.multi_statements = true;
    o.local_infile = local_infile;
    auto c = mysql::Connection::open(o);
    if (!c) throw std::runtime_error(c.error().text());
    return std::move(*c);
}

EndpointConfig MyHost::endpoint() const {
    EndpointConfig e;
    e.engine_name = "mysql";
    e.host = host;
    e.port = port;
    e.user = "root";
    return e;
}

std::string MyHost::ask(const std::string& sql) const {
    auto c = connect();
    const auto rows = c.query(sql);
    if (!rows) throw std::runtime_error(sql + ": " + rows.error().text());
    std::string out;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        for (unsigned k = 0; k < rows->columns(); ++k) {
            if (k > 0) out += '|';
            out += rows->null(i, k) ? "NULL" : rows->text(i, k);
        }
        out += '\n';
    }
    if (!out.empty()) out.pop_back();
    return out;
}

void MyHost::run(const std::string& sql) const {
    auto c = connect();
    const auto done = c.run(sql);
    if (!done) throw std::runtime_error(sql + ": " + done.error().text());
}

void MyHost::clean(const std::vector<std::string>& databases) const {
    std::string sql =
        "SET foreign_key_checks = 0; DROP DATABASE IF EXISTS godwit; DROP DATABASE IF EXISTS awsdms_control";
    for (const auto& d : databases) sql += "; DROP DATABASE IF EXISTS " + mysql::quote_name(d);
    run(sql);
}

MyHost my_host(const char* variable) {
    const char* v = std::getenv(variable);
    if (v == nullptr || *v == 0) {
        const char* require = std::getenv("GODWIT_TEST_REQUIRE_SERVERS");
        if (require != nullptr && std::string(require) == "1")
            throw std::runtime_error(std::string(variable) + " must name a server");
        return {};
    }
    const std::string text = v;
    const auto colon = text.rfind(':');
    return {text.substr(0, colon), static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1))};
}

}  // namespace godwit::test
