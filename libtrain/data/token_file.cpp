#include "data/token_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "core/digest.h"

namespace moesaic {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");

constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 48U;  // see TokenFileLayout::of

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

TokenFileLayout TokenFileLayout::of(const TokenFileHeader& h) {
  TokenFileLayout at{};
  at.documents = sizeof h + padded(h.ids * h.id_bytes);
  at.targets = at.documents + 8 * (h.documents + 1);
  const bool targets = (h.sections & TokenFileHeader::kTargets) != 0;
  at.owners = at.targets + (targets ? padded((h.ids + 7) / 8) : 0);
  const bool owners = (h.sections & TokenFileHeader::kOwners) != 0;
  at.name_offsets = at.owners + (owners ? padded(4 * h.documents) : 0);
  at.names = at.name_offsets + (owners ? 8 * (h.owners + 1) : 0);
  at.end = at.names + (owners ? padded(h.owner_name_bytes) : 0);
  return at;
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
  check_sections();
  layout_ = TokenFileLayout::of(header_);
  if (bytes.size() != layout_.end) {
    damaged(format("it has {} bytes, its header says {}", bytes.size(), layout_.end));
  }
  check_documents();
  check_owners();
}

void TokenFile::check_header() const {
  const auto& h = header_;
  if (std::memcmp(h.magic, TokenFileHeader::kMagic, sizeof h.magic) != 0) {
    throw Error(ErrorKind::kData, format("{} is not a token file", path_),
                "make one with: moesaic data build --output FILE.tokens INPUTS...");
  }
  MOESAIC_CHECK(h.version == TokenFileHeader::kPlain || h.version == TokenFileHeader::kWithSections,
                ErrorKind::kData,
                "{} is a token file of version {}, this program reads versions {} and {}", path_,
                h.version, TokenFileHeader::kPlain, TokenFileHeader::kWithSections);
  if (std::string(h.header_digest, sizeof h.header_digest) != h.digest()) {
    damaged("the digest of its header is another");
  }
  if (h.id_bytes != 2 && h.id_bytes != 4) damaged(format("ids of {} bytes", h.id_bytes));
  if (h.ids == 0 || h.ids > kMaxCount || h.documents == 0 || h.documents > h.ids ||
      h.max_id >> (8 * h.id_bytes) != 0) {
    damaged(format("{} ids, {} documents, largest id {}", h.ids, h.documents, h.max_id));
  }
}

void TokenFile::check_sections() const {
  const auto& h = header_;
  const std::uint32_t known = h.version == TokenFileHeader::kPlain
                                  ? 0
                                  : TokenFileHeader::kTargets | TokenFileHeader::kOwners;
  if ((h.sections & ~known) != 0 || h.reserved != 0) {
    damaged(format("version {} has no sections {:#x}", h.version, h.sections & ~known));
  }
  const bool has_owners = (h.sections & TokenFileHeader::kOwners) != 0;
  const std::uint64_t most =
      has_owners ? std::min<std::uint64_t>(h.documents, std::numeric_limits<std::uint32_t>::max())
                 : 0;
  if ((h.owners == 0) == has_owners || h.owners > most ||
      h.owner_name_bytes > (has_owners ? kMaxCount : 0)) {
    damaged(format("{} owners of {} documents, with {} bytes of names", h.owners, h.documents,
                   h.owner_name_bytes));
  }
}

void TokenFile::check_documents() const {
  std::int64_t last = document_start(0);
  if (last != 0) damaged(format("the first document starts at id {}", last));
  for (std::int64_t i = 1; i <= documents(); ++i) {
    const std::int64_t next = document_start(i);
    if (next <= last) damaged(format("document {} starts at id {}, the next at {}", i, last, next));
    last = next;
  }
  if (last != ids()) damaged(format("the last document ends at id {} of {}", last, ids()));
}

void TokenFile::check_owners() const {
  if (owners() == 0) return;
  for (std::int64_t i = 0; i < documents(); ++i) {
    if (owner(i) >= owners()) {
      damaged(format("document {} has owner {} of {}", i + 1, owner(i), owners()));
    }
  }
  std::uint64_t last = 0;
  for (std::int64_t i = 0; i <= owners(); ++i) {
    const auto next = number_at<std::uint64_t>(layout_.name_offsets, i);
    const bool is_end = i == 0 || i == owners();
    if (next < last || next > header_.owner_name_bytes ||
        (is_end && next != (i == 0 ? 0 : header_.owner_name_bytes))) {
      damaged(format("name {} of its owners begins at byte {} of {}", i + 1, next,
                     header_.owner_name_bytes));
    }
    last = next;
  }
  for (std::int64_t i = 1; i < owners(); ++i) {
    if (owner_name(i) <= owner_name(i - 1)) damaged(format("name {} is out of order", i + 1));
  }
}

template <class Number>
Number TokenFile::number_at(std::uint64_t part, std::int64_t index) const {
  Number number;
  std::memcpy(&number,
              map_.bytes().data() + part + static_cast<std::uint64_t>(index) * sizeof number,
              sizeof number);
  return number;
}

std::int64_t TokenFile::document_start(std::int64_t index) const {
  MOESAIC_ASSERT(index >= 0 && index <= documents());
  return number_at<std::int64_t>(layout_.documents, index);
}

void TokenFile::copy_ids(std::int64_t start, std::int64_t count, std::int64_t* out) const {
  MOESAIC_ASSERT(start >= 0 && count >= 0 && start <= ids() - count);
  const char* from =
      map_.bytes().data() + sizeof header_ + static_cast<std::size_t>(start) * header_.id_bytes;
  const std::uint64_t largest = header_.id_bytes == 2 ? copy_as<std::uint16_t>(from, count, out)
                                                      : copy_as<std::uint32_t>(from, count, out);
  if (largest > header_.max_id) {
    damaged(format("id {} near position {}, its header says at most {}", largest, start,
                   header_.max_id));
  }
}

void TokenFile::copy_target_bits(std::int64_t start, std::int64_t count, std::uint8_t* out) const {
  MOESAIC_ASSERT(start >= 0 && count >= 0 && start <= ids() - count && has_target_bits());
  for (std::int64_t i = start; i < start + count; ++i) {
    *out++ = number_at<std::uint8_t>(layout_.targets, i / 8) >> (i % 8) & 1;
  }
}

std::int64_t TokenFile::targets(std::int64_t start, std::int64_t count) const {
  MOESAIC_ASSERT(start >= 0 && count >= 0 && start <= ids() - count);
  if (!has_target_bits()) return count;
  std::int64_t sum = 0;
  for (std::int64_t i = start; i < start + count;) {  // 64 bits at a time, but for the ends
    const std::int64_t end = std::min(start + count, i / 64 * 64 + 64);
    auto bits = number_at<std::uint64_t>(layout_.targets, i / 64) >> (i % 64);
    if (end - i < 64) bits &= (std::uint64_t{1} << (end - i)) - 1;
    sum += std::popcount(bits);
    i = end;
  }
  return sum;
}

std::int64_t TokenFile::owner(std::int64_t index) const {
  MOESAIC_ASSERT(index >= 0 && index < documents() && owners() > 0);
  return number_at<std::uint32_t>(layout_.owners, index);
}

std::string_view TokenFile::owner_name(std::int64_t owner) const {
  MOESAIC_ASSERT(owner >= 0 && owner < owners());
  const auto begin = number_at<std::uint64_t>(layout_.name_offsets, owner);
  const auto end = number_at<std::uint64_t>(layout_.name_offsets, owner + 1);
  return map_.bytes().substr(layout_.names + begin, end - begin);
}

bool TokenFile::verify() const {
  const auto bytes = map_.bytes().substr(sizeof header_);
  return digest_of(bytes) == digest();
}

void TokenFile::damaged(const std::string& why) const {
  throw Error(ErrorKind::kData, format("token file {} is damaged: {}", path_, why),
              "delete it; it is built again from its source");
}

}  // namespace moesaic
