#include "config/idx_file.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "core/path.h"

namespace moesaic {
namespace {

constexpr std::int64_t kMostDimensions = 8;
constexpr std::int64_t kMostValues = std::int64_t{1} << 40;
constexpr std::int64_t kMostPacked = 1032;  // bytes that deflate makes of one, at most

std::string why(gzFile_s* file) {
  int code = Z_OK;
  const char* const text = gzerror(file, &code);
  return code == Z_ERRNO ? std::strerror(errno) : text;
}

}  // namespace

void IdxFile::Close::operator()(gzFile_s* file) const { gzclose(file); }

IdxFile::IdxFile(const std::string& path) : path_(path) {
  const PathKind kind = what_is_at(path);
  MOESAIC_CHECK(kind != PathKind::kNothing, ErrorKind::kData,
                "cannot read {}: there is no such file", path);
  MOESAIC_CHECK(kind == PathKind::kFile, ErrorKind::kData,
                "cannot read {}: it is not a regular file", path);
  file_.reset(gzopen(path.c_str(), "rb"));  // reads plain files as they are
  MOESAIC_CHECK(file_ != nullptr, ErrorKind::kData, "cannot read {}: {}", path,
                std::strerror(errno));
  read_shape();
  require_room();
}

void IdxFile::fill(std::uint8_t* into, std::int64_t bytes, const char* part) {
  constexpr std::int64_t kMostAtOnce = 1 << 24;
  for (std::int64_t done = 0; done < bytes;) {
    const std::int64_t now = std::min(bytes - done, kMostAtOnce);
    const int got = gzread(file_.get(), into + done, static_cast<unsigned>(now));
    MOESAIC_CHECK(got >= 0, ErrorKind::kData, "{} is damaged: {}", path_, why(file_.get()));
    MOESAIC_CHECK(got > 0, ErrorKind::kData,
                  "{} is cut off: it ends after {} of {} bytes of its {}", path_, done, bytes,
                  part);
    done += got;
  }
}

void IdxFile::read_shape() {
  std::array<std::uint8_t, 4> magic{};
  fill(magic.data(), std::ssize(magic), "header");
  constexpr std::uint8_t kUnsignedByte = 8;
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != kUnsignedByte || magic[3] < 1 ||
      magic[3] > kMostDimensions) {
    throw Error(ErrorKind::kData,
                format("{} is no IDX file of unsigned bytes: it begins with {:02x} {:02x} {:02x} "
                       "{:02x}, not with 00 00 08 and the number of dimensions, 01 to 08",
                       path_, magic[0], magic[1], magic[2], magic[3]),
                "take the files of the MNIST family, plain or as .gz");
  }
  for (int dimension = 0; dimension < magic[3]; ++dimension) {
    std::array<std::uint8_t, 4> bytes{};
    fill(bytes.data(), std::ssize(bytes), "header");
    std::int64_t extent = 0;
    for (const std::uint8_t byte : bytes) extent = extent * 256 + byte;
    MOESAIC_CHECK(extent > 0, ErrorKind::kData, "{} is empty: dimension {} is 0", path_, dimension);
    MOESAIC_CHECK(extent <= kMostValues / values_, ErrorKind::kData,
                  "{}: the sizes in its header give more than {} values", path_, kMostValues);
    shape_.push_back(extent);
    values_ *= extent;
  }
}

// Before anything of that size is allocated.
void IdxFile::require_room() const {
  const auto size = static_cast<std::int64_t>(file_size(path_));
  const std::int64_t header = 4 + 4 * std::ssize(shape_), all = header + values_;
  if (gzdirect(file_.get()) == 1) {
    MOESAIC_CHECK(size >= all, ErrorKind::kData,
                  "{} is cut off: it has {} bytes, and its header says {}", path_, size, all);
    MOESAIC_CHECK(size == all, ErrorKind::kData,
                  "{} has {} bytes, and its header says {}: it is damaged", path_, size, all);
    return;
  }
  MOESAIC_CHECK(all / kMostPacked <= size, ErrorKind::kData,
                "{}: its header says {} bytes, more than its {} packed bytes can hold", path_, all,
                size);
}

void IdxFile::require_end() {
  std::uint8_t more = 0;
  const int got = gzread(file_.get(), &more, 1);
  MOESAIC_CHECK(got >= 0, ErrorKind::kData, "{} is damaged: {}", path_, why(file_.get()));
  MOESAIC_CHECK(got == 0, ErrorKind::kData,
                "{} goes on after the {} values that its header says: it is damaged", path_,
                values_);
  int code = Z_OK;
  const char* const text = gzerror(file_.get(), &code);  // a file that ends within gzip's own end
  MOESAIC_CHECK(code == Z_OK || code == Z_STREAM_END, ErrorKind::kData, "{} is cut off: {}", path_,
                text);
}

std::vector<std::uint8_t> IdxFile::read() {
  std::vector<std::uint8_t> values(static_cast<std::size_t>(values_));
  fill(values.data(), values_, "values");
  require_end();
  return values;
}

}  // namespace moesaic
