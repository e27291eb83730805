#pragma once
// Client libraries read the root certificate from a file only: a memory file that lives until the handshake
// is over.

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

namespace godwit {

class CertificateFile {
public:
    // Nothing to hand over: no file.
    explicit CertificateFile(const std::string& pem) {
        if (pem.empty()) return;
        fd_ = ::memfd_create("godwit-ca", MFD_CLOEXEC);
        if (fd_ >= 0 && ::write(fd_, pem.data(), pem.size()) == static_cast<ssize_t>(pem.size()))
            path_ = fmt::format("/proc/self/fd/{}", fd_);
    }
    CertificateFile(const CertificateFile&) = delete;
    CertificateFile& operator=(const CertificateFile&) = delete;
    ~CertificateFile() {
        if (fd_ >= 0) ::close(fd_);
    }
    // empty: there is none, or it could not be made
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    int fd_ = -1;
    std::string path_;
};

}  // namespace godwit
