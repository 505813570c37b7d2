#include "identity/keys.h"

#include <openssl/err.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>

#include "core/fs.h"
#include "core/json.h"
#include "core/path.h"
#include "core/plain_name.h"
#include "identity/certificates.h"
#include "identity/key_files.h"

namespace moesaic::identity {
namespace {

constexpr int kAuthorityDays = 3650;
constexpr std::size_t kSmallFile = 1U << 20;  // no key or certificate is as large

bool is_host(const std::string& host) {
  return !host.empty() && host.size() <= 253 &&
         std::all_of(host.begin(), host.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == '-' || c == ':';
         });
}

void check_options(const KeyOptions& options) {
  MOESAIC_CHECK(is_host(options.coordinator), ErrorKind::kUsage,
                "'{}' is no host name or IP address", printable(options.coordinator));
  for (const std::string& silo : options.silos) {
    MOESAIC_CHECK(is_plain_name(silo), ErrorKind::kUsage, "'{}' is no name of a silo: {}",
                  printable(silo), kPlainName);
    MOESAIC_CHECK(silo != kAuthorityFolder && silo != kCoordinatorFolder, ErrorKind::kUsage,
                  "a silo cannot be named '{}': that is a folder of its own", silo);
  }
}

// One DIR and its authority.
class KeyFolder {
 public:
  explicit KeyFolder(const std::string& folder)
      : folder_(folder), authority_folder_(folder + "/" + kAuthorityFolder) {}

  bool is_there() const {
    return is_file(authority_folder_ + "/" + kCertificateFile, ErrorKind::kUsage);
  }

  void begin() {
    const bool other = is_folder(folder_, ErrorKind::kUsage) && !names_in(folder_).empty();
    if (!is_there()) {
      MOESAIC_CHECK(!other, ErrorKind::kUsage,
                    "{} holds something else than the keys of a federation", folder_);
      make_folder(folder_, ErrorKind::kUsage);
      const CertificateOptions options{
          .name = "Moesaic federation", .use = CertificateUse::kAuthority, .days = kAuthorityDays};
      const Identity made = new_identity(options, nullptr);
      write_identity(kAuthorityFolder, made, pem_of(*made.certificate));
    }
    load();
  }

  void load() {
    const std::string certificate = text_of(authority_folder_ + "/" + kCertificateFile);
    authority_ = {certificate_of(certificate), key_of(text_of(authority_folder_ + "/" + kKeyFile))};
    MOESAIC_CHECK(authority_.certificate && authority_.key, ErrorKind::kData,
                  "{} holds no certificate and key of an authority", authority_folder_);
    const std::string list = revocations_path();
    if (is_file(list))
      revoked_ = revocations_of(text_of(list), list, *authority_.certificate);
    else
      revoke({});  // an empty list: the coordinator goes by one, never by its absence
  }

  // Whether the certificate in the folder of this name can go on being used.
  bool is_good(const std::string& name, const std::string& host) {
    const std::string path = folder_ + "/" + name + "/" + kCertificateFile;
    if (!is_file(path)) return false;
    const CertificatePtr certificate = certificate_of(text_of(path));
    return certificate && fault_of(*certificate, *authority_.certificate).empty() &&
           !(revoked_ && is_revoked(*revoked_, *certificate)) &&
           (host.empty() || is_for_host(*certificate, host));
  }

  void issue(const CertificateOptions& options) {
    const Identity made = new_identity(options, &authority_);
    // The authority remembers it, so that it can be revoked when its folder is elsewhere.
    make_folder(issued_folder());
    write_file_atomic(
        format("{}/{}.{}.pem", issued_folder(), options.name, serial_of(*made.certificate)),
        pem_of(*made.certificate));
    write_identity(options.name, made, pem_of(*authority_.certificate));
  }

  // Every certificate that was made for this silo.
  std::vector<CertificatePtr> issued_to(const std::string& silo) const {
    std::vector<CertificatePtr> found;
    if (!is_folder(issued_folder())) return found;
    for (const std::string& name : names_in(issued_folder())) {
      CertificatePtr certificate = certificate_of(text_of(issued_folder() + "/" + name));
      if (certificate && common_name(*certificate) == silo) found.push_back(std::move(certificate));
    }
    return found;
  }

  void revoke(const std::vector<CertificatePtr>& certificates) {
    revoked_ = new_revocations(certificates, revoked_.get(), authority_);
    make_folder(folder_ + "/" + kCoordinatorFolder);
    write_file_atomic(revocations_path(), pem_of(*revoked_));
  }

 private:
  static std::string text_of(const std::string& path) {
    return read_file(path, ErrorKind::kData, kSmallFile);
  }
  std::string issued_folder() const { return authority_folder_ + "/issued"; }
  std::string revocations_path() const {
    return folder_ + "/" + kCoordinatorFolder + "/" + kRevokedFile;
  }

  // The certificate comes last: without it the folder counts as not made.
  void write_identity(const std::string& name, const Identity& made,
                      const std::string& authority) const {
    const std::string folder = folder_ + "/" + name;
    make_folder(folder);
    remove_tree(folder + "/" + kCertificateFile);
    write_file_atomic(folder + "/" + kAuthorityFile, authority);
    NewFile key(folder + "/" + kKeyFile, ErrorKind::kCheckpoint, 0600);
    key.write(pem_of(*made.key));
    key.finish();
    write_file_atomic(folder + "/" + kCertificateFile, pem_of(*made.certificate));
  }

  std::string folder_;
  std::string authority_folder_;
  Identity authority_;
  RevocationsPtr revoked_;
};

[[noreturn]] void refuse_keys(const std::string& folder, const std::string& why,
                              const std::string& hint = "") {
  throw Error(ErrorKind::kData, format("the keys in {} cannot be used: {}", folder, why), hint);
}

std::string small_file(const std::string& folder, const char* name) {
  const std::string path = folder + "/" + name;
  if (!is_file(path)) {
    refuse_keys(folder, format("there is no {}", name),
                "give the folder of one side, as moesaic federate keys wrote it");
  }
  return read_file(path, ErrorKind::kData, kSmallFile);
}

void check_private(const std::string& folder) {
  struct stat status {};
  const std::string path = folder + "/" + kKeyFile;
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 077) != 0)
    refuse_keys(folder, "others may read key.pem", format("chmod 600 {}", path));
}

}  // namespace

std::vector<std::string> make_keys(const KeyOptions& options) {
  check_options(options);
  KeyFolder folder(options.folder);
  folder.begin();
  std::vector<std::string> written;
  const auto make = [&](const CertificateOptions& certificate) {
    if (folder.is_good(certificate.name, certificate.host)) return;
    folder.issue(certificate);
    written.push_back(options.folder + "/" + certificate.name);
  };
  make({kCoordinatorFolder, CertificateUse::kServer, options.coordinator, options.days});
  for (const std::string& silo : options.silos)
    make({silo, CertificateUse::kClient, "", options.days});
  return written;
}

void revoke(const std::string& path, const std::string& silo) {
  KeyFolder folder(path);
  MOESAIC_CHECK(folder.is_there(), ErrorKind::kUsage, "{} holds no keys of a federation", path);
  folder.load();
  const std::vector<CertificatePtr> certificates = folder.issued_to(silo);
  MOESAIC_CHECK(silo != kCoordinatorFolder && !certificates.empty(), ErrorKind::kUsage,
                "{} has no certificate of a silo '{}'", path, printable(silo));
  folder.revoke(certificates);
}

Keys read_keys(const std::string& folder) {
  check_private(folder);
  Keys keys{.name = "",
            .authority = small_file(folder, kAuthorityFile),
            .certificate = small_file(folder, kCertificateFile),
            .private_key = small_file(folder, kKeyFile)};
  const CertificatePtr authority = certificate_of(keys.authority);
  const CertificatePtr certificate = certificate_of(keys.certificate);
  const KeyPtr key = key_of(keys.private_key);
  if (!authority) refuse_keys(folder, "ca.pem is no certificate");
  if (!certificate) refuse_keys(folder, "certificate.pem is no certificate");
  if (!key) refuse_keys(folder, "key.pem is no private key, or has a pass phrase");
  keys.name = common_name(*certificate);
  if (!is_plain_name(keys.name)) refuse_keys(folder, "the certificate has no plain name");
  const std::string whose = format("the certificate of '{}': ", keys.name);
  const std::string fault = fault_of(*certificate, *authority);
  if (!fault.empty()) refuse_keys(folder, whose + fault, "make new ones: moesaic federate keys");
  const bool pair = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (!pair) refuse_keys(folder, whose + "key.pem is not the key of this certificate");
  return keys;
}

}  // namespace moesaic::identity
