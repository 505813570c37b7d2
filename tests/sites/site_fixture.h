// A coordinator and silos on the loopback, with real keys.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/fs.h"
#include "identity/keys.h"
#include "sites/client.h"
#include "sites/server.h"
#include "support/temporary_folder.h"

namespace moesaic::sites {

/// A server with a thread that answers what comes, as `answer` says.
class TestCoordinator {
 public:
  using AnswerTo = std::function<void(Request&)>;

  TestCoordinator(const CoordinatorServer::Options& options, AnswerTo answer)
      : server_(options), answer_(std::move(answer)), thread_([this] { run(); }) {}
  ~TestCoordinator() {
    ended_ = true;
    thread_.join();
  }

  CoordinatorServer& server() { return server_; }
  /// How many messages of this kind were handed out.
  int count(const std::string& kind) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(kind);
    return found == counts_.end() ? 0 : found->second;
  }
  /// What ended it, "" while it goes on.
  std::string failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  void run() {
    while (!ended_) {
      std::optional<Request> request;
      try {
        request = server_.next(0.02);
      } catch (const Error& error) {
        const std::lock_guard lock(mutex_);
        failure_ = error.what();
        return;
      }
      if (!request) continue;
      {
        const std::lock_guard lock(mutex_);
        ++counts_[request->message().kind];
      }
      answer_(*request);
    }
  }

  CoordinatorServer server_;
  AnswerTo answer_;
  mutable std::mutex mutex_;
  std::map<std::string, int> counts_;
  std::string failure_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

class SiteTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kMost = 64U << 20;

  void SetUp() override { make("keys"); }

  void make(const std::string& name, int days = 100) const {
    identity::make_keys({.folder = at(name),
                         .coordinator = "127.0.0.1",
                         .silos = {"north", "south"},
                         .days = days});
  }
  std::string at(const std::string& name) const { return folder_.path() + "/" + name; }

  CoordinatorServer::Options server_options() const {
    return {.listen = "127.0.0.1:0",
            .keys = at("keys/coordinator"),
            .run = "run-1",
            .inbox = at("inbox"),
            .most_blob_bytes = kMost,
            .heartbeat_s = 1.0,
            .stall_s = 5.0};
  }
  SiloClient::Options silo_options(int port, const std::string& silo = "north") const {
    return {.connect = "127.0.0.1:" + std::to_string(port),
            .keys = at("keys/") + silo,
            .heartbeat_s = 0.1,
            .stall_s = 5.0,
            .deadline_s = 10.0};
  }
  /// Keeps the file of a change, answers everything with its kind.
  std::unique_ptr<TestCoordinator> coordinator() {
    return std::make_unique<TestCoordinator>(server_options(), [this](Request& request) {
      if (!request.file().empty()) kept_ = read_file(request.file());
      request.answer({.kind = request.message().kind});
    });
  }

  /// Bytes without a pattern, but for a text that can be looked for.
  static std::string content(std::size_t bytes) {
    std::string text;
    for (std::uint64_t state = 1; text.size() < bytes;
         state = state * 6364136223846793005U + 1442695040888963407U) {
      if (text.size() % 4096 < 32) text += marker();
      text.append(reinterpret_cast<const char*>(&state), sizeof state);
    }
    text.resize(bytes);
    return text;
  }
  static std::string marker() { return "patient record of the hospital"; }

  moesaic::testing::TemporaryFolder folder_;
  std::string kept_;
};

/// Until it holds, or for five seconds.
inline bool soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 250; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return holds();
}

}  // namespace moesaic::sites
