#include "data/image_files.h"

#include "config/idx_file.h"
#include "core/digest.h"

namespace moesaic {

ImageFiles::Values ImageFiles::values(const std::string& path) {
  Values& values = values_[path];
  if (values == nullptr)
    values = std::make_shared<const std::vector<std::uint8_t>>(IdxFile(path).read());
  return values;
}

const std::string& ImageFiles::digest(const std::string& path) {
  std::string& digest = digests_[path];
  if (digest.empty()) digest = digest_of_file(path);
  return digest;
}

}  // namespace moesaic
