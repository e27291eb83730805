#include "core/endpoint.h"

#include <cctype>
#include <cstdlib>

namespace godwit {
namespace {

std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

}  // namespace

bool EndpointConfig::flag(const std::string& lower_name, bool otherwise) const {
    const auto it = attributes.find(lower_name);
    if (it == attributes.end() || it->second.empty()) return otherwise;
    const char c = static_cast<char>(std::tolower(static_cast<unsigned char>(it->second[0])));
    if (c == 'o') return it->second.size() == 2;  // on, off
    return c == 't' || c == 'y' || c == '1';
}

std::int64_t EndpointConfig::number(const std::string& lower_name, std::int64_t otherwise) const {
    const auto it = attributes.find(lower_name);
    if (it == attributes.end() || it->second.empty()) return otherwise;
    char* end = nullptr;
    const long long v = std::strtoll(it->second.c_str(), &end, 10);
    return *end == 0 ? v : otherwise;
}

Result<bool> EndpointConfig::refuses(const std::string& name) const {
    const std::string value = attribute(lower(name), "warn");
    if (value == "warn" || value == "fail") return value == "fail";
    return fail(ErrorCode::invalid_argument,
                "the endpoint's attribute " + name + " is '" + value + "'; it can be warn or fail");
}

std::vector<EndpointConfig::Script> EndpointConfig::scripts() const {
    std::vector<Script> out;
    for (const std::string name : {"AfterConnectScript", "Initstmt"})
        if (auto sql = attribute(lower(name)); !sql.empty()) out.push_back({name, std::move(sql)});
    return out;
}

Result<std::map<std::string, std::string>> parse_attributes(const std::string& text) {
    std::map<std::string, std::string> out;
    for (std::size_t from = 0; from < text.size();) {
        auto to = text.find(';', from);
        if (to == std::string::npos) to = text.size();
        std::string part = text.substr(from, to - from);
        from = to + 1;
        while (!part.empty() && part.front() == ' ') part.erase(0, 1);
        if (part.empty()) continue;
        const auto eq = part.find('=');
        if (eq == std::string::npos || eq == 0)
            return fail(ErrorCode::invalid_argument, "extra connection attribute '" + part.substr(0, eq) +
                                                         "' is not of the form name=value");
        std::string key;
        for (const char c : part.substr(0, eq))
            if (c != '_' && c != '-' && c != ' ')
                key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        out[key] = part.substr(eq + 1);
    }
    return out;
}

}  // namespace godwit
