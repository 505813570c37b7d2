// A proxy on the loopback that keeps what it forwards and can cut a connection in the middle.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace moesaic::testing {

class CutProxy {
 public:
  /// `keep`: seen() is wanted.
  explicit CutProxy(int to, bool keep = true)
      : to_(to), keep_(keep), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, plain, size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    EXPECT_EQ(::getsockname(listener_, plain, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~CutProxy() {
    ended_ = true;
    thread_.join();
    for (const Pair& pair : pairs_) close(pair);
    ::close(listener_);
  }

  int port() const { return port_; }
  /// Cuts every connection once after so many more bytes to the server, or from it.
  void cut_up_after(std::int64_t bytes) { up_left_ = bytes; }
  void cut_down_after(std::int64_t bytes) { down_left_ = bytes; }
  int cuts() const { return cuts_; }
  /// All bytes that were forwarded, both ways.
  std::string seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  struct Pair {
    int client;
    int server;
  };

  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
  }
  static void close(const Pair& pair) {
    ::close(pair.client);
    ::close(pair.server);
  }

  void run() {
    while (!ended_) {
      std::vector<pollfd> waiting{{listener_, POLLIN, 0}};
      for (const Pair& pair : pairs_) {
        waiting.push_back({pair.client, POLLIN, 0});
        waiting.push_back({pair.server, POLLIN, 0});
      }
      if (::poll(waiting.data(), waiting.size(), 20) <= 0) continue;
      std::vector<Pair> kept;
      bool cut = false;
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        const Pair& pair = pairs_[i];
        const bool alive =
            (waiting[1 + 2 * i].revents == 0 || forward(pair.client, pair.server, up_left_)) &&
            (waiting[2 + 2 * i].revents == 0 || forward(pair.server, pair.client, down_left_));
        if (alive)
          kept.push_back(pair);
        else
          close(pair);
        cut = cut || up_left_ < 0 || down_left_ < 0;
      }
      if (cut) end_all(kept);
      pairs_ = kept;
      if (waiting[0].revents != 0) accept();
    }
  }

  void end_all(std::vector<Pair>& kept) {
    for (const Pair& pair : kept) close(pair);
    kept.clear();
    up_left_ = kNever;
    down_left_ = kNever;
    ++cuts_;
  }

  void accept() {
    const int client = ::accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = loopback(to_);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      pairs_.push_back({client, server});
    else
      close({client, server});
  }

  // False at the end of a connection. Below 0 `left` says that it is time to cut.
  bool forward(int from, int to, std::atomic<std::int64_t>& left) {
    char buffer[1 << 14];
    const ssize_t got = ::recv(from, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    if (left != kNever && (left -= got) < 0) return false;
    if (keep_) {
      const std::lock_guard lock(mutex_);
      seen_.append(buffer, static_cast<std::size_t>(got));
    }
    for (ssize_t done = 0; done < got;) {
      const ssize_t sent =
          ::send(to, buffer + done, static_cast<std::size_t>(got - done), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      done += sent;
    }
    return true;
  }

  int to_;
  bool keep_;
  int listener_;
  int port_ = 0;
  std::vector<Pair> pairs_;
  mutable std::mutex mutex_;
  std::string seen_;
  std::atomic<std::int64_t> up_left_ = kNever;
  std::atomic<std::int64_t> down_left_ = kNever;
  std::atomic<int> cuts_ = 0;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace moesaic::testing
