// A TLS handshake of our own with a coordinator, made when gRPC's fails: gRPC tells that it failed,
// this tells why.
#pragma once

#include <string>

#include "identity/keys.h"

namespace moesaic::sites {

enum class Handshake {
  kFine,    // both sides accept each other
  kNobody,  // nobody answers there (yet)
  kClosed,  // the other side closed the connection at the end: it may not accept our certificate
};

/// `address`: HOST:PORT. Takes at most some seconds. `keys` without a certificate show none.
/// Error(kCommunication) with the reason when the other side's certificate is not accepted (another
/// authority, host or time, no coordinator's), or it says why it does not accept ours.
/// Error(kUsage) when `address` is not of that form.
Handshake try_handshake(const std::string& address, const identity::Keys& keys);

}  // namespace moesaic::sites
