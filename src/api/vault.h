#pragma once
// Secrets at rest: AES-256-GCM under a key file of mode 0600.

#include <filesystem>
#include <string>

#include "base/result.h"

namespace godwit::api {

// Thread safe: constant after construction.
class Vault {
public:
    // Reads the key, or makes one where there is none.
    [[nodiscard]] static Result<Vault> open(const std::filesystem::path& key_file);
    explicit Vault(std::string key) : key_(std::move(key)) {}

    // `owner` (an ARN) is bound to the sealed text: it opens for no other owner.
    [[nodiscard]] Result<std::string> seal(const std::string& secret, const std::string& owner) const;
    [[nodiscard]] Result<std::string> open_sealed(const std::string& sealed, const std::string& owner) const;

private:
    std::string key_;  // 32 bytes
};

}  // namespace godwit::api
