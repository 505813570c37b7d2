#include "sites/sha256.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <vector>

#include "core/path.h"

namespace moesaic::sites {

Sha256::Sha256() : state_(EVP_MD_CTX_new()) {
  check_openssl(EVP_DigestInit_ex(state_.get(), EVP_sha256(), nullptr) == 1, "begin a digest");
}

void Sha256::update(std::string_view bytes) {
  check_openssl(EVP_DigestUpdate(state_.get(), bytes.data(), bytes.size()) == 1, "digest");
}

std::uint64_t Sha256::update_from(const std::string& path, std::uint64_t bytes,
                                  const std::function<void()>& alive) {
  std::ifstream file(path, std::ios::binary);
  MOESAIC_CHECK(file.is_open(), ErrorKind::kData, "cannot read {}", path);
  std::vector<char> block(kChunkBytes);
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
  check_openssl(EVP_DigestFinal_ex(state_.get(), digest.data(), &size) == 1, "end a digest");
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += format("{:02x}", digest[i]);
  return text;
}

std::string sha256_of(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

Blob blob_of(const std::string& path, const std::function<void()>& alive) {
  Sha256 hash;
  const std::uint64_t bytes = file_size(path);
  const std::uint64_t read = hash.update_from(path, bytes, alive);
  MOESAIC_CHECK(read == bytes, ErrorKind::kData, "{} has {} bytes, {} could be read", path, bytes,
                read);
  return {hash.hex(), bytes};
}

}  // namespace moesaic::sites
