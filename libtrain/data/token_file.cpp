#include "data/token_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "core/digest.h"

namespace moesaic {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");

constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 48U;  // sizes cannot overflow below it

template <class Id>
std::uint64_t copy_as(const char* from, std::int64_t count, std::int64_t* out) {
  std::uint64_t largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    Id id;
    std::memcpy(&id, from + static_cast<std::size_t>(i) * sizeof id, sizeof id);
    largest = std::max<std::uint64_t>(largest, id);
    out[i] = id;
  }
  return largest;
}

}  // namespace

std::string TokenFileHeader::digest() const {
  return digest_of(this, sizeof *this - sizeof header_digest);
}

std::shared_ptr<const TokenFile> TokenFile::open(const std::string& path, const std::string& name) {
  return std::shared_ptr<const TokenFile>(new TokenFile(path, name.empty() ? path : name));
}

TokenFile::TokenFile(const std::string& path, const std::string& name)
    : path_(path), name_(name), map_(path) {
  const auto bytes = map_.bytes();
  if (bytes.size() < sizeof header_)
    damaged(format("{} bytes are less than a header", bytes.size()));
  std::memcpy(&header_, bytes.data(), sizeof header_);
  check_header();
  check_offsets();
}

void TokenFile::check_header() const {
  const auto& h = header_;
  if (std::memcmp(h.magic, TokenFileHeader::kMagic, sizeof h.magic) != 0) {
    throw Error(ErrorKind::kData, format("{} is not a token file", path_),
                "make one with: moesaic data build --output FILE.tokens INPUTS...");
  }
  MOESAIC_CHECK(h.version == TokenFileHeader::kVersion, ErrorKind::kData,
                "{} is a token file of version {}, this program reads version {}", path_, h.version,
                TokenFileHeader::kVersion);
  if (std::string(h.header_digest, sizeof h.header_digest) != h.digest()) {
    damaged("the digest of its header is another");
  }
  if (h.id_bytes != 2 && h.id_bytes != 4) damaged(format("ids of {} bytes", h.id_bytes));
  if (h.ids == 0 || h.ids > kMaxCount || h.documents == 0 || h.documents > h.ids ||
      h.max_id >> (8 * h.id_bytes) != 0) {
    damaged(format("{} ids, {} documents, largest id {}", h.ids, h.documents, h.max_id));
  }
  const std::uint64_t wanted =
      sizeof h + padded_id_bytes(h.ids, h.id_bytes) + 8 * (h.documents + 1);
  if (map_.bytes().size() != wanted) {
    damaged(format("it has {} bytes, its header says {}", map_.bytes().size(), wanted));
  }
}

void TokenFile::check_offsets() const {
  std::int64_t last = document_start(0);
  if (last != 0) damaged(format("the first document starts at id {}", last));
  for (std::int64_t i = 1; i <= documents(); ++i) {
    const std::int64_t next = document_start(i);
    if (next <= last) damaged(format("document {} starts at id {}, the next at {}", i, last, next));
    last = next;
  }
  if (last != ids()) damaged(format("the last document ends at id {} of {}", last, ids()));
}

std::int64_t TokenFile::document_start(std::int64_t index) const {
  MOESAIC_ASSERT(index >= 0 && index <= documents());
  std::int64_t offset;
  std::memcpy(&offset,
              payload() + padded_id_bytes(header_.ids, header_.id_bytes) +
                  static_cast<std::size_t>(index) * sizeof offset,
              sizeof offset);
  return offset;
}

void TokenFile::copy_ids(std::int64_t start, std::int64_t count, std::int64_t* out) const {
  MOESAIC_ASSERT(start >= 0 && count >= 0 && start <= ids() - count);
  const char* from = payload() + static_cast<std::size_t>(start) * header_.id_bytes;
  const std::uint64_t largest = header_.id_bytes == 2 ? copy_as<std::uint16_t>(from, count, out)
                                                      : copy_as<std::uint32_t>(from, count, out);
  if (largest > header_.max_id) {
    damaged(format("id {} near position {}, its header says at most {}", largest, start,
                   header_.max_id));
  }
}

bool TokenFile::verify() const {
  const auto bytes = map_.bytes().substr(sizeof header_);
  return digest_of(bytes) == std::string(header_.payload_digest, sizeof header_.payload_digest);
}

void TokenFile::damaged(const std::string& why) const {
  throw Error(ErrorKind::kData, format("token file {} is damaged: {}", path_, why),
              "delete it; it is built again from its source");
}

}  // namespace moesaic
