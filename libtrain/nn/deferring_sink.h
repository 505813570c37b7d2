// DeferringSink: puts off the gradients of weights, which nothing in the backward pass waits for,
// until rows of tokens are on their way between ranks: then there is something to compute.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "comm/communicator.h"
#include "nn/gradient_sink.h"

namespace moesaic {

class DeferringSink : public PassingSink {
 public:
  DeferringSink(std::unique_ptr<GradientSink> sink, const Communicator& world)
      : PassingSink(*sink), sink_(std::move(sink)), world_(world) {}

  /// Keeps the use of a product's weight, and hands over the oldest where too many wait: what they
  /// refer to takes memory.
  void add(const ParameterUse& use) override;
  void close(const Parameter& parameter, const HandOverAgain& again) override;
  /// Hands over all that waits, in order.
  void catch_up() override;
  void end() override;

 private:
  /// A use, or the end of an operation (no use).
  struct Waiting {
    const Parameter* parameter = nullptr;
    std::optional<ParameterUse> use = std::nullopt;
    HandOverAgain again = {};
  };
  bool waits(const Parameter& parameter) const;
  /// The oldest use, and the ends of operations that were next.
  void hand_over_oldest();

  std::unique_ptr<GradientSink> sink_;
  Communicator world_;
  std::deque<Waiting> waiting_;
  std::size_t uses_ = 0;  // of those that wait
};

}  // namespace moesaic
