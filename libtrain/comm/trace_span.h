// Spans of the profile (docs/profiling.md), announced through LibTorch's own profiling hook: a step
// that nobody profiles pays a look at a thread-local per span, and no code has to carry a tracer.
// The hook also tells of every node of the graph in backward, by the name it was recorded with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace at {
struct RecordFunction;
}

namespace moesaic {

/// Names that the profile itself knows about.
namespace span_name {
inline constexpr const char* kBackward = "backward";  // its nodes are grouped by layer
inline constexpr const char* kLayer = "layer";
inline constexpr const char* kWait = "wait";
inline constexpr const char* kData = "data";
inline constexpr const char* kLog = "log";
}  // namespace span_name

/// From the construction to the end of the scope. Spans of a thread nest.
class Span {
 public:
  explicit Span(const std::string& name);
  explicit Span(const char* name);
  /// "layer 3", "wait dispatch": put together only when somebody profiles.
  Span(const char* name, std::int64_t number);
  Span(const char* name, const std::string& detail);
  ~Span();
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  std::unique_ptr<at::RecordFunction> function_;
};

/// From the construction to end(): work that goes on beside the thread. Such spans overlap.
class AsyncSpan {
 public:
  AsyncSpan();
  explicit AsyncSpan(const std::string& name);
  ~AsyncSpan();
  AsyncSpan(AsyncSpan&& other) noexcept;
  AsyncSpan& operator=(AsyncSpan&& other) noexcept;

  void end();

 private:
  std::unique_ptr<at::RecordFunction> function_;
};

}  // namespace moesaic
