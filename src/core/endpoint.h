#pragma once
// How to reach one database, as the control plane hands it to a task. Holds secrets: never logged, never
// stored.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace godwit {

struct EndpointConfig {
    std::string arn;
    std::string identifier;
    std::string engine_name;  // as the API spells it: postgres, aurora-postgresql, ...
    std::string host;
    std::uint16_t port = 0;  // 0: the engine's default
    std::string database;
    std::string user;
    std::string password;
    std::string ssl_mode = "none";  // none, require, verify-ca, verify-full
    std::string ca_certificate_pem;
    // Engine settings and extra connection attributes in one map: lower-case names without '-' and '_'
    // ("slotname", "slotguardmb"), values as text.
    std::map<std::string, std::string> attributes;

    [[nodiscard]] std::string attribute(const std::string& lower_name, std::string otherwise = {}) const {
        const auto it = attributes.find(lower_name);
        return it == attributes.end() ? otherwise : it->second;
    }
    // true, y, yes, 1, on
    [[nodiscard]] bool flag(const std::string& lower_name, bool otherwise) const;
    [[nodiscard]] std::int64_t number(const std::string& lower_name, std::int64_t otherwise) const;
    // An attribute that is warn, its default, or fail: is it fail? `name` as the user writes it; anything
    // else is an invalid_argument that names it.
    [[nodiscard]] Result<bool> refuses(const std::string& name) const;
    // The user's own SQL for each session, in the order in which it runs.
    struct Script {
        std::string name;  // of the setting
        std::string sql;
    };
    [[nodiscard]] std::vector<Script> scripts() const;
};

// What a server says of itself; decides which encodings may pass between two of them.
struct ServerTraits {
    std::string family;     // "postgres"
    int version = 0;        // PostgreSQL: server_version_num
    std::string encoding;   // of the database: "UTF8"
    std::string system_id;  // stable name of the server's data
    std::uint32_t timeline = 0;
    std::map<std::string, std::string> facts;  // e.g. lc_monetary
};

// "a=b;c=d" -> lower-case names; an empty name or a missing '=' is an invalid_argument that names the part
[[nodiscard]] Result<std::map<std::string, std::string>> parse_attributes(const std::string& text);

}  // namespace godwit
