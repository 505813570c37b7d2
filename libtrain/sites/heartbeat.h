// Heartbeat: something done again and again by a thread of its own, until it goes away.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace moesaic::sites {

class Heartbeat {
 public:
  /// `beat` is called every `seconds`. It throws nothing.
  Heartbeat(double seconds, std::function<void(Heartbeat&)> beat);
  /// Cuts a call under way short.
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  /// One call of `beat`; CANCELLED when the end has come.
  grpc::Status call(const std::function<grpc::Status(grpc::ClientContext&)>& attempt);

 private:
  void run();

  double seconds_;
  std::function<void(Heartbeat&)> beat_;
  std::mutex mutex_;
  std::condition_variable changed_;
  grpc::ClientContext* under_way_ = nullptr;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace moesaic::sites
