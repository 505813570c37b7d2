// The certificates of a federation: one authority, one certificate of the coordinator, one of each
// silo, all of EC P-256. DIR/ca stays with whoever makes them; DIR/coordinator and DIR/<silo> go to
// their machines. Each folder holds ca.pem, certificate.pem and key.pem (mode 0600).
#pragma once

#include <string>
#include <vector>

namespace moesaic::identity {

struct KeyOptions {
  std::string folder;              // DIR
  std::string coordinator;         // its host name or IP address, as silos connect to it
  std::vector<std::string> silos;  // plain names (core/plain_name.h), not "ca" or "coordinator"
  int days = 730;                  // that a certificate is good for; the authority's: ten years
};

/// Makes what is not there yet: called again, it adds silos, makes certificates anew that were
/// revoked or are past their time, and keeps the others. Returns the folders it wrote.
/// Error(kUsage) for a name or host that cannot be one, and where DIR holds something else.
std::vector<std::string> make_keys(const KeyOptions& options);

/// Writes the certificate of a silo into DIR/coordinator/revoked.pem, a revocation list (X.509,
/// signed by the authority) that the coordinator reads again. Twice is no error. Error(kUsage) when
/// DIR has no such silo.
void revoke(const std::string& folder, const std::string& silo);

/// What one side shows and signs with, in PEM.
struct Keys {
  std::string name;  // of the certificate: "coordinator" or the silo's
  std::string authority;
  std::string certificate;
  std::string private_key;  // never printed
};

/// Reads one folder. Error(kData) that names folder and silo: a file is missing or unreadable, the
/// key may be read by others, key and certificate are no pair, the certificate is of another
/// authority, is not good yet (is the clock right?), or not any more.
Keys read_keys(const std::string& folder);

}  // namespace moesaic::identity
