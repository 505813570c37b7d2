// IdxFile: an array of unsigned bytes in the IDX format of the MNIST data sets (LeCun, Cortes and
// Burges, "The MNIST database of handwritten digits"), plain or gzip. Two zero bytes, the type (8),
// the number of dimensions; the extent of each in four bytes, the highest first; then the values,
// the last dimension fastest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct gzFile_s;  // zlib's

namespace moesaic {

class IdxFile {
 public:
  /// Opens the file and reads its header. Error(kData), naming the file, for what is no regular
  /// file, no IDX file of unsigned bytes, or cannot hold as many values as it says.
  explicit IdxFile(const std::string& path);

  const std::string& path() const { return path_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }  // one extent or more, none 0
  std::int64_t items() const { return shape_.front(); }
  std::int64_t item_values() const { return values_ / items(); }

  /// All values, to be called once. Error(kData) where the file is damaged, shorter or longer than
  /// its header says.
  std::vector<std::uint8_t> read();

 private:
  struct Close {
    void operator()(gzFile_s* file) const;
  };

  void fill(std::uint8_t* into, std::int64_t bytes, const char* part);
  void read_shape();
  void require_room() const;
  void require_end();

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
  std::vector<std::int64_t> shape_;
  std::int64_t values_ = 1;
};

}  // namespace moesaic
