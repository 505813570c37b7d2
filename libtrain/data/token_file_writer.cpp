#include "data/token_file_writer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace moesaic {

// Disk full and folders that cannot be written end a job as they do for checkpoints: exit code 7.
void TokenFileWriter::fail() const {
  throw Error(ErrorKind::kCheckpoint,
              format("cannot write token file {}: {}", temporary_, std::strerror(errno)),
              "free some space, or choose another folder: data.cache, --output");
}

TokenFileWriter::TokenFileWriter(const std::string& path, int id_bytes)
    : path_(path),
      temporary_(path + ".tmp"),
      file_(std::fopen(temporary_.c_str(), "wbe"), &std::fclose) {
  MOESAIC_ASSERT(id_bytes == 2 || id_bytes == 4);
  if (file_ == nullptr) fail();
  std::copy_n(TokenFileHeader::kMagic, sizeof header_.magic, header_.magic);
  header_.id_bytes = static_cast<std::uint32_t>(id_bytes);
  // Not valid until publish() writes it again.
  if (std::fwrite(&header_, sizeof header_, 1, file_.get()) != 1) fail();
}

TokenFileWriter::~TokenFileWriter() {
  if (file_ != nullptr) ::unlink(temporary_.c_str());
}

void TokenFileWriter::write(const void* data, std::size_t bytes) {
  digest_.update(data, bytes);
  written_ += bytes;
  if (std::fwrite(data, 1, bytes, file_.get()) != bytes) fail();
}

template <class Id>
void TokenFileWriter::write_ids(std::span<const std::uint32_t> ids) {
  std::array<Id, 4096> block;
  while (!ids.empty()) {
    const auto part = ids.first(std::min(ids.size(), block.size()));
    std::transform(part.begin(), part.end(), block.begin(),
                   [](std::uint32_t id) { return static_cast<Id>(id); });
    write(block.data(), part.size() * sizeof(Id));
    ids = ids.subspan(part.size());
  }
}

void TokenFileWriter::add(std::span<const std::uint32_t> ids,
                          std::span<const std::uint8_t> may_be_target) {
  MOESAIC_ASSERT(may_be_target.empty() || may_be_target.size() == ids.size());
  if (ids.empty()) return;
  note_targets(ids.size(), may_be_target);
  header_.max_id =
      std::max<std::uint64_t>(header_.max_id, *std::max_element(ids.begin(), ids.end()));
  MOESAIC_ASSERT(header_.id_bytes == 4 || header_.max_id <= 0xffff);
  header_.ids += ids.size();
  if (header_.id_bytes == 2)
    write_ids<std::uint16_t>(ids);
  else
    write_ids<std::uint32_t>(ids);
}

void TokenFileWriter::note_targets(std::size_t ids, std::span<const std::uint8_t> may_be_target) {
  const bool some_are_none =
      std::find(may_be_target.begin(), may_be_target.end(), 0) != may_be_target.end();
  if (may_be_target_.empty()) {
    if (!some_are_none) return;
    may_be_target_.assign(header_.ids, true);
  }
  if (some_are_none)
    may_be_target_.insert(may_be_target_.end(), may_be_target.begin(), may_be_target.end());
  else
    may_be_target_.insert(may_be_target_.end(), ids, true);
}

void TokenFileWriter::end_document() {
  MOESAIC_ASSERT(header_.ids > starts_.back());
  starts_.push_back(header_.ids);
}

void TokenFileWriter::end_document(std::string_view owner) {
  end_document();
  auto known = owners_.find(owner);
  if (known == owners_.end()) {
    known = owners_.emplace(owner, static_cast<std::uint32_t>(owners_.size())).first;
  }
  owner_of_document_.push_back(known->second);
}

void TokenFileWriter::pad() {
  const std::uint64_t zeros = 0;
  write(&zeros, padded(written_) - written_);
}

void TokenFileWriter::write_targets() {
  if (may_be_target_.empty()) return;
  header_.sections |= TokenFileHeader::kTargets;
  std::vector<std::uint8_t> bytes((may_be_target_.size() + 7) / 8);
  for (std::size_t i = 0; i < may_be_target_.size(); ++i) {
    if (may_be_target_[i]) bytes[i / 8] |= static_cast<std::uint8_t>(1U << (i % 8));
  }
  write(bytes.data(), bytes.size());
  pad();
}

void TokenFileWriter::write_owners() {
  if (owners_.empty()) return;
  MOESAIC_ASSERT(owner_of_document_.size() == documents());
  header_.sections |= TokenFileHeader::kOwners;
  header_.owners = owners_.size();
  std::vector<std::uint32_t> rank(owners_.size());  // in the order of the names
  std::vector<std::uint64_t> name_offsets = {0};
  for (const auto& [name, number] : owners_) {
    rank[number] = static_cast<std::uint32_t>(name_offsets.size() - 1);
    name_offsets.push_back(name_offsets.back() + name.size());
  }
  for (std::uint32_t& owner : owner_of_document_) owner = rank[owner];
  write(owner_of_document_.data(), owner_of_document_.size() * sizeof owner_of_document_[0]);
  pad();
  write(name_offsets.data(), name_offsets.size() * sizeof name_offsets[0]);
  for (const auto& [name, number] : owners_) write(name.data(), name.size());
  header_.owner_name_bytes = name_offsets.back();
  pad();
}

void TokenFileWriter::publish() {
  MOESAIC_ASSERT(documents() > 0 && header_.ids == starts_.back());
  pad();
  write(starts_.data(), starts_.size() * sizeof starts_[0]);
  header_.documents = documents();
  write_targets();
  write_owners();
  if (header_.sections != 0) header_.version = TokenFileHeader::kWithSections;
  digest_.hex().copy(header_.payload_digest, sizeof header_.payload_digest);
  header_.digest().copy(header_.header_digest, sizeof header_.header_digest);
  std::FILE* file = file_.get();
  if (std::fseek(file, 0, SEEK_SET) != 0 || std::fwrite(&header_, sizeof header_, 1, file) != 1 ||
      std::fflush(file) != 0 || ::fsync(::fileno(file)) != 0) {
    fail();
  }
  moesaic::publish(temporary_, path_);
  file_.reset();
}

}  // namespace moesaic
