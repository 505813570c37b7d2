#include "sites/handshake.h"

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/json.h"
#include "identity/openssl.h"

namespace moesaic::sites {
namespace {

using identity::certificate_of;
using identity::CertificatePtr;
using identity::check_openssl;
using identity::FreeWith;
using identity::key_of;
using identity::KeyPtr;
using identity::openssl_reason;

constexpr int kPatienceS = 5;
constexpr int kLastPort = 65535;

using ContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, FreeWith<SSL_free>>;
using AddressesPtr = std::unique_ptr<addrinfo, FreeWith<freeaddrinfo>>;

struct HostAndPort {
  std::string host;
  std::string port;
};

HostAndPort parts_of(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  HostAndPort parts{address.substr(0, colon),
                    colon == std::string::npos ? "" : address.substr(colon + 1)};
  if (parts.host.size() > 2 && parts.host.front() == '[' && parts.host.back() == ']')
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  const bool good = !parts.host.empty() && !parts.port.empty() && parts.port.size() <= 5 &&
                    parts.port.find_first_not_of("0123456789") == std::string::npos &&
                    std::stoi(parts.port) <= kLastPort;
  MOESAIC_CHECK(good, ErrorKind::kUsage, "'{}' is no address: HOST:PORT, up to port {}",
                printable(address), kLastPort);
  return parts;
}

// A connected socket, -1 without one.
class Socket {
 public:
  explicit Socket(const HostAndPort& to) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(to.host.c_str(), to.port.c_str(), &hints, &found) != 0) return;
    const AddressesPtr addresses(found);
    for (const addrinfo* at = found; at != nullptr && descriptor_ < 0; at = at->ai_next)
      connect(*at);
  }
  ~Socket() { close(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int get() const { return descriptor_; }

 private:
  void connect(const addrinfo& address) {
    descriptor_ =
        ::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol);
    if (descriptor_ < 0) return;
    const timeval patience{.tv_sec = kPatienceS, .tv_usec = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (::connect(descriptor_, address.ai_addr, address.ai_addrlen) != 0) close();
  }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

  int descriptor_ = -1;
};

ContextPtr context_of(const identity::Keys& keys) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  const CertificatePtr authority = certificate_of(keys.authority);
  check_openssl(
      context && authority &&
          X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), authority.get()) == 1,
      "begin TLS");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  constexpr unsigned char kHttp2[] = {2, 'h', '2'};  // what gRPC speaks
  check_openssl(SSL_CTX_set_alpn_protos(context.get(), kHttp2, sizeof kHttp2) == 0, "set ALPN");
  if (keys.certificate.empty()) return context;
  const CertificatePtr certificate = certificate_of(keys.certificate);
  const KeyPtr key = key_of(keys.private_key);
  check_openssl(certificate && key &&
                    SSL_CTX_use_certificate(context.get(), certificate.get()) == 1 &&
                    SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1,
                "use a certificate");
  return context;
}

void set_host(SSL& ssl, const std::string& host) {
  X509_VERIFY_PARAM* parameters = SSL_get0_param(&ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1) return;
  ERR_clear_error();
  check_openssl(
      SSL_set1_host(&ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(&ssl, host.c_str()) == 1,
      "name the host");
}

// What the one side holds against the other, "" where the handshake just ended.
std::string reason_of(const SSL& ssl) {
  const long verdict = SSL_get_verify_result(&ssl);
  if (verdict != X509_V_OK)
    return format("its certificate is not accepted: {}", X509_verify_cert_error_string(verdict));
  const unsigned long code = ERR_peek_error();
  const bool alert = ERR_GET_LIB(code) == ERR_LIB_SSL &&
                     ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;  // sent by the other side
  const std::string reason = openssl_reason();
  return alert ? format("it does not accept the certificate of this side: {}", reason) : "";
}

Handshake finish(SSL& ssl, const std::string& address) {
  ERR_clear_error();
  char byte = 0;
  // The other side looks at our certificate last, and speaks first when it likes it.
  if (SSL_connect(&ssl) == 1 && SSL_read(&ssl, &byte, 1) == 1) return Handshake::kFine;
  const std::string reason = reason_of(ssl);
  if (reason.empty()) return Handshake::kClosed;
  throw Error(ErrorKind::kCommunication,
              format("the coordinator at {} cannot be talked to: {}", printable(address), reason),
              "both sides need keys of one moesaic federate keys, the coordinator's for this host");
}

}  // namespace

void check_address(const std::string& address) { parts_of(address); }

Handshake try_handshake(const std::string& address, const identity::Keys& keys) {
  const HostAndPort parts = parts_of(address);
  const ContextPtr context = context_of(keys);
  const Socket socket(parts);
  if (socket.get() < 0) return Handshake::kNobody;
  const SslPtr ssl(SSL_new(context.get()));
  check_openssl(ssl && SSL_set_fd(ssl.get(), socket.get()) == 1, "begin TLS");
  SSL_set_quiet_shutdown(ssl.get(), 1);
  set_host(*ssl, parts.host);
  return finish(*ssl, address);
}

}  // namespace moesaic::sites
