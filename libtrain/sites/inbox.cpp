#include "sites/inbox.h"

#include "core/fs.h"
#include "core/path.h"

namespace moesaic::sites {

// The file is written by one thread at a time: whoever holds the lock of the upload.
class Inbox::Upload {
 public:
  Upload(const std::string& path, const Blob& blob) : file_(path, blob) {}

  std::uint64_t add(std::uint64_t offset, const std::string& piece) {
    const std::lock_guard lock(mutex_);
    MOESAIC_CHECK(!replaced_, ErrorKind::kCommunication, "another transfer of this file has begun");
    file_.write(offset, piece);
    if (file_.is_whole()) file_.finish();
    return file_.bytes();
  }
  void replace() {
    const std::lock_guard lock(mutex_);
    replaced_ = true;
  }

 private:
  std::mutex mutex_;
  PartFile file_;
  bool replaced_ = false;
};

Inbox::Inbox(std::string folder, std::uint64_t most_bytes)
    : folder_(std::move(folder)), most_bytes_(most_bytes) {
  make_folder(folder_);
}

std::string Inbox::folder_of(const std::string& silo) const { return folder_ + "/" + silo; }

std::string Inbox::path_of(const std::string& silo, const Blob& blob) const {
  return folder_of(silo) + "/" + blob.digest;
}

void Inbox::check(const Blob& blob) const { check_blob(blob, most_bytes_); }

std::uint64_t Inbox::expect(const std::string& silo, const Blob& blob) {
  check(blob);
  const std::lock_guard lock(mutex_);
  make_folder(folder_of(silo));
  const std::string& taken = silos_[silo].taken;
  for (const std::string& name : names_in(folder_of(silo))) {
    const bool kept =
        name == blob.digest || name == blob.digest + ".part" || (!taken.empty() && name == taken);
    if (!kept) remove_tree(folder_of(silo) + "/" + name);
  }
  const std::string path = path_of(silo, blob);
  if (is_file(path) && file_size(path) == blob.bytes) return blob.bytes;
  return PartFile::bytes_there(path, blob);
}

std::shared_ptr<Inbox::Upload> Inbox::begin(const std::string& silo, const Blob& blob) {
  expect(silo, blob);
  const auto replace = [&](const std::shared_ptr<Upload>& next) {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<Upload>& newest = silos_[silo].uploading;
    const std::shared_ptr<Upload> before = newest.lock();
    newest = next;
    return before;
  };
  if (const auto before = replace(nullptr)) before->replace();
  auto upload = std::make_shared<Upload>(path_of(silo, blob), blob);
  if (const auto before = replace(upload)) before->replace();
  return upload;
}

std::uint64_t Inbox::add(Upload& upload, std::uint64_t offset, const std::string& piece) {
  return upload.add(offset, piece);
}

std::string Inbox::take(const std::string& silo, const Blob& blob) {
  check(blob);
  const std::lock_guard lock(mutex_);
  const std::string path = path_of(silo, blob);
  if (!is_file(path) || file_size(path) != blob.bytes) return "";
  std::string& taken = silos_[silo].taken;
  MOESAIC_CHECK(taken.empty(), ErrorKind::kData,
                "silo '{}' sends a file while its last one is being looked at", silo);
  taken = blob.digest;
  return path;
}

void Inbox::release(const std::string& silo) {
  const std::lock_guard lock(mutex_);
  std::string& taken = silos_[silo].taken;
  if (taken.empty()) return;
  remove_tree(folder_of(silo) + "/" + taken);
  taken.clear();
}

}  // namespace moesaic::sites
