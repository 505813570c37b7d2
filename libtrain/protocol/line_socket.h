// LineSocket: lines of text between two processes of one machine, each of a bounded length.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace moesaic::sites {

/// Of one line: a message and what is around it.
inline constexpr std::size_t kLineBytes = 4U << 20;

class LineSocket {
 public:
  /// Takes a connected stream socket, and closes it. `other` names the other end in errors.
  LineSocket(int socket, std::string other);
  ~LineSocket();
  LineSocket(const LineSocket&) = delete;
  LineSocket& operator=(const LineSocket&) = delete;

  /// The next line without its end, after at most `wait_s` seconds; nothing when there is none.
  /// Error(kCommunication) when the other end is gone, or when it sends a line that is too long.
  std::optional<std::string> read(double wait_s);

  /// Error(kCommunication) when the other end is gone, or takes nothing for a minute. Error(kData)
  /// for a line that is too long.
  void write(const std::string& line);

  /// Whether the other end has closed: takes nothing.
  bool is_gone() const;

  void close();

 private:
  /// What has come, after at most `wait_s` seconds; false when nothing has.
  bool receive(double wait_s);

  int socket_;
  std::string other_;
  std::string held_;          // what came after the last line
  std::size_t searched_ = 0;  // of it, without a line's end
};

}  // namespace moesaic::sites
