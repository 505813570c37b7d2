// What the folders of `federate keys` and the files in them are called.
#pragma once

namespace moesaic::identity {

inline constexpr const char* kAuthorityFolder = "ca";
inline constexpr const char* kCoordinatorFolder = "coordinator";
inline constexpr const char* kAuthorityFile = "ca.pem";
inline constexpr const char* kCertificateFile = "certificate.pem";
inline constexpr const char* kKeyFile = "key.pem";
inline constexpr const char* kRevokedFile = "revoked.pem";

}  // namespace moesaic::identity
