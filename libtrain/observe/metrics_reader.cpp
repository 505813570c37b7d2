#include "observe/metrics_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/json_events.h"
#include "core/path.h"

namespace moesaic {
namespace {

constexpr std::size_t kPiece = 1U << 20;
constexpr std::size_t kLongestRow = 16U << 20;

class RowEvents : public JsonEvents {
 public:
  RowEvents() : JsonEvents("row", ErrorKind::kData) {}

  bool null() override { return value(std::numeric_limits<double>::quiet_NaN()); }
  bool boolean(bool) override { return true; }
  bool string(string_t&) override { return true; }
  bool number_float(number_float_t number, const string_t&) override { return value(number); }
  bool number_integer(number_integer_t number) override { return whole(number); }
  bool number_unsigned(number_unsigned_t number) override {
    if (number > std::numeric_limits<std::int64_t>::max())
      return value(static_cast<double>(number));
    return whole(static_cast<std::int64_t>(number));
  }
  bool start_object(std::size_t) override { return open(false); }
  bool start_array(std::size_t) override { return open(depth_ == 1); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (depth_ == 1) name_ = name;
    return true;
  }

  std::optional<MetricsRow> row() {
    if (!has_step_) return std::nullopt;
    return std::move(row_);
  }

 protected:
  bool unexpected(const std::string& got) const override { fail(got + " is no row"); }

 private:
  bool open(bool list) {
    in_list_ = list;
    if (list) row_.vectors.emplace_back(name_, std::vector<double>());
    ++depth_;
    return true;
  }
  bool close() {
    --depth_;
    in_list_ = false;
    return true;
  }
  bool value(double number) {
    if (depth_ == 1 && name_ != "step") row_.set(name_, number);
    if (depth_ == 2 && in_list_) row_.vectors.back().second.push_back(number);
    return true;
  }
  bool whole(std::int64_t number) {
    if (depth_ != 1 || name_ != "step") return value(static_cast<double>(number));
    row_.step = number;
    has_step_ = number >= 0;
    return true;
  }

  MetricsRow row_;
  std::string name_;
  int depth_ = 0;
  bool in_list_ = false;  // a list of the row itself
  bool has_step_ = false;
};

class ReadDescriptor {
 public:
  explicit ReadDescriptor(const std::string& path) : path_(path) {
    MOESAIC_CHECK(is_file(path), ErrorKind::kData, "{}: there are no metrics", path);
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) fail();
  }
  ~ReadDescriptor() { ::close(fd_); }
  ReadDescriptor(const ReadDescriptor&) = delete;
  ReadDescriptor& operator=(const ReadDescriptor&) = delete;

  struct stat about() const {
    struct stat found {};
    if (::fstat(fd_, &found) != 0) fail();
    return found;
  }
  std::size_t read(char* into, std::size_t most, std::uint64_t offset) const {
    const ssize_t got = ::pread(fd_, into, most, static_cast<off_t>(offset));
    if (got < 0) fail();
    return static_cast<std::size_t>(got);
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::kData, format("cannot read {}: {}", path_, std::strerror(errno)));
  }

  const std::string& path_;
  int fd_ = -1;
};

}  // namespace

std::optional<MetricsRow> metrics_row(std::string_view line) {
  try {
    RowEvents events;
    events.read(line, {.bytes = kLongestRow});
    return events.row();
  } catch (const Error&) {
    return std::nullopt;
  }
}

void MetricsReader::read(const std::function<void()>& begin,
                         const std::function<void(const MetricsRow&)>& take) {
  const ReadDescriptor file(path_);
  const struct stat about = file.about();
  if (about.st_ino != inode_ || static_cast<std::uint64_t>(about.st_size) < offset_) {
    start_anew();
    inode_ = about.st_ino;
    begin();
  }
  std::string piece(kPiece, '\0');
  while (const std::size_t got = file.read(piece.data(), piece.size(), offset_)) {
    offset_ += got;
    take_lines(std::string_view(piece).substr(0, got), take);
  }
  found_.torn = overlong_ || !rest_.empty();
}

void MetricsReader::start_anew() { *this = MetricsReader(path_); }

void MetricsReader::take_lines(std::string_view bytes,
                               const std::function<void(const MetricsRow&)>& take) {
  for (std::size_t end; (end = bytes.find('\n')) != std::string_view::npos;
       bytes.remove_prefix(end + 1)) {
    ++lines_;
    const std::string_view line = bytes.substr(0, end);
    if (rest_.empty() && !overlong_)
      take_line(line, take);
    else
      take_line(overlong_ ? std::string_view() : rest_.append(line), take);
    rest_.clear();
    overlong_ = false;
  }
  overlong_ = overlong_ || rest_.size() + bytes.size() > kLongestRow;
  if (overlong_)
    rest_.clear();
  else
    rest_.append(bytes);
}

void MetricsReader::take_line(std::string_view line,
                              const std::function<void(const MetricsRow&)>& take) {
  const std::optional<MetricsRow> row = metrics_row(line);
  if (!row) {
    if (found_.damaged++ == 0) found_.first_damaged = lines_;
  } else if (row->step <= last_step_) {
    ++found_.disordered;
  } else {
    ++found_.rows;
    last_step_ = row->step;
    take(*row);
  }
}

std::vector<std::string> MetricsReader::remarks() const {
  std::vector<std::string> texts;
  if (found_.rows == 0 && found_.damaged > 0)
    texts.push_back(format("{} holds no row of metrics that this version can read", path_));
  else if (found_.damaged > 0)
    texts.push_back(format("{} lines of {} are no rows of metrics, the first is line {}: left out",
                           found_.damaged, path_, found_.first_damaged));
  if (found_.disordered > 0)
    texts.push_back(format("{} rows of {} are of steps that were there before: left out",
                           found_.disordered, path_));
  if (found_.torn)
    texts.push_back(
        format("the last line of {} has no end: it is being written, or was cut off", path_));
  return texts;
}

}  // namespace moesaic
