#include "comm/trace_span.h"

#include <ATen/record_function.h>

#include "core/format.h"

namespace moesaic {
namespace {

// Null when nobody profiles.
std::unique_ptr<at::RecordFunction> hook() {
  auto callbacks = at::getStepCallbacksUnlessEmpty(at::RecordScope::USER_SCOPE);
  if (!callbacks) return nullptr;
  return std::make_unique<at::RecordFunction>(std::move(*callbacks));
}

}  // namespace

Span::Span(const char* name) : function_(hook()) {
  if (function_) function_->before(name);
}

Span::Span(const std::string& name) : Span(name.c_str()) {}

Span::Span(const char* name, std::int64_t number) : function_(hook()) {
  if (function_) function_->before(format("{} {}", name, number));
}

Span::Span(const char* name, const std::string& detail) : function_(hook()) {
  if (function_) function_->before(format("{} {}", name, detail));
}

Span::~Span() = default;

AsyncSpan::AsyncSpan() = default;

AsyncSpan::AsyncSpan(const std::string& name) : function_(hook()) {
  if (!function_) return;
  function_->_setAsync();
  function_->before(name);
}

AsyncSpan::~AsyncSpan() = default;
AsyncSpan::AsyncSpan(AsyncSpan&& other) noexcept = default;
AsyncSpan& AsyncSpan::operator=(AsyncSpan&& other) noexcept = default;

void AsyncSpan::end() { function_.reset(); }

}  // namespace moesaic
