// DeferringSink: puts off the gradients of weights, which nothing in the backward pass waits for,
// until rows of tokens are on their way between ranks: then there is something to compute.
#pragma once

#include <deque>
#include <memory>

#include "comm/communicator.h"
#include "nn/gradient_sink.h"

namespace moesaic {

class DeferringSink : public GradientSink {
 public:
  DeferringSink(std::unique_ptr<GradientSink> sink, const Communicator& world)
      : sink_(std::move(sink)), world_(world) {}

  void expect(const Parameter& parameter) override { sink_->expect(parameter); }
  /// Keeps a use that may wait, and hands over the oldest where too many do: what they refer to
  /// takes memory.
  void accumulate(const ParameterUse& use) override;
  /// Hands over all that waits, in order.
  void catch_up() override;

 private:
  void hand_over(std::size_t count);

  std::unique_ptr<GradientSink> sink_;
  Communicator world_;
  std::deque<ParameterUse> waiting_;
};

}  // namespace moesaic
