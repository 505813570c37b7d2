// Tracer: what one rank did when, recorded as spans of named work. Bounded: when it is full it only
// counts what it drops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace moesaic {

class Tracer {
 public:
  enum class Kind : std::uint8_t {
    kSpan,        // nests with the other kinds but kCollective
    kBackward,    // one node of the graph in backward
    kWait,        // this rank is blocked in a collective
    kCollective,  // a collective is under way; these overlap
  };
  struct Event {
    std::uint32_t name = 0;  // position in names()
    Kind kind = Kind::kSpan;
    std::int64_t begin_ns = 0;
    std::int64_t end_ns = kOpen;
  };
  using Id = std::size_t;

  static constexpr std::int64_t kOpen = -1;
  static constexpr std::size_t kMaxEvents = 400'000;  // 12 MB here, about 50 MB in the file

  explicit Tracer(std::size_t max_events = kMaxEvents) : max_events_(max_events) {}

  /// A span begins now; `end` takes what this returns. The events stay in the order of their
  /// beginnings. Threads may call both.
  Id begin(Kind kind, std::string_view name);
  void end(Id id);

  /// Ends what is still open, and records nothing more: call it before reading.
  void stop();

  const std::vector<Event>& events() const { return events_; }
  const std::vector<std::string>& names() const { return names_; }
  std::size_t dropped() const { return dropped_; }

  /// Seconds in all spans of that kind, or of that name; spans of it inside each other count twice.
  double seconds(Kind kind) const;
  double seconds(std::string_view name) const;
  /// The same for each name of a kind, the longest first.
  std::vector<std::pair<std::string, double>> seconds_by_name(Kind kind) const;

 private:
  static constexpr Id kDropped = static_cast<Id>(-1);

  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  std::uint32_t number_of(std::string_view name);
  bool full() const { return stopped_ || events_.size() >= max_events_; }

  std::mutex mutex_;
  std::size_t max_events_;
  bool stopped_ = false;
  std::vector<Event> events_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> numbers_;
  std::size_t dropped_ = 0;
};

}  // namespace moesaic
