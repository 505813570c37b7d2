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

void TokenFileWriter::add(std::span<const std::uint32_t> ids) {
  if (ids.empty()) return;
  header_.max_id =
      std::max<std::uint64_t>(header_.max_id, *std::max_element(ids.begin(), ids.end()));
  MOESAIC_ASSERT(header_.id_bytes == 4 || header_.max_id <= 0xffff);
  header_.ids += ids.size();
  if (header_.id_bytes == 2)
    write_ids<std::uint16_t>(ids);
  else
    write_ids<std::uint32_t>(ids);
}

void TokenFileWriter::end_document() {
  MOESAIC_ASSERT(header_.ids > starts_.back());
  starts_.push_back(header_.ids);
}

void TokenFileWriter::publish() {
  MOESAIC_ASSERT(documents() > 0 && header_.ids == starts_.back());
  const std::uint64_t zeros = 0;
  write(&zeros, padded_id_bytes(header_.ids, header_.id_bytes) - header_.ids * header_.id_bytes);
  write(starts_.data(), starts_.size() * sizeof starts_[0]);
  header_.documents = documents();
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
