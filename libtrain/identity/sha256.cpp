#include "identity/sha256.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <vector>

#include "identity/openssl.h"

namespace moesaic::identity {
namespace {

constexpr std::size_t kBlockBytes = 1U << 20;

}  // namespace

struct Sha256::State {
  HashPtr hash{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  check_openssl(EVP_DigestInit_ex(state_->hash.get(), EVP_sha256(), nullptr) == 1,
                "begin a digest");
}

Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  check_openssl(EVP_DigestUpdate(state_->hash.get(), bytes.data(), bytes.size()) == 1, "digest");
}

std::uint64_t Sha256::update_from(const std::string& path, std::uint64_t bytes,
                                  const std::function<void()>& alive) {
  std::ifstream file(path, std::ios::binary);
  MOESAIC_CHECK(file.is_open(), ErrorKind::kData, "cannot read {}", path);
  std::vector<char> block(kBlockBytes);
  std::uint64_t done = 0;
  while (done < bytes && file) {
    const std::uint64_t wanted = std::min<std::uint64_t>(block.size(), bytes - done);
    file.read(block.data(), static_cast<std::streamsize>(wanted));
    const auto got = static_cast<std::size_t>(file.gcount());
    update({block.data(), got});
    done += got;
    if (alive) alive();
  }
  MOESAIC_CHECK(!file.bad(), ErrorKind::kData, "cannot read {} after its byte {}", path, done);
  return done;
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  check_openssl(EVP_DigestFinal_ex(state_->hash.get(), digest.data(), &size) == 1, "end a digest");
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += format("{:02x}", digest[i]);
  return text;
}

std::string sha256_of(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

}  // namespace moesaic::identity
