// PeerCheck: whose certificate a call came with, and whether it may call. What TLS has checked when
// the connection was made (authority, time) is checked for every call again, and the revocation
// list is read again whenever it was written.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "identity/openssl.h"

namespace moesaic::identity {

/// A silo.
struct Peer {
  std::string name;
  std::string certificate;  // PEM
};

class PeerCheck {
 public:
  /// `folder` is DIR/coordinator. Error(kData) when its revocation list is missing or not of this
  /// authority.
  PeerCheck(const std::string& folder, const std::string& authority);

  /// Error(kCommunication) that names the silo and the reason.
  Peer check(const std::string& certificate) const;

 private:
  void read_list() const;  // when it was written since

  std::string path_;
  CertificatePtr authority_;
  mutable std::mutex mutex_;
  mutable RevocationsPtr revoked_;
  mutable std::string stamp_;  // of the file that was read
};

}  // namespace moesaic::identity
