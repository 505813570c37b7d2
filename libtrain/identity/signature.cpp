#include "identity/signature.h"

#include <openssl/err.h>

#include "identity/openssl.h"

namespace moesaic::identity {
namespace {

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string sign(const Keys& keys, const std::string& text) {
  const KeyPtr key = key_of(keys.private_key);
  const HashPtr state(EVP_MD_CTX_new());
  std::size_t size = 0;
  check_openssl(
      key && state &&
          EVP_DigestSignInit(state.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
          EVP_DigestSign(state.get(), nullptr, &size, bytes_of(text), text.size()) == 1,
      "begin a signature");
  std::string signature(size, '\0');
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  check_openssl(EVP_DigestSign(state.get(), out, &size, bytes_of(text), text.size()) == 1, "sign");
  signature.resize(size);
  return signature;
}

bool is_signed(const std::string& certificate, const std::string& text,
               const std::string& signature) {
  const CertificatePtr signer = certificate_of(certificate);
  const HashPtr state(EVP_MD_CTX_new());
  if (!signer || !state) return false;
  EVP_PKEY* key = X509_get0_pubkey(signer.get());
  const bool good = key != nullptr &&
                    EVP_DigestVerifyInit(state.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
                    EVP_DigestVerify(state.get(), bytes_of(signature), signature.size(),
                                     bytes_of(text), text.size()) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace moesaic::identity
