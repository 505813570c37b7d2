// Objects of OpenSSL that go away by themselves, and its errors as ours.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "core/error.h"

namespace moesaic::identity {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using BigNumberPtr = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using CertificatePtr = std::unique_ptr<X509, FreeWith<X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;
using HashPtr = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using RevokedPtr = std::unique_ptr<X509_REVOKED, FreeWith<X509_REVOKED_free>>;
using RevocationsPtr = std::unique_ptr<X509_CRL, FreeWith<X509_CRL_free>>;
using TimePtr = std::unique_ptr<ASN1_TIME, FreeWith<ASN1_TIME_free>>;

/// The oldest error that OpenSSL remembers for this thread, in words; forgets all. "" without one.
std::string openssl_reason();

/// Error(kInternal) unless a call of OpenSSL that cannot fail here returned 1.
void check_openssl(bool fine, const char* what);

/// From PEM; null when the text holds none.
CertificatePtr certificate_of(const std::string& pem);
KeyPtr key_of(const std::string& pem);

/// The common name, "" without one or where it has '\0' in it.
std::string common_name(const X509& certificate);

}  // namespace moesaic::identity
