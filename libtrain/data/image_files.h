// ImageFiles: IDX files in memory, each read once however many sources and tasks take images of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace moesaic {

class ImageFiles {
 public:
  using Values = std::shared_ptr<const std::vector<std::uint8_t>>;

  /// All values of the file, item after item. Errors as IdxFile has.
  Values values(const std::string& path);
  /// Of the file as it is on disk, packed or not. Errors as digest_of_file has.
  const std::string& digest(const std::string& path);

 private:
  std::map<std::string, Values> values_;
  std::map<std::string, std::string> digests_;
};

}  // namespace moesaic
