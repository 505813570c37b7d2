#include "identity/peer_check.h"

#include <sys/stat.h>

#include "core/fs.h"
#include "core/plain_name.h"
#include "identity/certificates.h"
#include "identity/key_files.h"

namespace moesaic::identity {
namespace {

constexpr std::size_t kListBytes = 16U << 20;

// Changes when the file does: it is always replaced, never written over.
std::string stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "";
  return format("{} {} {}.{}", status.st_ino, status.st_size, status.st_mtim.tv_sec,
                status.st_mtim.tv_nsec);
}

}  // namespace

PeerCheck::PeerCheck(const std::string& folder, const std::string& authority)
    : path_(folder + "/" + kRevokedFile), authority_(certificate_of(authority)) {
  MOESAIC_ASSERT(authority_ != nullptr);
  read_list();
}

// A list that is gone or damaged is an error, not an empty list: nobody comes in then.
void PeerCheck::read_list() const {
  const std::string stamp = stamp_of(path_);
  if (revoked_ && stamp == stamp_) return;
  revoked_.reset();
  revoked_ = revocations_of(read_file(path_, ErrorKind::kData, kListBytes), path_, *authority_);
  stamp_ = stamp;
}

Peer PeerCheck::check(const std::string& pem) const {
  const CertificatePtr certificate = certificate_of(pem);
  const std::string name = certificate ? common_name(*certificate) : "";
  MOESAIC_CHECK(is_plain_name(name) && name != kCoordinatorFolder, ErrorKind::kCommunication,
                "a certificate without a silo's name");
  const std::string fault = fault_of(*certificate, *authority_);
  MOESAIC_CHECK(fault.empty(), ErrorKind::kCommunication, "the certificate of silo '{}': {}", name,
                fault);
  const std::lock_guard lock(mutex_);
  read_list();
  if (is_revoked(*revoked_, *certificate)) {
    throw Error(ErrorKind::kCommunication, format("the certificate of silo '{}' is revoked", name),
                "ask the coordinator's administrator for a new one");
  }
  return {name, pem};
}

}  // namespace moesaic::identity
