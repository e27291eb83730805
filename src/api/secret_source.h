#pragma once
// Where SecretsManagerSecretId is looked up: an endpoint that speaks Secrets Manager's JSON 1.1, or a local
// file
//   {"name-or-arn": {"username": "..", "password": "..", "host": "..", "port": 5432}}

#include <memory>
#include <optional>
#include <string>

#include "api/sigv4.h"
#include "base/result.h"

namespace godwit::api {

struct DatabaseSecret {
    std::string username, password, host;
    std::uint16_t port = 0;
};

// Thread safe.
class SecretSource {
public:
    virtual ~SecretSource() = default;
    // Read anew at every call. `region` is that of the endpoint.
    [[nodiscard]] virtual Result<DatabaseSecret> find(const std::string& secret_id,
                                                      const std::string& region) = 0;
};

// Both empty: every look-up fails and says what to configure. The key signs the requests to `url`.
[[nodiscard]] std::unique_ptr<SecretSource> make_secret_source(std::string url, std::string file,
                                                               KeyPair key);

}  // namespace godwit::api
