#include "identity/certificates.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>

namespace moesaic::identity {
namespace {

constexpr long kDay = 86400;
constexpr int kListDays = 3650;  // the next list comes when somebody is revoked

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

void add_extension(X509& certificate, X509& issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  check_openssl(extension && X509_add_ext(&certificate, extension.get(), -1) == 1,
                "make an extension of a certificate");
}

void add_extensions(X509& certificate, X509& issuer, const CertificateOptions& options) {
  const bool authority = options.use == CertificateUse::kAuthority;
  add_extension(certificate, issuer, NID_basic_constraints,
                authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE");
  add_extension(certificate, issuer, NID_key_usage,
                authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
  add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
  if (authority) return;
  add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always");
  // A silo cannot pass for the coordinator, nor the other way round.
  add_extension(certificate, issuer, NID_ext_key_usage,
                options.use == CertificateUse::kServer ? "serverAuth" : "clientAuth");
  if (options.host.empty()) return;
  add_extension(certificate, issuer, NID_subject_alt_name,
                (is_address(options.host) ? "IP:" : "DNS:") + options.host);
}

void set_serial(X509& certificate) {
  constexpr int kBits = 127;  // positive, and at most 20 bytes (RFC 5280)
  const BigNumberPtr number(BN_new());
  check_openssl(
      BN_rand(number.get(), kBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
          BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(&certificate)) != nullptr,
      "draw a serial number");
}

void set_name(X509& certificate, const std::string& name) {
  X509_NAME* subject = X509_get_subject_name(&certificate);
  const auto* bytes = reinterpret_cast<const unsigned char*>(name.data());
  check_openssl(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, bytes,
                                           static_cast<int>(name.size()), -1, 0) == 1,
                "name a certificate");
}

// What `write` writes into memory.
template <class Write>
std::string pem_by(const Write& write) {
  const BioPtr memory(BIO_new(BIO_s_mem()));
  check_openssl(memory && write(memory.get()) == 1, "write PEM");
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

}  // namespace

Identity new_identity(const CertificateOptions& options, const Identity* authority) {
  Identity made{CertificatePtr(X509_new()),
                KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"))};
  check_openssl(made.certificate && made.key, "make a key");
  X509& certificate = *made.certificate;
  X509& issuer = authority == nullptr ? certificate : *authority->certificate;
  check_openssl(X509_set_version(&certificate, X509_VERSION_3) == 1, "make a certificate");
  set_serial(certificate);
  set_name(certificate, options.name);
  check_openssl(
      X509_gmtime_adj(X509_getm_notBefore(&certificate), -kDay) != nullptr &&
          X509_time_adj_ex(X509_getm_notAfter(&certificate), options.days, 0, nullptr) != nullptr &&
          X509_set_issuer_name(&certificate, X509_get_subject_name(&issuer)) == 1 &&
          X509_set_pubkey(&certificate, made.key.get()) == 1,
      "fill in a certificate");
  add_extensions(certificate, issuer, options);
  EVP_PKEY* signer = authority == nullptr ? made.key.get() : authority->key.get();
  check_openssl(X509_sign(&certificate, signer, EVP_sha256()) > 0, "sign a certificate");
  return made;
}

std::string pem_of(X509& certificate) {
  return pem_by([&](BIO* out) { return PEM_write_bio_X509(out, &certificate); });
}

std::string pem_of(EVP_PKEY& key) {
  return pem_by([&](BIO* out) {
    return PEM_write_bio_PKCS8PrivateKey(out, &key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string pem_of(X509_CRL& revocations) {
  return pem_by([&](BIO* out) { return PEM_write_bio_X509_CRL(out, &revocations); });
}

std::string serial_of(X509& certificate) {
  const BigNumberPtr number(ASN1_INTEGER_to_BN(X509_get_serialNumber(&certificate), nullptr));
  char* text = number ? BN_bn2hex(number.get()) : nullptr;
  check_openssl(text != nullptr, "read a serial number");
  std::string serial = text;
  OPENSSL_free(text);
  return serial;
}

std::string fault_of(X509& certificate, X509& authority) {
  const bool ours = X509_check_issued(&authority, &certificate) == X509_V_OK &&
                    X509_verify(&certificate, X509_get0_pubkey(&authority)) == 1;
  ERR_clear_error();
  if (!ours) return "it is of another authority than ca.pem";
  if (X509_cmp_current_time(X509_get0_notBefore(&certificate)) > 0)
    return "its time has not begun: is the clock of this machine right?";
  if (X509_cmp_current_time(X509_get0_notAfter(&certificate)) < 0)
    return "it is past its time (or the clock of this machine is off)";
  return "";
}

bool is_for_host(X509& certificate, const std::string& host) {
  if (is_address(host)) return X509_check_ip_asc(&certificate, host.c_str(), 0) == 1;
  return X509_check_host(&certificate, host.data(), host.size(), 0, nullptr) == 1;
}

RevocationsPtr new_revocations(const std::vector<CertificatePtr>& certificates, X509_CRL* earlier,
                               const Identity& authority) {
  RevocationsPtr list(earlier == nullptr ? X509_CRL_new() : X509_CRL_dup(earlier));
  const TimePtr now(X509_gmtime_adj(nullptr, 0));
  const TimePtr next(X509_time_adj_ex(nullptr, kListDays, 0, nullptr));
  check_openssl(list && now && next && X509_CRL_set_version(list.get(), X509_CRL_VERSION_2) == 1 &&
                    X509_CRL_set1_lastUpdate(list.get(), now.get()) == 1 &&
                    X509_CRL_set1_nextUpdate(list.get(), next.get()) == 1 &&
                    X509_CRL_set_issuer_name(
                        list.get(), X509_get_subject_name(authority.certificate.get())) == 1,
                "begin a revocation list");
  for (const CertificatePtr& certificate : certificates) {
    if (is_revoked(*list, *certificate)) continue;
    RevokedPtr entry(X509_REVOKED_new());
    check_openssl(entry &&
                      X509_REVOKED_set_serialNumber(
                          entry.get(), X509_get_serialNumber(certificate.get())) == 1 &&
                      X509_REVOKED_set_revocationDate(entry.get(), now.get()) == 1 &&
                      X509_CRL_add0_revoked(list.get(), entry.get()) == 1,
                  "revoke a certificate");
    entry.release();  // of the list now
  }
  X509_CRL_sort(list.get());
  check_openssl(X509_CRL_sign(list.get(), authority.key.get(), EVP_sha256()) > 0,
                "sign a revocation list");
  return list;
}

RevocationsPtr revocations_of(const std::string& pem, const std::string& where, X509& authority) {
  const BioPtr reader(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  RevocationsPtr list(PEM_read_bio_X509_CRL(reader.get(), nullptr, nullptr, nullptr));
  const bool ours = list && X509_CRL_verify(list.get(), X509_get0_pubkey(&authority)) == 1;
  ERR_clear_error();
  if (!ours) {
    throw Error(ErrorKind::kData, format("{} is no revocation list of this authority", where),
                "write it again with moesaic federate revoke");
  }
  return list;
}

bool is_revoked(X509_CRL& revocations, X509& certificate) {
  X509_REVOKED* entry = nullptr;
  return X509_CRL_get0_by_serial(&revocations, &entry, X509_get_serialNumber(&certificate)) == 1;
}

}  // namespace moesaic::identity
