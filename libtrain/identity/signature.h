// Signatures by the key of a certificate: ECDSA with SHA-256, DER.
#pragma once

#include <string>

#include "identity/keys.h"

namespace moesaic::identity {

std::string sign(const Keys& keys, const std::string& text);

/// Whether `signature` is one of `text` by the owner of `certificate` (PEM).
bool is_signed(const std::string& certificate, const std::string& text,
               const std::string& signature);

}  // namespace moesaic::identity
