#include "api/vault.h"

#include <openssl/evp.h>

#include <memory>

#include "api/text.h"
#include "base/files.h"

namespace godwit::api {
namespace {

constexpr std::size_t kKeyBytes = 32, kNonceBytes = 12, kTagBytes = 16;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* in(const std::string& text, std::size_t from = 0) {
    return reinterpret_cast<const unsigned char*>(text.data()) + from;
}
unsigned char* out(std::string& text, std::size_t from = 0) {
    return reinterpret_cast<unsigned char*>(text.data()) + from;
}

}  // namespace

Result<Vault> Vault::open(const std::filesystem::path& key_file) {
    auto key = read_file(key_file, 1024);
    if (!key) {
        if (key.error().code != ErrorCode::not_found) return std::unexpected(key.error());
        key = random_bytes(kKeyBytes);
        GW_CHECK(write_file(key_file, *key, true));
    }
    if (key->size() != kKeyBytes)
        return fail(ErrorCode::data_loss, key_file.string() + " is not a key file of this program");
    return Vault(std::move(*key));
}

// nonce, tag, cipher text; base64
Result<std::string> Vault::seal(const std::string& secret, const std::string& owner) const {
    std::string sealed = random_bytes(kNonceBytes) + std::string(kTagBytes + secret.size(), '\0');
    const Cipher cipher(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
    int n = 0;
    const bool good =
        EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, in(key_), in(sealed)) == 1 &&
        EVP_EncryptUpdate(cipher.get(), nullptr, &n, in(owner), static_cast<int>(owner.size())) == 1 &&
        EVP_EncryptUpdate(cipher.get(), out(sealed, kNonceBytes + kTagBytes), &n, in(secret),
                          static_cast<int>(secret.size())) == 1 &&
        EVP_EncryptFinal_ex(cipher.get(), out(sealed, sealed.size()), &n) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, out(sealed, kNonceBytes)) == 1;
    if (!good) return fail(ErrorCode::internal, "a secret cannot be encrypted");
    return base64_encode(sealed);
}

Result<std::string> Vault::open_sealed(const std::string& sealed, const std::string& owner) const {
    auto bytes = base64_decode(sealed);
    if (!bytes || bytes->size() < kNonceBytes + kTagBytes)
        return fail(ErrorCode::data_loss, "a stored secret is damaged");
    std::string secret(bytes->size() - kNonceBytes - kTagBytes, '\0');
    const Cipher cipher(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
    int n = 0;
    const bool good =
        EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, in(key_), in(*bytes)) == 1 &&
        EVP_DecryptUpdate(cipher.get(), nullptr, &n, in(owner), static_cast<int>(owner.size())) == 1 &&
        EVP_DecryptUpdate(cipher.get(), out(secret), &n, in(*bytes, kNonceBytes + kTagBytes),
                          static_cast<int>(secret.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, out(*bytes, kNonceBytes)) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), out(secret, secret.size()), &n) == 1;
    if (!good)
        return fail(ErrorCode::failed_precondition,
                    "a stored secret cannot be decrypted: the key file is not the one it was stored under");
    return secret;
}

}  // namespace godwit::api
