// SiteLink: a job's end of the socket to moesaic-site, the program that speaks to the network for
// it and has no torch. Used by one thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>

#include "core/json.h"
#include "protocol/line_socket.h"

namespace moesaic {

class SiteLink {
 public:
  /// Starts the program, which is beside this one and ends with it, however this one ends.
  /// Error(kDevice) when it cannot be run.
  static std::unique_ptr<SiteLink> start();

  /// Takes a socket whose other end somebody serves; `process`, the child that does, 0 = none.
  explicit SiteLink(int socket, pid_t process = 0);
  /// Closes the socket and waits for the end of the program, at most a few seconds.
  ~SiteLink();
  SiteLink(const SiteLink&) = delete;
  SiteLink& operator=(const SiteLink&) = delete;

  /// What the other end answers to a request of sites/job_end.h; `alive`, which may throw, is
  /// called every half second meanwhile. Throws the error that the other end answers with, and
  /// Error(kCommunication) when it is gone, or after an earlier call that was cut short.
  Json call(const Json& request, const std::function<void()>& alive = {});

 private:
  Json answer(const std::function<void()>& alive);
  [[noreturn]] void fail(const Error& error);

  pid_t process_;
  sites::LineSocket socket_;
  bool waits_ = false;  // for an answer
};

}  // namespace moesaic
