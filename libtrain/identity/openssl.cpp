#include "identity/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

namespace moesaic::identity {
namespace {

BioPtr reader_of(const std::string& pem) {
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

}  // namespace

std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  if (code == 0) return "";
  return reason == nullptr ? format("error {} of OpenSSL", code) : std::string(reason);
}

void check_openssl(bool fine, const char* what) {
  if (!fine)
    throw Error(ErrorKind::kInternal, format("OpenSSL cannot {}: {}", what, openssl_reason()));
}

CertificatePtr certificate_of(const std::string& pem) {
  const BioPtr reader = reader_of(pem);
  CertificatePtr certificate(PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr));
  if (!certificate) ERR_clear_error();
  return certificate;
}

KeyPtr key_of(const std::string& pem) {
  const BioPtr reader = reader_of(pem);
  // No question for a pass phrase: a key that has one is none here.
  const auto no_phrase = [](char*, int, int, void*) { return -1; };
  KeyPtr key(PEM_read_bio_PrivateKey(reader.get(), nullptr, no_phrase, nullptr));
  if (!key) ERR_clear_error();
  return key;
}

std::string common_name(const X509& certificate) {
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  const int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (place < 0) return "";
  const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place));
  unsigned char* bytes = nullptr;
  const int size = ASN1_STRING_to_UTF8(&bytes, text);
  if (size < 0) return "";
  std::string name(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return name.find('\0') == std::string::npos ? name : "";
}

}  // namespace moesaic::identity
