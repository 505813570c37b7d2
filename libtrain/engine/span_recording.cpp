#include "engine/span_recording.h"

#include <ATen/SequenceNumber.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "comm/trace_span.h"
#include "core/format.h"

namespace moesaic {
namespace {

// Not PROFILER_STATE: allocators take what they find there for LibTorch's own class.
constexpr auto kDebugInfo = c10::DebugInfoKind::PRODUCER_INFO;

bool is_named(std::string_view text, std::string_view name) {
  return text.starts_with(name) && (text.size() == name.size() || text[name.size()] == ' ');
}

/// Which layer a node of backward belongs to. Nodes are numbered as forward makes them, so a
/// layer's are a range, and backward runs through the ranges one after the other.
class LayerRanges {
 public:
  void begin(std::string_view name) { open_ = {std::string(name), at::sequence_number::peek(), 0}; }
  void end() {
    open_.end = at::sequence_number::peek();
    ranges_.push_back(open_);
  }
  void clear() { ranges_.clear(); }

  /// nullptr for a node outside all layers.
  const std::string* of(std::int64_t node) const {
    const auto number = static_cast<std::uint64_t>(node);
    const auto found = std::find_if(ranges_.begin(), ranges_.end(), [number](const Range& r) {
      return number >= r.begin && number < r.end;
    });
    return found == ranges_.end() ? nullptr : &found->name;
  }

 private:
  struct Range {
    std::string name;
    std::uint64_t begin = 0, end = 0;
  };
  Range open_;
  std::vector<Range> ranges_;
};

/// One thread's view: where it is in the nesting of spans, and the tracer.
class Recorder : public c10::DebugInfoBase {
 public:
  explicit Recorder(std::shared_ptr<Tracer> tracer) : tracer_(std::move(tracer)) {}

  const std::shared_ptr<Tracer>& tracer() const { return tracer_; }

  Tracer::Id begin(const at::RecordFunction& function) {
    const std::string_view name = function.name();
    if (function.scope() == at::RecordScope::BACKWARD_FUNCTION) return begin_node(function, name);
    const bool backward = name == span_name::kBackward;
    if (backward) backward_depth_ = depth_ + 1;
    if (is_named(name, span_name::kLayer) && !in_backward()) layers_.begin(name);
    ++depth_;
    return tracer_->begin(
        is_named(name, span_name::kWait) ? Tracer::Kind::kWait : Tracer::Kind::kSpan, name);
  }

  void end(const at::RecordFunction& function, Tracer::Id id) {
    const std::string_view name = function.name();
    const bool node = function.scope() == at::RecordScope::BACKWARD_FUNCTION;
    if (!node && name == span_name::kBackward) end_backward();
    if (!node && is_named(name, span_name::kLayer) && !in_backward()) layers_.end();
    --depth_;
    tracer_->end(id);
  }

 private:
  bool in_backward() const { return backward_depth_ > 0; }

  // A node of another layer than the one before it ends that layer's span and begins its own.
  Tracer::Id begin_node(const at::RecordFunction& function, std::string_view name) {
    if (in_backward() && depth_ == backward_depth_) {
      const std::string* layer = layers_.of(function.seqNr());
      const std::string_view wanted = layer != nullptr ? std::string_view(*layer) : "";
      if (wanted != layer_name_) {
        end_layer();
        layer_name_ = wanted;
        if (layer != nullptr) layer_ = tracer_->begin(Tracer::Kind::kSpan, wanted);
      }
    }
    ++depth_;
    return tracer_->begin(Tracer::Kind::kBackward, name);
  }

  void end_layer() {
    if (layer_) tracer_->end(*layer_);
    layer_.reset();
    layer_name_.clear();
  }

  void end_backward() {
    end_layer();
    layers_.clear();
    backward_depth_ = 0;
  }

  std::shared_ptr<Tracer> tracer_;
  LayerRanges layers_;
  int depth_ = 0;           // spans and nodes that are open
  int backward_depth_ = 0;  // inside "backward" and no deeper; 0 = not in it
  std::string layer_name_;  // of layer_
  std::optional<Tracer::Id> layer_;
};

/// What the hook keeps of a span until its end.
struct OpenSpan : at::ObserverContext {
  std::shared_ptr<Tracer> tracer;
  Tracer::Id id = 0;
};

std::unique_ptr<at::ObserverContext> on_begin(const at::RecordFunction& function) {
  auto* recorder = static_cast<Recorder*>(c10::ThreadLocalDebugInfo::get(kDebugInfo));
  if (recorder == nullptr) return nullptr;
  auto open = std::make_unique<OpenSpan>();
  open->tracer = recorder->tracer();
  open->id = function.isAsync() ? open->tracer->begin(Tracer::Kind::kCollective, function.name())
                                : recorder->begin(function);
  return open;
}

void on_end(const at::RecordFunction& function, at::ObserverContext* context) {
  auto* open = static_cast<OpenSpan*>(context);
  if (open == nullptr) return;
  auto* recorder = static_cast<Recorder*>(c10::ThreadLocalDebugInfo::get(kDebugInfo));
  if (function.isAsync() || recorder == nullptr || recorder->tracer() != open->tracer) {
    open->tracer->end(open->id);
  } else {
    recorder->end(function, open->id);
  }
}

at::RecordFunctionCallback hook() {
  return at::RecordFunctionCallback(on_begin, on_end)
      .scopes({at::RecordScope::USER_SCOPE, at::RecordScope::BACKWARD_FUNCTION});
}

}  // namespace

SpanRecording::SpanRecording(std::shared_ptr<Tracer> tracer)
    : state_(kDebugInfo, std::make_shared<Recorder>(std::move(tracer))),
      hook_(at::addThreadLocalCallback(hook())) {}

SpanRecording::~SpanRecording() { at::removeCallback(hook_); }

}  // namespace moesaic
