// Certificates and revocation lists (X.509) as a federation uses them: keys of EC P-256, signatures
// with SHA-256, the name of a silo as the common name.
#pragma once

#include <string>
#include <vector>

#include "identity/openssl.h"

namespace moesaic::identity {

enum class CertificateUse { kAuthority, kServer, kClient };

struct CertificateOptions {
  std::string name;  // the common name
  CertificateUse use = CertificateUse::kClient;
  std::string host;  // of a server: its name or IP address (subject alternative name)
  int days = 1;      // from now; 0 = past its time at once. Good since yesterday, for slow clocks.
};

/// A certificate and its private key.
struct Identity {
  CertificatePtr certificate;
  KeyPtr key;
};

/// A new pair, signed by `authority`, or by itself where that is null.
Identity new_identity(const CertificateOptions& options, const Identity* authority);

std::string pem_of(X509& certificate);
std::string pem_of(EVP_PKEY& key);
std::string pem_of(X509_CRL& revocations);

/// The serial number, hexadecimal.
std::string serial_of(X509& certificate);

/// Why a certificate cannot be used now, "" when it can: of another authority, not good yet, past
/// its time.
std::string fault_of(X509& certificate, X509& authority);

/// Whether the name or IP address is one that a server's certificate has.
bool is_for_host(X509& certificate, const std::string& host);

/// A list of these certificates and of those in `earlier` (may be null), signed by the authority.
RevocationsPtr new_revocations(const std::vector<CertificatePtr>& certificates, X509_CRL* earlier,
                               const Identity& authority);

/// From PEM. Error(kData) that names `where` when it is none or not signed by the authority.
RevocationsPtr revocations_of(const std::string& pem, const std::string& where, X509& authority);

bool is_revoked(X509_CRL& revocations, X509& certificate);

}  // namespace moesaic::identity
